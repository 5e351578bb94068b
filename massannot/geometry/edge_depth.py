"""Depth of points that are seen on a depth edge: read from their own side of it.

Around such a point the map shows two surfaces, and each pixel may belong to either. The pixels are
parted at the largest gap of 1/z; the point's side is the one nearer to the depth it had when it was
last, or is next, measured. A plane through that side is read at the point; where the side is no
plane, its pixel closest to the earlier depth stands for it.

One reading in a thousand is from the wrong side and some are extrapolated where a surface turns
away: good enough for the middle of many points, not good enough to be called a measurement.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from massannot.geometry.depth_sampling import Windows, read_windows

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

_LEAST_GAP = 0.02
"""Gap of 1/z, as a share of it, that parts two surfaces."""
_MOST_RESIDUAL = 0.03
"""Distance of a side's pixels from its plane, as a share of 1/z, up to which it is a plane."""
_COLUMN, _ROW = (axis.ravel() - 1.0 for axis in np.meshgrid(np.arange(3), np.arange(3)))
_DESIGN = np.stack([np.ones(9), _COLUMN, _ROW], axis=1)


def edge_depth(
    depth_Thw: F32, xy: F64, asked: Bool, *, expected_z: F64, picture_size: tuple[int, int]
) -> F64:
    """z (T, N) at positions xy (T, N, 2) where `asked` (T, N); NaN elsewhere and where the map is
    invalid all around.

    `expected_z` (T, N) is roughly the points' depth; NaN: the nearest pixel's.
    """
    frame, point = np.nonzero(asked)
    window = read_windows(depth_Thw, frame, xy[frame, point], picture_size=picture_size)
    nine = window.inverse_z.reshape(9, -1)
    expected = 1.0 / expected_z[frame, point]
    expected = np.where(np.isfinite(expected), expected, nine[4])
    some = np.isfinite(nine).any(axis=0) & np.isfinite(expected) & window.inside
    z = np.full(asked.shape, np.nan)
    if some.any():
        part = Windows(
            window.inverse_z[..., some], window.right[some], window.down[some], window.inside[some]
        )
        z[frame[some], point[some]] = 1.0 / _own_side(part, nine[:, some], expected[some])
    return z


def _own_side(window: Windows, nine: F64, expected: F64) -> F64:
    """1/z (M,) of the surface closest to `expected` (M,) among nine pixels (9, M)."""
    distance = np.abs(nine - expected)
    closest = np.take_along_axis(nine, np.nanargmin(distance, axis=0)[None], axis=0)[0]
    side = np.isfinite(nine) & _same_side(nine, closest)
    plane, residual = _plane_at(nine, side, window)
    is_plane = (residual <= _MOST_RESIDUAL * closest) & (plane > 0)
    return np.where(is_plane, plane, closest)


def _same_side(nine: F64, member: F64) -> Bool:
    """Which of nine values (9, M) lie on the same side of their largest gap as `member` (M,)."""
    ranked = np.sort(nine, axis=0)
    gaps = np.nan_to_num(np.diff(ranked, axis=0))
    largest = gaps.argmax(axis=0)[None]
    gap = np.take_along_axis(gaps, largest, axis=0)[0]
    middle = np.take_along_axis(ranked, largest, axis=0)[0] + gap / 2
    parted = gap > _LEAST_GAP * member
    with np.errstate(invalid="ignore"):
        return np.where(parted, (nine > middle) == (member > middle), True)


def _plane_at(nine: F64, side: Bool, window: Windows) -> tuple[F64, F64]:
    """Least-squares plane through the pixels of `side` (9, M) at the position, and the largest
    distance of one of them from it; infinite where the pixels give no plane."""
    values = np.where(side, nine, 0.0)
    normal = np.einsum("pm,pi,pj->mij", side.astype(np.float64), _DESIGN, _DESIGN)
    solvable = np.linalg.det(normal) > 0.5  # a whole number: zero for pixels in one line
    normal = np.where(solvable[:, None, None], normal, np.eye(3))
    plane = np.linalg.solve(normal, (values.T @ _DESIGN)[..., None])[..., 0]
    residual = np.where(side, np.abs(nine - _DESIGN @ plane.T), 0.0).max(axis=0)
    at = plane[:, 0] + plane[:, 1] * window.right + plane[:, 2] * window.down
    return at, np.where(solvable, residual, np.inf)
