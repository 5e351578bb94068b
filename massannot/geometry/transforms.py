"""Rigid motions as 4x4 float64 matrices that act on columns: point_in_b = b_from_a @ point_in_a.

Names read right to left: cam_from_world @ world_from_body is cam_from_body. Leading axes broadcast:
one pose per frame (T, 4, 4) meets points (T, N, 3) as `cam_from_world[:, None]`.
"""

from __future__ import annotations

from functools import reduce

import numpy as np
from numpy.typing import ArrayLike, NDArray

F64 = NDArray[np.float64]

RIGID_TOLERANCE = 1e-5  # poses often come from float32 files


def rigid(rotation: ArrayLike, translation: ArrayLike) -> F64:
    """Matrices (..., 4, 4) that rotate by (..., 3, 3) and then shift by (..., 3)."""
    turn, shift = np.asarray(rotation, np.float64), np.asarray(translation, np.float64)
    leading = np.broadcast_shapes(turn.shape[:-2], shift.shape[:-1])
    matrix = np.zeros((*leading, 4, 4))
    matrix[..., :3, :3], matrix[..., :3, 3], matrix[..., 3, 3] = turn, shift, 1
    return matrix


def apply(b_from_a: ArrayLike, points_in_a: ArrayLike) -> F64:
    """Points (..., 3) seen from frame b."""
    matrix, points = np.asarray(b_from_a, np.float64), np.asarray(points_in_a, np.float64)
    turned = np.einsum("...ij,...j->...i", matrix[..., :3, :3], points)
    return np.asarray(turned + matrix[..., :3, 3])


def compose(*transforms: ArrayLike) -> F64:
    """The product, applied right to left: compose(c_from_b, b_from_a) is c_from_a."""
    matrices = [np.asarray(transform, np.float64) for transform in transforms]
    return reduce(np.matmul, matrices)


def inverse(b_from_a: ArrayLike) -> F64:
    """a_from_b of rigid transforms (..., 4, 4), by transposing. ValueError if one is not rigid."""
    matrix = np.asarray(b_from_a, np.float64)
    check_rigid(matrix)
    turn = np.swapaxes(matrix[..., :3, :3], -1, -2)
    return rigid(turn, -np.einsum("...ij,...j->...i", turn, matrix[..., :3, 3]))


def check_rigid(b_from_a: ArrayLike) -> None:
    """Nothing for rotations with shifts (..., 4, 4); otherwise ValueError, saying what is off."""
    matrix = np.asarray(b_from_a, np.float64)
    if matrix.shape[-2:] != (4, 4):
        raise ValueError(f"transform: found shape {matrix.shape}, expected (..., 4, 4)")
    if not np.isfinite(matrix).all():
        raise ValueError("transform: found NaN or infinity, expected finite numbers")
    turn = matrix[..., :3, :3]
    stretch = np.abs(turn @ np.swapaxes(turn, -1, -2) - np.eye(3)).max(initial=0.0)
    if stretch > RIGID_TOLERANCE:
        raise ValueError(f"transform: rotation times its transpose is off by {stretch:.2g}")
    if (np.linalg.det(turn) < 0).any():
        raise ValueError("transform: found a mirror image, expected a rotation")
    last_row = matrix[..., 3, :]
    if (last_row != [0, 0, 0, 1]).any():
        raise ValueError(f"transform: found last row {last_row.tolist()}, expected 0 0 0 1")


def relative_to_first(cam_from_world: ArrayLike) -> F64:
    """The same poses (T, 4, 4) with the first camera as the world."""
    poses = np.asarray(cam_from_world, np.float64)
    return compose(poses, inverse(poses[0]))
