"""Medians of known values, against numpy's."""

from __future__ import annotations

import numpy as np
import pytest

from massannot.geometry.background_fit import masked_median, masked_quantile
from massannot.geometry.lifting import fill_inverse, fill_linear, hold

SHAPES = [((7, 5), 0), ((7, 5), 1), ((6, 4, 3), 1), ((1, 5), 0), ((9,), 0)]


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
@pytest.mark.parametrize("q", [0.1, 0.5, 0.9, 1.0])
def test_quantiles_are_numpys_where_something_is_known(
    shape: tuple[int, ...], axis: int, q: float
) -> None:
    rng = np.random.default_rng(0)
    values, known = rng.standard_normal(shape), rng.random(shape) < 0.7
    found = masked_quantile(values, known, q=q, axis=axis)
    expected = np.apply_along_axis(_quantile, axis, np.where(known, values, np.nan), q)
    np.testing.assert_allclose(found, expected)


def _quantile(values: np.ndarray, q: float) -> float:
    known = values[np.isfinite(values)]
    return float(np.quantile(known, q)) if known.size else np.nan


def test_nothing_known_is_not_a_number() -> None:
    assert np.isnan(masked_median(np.ones((3, 2)), np.zeros((3, 2), bool), axis=0)).all()
    assert np.isnan(masked_median(np.ones((0, 2)), np.ones((0, 2), bool), axis=0)).all()


def test_unknown_values_may_be_anything() -> None:
    values = np.array([1.0, np.nan, 3.0, np.inf, -np.inf])
    known = np.array([True, False, True, False, False])
    assert masked_median(values, known, axis=0) == 2


FILLS = [
    # what, measured values (NaN: not measured), times, filled
    ("a gap", [1, np.nan, 3], [0, 1, 2], [1, 2, 3]),
    ("uneven times", [1, np.nan, 3], [0, 3, 4], [1, 2.5, 3]),
    ("both ends open", [np.nan, 5, np.nan], [0, 1, 2], [np.nan, 5, np.nan]),
    ("two gaps", [0, np.nan, 2, np.nan, np.nan, 8], [0, 1, 2, 3, 4, 5], [0, 1, 2, 4, 6, 8]),
    ("nothing", [np.nan, np.nan], [0, 1], [np.nan, np.nan]),
]


@pytest.mark.parametrize(("what", "given", "times", "filled"), FILLS, ids=[f[0] for f in FILLS])
def test_gaps_are_filled_between_measurements_only(
    what: str, given: list[float], times: list[float], filled: list[float]
) -> None:
    values, t_s = np.array(given, float)[:, None], np.array(times, float)
    measured = np.isfinite(values)
    np.testing.assert_allclose(fill_linear(values, measured, t_s=t_s)[:, 0], filled)
    depth = 1 / (values + 1)
    in_depth = fill_inverse(depth, measured, t_s=t_s)[:, 0]
    np.testing.assert_allclose(1 / in_depth - 1, filled)


def test_holding_keeps_the_last_value_and_before_it_the_first() -> None:
    values = np.array([np.nan, 2, np.nan, 4, np.nan])[:, None]
    assert hold(values, np.isfinite(values))[:, 0].tolist() == [2, 2, 2, 4, 4]
    nothing = np.full((3, 1), np.nan)
    assert np.isnan(hold(nothing, np.isfinite(nothing))).all()
