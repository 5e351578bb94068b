"""What a second depth model says of the first one's errors."""

from __future__ import annotations

import numpy as np
import pytest

from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.stages.state_intervals import stated
from tests.unit.plane_world import PlaneWorld

N = 24
CLIP, ENTITY, FRAME = 0.10, 0.04, 0.02
"""Between the two models' logarithms of distance; one model has its share, 1 / sqrt(2)."""


def world(kind: str = "metric") -> PlaneWorld:
    """Three boards that stand still. The second model has a factor for the clip, for each board
    and for each frame."""
    x = np.array([-1.2, 0.0, 1.2])
    paths = np.stack([x, 0 * x, 0 * x + 4.0], axis=-1)[:, None].repeat(N, axis=1)
    of_frame = FRAME * np.random.default_rng(3).standard_normal((N, 3))
    logs = CLIP + np.array([-ENTITY, 0.0, ENTITY]) + of_frame
    return PlaneWorld(paths, kind=kind, second_depth=np.exp(logs), half_size=0.35)  # type: ignore[arg-type]


@pytest.mark.parametrize(("kind", "clip"), [("metric", CLIP), ("relative", None)])
def test_half_the_variance_between_two_models_is_one_s_own(kind: str, clip: float | None) -> None:
    found = stated(world(kind).annotated(), None)
    of_clip = found["clips"]["range_rel_sd"][0].as_py()
    if clip is None:
        assert of_clip is None  # two unknown factors say nothing of each other
    else:
        assert of_clip == pytest.approx(clip / np.sqrt(2), rel=0.1)
    of_entities = found["entities"]["range_rel_sd"].to_pylist()
    assert of_entities == pytest.approx([ENTITY / np.sqrt(2)] * 3, rel=0.25)
    of_frames = float(np.median(found["positions"]["range_rel_sd"].to_numpy()))
    assert of_frames == pytest.approx(FRAME / np.sqrt(2), rel=0.35)


def test_the_first_model_s_positions_stay_as_they_are() -> None:
    alone = world()
    alone.second_depth = None
    with_second = world().annotated().table("positions").drop(["second_depth_log_ratio"])
    without = alone.annotated().table("positions").drop(["second_depth_log_ratio"])
    assert with_second.equals(without)


def test_a_second_profile_does_its_one_job_alone() -> None:
    first = {"scenes": "scenes", "oracles": ["detect", "masks", "depth", "tracks", "cameras"]}
    alone = run_spec(phrases=["a ball"], flags=ModelFlags(profile="none", **first)).pipeline()
    both = run_spec(
        phrases=["a ball"],
        flags=ModelFlags(profile="none", models={"second_depth": "embedded"}, **first),
    ).pipeline()
    added = [stage for stage in both.stages if stage not in alone.stages]
    assert [stage.name for stage in added] == ["compare_depth"]
    (depth,) = (stage for stage in run_spec().pipeline().stages if stage.name == "estimate_depth")
    assert type(added[0].model) is type(depth.model)  # type: ignore[attr-defined]
