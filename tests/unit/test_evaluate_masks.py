"""J and F: hand-drawn masks, and a plain form that measures every distance."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from massannot.evaluate.raster_scores import boundary_measure, region_similarity
from tests.counted_lines import lines_run

Mask = NDArray[np.bool_]


def picture(*rows: str) -> Mask:
    return np.array([[letter == "#" for letter in row] for row in rows])


def disc(height: int, width: int, *, x: float, y: float, radius: float) -> Mask:
    row, column = np.mgrid[:height, :width]
    return (column - x) ** 2 + (row - y) ** 2 <= radius**2


def boundary_slowly(mask: Mask) -> list[tuple[int, int]]:
    height, width = mask.shape
    neighbours = [(0, 1), (1, 0), (1, 1)]
    return [
        (y, x)
        for y in range(height)
        for x in range(width)
        if any(
            mask[y, x] != mask[y + dy, x + dx]
            for dy, dx in neighbours
            if y + dy < height and x + dx < width
        )
    ]


def boundary_measure_slowly(mask: Mask, truth: Mask, tolerance: float) -> float:
    radius = math.ceil(tolerance * math.hypot(*mask.shape))
    edge, true_edge = boundary_slowly(mask), boundary_slowly(truth)
    if not edge or not true_edge:
        return float(edge == true_edge)
    precision = sum(any(math.dist(p, q) <= radius for q in true_edge) for p in edge) / len(edge)
    recall = sum(any(math.dist(p, q) <= radius for q in edge) for p in true_edge) / len(true_edge)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


NOTHING, HALF, ALL = picture("..", ".."), picture("#.", "#."), picture("##", "##")
REGIONS = {
    "equal": (HALF, HALF, 1.0),
    "half of the truth": (HALF, ALL, 0.5),
    "apart": (HALF, ~HALF, 0.0),
    "both empty": (NOTHING, NOTHING, 1.0),
    "nothing found": (NOTHING, HALF, 0.0),
    "nothing there": (HALF, NOTHING, 0.0),
    "one of three": (picture("##."), picture(".##"), 1 / 3),
}


@pytest.mark.parametrize(("mask", "truth", "want"), REGIONS.values(), ids=REGIONS.keys())
def test_region_similarity_is_intersection_over_union(mask: Mask, truth: Mask, want: float) -> None:
    assert region_similarity(mask, truth) == want


# 50 x 50: the diagonal is 70.7, so a boundary may be one pixel away.
SQUARE = np.zeros((50, 50), np.bool_)
SQUARE[10:30, 10:30] = True
BOUNDARIES = {
    "equal": (SQUARE, SQUARE, 1.0),
    "one pixel aside": (np.roll(SQUARE, 1, axis=1), SQUARE, 1.0),
    "far away": (np.roll(SQUARE, 20, axis=(0, 1)), SQUARE, None),
    "both empty": (SQUARE & False, SQUARE & False, 1.0),
    "nothing found": (SQUARE & False, SQUARE, 0.0),
    "nothing there": (SQUARE, SQUARE & False, 0.0),
    "a full picture has no boundary": (SQUARE | True, SQUARE & False, 1.0),
}


@pytest.mark.parametrize(("mask", "truth", "want"), BOUNDARIES.values(), ids=BOUNDARIES.keys())
def test_boundaries_agree_within_the_tolerance(mask: Mask, truth: Mask, want: float | None) -> None:
    if want is None:
        want = boundary_measure_slowly(mask, truth, 0.008)
        assert want < 0.1
    assert boundary_measure(mask, truth) == want


def test_two_pixels_aside_loses_the_sides_and_keeps_top_and_bottom() -> None:
    found = boundary_measure(np.roll(SQUARE, 2, axis=1), SQUARE)
    assert found == boundary_measure_slowly(np.roll(SQUARE, 2, axis=1), SQUARE, 0.008)
    assert 0.5 < found < 0.6


@pytest.mark.parametrize("tolerance", [0.008, 0.06, 0.2], ids=["DAVIS", "wide", "very wide"])
def test_the_measure_equals_the_plain_form(tolerance: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(25):
        height, width = rng.integers(1, 22, 2)
        mask, truth = rng.random((2, height, width)) < rng.choice([0.02, 0.3, 0.9])
        assert boundary_measure(mask, truth, tolerance=tolerance) == pytest.approx(
            boundary_measure_slowly(mask, truth, tolerance)
        )


def test_a_larger_picture_takes_no_more_python_to_measure() -> None:
    def measured(size: int) -> int:
        mask = disc(9 * size, 16 * size, x=8 * size, y=4.5 * size, radius=2.5 * size)
        truth = disc(9 * size, 16 * size, x=8.2 * size, y=4.5 * size, radius=2.5 * size)
        return lines_run(lambda: boundary_measure(mask, truth))

    assert measured(80) == measured(8) > 0


@pytest.mark.parametrize(
    ("mask", "truth"),
    [(HALF, SQUARE), (HALF.astype(np.uint8), HALF), (HALF[None], HALF[None])],
    ids=["two sizes", "bytes instead of bool", "three dimensions"],
)
def test_masks_that_do_not_fit_are_refused(mask: Mask, truth: Mask) -> None:
    for measure in (region_similarity, boundary_measure):
        with pytest.raises(ValueError, match=r"expected bool \(H, W\)"):
            measure(mask, truth)
