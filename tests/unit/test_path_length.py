"""Path lengths seen through noise, and the noise itself."""

from __future__ import annotations

import numpy as np
import pytest

from massannot.geometry.motion import jitter, path_length

T_S = np.arange(64) / 10


def straight(speed: float) -> np.ndarray:
    return np.stack([speed * T_S, 0 * T_S, 3 + 0 * T_S], axis=-1)


def thrown() -> np.ndarray:
    return np.stack([0.8 * T_S, 4.9 * T_S**2 - 9 * T_S, 3 + 0.2 * T_S], axis=-1)


def bouncing() -> np.ndarray:
    t = T_S % 1.2
    return np.stack([0.5 * T_S, 6 * t - 5 * t**2, 3 + 0 * T_S], axis=-1)


def circling() -> np.ndarray:
    return np.stack([0.5 * np.cos(T_S), 0.5 * np.sin(T_S), 3 + 0 * T_S], axis=-1)


def swinging() -> np.ndarray:
    return np.stack([0.6 * np.sin(2 * T_S), 0.1 * np.cos(4 * T_S), 3 + 0 * T_S], axis=-1)


def braking() -> np.ndarray:
    x = np.where(T_S < 4, 1.2 * T_S - 0.15 * T_S**2, 2.4)
    return np.stack([x, 0 * T_S, 3 + 0 * T_S], axis=-1)


MOVING = [
    ("straight, 0.3 m/s", straight(0.3)),
    ("straight, 1 m/s", straight(1.0)),
    ("thrown", thrown()),
    ("bouncing", bouncing()),
    ("circling", circling()),
    ("swinging", swinging()),
    ("braking to a stop", braking()),
]
NOISE = [
    ("2 cm along every axis", (0.02, 0.02, 0.02)),
    ("3 cm along the view", (0.002, 0.002, 0.03)),
]


def summed(path: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())


def measured_length(path: np.ndarray) -> float:
    seen = np.ones((len(path), 1), bool)
    noise = jitter(path[:, None], seen, t_s=T_S)
    return float(path_length(path[:, None], seen, jitter=noise, t_s=T_S)[0])


@pytest.mark.parametrize(("noise", "sigma"), NOISE, ids=[n for n, _ in NOISE])
@pytest.mark.parametrize(("what", "path"), MOVING, ids=[n for n, _ in MOVING])
def test_a_moving_objects_path_is_right_within_5_percent(
    what: str, path: np.ndarray, noise: str, sigma: tuple[float, float, float]
) -> None:
    rng = np.random.default_rng(5)
    found = [
        measured_length(path + rng.standard_normal(path.shape) * sigma) / summed(path) - 1
        for _ in range(60)
    ]
    assert abs(np.mean(found)) < 0.05


def test_summing_alone_would_be_far_off() -> None:
    path = straight(0.3)
    noisy = path + 0.02 * np.random.default_rng(5).standard_normal(path.shape)
    assert summed(noisy) > 1.5 * summed(path)


@pytest.mark.parametrize(("what", "path"), MOVING, ids=[n for n, _ in MOVING])
def test_an_exact_path_stays_as_it_is(what: str, path: np.ndarray) -> None:
    assert measured_length(path) == pytest.approx(summed(path), rel=0.01)


def test_what_stands_still_hardly_moves() -> None:
    still = straight(0.0) + 0.02 * np.random.default_rng(6).standard_normal((64, 3))
    assert measured_length(still) < 0.15 * summed(still)


@pytest.mark.parametrize(("what", "path"), MOVING, ids=[n for n, _ in MOVING])
def test_jitter_is_found_under_any_motion(what: str, path: np.ndarray) -> None:
    rng = np.random.default_rng(7)
    sigma = np.array([0.01, 0.02, 0.04])
    found = [
        jitter(
            (path + rng.standard_normal(path.shape) * sigma)[:, None],
            np.ones((64, 1), bool),
            t_s=T_S,
        )[0]
        for _ in range(40)
    ]
    np.testing.assert_allclose(np.mean(found, axis=0), sigma, rtol=0.15)


def test_jitter_is_found_at_uneven_times() -> None:
    rng = np.random.default_rng(8)
    t_s = np.cumsum(rng.uniform(0.03, 0.2, 400))
    path = np.stack([t_s**2, -3 * t_s, 0 * t_s], axis=-1) + 0.02 * rng.standard_normal((400, 3))
    found = jitter(path[:, None], np.ones((400, 1), bool), t_s=t_s)[0]
    np.testing.assert_allclose(found, 0.02, rtol=0.15)


def test_too_few_frames_say_nothing_of_jitter() -> None:
    path = np.zeros((7, 2, 3))
    assert np.isnan(jitter(path, np.ones((7, 2), bool), t_s=T_S[:7])).all()


GAPS = [
    # what, frames that are absent, length of a walk of 1 m a second for 1 s
    ("none", [], 1.0),
    ("in the middle", [4, 5, 6], 1.0),
    ("at the start", [0, 1, 2], 0.7),
    ("at the end", [9, 10], 0.8),
    ("all but one", [0, 1, 2, 3, 4, 6, 7, 8, 9, 10], 0.0),
    ("all", list(range(11)), 0.0),
]


@pytest.mark.parametrize(("what", "absent", "length"), GAPS, ids=[g[0] for g in GAPS])
def test_gaps_are_bridged_by_straight_lines(what: str, absent: list[int], length: float) -> None:
    path = straight(1.0)[:11, None].copy()
    path[absent] = np.nan
    found = path_length(path, np.isfinite(path[..., 0]), jitter=np.zeros((1, 3)), t_s=T_S[:11])
    assert found[0] == pytest.approx(length)


def test_a_path_is_never_shorter_than_the_way_between_its_ends() -> None:
    rng = np.random.default_rng(9)
    paths = np.cumsum(0.02 * rng.standard_normal((64, 50, 3)), axis=0)
    seen = np.ones((64, 50), bool)
    found = path_length(paths, seen, jitter=np.zeros((50, 3)), t_s=T_S)
    assert (found >= np.linalg.norm(paths[-1] - paths[0], axis=-1) - 1e-12).all()


def test_tracks_are_measured_each_for_itself() -> None:
    rng = np.random.default_rng(10)
    paths = np.stack([p + 0.01 * rng.standard_normal(p.shape) for _, p in MOVING], axis=1)
    seen = np.ones(paths.shape[:2], bool)
    noise = jitter(paths, seen, t_s=T_S)
    together = path_length(paths, seen, jitter=noise, t_s=T_S)
    alone = [measured_length(paths[:, n]) for n in range(len(MOVING))]
    np.testing.assert_allclose(together, alone)
