"""Depth scores counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from massannot.evaluate.raster_scores import DepthScores, score_depth

NAN = float("nan")
# depth, truth, median scale; abs_rel, delta, rmse, scale, pixels, coverage
CASES = {
    "exact": ([1, 2, 4], [1, 2, 4], False, (0, 1, 0, 1, 3, 1)),
    "half a metre off": ([1.5, 4], [1, 4], False, (0.25, 0.5, np.sqrt(0.125), 1, 2, 1)),
    "too near by the same factor": (
        [1, 2],
        [1.25, 2.5],
        False,
        (0.2, 0, np.sqrt(0.15625), 1, 2, 1),
    ),
    "half the scale": ([1, 2, 4], [2, 4, 8], True, (0, 1, 0, 2, 3, 1)),
    "one outlier in scale": (
        [1, 2, 9],
        [2, 4, 8],
        True,
        (1.25 / 3, 2 / 3, 10 / np.sqrt(3), 2, 3, 1),
    ),
    "the truth is unknown": ([1, 5, 6, 7], [1, NAN, 0, np.inf], False, (0, 1, 0, 1, 1, 1)),
    "the prediction is unknown": ([1, NAN, 0, -1], [1, 2, 3, 4], False, (0, 1, 0, 1, 1, 0.25)),
    "nothing predicted": ([NAN], [1], False, (NAN, NAN, NAN, NAN, 0, 0)),
    "nothing known": ([1], [NAN], False, (NAN, NAN, NAN, NAN, 0, NAN)),
}


@pytest.mark.parametrize(
    ("depth", "truth", "median_scale", "want"), CASES.values(), ids=CASES.keys()
)
def test_depth_scores_as_counted_by_hand(
    depth: list, truth: list, median_scale: bool, want: tuple
) -> None:
    found = score_depth(
        np.array(depth, np.float32)[None], np.array(truth, float)[None], median_scale=median_scale
    )
    np.testing.assert_allclose(
        [found.abs_rel, found.delta_1_25, found.rmse, found.scale, found.n_pixels, found.coverage],
        want,
        atol=1e-12,
    )


def test_only_the_asked_pixels_are_compared_and_scaled() -> None:
    depth, truth = np.array([[1.0, 5.0], [2.0, NAN]]), np.array([[2.0, 5.0], [4.0, 4.0]])
    objects = np.array([[True, False], [True, True]])
    found = score_depth(depth, truth, where=objects, median_scale=True)
    assert found == DepthScores(0, 1, 0, scale=2, n_pixels=2, coverage=2 / 3)


def test_arrays_of_two_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="expected one shape"):
        score_depth(np.ones((2, 2)), np.ones((2, 3)))
    with pytest.raises(ValueError, match="expected one shape"):
        score_depth(np.ones((2, 2)), np.ones((2, 2)), where=np.ones((1, 2), np.bool_))
