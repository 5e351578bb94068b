"""Boxes: overlaps by counting pixels, average precision by hand."""

from __future__ import annotations

import numpy as np
import pytest

from massannot.evaluate.box_scores import (
    TextBoxes,
    average_precision,
    iou_matrix,
    right_boxes,
)

Row = tuple[int, str, tuple[float, ...], float]

A, B, C = (0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10)
A_NEARLY = (0, 0, 10, 8)  # overlaps A by 0.8
A_HALF = (0, 0, 10, 5)  # overlaps A by 0.5
ELSEWHERE = (100, 100, 110, 110)


def boxes(*rows: Row) -> TextBoxes:
    picture, text, box, score = zip(*rows) if rows else ((), (), (), ())
    return TextBoxes(
        np.array(picture, np.int64),
        text,
        np.array(box, np.float64).reshape(-1, 4),
        np.array(score, np.float64),
    )


def test_overlap_is_the_share_of_common_pixels() -> None:
    rng = np.random.default_rng(0)
    corners = np.sort(rng.integers(0, 9, (2, 12, 2, 2)), axis=2)
    first, second = corners.transpose(0, 1, 2, 3).reshape(2, 12, 4)
    painted = np.zeros((2, 12, 9, 9), np.bool_)
    for which, group in enumerate((first, second)):
        for index, (x0, y0, x1, y1) in enumerate(group):
            painted[which, index, y0:y1, x0:x1] = True
    for i, row in enumerate(iou_matrix(first, second)):
        for j, found in enumerate(row):
            union = (painted[0, i] | painted[1, j]).sum()
            common = (painted[0, i] & painted[1, j]).sum()
            assert found == (common / union if union else 0)


def test_no_boxes_have_no_overlaps() -> None:
    assert iou_matrix(np.zeros((0, 4)), [A]).shape == (0, 1)
    assert iou_matrix([A], np.zeros((0, 4))).shape == (1, 0)


RIGHT = {
    "the same box": ([(0, "ball", A, 0.9)], [True]),
    "overlap at the threshold": ([(0, "ball", A_HALF, 0.9)], [True]),
    "overlap below the threshold": ([(0, "ball", (0, 0, 10, 4.9), 0.9)], [False]),
    "another text": ([(0, "box", A, 0.9)], [False]),
    "the same text in other letters": ([(0, " Ball ", A, 0.9)], [True]),
    "another picture": ([(1, "ball", A, 0.9)], [False]),
    "a second box on one truth": ([(0, "ball", A, 0.8), (0, "ball", A, 0.9)], [False, True]),
    "equal scores: the earlier box": ([(0, "ball", A, 0.9), (0, "ball", A, 0.9)], [True, False]),
    "nothing found": ([], []),
}


@pytest.mark.parametrize(("found", "right"), RIGHT.values(), ids=RIGHT.keys())
def test_a_box_is_right_when_place_picture_and_words_agree(
    found: list[Row], right: list[bool]
) -> None:
    truth = boxes((0, "ball", A, 1), (0, "ball", B, 1))
    np.testing.assert_array_equal(right_boxes(boxes(*found), truth), right)


def test_a_box_takes_the_free_truth_it_overlaps_most() -> None:
    truth = boxes((0, "ball", A, 1), (0, "ball", A_NEARLY, 1))
    found = boxes((0, "ball", A_NEARLY, 0.9), (0, "ball", A_NEARLY, 0.8), (0, "ball", A, 0.7))
    np.testing.assert_array_equal(right_boxes(found, truth), [True, True, False])


# Truth: a ball at A, a ball at B, a box at C, all in one picture.
TRUTH = boxes((0, "ball", A, 1), (0, "ball", B, 1), (0, "box", C, 1))
RANKINGS = {
    "all found": ([("ball", A), ("ball", B), ("box", C)], 1.0),
    "nothing found": ([], 0.0),
    "one of three": ([("ball", A)], 1 / 3),
    "a wrong one first": ([("ball", ELSEWHERE), ("ball", A)], 1 / 6),
    "a wrong one last": ([("ball", A), ("ball", ELSEWHERE)], 1 / 3),
    "a text that is not there": ([("cone", A), ("box", C)], 1 / 6),
    "precision never rises with recall": (
        [("ball", ELSEWHERE), ("ball", A), ("ball", B), ("box", C)],
        3 / 4,
    ),
}


@pytest.mark.parametrize(("ranked", "precision"), RANKINGS.values(), ids=RANKINGS.keys())
def test_average_precision_is_the_area_under_the_ranking(
    ranked: list[tuple[str, tuple[int, ...]]], precision: float
) -> None:
    found = boxes(*((0, text, box, 1 - rank / 10) for rank, (text, box) in enumerate(ranked)))
    assert average_precision(found, TRUTH) == pytest.approx(precision)


def test_a_higher_threshold_asks_for_more_overlap() -> None:
    found, truth = boxes((0, "ball", A_NEARLY, 1)), boxes((0, "ball", A, 1))
    assert average_precision(found, truth, iou_threshold=0.8) == 1
    assert average_precision(found, truth, iou_threshold=0.81) == 0


def test_without_truth_there_is_no_precision() -> None:
    assert np.isnan(average_precision(TRUTH, boxes()))


def test_columns_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"found \(1, 2, 1, 1\)"):
        TextBoxes(np.zeros(1, np.int64), ["a", "b"], np.zeros((1, 4)), np.zeros(1))
