"""The lines of the accuracy tables, against statistics made by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tools.embedded import accuracy_lines

BOX, OTHER = [0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 40.0, 10.0]


def whole(js: list[float], errors: list[float], absent_found: int, depth: float) -> dict[str, Any]:
    scores = {"depth abs_rel": [depth, 0.4], "depth abs_rel_objects": [2 * depth, 0.3]}
    return {
        "cpu_s": 2.0,
        "js": js,
        "named": [j != 0.8 for j in js],
        "position_errors_m": errors,
        "position_errors_usual_depth_m": [1.0] * len(errors),
        "absent": 1,
        "absent_found": absent_found,
        "scores": scores,
    }


RECORDS: dict[str, list[dict[str, Any]]] = {
    "whole": [whole([0.9, 0.2], [0.1, 0.3], 1, 0.1), whole([0.8], [0.2], 0, 0.2)],
    "masks": [
        {"J0": [1.0, 0.5], "J0_filled_box": [0.5, 0.5], "J8": [0.5], "J8_copied": [0.25]},
        {"J0": [0.0], "J0_filled_box": [0.5]},
    ],
    "tracks": [{"AJ": 0.5, "AJ_static": 0.1}, {"AJ": 0.3, "AJ_static": 0.3}],
    "detection": [
        {"right": [True, False], "score": [0.9, 0.8], "edge_offset_px": [0.5],
         "true": [[0, "a ball", BOX], [0, "a box", OTHER]], "asked": ["a ball", "a box", "a cone"]},
        {"right": [True], "score": [0.7], "edge_offset_px": [-0.5],
         "true": [[100, "a box", OTHER]], "asked": ["a box"]},
    ],
}  # fmt: skip

BY_HAND = [
    # score, value, trivial value
    ("AbsRel, all pixels", 0.15, 0.4),
    ("AbsRel, pixels of things", 0.3, 0.3),
    ("AP50 of two-word phrases", (1 + 2 / 3) / 3, 0.0),
    ("edges, found minus true, px", 0.0, math.nan),
    ("J from a true box, same frame", 0.5, 0.5),
    ("J 8 frames after the box", 0.5, 0.25),
    ("J 16 frames after the box", math.nan, math.nan),
    ("AJ (Lucas-Kanade)", 0.4, 0.2),
    ("things found under their name, mean J over 0.7", 1 / 3, 0.0),
    ("things found under any name asked", 2 / 3, 0.0),
    ("absent things that were found", 0.5, math.nan),
    ("position of a found thing, median error, m", 0.2, 1.0),
]


@pytest.mark.parametrize(("score", "value", "trivial"), BY_HAND, ids=[b[0] for b in BY_HAND])
def test_a_line_is_what_one_gets_by_hand(score: str, value: float, trivial: float) -> None:
    (line,) = [x for x in accuracy_lines.lines(RECORDS) if x.score == score]
    assert line.value.value == pytest.approx(value, nan_ok=True)
    assert line.trivial_value.value == pytest.approx(trivial, nan_ok=True)
    assert line.gain.value == pytest.approx(value - trivial, nan_ok=True)
    assert line.value.n == 2


def test_a_replaced_job_is_compared_on_the_same_clips() -> None:
    worse, better = (whole([j], [1 - j], 0, 0.1) for j in (0.6, 0.9))
    first, second = accuracy_lines.replaced([{"lens": worse, "lens, masks": better}] * 2)
    assert first.gain["mean J"].value == 0
    assert second.gain["mean J"].value == pytest.approx(0.3)
    assert (first.scores["found"].value, second.scores["found"].value) == (0, 1)
    assert second.gain["mean J"].low == pytest.approx(0.3)  # both clips gain the same


def test_a_missed_target_is_said() -> None:
    found = {line.score: line for line in accuracy_lines.lines(RECORDS)}
    assert not found["AP50 of two-word phrases"].met
    assert not found["AbsRel, all pixels"].met
    assert not found["position of a found thing, median error, m"].met
