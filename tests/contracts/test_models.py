"""Every adapter keeps the protocols' promises, whatever network is inside."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from massannot.clip import Frames
from massannot.models.depth_anything import DepthAnything
from massannot.models.grounding_dino import GroundingDino
from massannot.models.sam2.propagator import Sam2Video
from massannot.models.weights import Weights
from massannot.stages._stage import _plain
from tests.tiny_models import noise_frames, tiny_depth, tiny_detector, tiny_sam2

Use = Callable[[Any, Frames], Any]


def detects(adapter: Any, frames: Frames) -> Any:
    return adapter.detect(frames, at=[0], phrases=["ball"])


def follows(adapter: Any, frames: Frames) -> Any:
    return adapter.session(frames)


def estimates(adapter: Any, frames: Frames) -> Any:
    return adapter.estimate_depth(frames)


CASES: list[tuple[type, Callable[[Path], Path], Use]] = [
    (GroundingDino, tiny_detector, detects),
    (Sam2Video, tiny_sam2, follows),
    (DepthAnything, tiny_depth, estimates),
]
each_adapter = pytest.mark.parametrize(
    ("kind", "write", "use"), CASES, ids=["detector", "masks", "depth"]
)


@each_adapter
def test_an_adapter_is_its_options_until_it_is_set_up(
    tmp_path: Path, kind: type, write: Any, use: Use
) -> None:
    adapter = kind(Weights("someone/somewhere", revision="v1"))
    assert adapter.card().weights == "someone/somewhere@v1"
    shown = json.dumps(_plain(adapter))
    assert "someone/somewhere" in shown
    assert "_loaded" not in shown
    with pytest.raises(RuntimeError, match=r"setup\(\) comes before"):
        use(adapter, noise_frames(1, 60, 80))


@each_adapter
def test_an_adapter_can_be_destroyed_and_set_up_again(
    tmp_path: Path, kind: type, write: Any, use: Use
) -> None:
    adapter = kind(Weights(str(write(tmp_path))))
    adapter.setup(device="cpu")
    card = adapter.card()
    assert len(card.sha256) == 64
    assert card.n_parameters > 0
    adapter.destroy()
    with pytest.raises(RuntimeError):
        use(adapter, noise_frames(1, 60, 80))
    adapter.setup(device="cpu")
    assert adapter.card() == card
    use(adapter, noise_frames(1, 60, 80))


@each_adapter
def test_two_equal_adapters_have_equal_descriptions(
    tmp_path: Path, kind: type, write: Any, use: Use
) -> None:
    folder = write(tmp_path)
    one, other = kind(Weights(str(folder))), kind(Weights(str(folder)))
    one.setup(device="cpu")
    assert one == other
    assert _plain(one) == _plain(other)


@pytest.mark.parametrize("width", [80, 33])
def test_boxes_lie_in_the_picture_best_first(tmp_path: Path, width: int) -> None:
    adapter = GroundingDino(
        Weights(str(tiny_detector(tmp_path))), box_threshold=0.0, text_threshold=0.0
    )
    adapter.setup(device="cpu")
    found = adapter.detect(noise_frames(3, 60, width), at=[2, 0], phrases=["ball", "a red box"])
    assert list(dict.fromkeys(found.frame.tolist())) == [2, 0]
    assert (found.boxes_xyxy >= 0).all()
    assert (found.boxes_xyxy <= [width, 60, width, 60]).all()
    assert (found.boxes_xyxy[:, 2:] > found.boxes_xyxy[:, :2]).all()
    assert ((found.score > 0) & (found.score <= 1)).all()
    for frame in (2, 0):
        for phrase in (0, 1):
            scores = found.score[(found.frame == frame) & (found.phrase == phrase)]
            assert (np.diff(scores) <= 0).all()


def test_frames_that_cannot_be_written_to_are_read_all_the_same(tmp_path: Path) -> None:
    frames = noise_frames(2, 60, 80)
    frames.pixels_THWC.flags.writeable = False
    adapter = DepthAnything(Weights(str(tiny_depth(tmp_path))))
    adapter.setup(device="cpu")
    before = frames.pixels_THWC.copy()
    adapter.estimate_depth(frames)
    np.testing.assert_array_equal(frames.pixels_THWC, before)
