"""Intervals from known errors: quantiles by clip, scales and probabilities from evidence."""

from __future__ import annotations

import math

import numpy as np
import pytest

from massannot.geometry.conformal import (
    clip_weights,
    conformal_quantile,
    fit_log_scale,
    fit_logistic,
)


def test_each_clip_weighs_once_however_many_rows_it_has() -> None:
    weights = clip_weights(["a", "b", "b", "c", "c", "c", "c"])
    assert weights.tolist() == [1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25]


@pytest.mark.parametrize(
    ("n_clips", "level", "expected"),
    [
        (9, 0.5, 5),  # the 5th of 9 and one more: 5 / 10
        (9, 0.9, 9),  # 9 / 10
        (8, 0.9, math.inf),  # 8 / 9 is less than 0.9
        (19, 0.9, 18),  # ceil(0.9 * 20)
        (1, 0.68, math.inf),
    ],
)
def test_the_quantile_leaves_room_for_one_clip_more(
    n_clips: int, level: float, expected: float
) -> None:
    scores = np.random.default_rng(0).permutation(np.arange(1.0, n_clips + 1))
    # A hair below: sums of a tenth are no whole tenths.
    assert conformal_quantile(scores, np.ones(n_clips), level - 1e-9) == expected


def test_a_clip_of_many_rows_does_not_outvote_the_others() -> None:
    many, others = np.full(1000, 50.0), np.arange(1.0, 19.0)
    weights = clip_weights([0] * 1000 + list(range(1, 19)))
    found = conformal_quantile(np.concatenate([many, others]), weights, 0.68)
    assert found == 14  # ceil(0.68 * 20) of 19 clips, the long one last


def test_an_interval_holds_new_clips_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    held = []
    for _ in range(300):
        # What a clip's rows share is most of their error.
        shared = np.repeat(rng.standard_normal(31), 10)
        errors = np.abs(shared + 0.3 * rng.standard_normal(310))
        factor = conformal_quantile(errors[:300], clip_weights(np.arange(300) // 10), 0.9)
        held.append((errors[300:] <= factor).mean())
    assert 0.88 < np.mean(held) < 0.94


def test_a_known_scale_is_recovered() -> None:
    rng = np.random.default_rng(2)
    features = rng.normal([2.0, -1.0], [0.5, 3.0], (8000, 2))
    scale = np.exp(-3 + 0.8 * features[:, 0] + 0.1 * features[:, 1])
    errors = scale * rng.standard_normal(8000)
    fitted = fit_log_scale(features, errors, np.ones(8000), floor=1e-6)
    seen = ((features >= fitted.low) & (features <= fitted.high)).all(axis=1)
    np.testing.assert_allclose(np.log(fitted(features) / scale)[seen], 0, atol=0.12)


def test_beyond_what_was_seen_nothing_is_extrapolated() -> None:
    rng = np.random.default_rng(3)
    features = rng.uniform(0, 1, (500, 1))
    errors = np.exp(3 * features[:, 0]) * rng.standard_normal(500)
    fitted = fit_log_scale(features, errors, np.ones(500), floor=1e-6)
    low, inside, high = fitted(np.array([[-9.0], [0.5], [9.0]]))
    assert low == pytest.approx(fitted(np.array([[0.0]]))[0], rel=0.02)
    assert high == pytest.approx(fitted(np.array([[1.0]]))[0], rel=0.02)
    assert low < inside < high


def test_an_unknown_feature_counts_as_the_mean() -> None:
    rng = np.random.default_rng(4)
    features = rng.normal([2.0, -1.0], 1.0, (500, 2))
    features[rng.random(500) < 0.3, 1] = np.nan
    errors = np.exp(features[:, 0]) * rng.standard_normal(500)
    fitted = fit_log_scale(features, errors, np.ones(500), floor=1e-6)
    unknown, mean = fitted(np.array([[2.5, np.nan], [2.5, fitted.mean[1]]]))
    assert np.isfinite(fitted(features)).all()
    assert unknown == pytest.approx(mean)


def test_a_feature_that_was_never_known_says_nothing() -> None:
    rng = np.random.default_rng(5)
    features = np.column_stack([rng.normal(size=200), np.full(200, np.nan)])
    fitted = fit_log_scale(features, rng.standard_normal(200), np.ones(200), floor=1e-6)
    found = fitted(np.array([[0.3, np.nan], [0.3, 0.0], [0.3, 1e6]]))
    np.testing.assert_allclose(found, found[0])


def test_a_probability_is_the_share_that_is_right() -> None:
    rng = np.random.default_rng(6)
    features = rng.standard_normal((6000, 2))
    true = 1 / (1 + np.exp(-(0.5 + 1.5 * features[:, 0])))
    right = (rng.random(6000) < true).astype(float)
    fitted = fit_logistic(features, right, np.ones(6000))(features)
    order = np.argsort(fitted)
    for part in np.array_split(order, 6):
        assert fitted[part].mean() == pytest.approx(right[part].mean(), abs=0.05)
    assert np.abs(fitted - true).mean() < 0.03


@pytest.mark.parametrize("answer", [0.0, 1.0])
def test_a_probability_of_what_was_always_the_same_is_near_it(answer: float) -> None:
    features = np.random.default_rng(7).standard_normal((50, 3))
    found = fit_logistic(features, np.full(50, answer), np.ones(50))(features)
    assert np.isfinite(found).all()
    assert np.abs(found - answer).max() < 0.01
