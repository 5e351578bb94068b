"""Whether the camera stands still, told from background points."""

from __future__ import annotations

import numpy as np
import pytest

from massannot.geometry.camera import project
from massannot.geometry.camera_motion import CameraMotion, camera_motion


def motion(xy: np.ndarray, visible: np.ndarray, query_frame: np.ndarray | int = 0) -> CameraMotion:
    chosen = np.broadcast_to(query_frame, xy.shape[1:2])
    return camera_motion(xy, visible, chosen, picture_size=PICTURE)


PICTURE = (640, 480)
INTRINSICS = np.array([554.0, 554.0, 320.0, 240.0])
N_FRAMES, N_POINTS = 48, 64


def turned(angle_rad: np.ndarray, axis: int) -> np.ndarray:
    """(T, 3, 3) rotations about the camera's x (0), y (1) or z (2)."""
    c, s, i = np.cos(angle_rad), np.sin(angle_rad), np.ones_like(angle_rad)
    o = np.zeros_like(angle_rad)
    rows = {
        0: [[i, o, o], [o, c, -s], [o, s, c]],
        1: [[c, o, s], [o, i, o], [-s, o, c]],
        2: [[c, -s, o], [s, c, o], [o, o, i]],
    }[axis]
    return np.moveaxis(np.array(rows), -1, 0)


def tracks(
    move: str, *, seed: int, noise_px: float = 0.5, astray: float = 0.1
) -> tuple[np.ndarray, np.ndarray]:
    """Background points of a room seen by a camera, with the tracker's noise and drift, some of
    them on things that move."""
    rng = np.random.default_rng(seed)
    z = rng.uniform(2, 7, N_POINTS)
    start = rng.uniform((0, 0), PICTURE, (N_POINTS, 2))
    points = np.column_stack([(start - INTRINSICS[2:]) / INTRINSICS[:2] * z[:, None], z])
    share = np.linspace(0, 1, N_FRAMES)
    way = np.zeros((N_FRAMES, 3))
    turn = turned(0 * share, 0)
    amount = rng.uniform(1, 3)
    if move == "pan":
        turn = turned(np.radians(amount) * share, 1)
    elif move == "tilt and back":
        turn = turned(np.radians(amount) * np.sin(np.pi * share), 0)
    elif move == "roll":
        turn = turned(np.radians(2 * amount) * share, 2)
    elif move == "sideways":
        way[:, 0] = 0.08 * amount * share
    elif move == "forward":
        way[:, 2] = 0.15 * amount * share
    seen = np.einsum("tij,nj->tni", turn, points) - way[:, None]
    xy = project(seen, INTRINSICS)
    on_something = rng.random(N_POINTS) < astray
    xy[:, on_something] += share[:, None, None] * rng.uniform(-80, 80, (on_something.sum(), 2))
    drift = np.cumsum(0.02 * rng.standard_normal(xy.shape), axis=0)
    xy[1:] += (drift + noise_px * rng.standard_normal(xy.shape))[1:]
    inside = ((xy > 0) & (xy < PICTURE)).all(axis=-1)
    return xy, inside & (rng.random(inside.shape) < 0.9)


MOVES = ["pan", "tilt and back", "roll", "sideways", "forward"]
N_CLIPS = 40


@pytest.mark.parametrize("move", MOVES)
def test_a_moving_camera_is_called_moving_in_95_percent(move: str) -> None:
    called = [motion(*tracks(move, seed=seed)).static is False for seed in range(N_CLIPS)]
    assert np.mean(called) >= 0.95


STILL = [
    ("an exact tracker", 0.0, 0.0),
    ("half a pixel of noise", 0.5, 0.1),
    ("a bad tracker", 2.0, 0.1),
    ("a third on things that move", 0.5, 0.33),
]


@pytest.mark.parametrize(("what", "noise_px", "astray"), STILL, ids=[s[0] for s in STILL])
def test_a_still_camera_is_called_static_in_95_percent(
    what: str, noise_px: float, astray: float
) -> None:
    called = [
        motion(*tracks("still", seed=seed, noise_px=noise_px, astray=astray)).static is True
        for seed in range(N_CLIPS)
    ]
    assert np.mean(called) >= 0.95


UNKNOWN = [
    ("no points", 48, 0),
    ("seven points", 48, 7),
    ("one frame", 1, 64),
    ("no frames", 0, 64),
]


@pytest.mark.parametrize(("what", "n_frames", "n_points"), UNKNOWN, ids=[u[0] for u in UNKNOWN])
def test_too_little_says_nothing(what: str, n_frames: int, n_points: int) -> None:
    xy, visible = tracks("still", seed=1)
    found = motion(xy[:n_frames, :n_points], visible[:n_frames, :n_points])
    assert found.static is None


def test_points_that_are_lost_early_say_nothing_of_the_rest() -> None:
    xy, visible = tracks("still", seed=1)
    visible[10:] = False
    assert motion(xy, visible).static is None


def test_a_pan_is_told_before_its_points_have_left() -> None:
    xy, visible = tracks("still", seed=1)
    xy[:, :, 0] += 10 * np.arange(N_FRAMES)[:, None]
    visible &= xy[..., 0] < 200
    assert motion(xy, visible).static is False


def test_displacement_is_the_median_over_points_and_frames() -> None:
    xy = np.full((3, 5, 2), 100.0)
    xy[1, :, 0] += 3
    xy[2, :, 1] += 5
    found = motion(xy, np.ones((3, 5), bool))
    assert found.displacement_px == pytest.approx(4)


def three_queries(xy: np.ndarray) -> np.ndarray:
    """(N,) every third point was chosen in the first, the middle and the last frame."""
    return np.array([0, len(xy) // 2, len(xy) - 1])[np.arange(xy.shape[1]) % 3]


@pytest.mark.parametrize("astray", [0.3, 0.4])
def test_many_points_that_go_with_things_move_no_camera(astray: float) -> None:
    wrong = [
        motion(*tracks("still", seed=seed, astray=astray, noise_px=0.05)).static is False
        for seed in range(N_CLIPS)
    ]
    assert np.mean(wrong) <= 0.03


@pytest.mark.parametrize("share", [0.4, 0.5, 0.6])
def test_most_of_few_points_that_go_with_one_thing_move_no_camera(share: float) -> None:
    """As at 96 x 72: a body covers much of the picture and takes most of the points along."""
    wrong = []
    for seed in range(N_CLIPS):
        xy, visible = tracks("still", seed=seed, astray=0, noise_px=0.2)
        xy, visible = xy[:, :20], visible[:, :20]
        taken = np.random.default_rng(seed).permutation(20) < share * 20
        xy[:, taken] += np.linspace(0, 60, N_FRAMES)[:, None, None] * [1.0, 0.3]
        wrong.append(motion(xy, visible).static is False)
    assert np.mean(wrong) <= 0.03


@pytest.mark.parametrize("move", MOVES)
def test_a_moving_camera_is_seen_from_every_query_frame(move: str) -> None:
    seen = []
    for seed in range(N_CLIPS):
        xy, visible = tracks(move, seed=seed)
        seen.append(motion(xy, visible, three_queries(xy)).static is False)
    assert np.mean(seen) >= 0.95


def test_a_motion_that_one_query_frame_of_three_sees_is_undecided() -> None:
    xy, visible = tracks("still", seed=1, noise_px=0.05, astray=0)
    query = three_queries(xy)
    visible[:] = True
    last = query == len(xy) - 1
    xy[:-1, last] += 20 * np.linspace(1, 0.5, len(xy) - 1)[:, None, None]
    assert motion(xy, visible, query).static is None
