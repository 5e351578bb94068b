"""Key frames, and what of the detector's answer reaches the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from massannot.clip import Clip, Frames
from massannot.errors import BadModelOutput
from massannot.models.protocols import Detections, ModelCard
from massannot.stages.detect_phrases import DetectPhrases, key_frames
from tests.drawn_world import RED, Thing, World

Row = tuple[int, int, Sequence[float], float]
BOX = (10.0, 20.0, 30.0, 40.0)


@pytest.mark.parametrize(
    ("n_frames", "expected"),
    [
        (0, ()),
        (1, (0,)),
        (2, (0, 1)),
        (32, (0, 31)),
        (33, (0, 32)),
        (34, (0, 32, 33)),
        (96, (0, 32, 64, 95)),
    ],
)
def test_key_frames_are_every_32nd_and_the_last(n_frames: int, expected: tuple[int, ...]) -> None:
    assert key_frames(n_frames, every=32) == expected


@dataclass
class Answering:
    """A detector that says what it is told to."""

    rows: Sequence[Row]
    asked: list[tuple[tuple[int, ...], tuple[str, ...]]] = field(default_factory=list)

    def setup(self, *, device: str) -> None: ...

    def destroy(self) -> None: ...

    def card(self) -> ModelCard:
        return ModelCard("answering")

    def detect(self, frames: Frames, *, at: Sequence[int], phrases: Sequence[str]) -> Detections:
        self.asked.append((tuple(at), tuple(phrases)))
        return Detections(
            np.array([row[0] for row in self.rows], np.int32),
            np.array([row[1] for row in self.rows], np.int32),
            np.array([row[2] for row in self.rows], np.float32).reshape(-1, 4),
            np.array([row[3] for row in self.rows], np.float32),
        )


def world(scale: int = 1) -> World:
    return World([Thing("a ball", RED, 20, np.tile([60.0, 60.0], (40, 1)))], scale=scale)


def detected(rows: Sequence[Row], *, phrases: Sequence[str] = ("a", "b"), scale: int = 1) -> Clip:
    return DetectPhrases(Answering(rows)).process(world(scale).clip(phrases))


def test_all_key_frames_and_every_text_once_go_in_one_call() -> None:
    detector = Answering([])
    DetectPhrases(detector).process(world().clip(["a ball", "a box", "a ball"]))
    assert detector.asked == [((0, 32, 39), ("a ball", "a box"))]


def test_without_a_phrase_the_detector_is_not_asked() -> None:
    detector = Answering([])
    clip = DetectPhrases(detector).process(world().clip([]))
    assert detector.asked == []
    assert clip.table("phrases").num_rows == clip.table("detections").num_rows == 0


def test_rows_are_numbered_by_frame_phrase_and_score() -> None:
    clip = detected([(32, 0, BOX, 0.5), (0, 1, BOX, 0.6), (0, 0, BOX, 0.7), (0, 0, BOX, 0.8)])
    rows = [
        (r["detection"], r["frame"], r["phrase"], round(r["score"], 2))
        for r in clip.table("detections").to_pylist()
    ]
    assert rows == [(0, 0, 0, 0.8), (1, 0, 0, 0.7), (2, 0, 1, 0.6), (3, 32, 0, 0.5)]


def test_boxes_are_cut_at_the_picture_and_written_in_source_pixels() -> None:
    clip = detected([(0, 0, (-5, 10, 250, 60), 0.5)], scale=2)
    row = clip.table("detections").to_pylist()[0]
    assert [row[name] for name in ("x0", "y0", "x1", "y1")] == [0, 20, 400, 120]


def test_a_box_outside_the_picture_is_rejected() -> None:
    clip = detected([(0, 0, (-30, 10, -5, 60), 0.5)])
    assert clip.table("detections")["rejected"].to_pylist() == ["empty_mask"]


def test_the_eleventh_box_of_a_phrase_in_a_frame_is_over_the_limit() -> None:
    rows = [(0, phrase, BOX, 0.01 * i) for i in range(12) for phrase in (0, 1)]
    table = detected(rows).table("detections")
    rejected = [r["score"] for r in table.to_pylist() if r["rejected"] == "over_phrase_limit"]
    assert np.allclose(rejected, [0.01, 0.0, 0.01, 0.0])


def test_phrases_keep_where_they_came_from() -> None:
    clip = detected([])
    rows = clip.table("phrases").to_pylist()
    assert [(r["phrase"], r["text"], r["origin"], r["n_entities"]) for r in rows] == [
        (0, "a", "prompt", 0),
        (1, "b", "prompt", 0),
    ]


WRONG: dict[str, list[Row]] = {
    "a frame that was not asked for": [(5, 0, BOX, 0.5)],
    "a phrase that does not exist": [(0, 2, BOX, 0.5)],
    "NaN": [(0, 0, (np.nan, 0, 1, 1), 0.5)],
    "a score above 1": [(0, 0, BOX, 1.5)],
}


@pytest.mark.parametrize("name", WRONG)
def test_a_detector_that_breaks_its_promise_is_named(name: str) -> None:
    with pytest.raises(BadModelOutput, match="answering"):
        detected(WRONG[name])
