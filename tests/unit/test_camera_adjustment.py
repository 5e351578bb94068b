"""Poses from background points: the truth of synthetic tracks comes back, with a true doubt."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from massannot.evaluate.camera_scores import ate_from_first, region_share, rpe_deg
from massannot.geometry.bundle_adjustment import rotation_vectors, rotations
from massannot.geometry.camera import inverse, project, rigid
from massannot.geometry.camera_adjustment import (
    ASSUMED_FOCAL_REL_SD,
    PoseEstimate,
    PoseRule,
    estimated_poses,
)

SIZE = (160, 128)
LENS = np.array([150.0, 150.0, 80.0, 64.0])
N_FRAMES, N_POINTS = 12, 150


def truth(move: str) -> np.ndarray:
    """(T, 4, 4) cam_from_world."""
    share = np.linspace(0, 1, N_FRAMES)[:, None]
    turn, way = np.zeros((N_FRAMES, 3)), np.zeros((N_FRAMES, 3))
    if move == "pan":
        turn = share * [0.02, 0.3, -0.01]
    elif move == "sideways":
        way = share * [0.3, 0.02, 0.0]
    elif move == "forward":
        way = share * [0.0, 0.0, 0.4]
    elif move == "orbit":
        turn, way = share * [0.0, 0.15, 0.0], share * [-0.45, 0.0, 0.05]
    return inverse(rigid(rotations(turn), way))


def tracks(
    poses: np.ndarray, *, noise_px: float, seed: int = 0, astray: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points in a room, some of them on things that move: xy (T, N, 2), visible, z (T, N)."""
    rng = np.random.default_rng(seed)
    z = rng.uniform(2, 6, N_POINTS)
    x = rng.uniform(-0.75, 0.75, N_POINTS) * z
    room = np.column_stack([x, rng.uniform(-0.4, 0.4, N_POINTS) * z, z])
    places = np.repeat(room[None], N_FRAMES, axis=0)
    moving = rng.random(N_POINTS) < astray
    places[:, moving] += np.linspace(0, 1, N_FRAMES)[:, None, None] * [0.5, -0.2, 0.0]
    in_cam = np.einsum("tij,tnj->tni", poses[:, :3, :3], places) + poses[:, None, :3, 3]
    xy = project(in_cam, LENS) + rng.normal(0, noise_px, (N_FRAMES, N_POINTS, 2))
    visible = ((xy > 0) & (xy < SIZE)).all(axis=-1)
    return xy, visible, in_cam[..., 2]


def estimate(
    xy: np.ndarray,
    visible: np.ndarray,
    z: np.ndarray,
    rule: PoseRule | None = None,
    guess: float | None = None,
) -> PoseEstimate | None:
    """`guess`: the lens is not told, and thought to be this many times as long as it is."""
    lens = np.tile(LENS * [guess or 1, guess or 1, 1, 1], (len(xy), 1))
    return estimated_poses(
        xy,
        visible,
        z,
        intrinsics=lens,
        picture_size=SIZE,
        lens_rel_sd=None if guess is None else ASSUMED_FOCAL_REL_SD,
        rule=rule,
    )


@cache
def found(move: str, astray: float = 0.0) -> PoseEstimate:
    result = estimate(*tracks(truth(move), noise_px=0.05, astray=astray))
    assert result is not None
    return result


MOVES = [
    # move, model, most metres of ATE
    ("pan", "turns", 0.0),
    ("still", "turns", 0.0),
    ("sideways", "moves", 0.004),
    ("forward", "moves", 0.004),
    ("orbit", "moves", 0.004),
]


@pytest.mark.parametrize(("move", "model", "most_m"), MOVES)
def test_the_true_poses_come_back(move: str, model: str, most_m: float) -> None:
    assert found(move).model == model
    assert ate_from_first(found(move).cam_from_world, truth(move)) <= most_m + 1e-9
    assert rpe_deg(found(move).cam_from_world, truth(move)) < 0.02


@pytest.mark.parametrize("move", ["pan", "sideways"])
def test_points_on_things_that_move_are_left_aside(move: str) -> None:
    assert ate_from_first(found(move, 0.15).cam_from_world, truth(move)) < 0.01
    assert rpe_deg(found(move, 0.15).cam_from_world, truth(move)) < 0.03


def test_tracks_without_noise_give_the_truth_itself() -> None:
    result = estimate(*tracks(truth("orbit"), noise_px=0.0))
    assert result is not None
    np.testing.assert_allclose(result.cam_from_world, truth("orbit"), atol=2e-4)


def test_the_unit_of_depth_is_the_unit_of_the_way() -> None:
    xy, visible, z = tracks(truth("sideways"), noise_px=0.05)
    result, base = estimate(xy, visible, 3 * z), found("sideways")
    assert result is not None
    np.testing.assert_allclose(
        result.cam_from_world[:, :3, 3], 3 * base.cam_from_world[:, :3, 3], atol=1e-6
    )
    np.testing.assert_allclose(result.cov[:, 3:, 3:], 9 * base.cov[:, 3:, 3:], rtol=1e-4, atol=1e-9)


def test_depth_that_errs_by_frame_does_not_bend_the_way() -> None:
    xy, visible, z = tracks(truth("sideways"), noise_px=0.05)
    rng = np.random.default_rng(1)
    wrong = z * np.exp(rng.normal(0, 0.03, (N_FRAMES, 1)) + rng.normal(0, 0.05, N_POINTS))
    result = estimate(xy, visible, wrong)
    assert result is not None
    assert ate_from_first(result.cam_from_world, truth("sideways")) < 0.02


def test_the_doubt_holds_the_truth_and_is_needed() -> None:
    """Poses in their 90 % region over draws of independent noise, with the doubt and a third."""
    held = {2.4: 0.0, 0.8: 0.0}
    for inflation in held:
        rule = PoseRule(inflation=inflation)
        for seed in range(6):
            result = estimate(*tracks(truth("orbit"), noise_px=0.1, seed=seed), rule=rule)
            assert result is not None
            held[inflation] += region_share(result.cam_from_world, truth("orbit"), result.cov) / 6
    assert held[2.4] > 0.9
    assert held[0.8] < 0.7


def test_a_way_too_short_to_see_is_within_its_doubt() -> None:
    poses = truth("pan")
    poses[:, 0, 3] += np.linspace(0, 0.0005, N_FRAMES)
    result = estimate(*tracks(poses, noise_px=0.2))
    assert result is not None
    assert result.model == "turns"
    assert region_share(result.cam_from_world, poses, result.cov) == 1.0


FEW = [
    ("eleven points", slice(0, 11), slice(None)),
    ("one frame", slice(None), slice(0, 1)),
    ("no point", slice(0, 0), slice(None)),
]


@pytest.mark.parametrize(("what", "points", "frames"), FEW, ids=[f[0] for f in FEW])
def test_too_little_is_unknown(what: str, points: slice, frames: slice) -> None:
    xy, visible, z = tracks(truth("sideways"), noise_px=0.05)
    assert estimate(xy[frames, points], visible[frames, points], z[frames, points]) is None


def test_points_without_depth_are_unknown() -> None:
    xy, visible, z = tracks(truth("sideways"), noise_px=0.05)
    assert estimate(xy, visible, np.full_like(z, np.nan)) is None


def test_points_that_no_camera_explains_are_unknown() -> None:
    xy, visible, z = tracks(truth("sideways"), noise_px=8.0)
    assert estimate(xy, visible, z) is None


def test_rotation_vectors_are_those_of_the_rotations() -> None:
    vectors = np.array([[0.0, 0, 0], [1e-9, 0, 0], [0.3, -0.2, 0.1], [0, 3.0, 0]])
    np.testing.assert_allclose(rotation_vectors(rotations(vectors)), vectors, atol=1e-12)


@pytest.mark.parametrize("move", ["pan", "orbit"])
@pytest.mark.parametrize("guess", [0.75, 1.3])
def test_a_focal_length_that_the_motion_shows_is_found(move: str, guess: float) -> None:
    result = estimate(*tracks(truth(move), noise_px=0.05), guess=guess)
    assert result is not None
    assert result.focal_rel_sd is not None
    error = abs(np.log(result.focal_factor * guess))
    assert error < 0.01
    assert error < 3 * result.focal_rel_sd < 0.06


@pytest.mark.parametrize("move", ["still", "sideways", "forward"])
def test_a_focal_length_that_the_motion_hides_stays_assumed(move: str) -> None:
    result = estimate(*tracks(truth(move), noise_px=0.05), guess=0.75)
    assert result is not None
    assert (result.focal_factor, result.focal_rel_sd) == (1.0, ASSUMED_FOCAL_REL_SD)
    assert region_share(result.cam_from_world, truth(move), result.cov) > 0.6


def test_a_told_focal_length_has_no_doubt() -> None:
    assert (found("pan").focal_factor, found("pan").focal_rel_sd) == (1.0, None)
