"""Rigid motions: named right to left, exact inverses, and nothing else accepted."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from massannot.geometry.camera import apply, check_rigid, compose, inverse, relative_to_first, rigid

QUARTER_TURN = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # about z: x becomes y


def random_poses(count: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(3)
    turns = np.linalg.qr(rng.normal(size=(count, 3, 3)))[0]
    turns[..., 0] *= np.linalg.det(turns)[:, None]
    return rigid(turns, rng.normal(size=(count, 3)))


def test_a_transform_turns_first_and_shifts_second() -> None:
    np.testing.assert_array_equal(apply(rigid(QUARTER_TURN, [10, 0, 0]), [1, 2, 3]), [8, 1, 3])


def test_composition_reads_right_to_left() -> None:
    turn, shift = rigid(QUARTER_TURN, [0, 0, 0]), rigid(np.eye(3), [10, 0, 0])
    np.testing.assert_array_equal(apply(compose(turn, shift), [1, 2, 3]), [-2, 11, 3])
    np.testing.assert_array_equal(apply(compose(shift, turn), [1, 2, 3]), [8, 1, 3])


def test_the_inverse_undoes_the_transform() -> None:
    poses = random_poses(5)
    np.testing.assert_allclose(inverse(poses), np.linalg.inv(poses), atol=1e-12)
    np.testing.assert_allclose(compose(inverse(poses), poses), [np.eye(4)] * 5, atol=1e-12)


def test_each_frame_may_have_its_own_pose() -> None:
    poses, points = random_poses(4), np.random.default_rng(0).normal(size=(4, 6, 3))
    moved = apply(poses[:, None], points)
    for frame in range(4):
        expected = points[frame] @ poses[frame, :3, :3].T + poses[frame, :3, 3]
        np.testing.assert_allclose(moved[frame], expected, atol=1e-12)


def test_the_first_camera_becomes_the_world() -> None:
    poses = random_poses(4)
    relative = relative_to_first(poses)
    np.testing.assert_allclose(relative[0], np.eye(4), atol=1e-12)
    in_world = np.array([1.0, 2, 3])
    in_first = apply(poses[0], in_world)
    np.testing.assert_allclose(apply(relative, in_first), apply(poses, in_world), atol=1e-12)


NOT_RIGID = {
    "stretched": (np.diag([1.1, 1, 1, 1]), "off by 0.21"),
    "mirrored": (np.diag([1, 1, -1, 1]), "mirror image"),
    "projective": (np.eye(4) + np.eye(4)[:, [3, 0, 1, 2]] * [1, 0, 0, 0], "last row"),
    "a rotation only": (np.eye(3), r"found shape \(3, 3\)"),
    "unknown": (np.full((4, 4), np.nan), "NaN"),
}


@pytest.mark.parametrize(("matrix", "said"), NOT_RIGID.values(), ids=NOT_RIGID.keys())
def test_only_rigid_motions_pass(matrix: NDArray[np.float64], said: str) -> None:
    for refuse in (check_rigid, inverse):
        with pytest.raises(ValueError, match=said):
            refuse(matrix)


def test_a_pose_from_a_float32_file_passes() -> None:
    check_rigid(random_poses(50).astype(np.float32))
