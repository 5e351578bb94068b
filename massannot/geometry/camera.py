"""The pinhole and rigid motions: from the world to camera space, to pixels, and back.

Intrinsics are four numbers, fx fy cx cy, last in an array (..., 4) whose other axes broadcast
against those of the points: per-frame intrinsics (T, 4) meet points (T, N, 3) as
`intrinsics[:, None]`. Camera axes are OpenCV's (x right, y down, z forward).

Rigid motions are 4x4 float64 matrices that act on columns: point_in_b = b_from_a @ point_in_a.
Names read right to left: cam_from_world @ world_from_body is cam_from_body. Leading axes broadcast:
one pose per frame (T, 4, 4) meets points (T, N, 3) as `cam_from_world[:, None]`.

Unusual: pixels count from the picture's top-left CORNER, so the first pixel's centre is (0.5, 0.5)
and cx, cy are OpenCV's plus 0.5. Resizing a picture then only multiplies.

Conversions between conventions for pixels and boxes, named target_from_source.

corner: the project's own. The origin is the picture's top-left corner, the first pixel's centre is
(0.5, 0.5), the picture ends at (width, height), boxes are x0 y0 x1 y1, half-open.
center: whole numbers are pixel centres, so the first pixel's centre is (0, 0): OpenCV, TAPVid-3D,
trackers, most indices.
Points are (..., 2) as x, y; boxes (..., 4).
"""

from __future__ import annotations

import math
from functools import reduce
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


def corner_from_center(xy: ArrayLike) -> F64:
    """Points, or cx, cy, in the corner convention: pixel i has its centre at i + 0.5."""
    return np.asarray(xy, np.float64) + 0.5


def center_from_corner(xy: ArrayLike) -> F64:
    """Points, or cx, cy, in the center convention."""
    return np.asarray(xy, np.float64) - 0.5


def xyxy_from_normalized_cxcywh(boxes: ArrayLike, *, width: int, height: int) -> F64:
    """Boxes from centre and size in 0..1 of the picture: DETR and its kin."""
    box = np.asarray(np.asarray(boxes, np.float64) * [width, height, width, height])
    half = box[..., 2:] / 2
    return np.concatenate([box[..., :2] - half, box[..., :2] + half], axis=-1)


def clipped_xyxy(boxes: ArrayLike, *, width: int, height: int) -> F64:
    """The part of each box that lies inside the picture; empty boxes for those outside."""
    return np.clip(np.asarray(boxes, np.float64), 0, [width, height, width, height])


F64 = NDArray[np.float64]

RIGID_TOLERANCE = 1e-5  # poses often come from float32 files


class Pinhole(NamedTuple):
    """Intrinsics of one picture, in its pixels. `np.asarray` of it has shape (4,)."""

    fx: float
    fy: float
    cx: float
    cy: float


def pinhole_from_horizontal_fov(
    fov_deg: float, *, width: int, height: int, sample_aspect: float = 1.0
) -> Pinhole:
    """The centred pinhole whose picture spans `fov_deg` degrees from its left to its right edge.

    `sample_aspect` is a pixel's width over its height as displayed, after rotation: where it is not
    1, the same focal length is fewer of the wide pixels than of the high ones.
    """
    if not 0 < fov_deg < 180:
        raise ValueError(f"field of view: found {fov_deg} degrees, expected more than 0, below 180")
    if sample_aspect <= 0:
        raise ValueError(f"sample aspect: found {sample_aspect}, expected a positive number")
    fx = 0.5 * width / math.tan(math.radians(fov_deg) / 2)
    return Pinhole(fx, fx * sample_aspect, 0.5 * width, 0.5 * height)


def horizontal_fov_deg(intrinsics: ArrayLike, *, width: int) -> F64:
    """Angle (...) between the picture's left and right edge, in degrees."""
    fx, _, cx, _ = np.moveaxis(_intrinsics(intrinsics), -1, 0)
    return np.asarray(np.degrees(np.arctan2(cx, fx) + np.arctan2(width - cx, fx)))


def resized_intrinsics(
    intrinsics: ArrayLike, *, from_size: tuple[int, int], to_size: tuple[int, int]
) -> F64:
    """Intrinsics (..., 4) of the same picture stretched from one (width, height) to another."""
    x, y = to_size[0] / from_size[0], to_size[1] / from_size[1]
    return _intrinsics(intrinsics) * np.array([x, y, x, y])


def project(points_in_cam: ArrayLike, intrinsics: ArrayLike) -> F64:
    """Pixels (..., 2) of points (..., 3); NaN for points that are not in front of the camera."""
    points = np.asarray(points_in_cam, np.float64)
    fx, fy, cx, cy = np.moveaxis(_intrinsics(intrinsics), -1, 0)
    z = np.where(points[..., 2] > 0, points[..., 2], np.nan)
    return np.stack([fx * points[..., 0] / z + cx, fy * points[..., 1] / z + cy], axis=-1)


def unproject(xy: ArrayLike, z: ArrayLike, intrinsics: ArrayLike) -> F64:
    """Points (..., 3) in camera space of pixels (..., 2) at depth z (...) along the axis."""
    pixels, depth = np.asarray(xy, np.float64), np.asarray(z, np.float64)
    fx, fy, cx, cy = np.moveaxis(_intrinsics(intrinsics), -1, 0)
    x = (pixels[..., 0] - cx) / fx * depth
    y = (pixels[..., 1] - cy) / fy * depth
    return np.stack(np.broadcast_arrays(x, y, depth), axis=-1)


def _intrinsics(intrinsics: ArrayLike) -> F64:
    array = np.asarray(intrinsics, np.float64)
    if array.ndim == 0 or array.shape[-1] != 4:
        raise ValueError(f"intrinsics: found shape {array.shape}, expected (..., 4): fx fy cx cy")
    return array


def rigid(rotation: ArrayLike, translation: ArrayLike) -> F64:
    """Matrices (..., 4, 4) that rotate by (..., 3, 3) and then shift by (..., 3)."""
    turn, shift = np.asarray(rotation, np.float64), np.asarray(translation, np.float64)
    leading = np.broadcast_shapes(turn.shape[:-2], shift.shape[:-1])
    matrix = np.zeros((*leading, 4, 4))
    matrix[..., :3, :3], matrix[..., :3, 3], matrix[..., 3, 3] = turn, shift, 1
    return matrix


def rotation_from_quaternion(wxyz: ArrayLike) -> F64:
    """Matrices (..., 3, 3) of quaternions (..., 4), w x y z, of any length but zero."""
    quaternion = np.asarray(wxyz, np.float64)
    unit = quaternion / np.linalg.norm(quaternion, axis=-1, keepdims=True)
    w, x, y, z = np.moveaxis(unit, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


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
    """Raise ValueError, with the reason, unless these are rotations with shifts (..., 4, 4)."""
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


def turn_slopes(u: F64, v: F64) -> F64:
    """(N, 2, 3) by how much points at u, v (N,), at distance 1, go where the camera's axes turn by
    a small rotation vector: the rotational part of the optical flow."""
    x = np.column_stack([-u * v, 1 + u * u, -v])
    y = np.column_stack([-(1 + v * v), u * v, u])
    return np.stack([x, y], axis=1)
