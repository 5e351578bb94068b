"""Intervals: known values, coverage where the truth is known, and equal bounds for equal seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from massannot.geometry.intervals import (
    ConfidenceInterval,
    bootstrap,
    mean_difference,
    mean_over_clips,
    median_over_clips,
    ratio_over_clips,
)


def test_equal_seeds_give_equal_bounds_and_others_do_not() -> None:
    values = np.random.default_rng(0).normal(size=30)
    assert mean_over_clips(values, seed=7) == mean_over_clips(values, seed=7)
    assert mean_over_clips(values, seed=7) != mean_over_clips(values, seed=8)


def test_the_interval_of_a_mean_covers_it_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    trials = [mean_over_clips(rng.normal(5, 2, 40), seed=i, n_resamples=400) for i in range(400)]
    covered = sum(trial.low <= 5 <= trial.high for trial in trials)
    assert 0.90 * 400 <= covered <= 0.98 * 400


def test_the_bounds_of_a_mean_are_those_of_the_normal_law_for_many_clips() -> None:
    values = np.random.default_rng(2).normal(0, 1, 500)
    found = mean_over_clips(values, seed=0, level=0.9)
    half = 1.645 * values.std() / math.sqrt(500)
    assert (found.low, found.high) == pytest.approx(
        (values.mean() - half, values.mean() + half), abs=0.1 * half
    )


def test_clips_without_a_value_are_left_out() -> None:
    known = [0.1, 0.5, 0.9]
    assert mean_over_clips([*known, np.nan], seed=0) == mean_over_clips(known, seed=0)


@pytest.mark.parametrize(("values", "n"), [([], 0), ([0.5], 1), ([0.5, np.nan], 1)])
def test_fewer_than_two_clips_have_no_bounds(values: list[float], n: int) -> None:
    found = mean_over_clips(values, seed=0)
    assert found.n == n
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_pairing_removes_what_clips_share() -> None:
    rng = np.random.default_rng(3)
    hardness = rng.normal(0, 10, 60)
    better, worse = hardness + 1 + rng.normal(0, 0.1, 60), hardness + rng.normal(0, 0.1, 60)
    found = mean_difference(better, worse, seed=0)
    assert 0.9 < found.low < 1 < found.high < 1.1
    assert found.value == pytest.approx((better - worse).mean())


def test_a_ratio_weighs_clips_by_what_they_hold() -> None:
    found = ratio_over_clips([1, 0, 9], [1, 10, 9], seed=0)
    assert found.value == 0.5
    assert (found.low, found.high) == (0, 1)  # three times the second clip; never the second clip


def test_draws_without_anything_to_count_are_left_out() -> None:
    found = ratio_over_clips([0, 3], [0, 4], seed=0)
    assert (found.value, found.low, found.high, found.n) == (0.75, 0.75, 0.75, 2)
    nothing = ratio_over_clips([0, 0], [0, 0], seed=0)
    assert all(math.isnan(number) for number in (nothing.value, nothing.low, nothing.high))


def test_any_statistic_of_the_drawn_clips_has_an_interval() -> None:
    values = np.arange(11.0)
    found = bootstrap(lambda clips: float(np.median(values[clips])), n_clips=11, seed=0)
    assert found.value == 5
    assert 1 <= found.low < 5 < found.high <= 9
    mean = bootstrap(lambda clips: float(values[clips].mean()), n_clips=11, seed=4)
    assert mean == mean_over_clips(values, seed=4)


def test_values_that_do_not_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="the same clips"):
        mean_difference([1, 2], [1, 2, 3], seed=0)
    with pytest.raises(ValueError, match="ratio"):
        ratio_over_clips([1, 2], [1, 2, 3], seed=0)


def test_one_clip_gives_a_value_only() -> None:
    found = bootstrap(lambda clips: float(len(clips)), n_clips=1, seed=0)
    assert found.value == 1
    assert math.isnan(found.low)
    assert isinstance(found, ConfidenceInterval)


def test_a_median_weighs_each_clip_once_however_many_samples_it_has() -> None:
    samples = [[1.0], [2.0], [9.0] * 50]
    assert median_over_clips(samples, seed=0).value == 2
    assert median_over_clips([[5.0, 1.0], [2.0, 4.0], []], seed=0).value == 3
    assert median_over_clips([[1.0], [2.0], [3.0], [4.0]], seed=0).value == 2.5
    assert math.isnan(median_over_clips([[], []], seed=0).value)


def test_the_interval_of_a_median_covers_it_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    trials = [
        median_over_clips(
            [rng.normal(5 + rng.normal(), 1, 4) for _ in range(40)], seed=i, n_resamples=200
        )
        for i in range(200)
    ]
    assert 0.90 * 200 <= sum(trial.low <= 5 <= trial.high for trial in trials) <= 0.99 * 200
