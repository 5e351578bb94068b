"""Depth that is kept comes back bit for bit."""

import numpy as np
import pytest

from massannot.clip import DepthMaps
from massannot.dataset.depth_cache import keep, load


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        pytest.param("metric", {}, id="as a model gives it"),
        pytest.param("relative", {"scale": np.array([2, 3], np.float32)}, id="with a scale"),
        pytest.param(
            "affine",
            {"scale": np.ones(2, np.float32), "shift": np.array([0.1, -0.0], np.float32)},
            id="with scale and shift",
        ),
        pytest.param("metric", {"max_depth": 20.1}, id="with the farthest that the model answers"),
    ],
)
def test_depth_comes_back_bit_for_bit(tmp_path, kind, more):
    values = np.random.default_rng(0).random((2, 5, 7)).astype(np.float32)
    values[0, 1, 2] = np.nan
    keep(tmp_path / "folder" / "clip.depth", DepthMaps(values, kind, **more))
    back = load(tmp_path / "folder" / "clip.depth")
    assert back.kind == kind
    assert back.values.tobytes() == values.tobytes()
    assert back.max_depth == more.get("max_depth")
    for name in ("scale", "shift"):
        there = getattr(back, name)
        assert (None if there is None else there.tobytes()) == (
            more[name].tobytes() if name in more else None
        )
