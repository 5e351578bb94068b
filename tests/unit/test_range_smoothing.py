"""Distances through time: noise of depth is no travel, and travel is no noise."""

from __future__ import annotations

import numpy as np
import pytest

from massannot.geometry.range_smoothing import smoothed_log_distances

T_S = np.arange(40) / 10
NOISE = 0.03


def lasting_noise(rng: np.random.Generator, size: float) -> np.ndarray:
    """(T,) correlated over 0.2 s, and a little that lasts for one frame."""
    covariance = np.exp(-np.abs(T_S[:, None] - T_S) / 0.2) + 0.2 * np.eye(len(T_S))
    return size * np.linalg.cholesky(covariance) @ rng.standard_normal(len(T_S))


def travel(log_distance: np.ndarray) -> float:
    return float(np.abs(np.diff(np.exp(log_distance))).sum())


@pytest.fixture(scope="module")
def still() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [np.log(3.0) + lasting_noise(rng, NOISE) for _ in range(6)]


def smoothed(tracks: list[np.ndarray], **options: float | None) -> list[np.ndarray]:
    return smoothed_log_distances([(T_S, track) for track in tracks], **options)


def test_noise_that_lasts_adds_little_travel(still: list[np.ndarray]) -> None:
    before = np.mean([travel(track) for track in still])
    after = np.mean([travel(track) for track in smoothed(still)])
    assert before > 2.0
    assert after < 0.15 * before


def test_noise_is_one_size_for_all_tracks_of_a_clip(still: list[np.ndarray]) -> None:
    course = np.log(3.0 + 0.2 * np.sin(3 * T_S))
    assert travel(smoothed([course])[0]) > 0.99 * travel(course)
    assert travel(smoothed([course, *still])[0]) < 0.6 * travel(course)


def test_exact_depth_is_not_smoothed_where_the_background_shows_none(
    still: list[np.ndarray],
) -> None:
    course = np.log(3.0 + 0.8 * T_S - 0.3 * T_S**2 + 0.02 * np.sin(9 * T_S))
    exact, *others = smoothed([course, *still], background_noise=0.0)
    # The least size of noise that is tried is half a thousandth.
    np.testing.assert_allclose(exact, course, atol=0.0005)
    for track, after in zip(still, others, strict=True):
        assert travel(after) > 0.8 * travel(track)
    assert travel(smoothed([course, *still])[0]) < 0.97 * travel(course)


def test_a_noisy_background_lets_things_be_noisy(still: list[np.ndarray]) -> None:
    known, unknown = smoothed(still, background_noise=0.01), smoothed(still)
    np.testing.assert_allclose(known, unknown)


@pytest.mark.parametrize(
    ("background_noise", "lost"),
    [pytest.param(0.0, 0.01, id="known exact"), pytest.param(None, 0.06, id="unknown")],
)
def test_a_bounce_survives(background_noise: float | None, lost: float) -> None:
    distance = 4.0 - 0.8 * np.abs(T_S - 2.0)  # away and back, turning within a frame
    (after,) = smoothed([np.log(distance)], background_noise=background_noise)
    before = travel(np.log(distance))
    assert (1 - lost) * before < travel(after) <= before
    assert np.exp(after).argmax() == distance.argmax()


def test_a_bounce_survives_noise() -> None:
    rng = np.random.default_rng(1)
    distance = 4.0 - 0.8 * np.abs(T_S - 2.0)
    tracks = [np.log(distance) + lasting_noise(rng, 0.01) for _ in range(3)]
    for after in smoothed(tracks):
        assert travel(after) == pytest.approx(travel(np.log(distance)), rel=0.1)


def test_uneven_times_and_few_frames_are_taken_as_they_are() -> None:
    rng = np.random.default_rng(2)
    t_s = np.sort(rng.uniform(0, 2, 4))
    # Constant speed away: the straight line of the prior's mean, whatever the noise.
    line = np.log(2.0) + 0.3 * t_s
    (after,) = smoothed_log_distances([(t_s, line)])
    np.testing.assert_allclose(after, line, atol=1e-3)


def test_no_track_gives_none() -> None:
    assert smoothed_log_distances([]) == []
