"""The ruler has teeth: five well-known mistakes, made one at a time inside the adapters, each move
the number that it names by more than the paired interval over clips."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from massannot.evaluate.box_scores import area_under_precision
from massannot.geometry.intervals import mean_difference
from massannot.models import grounding_dino, lucas_kanade, networks, preprocess
from massannot.models.profiles import Job, named
from massannot.models.sam2 import session
from tools.embedded import measured, ruler

pytestmark = pytest.mark.slow

N_CLIPS = 8


def rgb_as_bgr(patch: pytest.MonkeyPatch) -> None:
    real = networks.frames_on
    patch.setattr(networks, "frames_on", lambda *a: real(*a).flip(-1))


def mean_kept(patch: pytest.MonkeyPatch) -> None:
    real = preprocess.normalization_from
    patch.setattr(
        preprocess,
        "normalization_from",
        lambda config: dataclasses.replace(real(config), mean=(0.0, 0.0, 0.0)),
    )


def boxes_as_yxyx(patch: pytest.MonkeyPatch) -> None:
    for name in ("box_corners", "box_logits"):
        real = getattr(session, name)
        patch.setattr(session, name, lambda b, real=real, **size: real(b[[1, 0, 3, 2]], **size))


def pictures_one_late(patch: pytest.MonkeyPatch) -> None:
    real = lucas_kanade.gray_picture
    patch.setattr(lucas_kanade, "gray_picture", lambda f, at: real(f, min(at + 1, len(f) - 1)))


def boxes_half_a_pixel_off(patch: pytest.MonkeyPatch) -> None:
    real = grounding_dino.xyxy_from_normalized_cxcywh
    patch.setattr(
        grounding_dino, "xyxy_from_normalized_cxcywh", lambda *a, **size: real(*a, **size) + 0.5
    )


def model(job: Job, **options: Any) -> Any:
    adapter = named("embedded").model(job).build(**options)
    adapter.setup(device="cpu")
    return adapter


def found(clip: measured.TrueClip) -> ruler.Record:
    low = {"box_threshold": ruler.LOW_THRESHOLD, "text_threshold": ruler.LOW_THRESHOLD}
    return ruler.detection_record(model("detect", **low), clip, ruler.LOW_THRESHOLD)


def average_precision(clip: measured.TrueClip) -> float:
    record = found(clip)
    right, score = np.array(record["right"], bool), np.array(record["score"])
    return area_under_precision(right, score, n_true=len(record["true"]))


def mean_edge_offset_px(clip: measured.TrueClip) -> float:
    return float(np.mean(found(clip)["edge_offset_px"]))


def depth_error(clip: measured.TrueClip) -> float:
    return float(np.mean([r["AbsRel"] for r in measured.depth_rows(model("depth"), clip)]))


def mask_overlap(clip: measured.TrueClip) -> float:
    rows = measured.mask_rows(model("masks"), clip, end=1)
    return float(np.mean([row["J0"] for row in rows]))


def track_score(clip: measured.TrueClip) -> float:
    return float(ruler.track_record(model("tracks"), clip.frames, clip.scene)["AJ"])


MISTAKES: list[tuple[str, Callable[[pytest.MonkeyPatch], None], Any, int]] = [
    # mistake, how it is made, the number that it names, and where that goes
    ("BGR for RGB", rgb_as_bgr, average_precision, -1),
    ("no mean taken off", mean_kept, depth_error, +1),
    ("box order reversed", boxes_as_yxyx, mask_overlap, -1),
    ("frames off by one", pictures_one_late, track_score, -1),
    ("boxes shifted by half a pixel", boxes_half_a_pixel_off, mean_edge_offset_px, +1),
]


@pytest.fixture(scope="module")
def clips() -> list[measured.TrueClip]:
    return measured.validation_clips(N_CLIPS)


@pytest.mark.parametrize(
    ("mistake", "number", "direction"), [m[1:] for m in MISTAKES], ids=[m[0] for m in MISTAKES]
)
def test_a_mistake_moves_its_number_by_more_than_the_interval(
    mistake: Callable[[pytest.MonkeyPatch], None],
    number: Callable[[measured.TrueClip], float],
    direction: int,
    clips: list[measured.TrueClip],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = scores(number, clips)
    mistake(monkeypatch)
    moved = mean_difference(scores(number, clips), before, seed=0)
    assert moved.value * direction > 0
    assert moved.low > 0 or moved.high < 0, moved


def scores(
    number: Callable[[measured.TrueClip], float], clips: list[measured.TrueClip]
) -> list[float]:
    for clip in clips:
        clip.frames.forget()
    return [number(clip) for clip in clips]
