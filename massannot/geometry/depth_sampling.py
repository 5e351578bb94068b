"""Depth at positions in the picture, read from maps of another size, and where it may be believed.

Half-pixel rule: a map covers the whole picture, edge to edge, so a picture position maps to the
map by the ratio of sizes, and map pixel i has its centre at i + 0.5. Between four centres the value
is bilinear; in the outermost half pixel the last cell goes on straight, so that a ramp is exact up
to the picture's edge.

Unusual: not z but 1/z is interpolated, because 1/z of a plane is linear in the picture: a tilted
plane comes out exactly, at any map size. For the same reason a depth edge is told from a slope by
the bend of 1/z in the 3x3 pixels around: zero on a plane, the whole jump across an edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class EdgeRule:
    """When a reading counts as lying on a depth edge, both as shares of z."""

    max_bend: float = 0.01
    """Second difference of 1/z along a row, a column or a diagonal of the 3x3 pixels. An edge
    between two surfaces gives their distance, so what is kept is at most 1 % of z wrong; a ball
    ten pixels wide bends less than this over most of its face."""
    max_spread: float = 0.3
    """Largest minus smallest 1/z of the 3x3 pixels. Networks smear an edge over several pixels, as
    a steep ramp without a bend; floors get this steep only within seven map rows of the horizon."""


DEFAULT_EDGE_RULE = EdgeRule()


class DepthSamples(NamedTuple):
    """Depth at (T, N) positions."""

    z: F64
    """Depth along the camera's axis; NaN where unknown."""
    known: Bool
    """Inside the picture, the nearest pixel is valid, and so is at least half of the weight."""
    edge: Bool
    """On a depth edge: `z` mixes two surfaces. Unknown readings are never edges."""

    @property
    def reliable(self) -> Bool:
        """Known and not on an edge."""
        return self.known & ~self.edge


def sample_depth(
    depth_Thw: F32,
    xy: ArrayLike,
    *,
    picture_size: tuple[int, int],
    edge_rule: EdgeRule = DEFAULT_EDGE_RULE,
) -> DepthSamples:
    """Depth of every frame's map (T, h, w) at positions xy (T, N, 2) in pixels of a picture of
    `picture_size` (width, height).

    Pixels that are NaN, infinite or not positive are invalid: a reading leans on its valid
    neighbours, and is unknown where the nearest pixel is invalid or half of the weight.
    Raises ValueError for maps of fewer than 3x3 pixels or another number of frames.
    """
    positions = np.asarray(xy, np.float64)
    _check_shapes(depth_Thw, positions)
    column, row = _map_position(positions, depth_Thw, picture_size)
    inside = _inside(positions, picture_size)

    window = _windows(depth_Thw, column, row)
    inverse = bilinear(
        window.inverse_z, np.isfinite(window.inverse_z), column - window.column, row - window.row
    )
    known = inside & np.isfinite(window.inverse_z[1, 1]) & np.isfinite(inverse) & (inverse > 0)
    z = 1.0 / np.where(known, inverse, np.nan)
    return DepthSamples(z=z, known=known, edge=known & _on_edge(window.inverse_z, z, edge_rule))


def bilinear(values_33: F64, valid_33: Bool, right: F64, down: F64) -> F64:
    """Value (...) in 3x3 windows (3, 3, ...) at `right`, `down` pixels from the middle's centre.

    The cell of four centres nearest to the position is used; invalid corners lose their weight to
    the others. NaN where less than half of the weight is on valid corners.
    """
    first_column = (right >= 0).astype(np.int64)
    first_row = (down >= 0).astype(np.int64)
    x, y = right + 1 - first_column, down + 1 - first_row  # within the cell, 0..1 but at borders
    total = np.zeros(right.shape)
    weighted = np.zeros(right.shape)
    for i, weight_y in ((0, 1 - y), (1, y)):
        for j, weight_x in ((0, 1 - x), (1, x)):
            corner = _pick(values_33, first_row + i, first_column + j)
            weight = weight_x * weight_y * _pick(valid_33, first_row + i, first_column + j)
            total += weight
            weighted += np.where(weight != 0, corner, 0.0) * weight
    return np.where(total >= 0.5, weighted / np.where(total >= 0.5, total, 1.0), np.nan)


class _Windows(NamedTuple):
    inverse_z: F64
    """(3, 3, T, N); NaN where the map is invalid."""
    column: Indices
    """(T, N) of the middle pixel."""
    row: Indices


def _windows(depth_Thw: F32, column: F64, row: F64) -> _Windows:
    """1/z of the 3x3 map pixels around the nearest one, moved inwards at the map's border."""
    n_frames, height, width = depth_Thw.shape
    middle_column = np.clip(np.rint(column).astype(np.int64), 1, width - 2)
    middle_row = np.clip(np.rint(row).astype(np.int64), 1, height - 2)
    first = (np.arange(n_frames)[:, None] * height + middle_row) * width + middle_column
    step = np.array([[i * width + j for j in (-1, 0, 1)] for i in (-1, 0, 1)])
    z = depth_Thw.reshape(-1)[first + step[:, :, None, None]].astype(np.float64)
    valid = (z > 0) & (z < np.inf)
    return _Windows(1.0 / np.where(valid, z, np.nan), middle_column, middle_row)


def _on_edge(inverse_33: F64, z: F64, rule: EdgeRule) -> Bool:
    """Whether 1/z bends or spreads too much around the middle; comparisons with NaN are false."""
    lines = (
        (inverse_33[0, 1], inverse_33[2, 1]),
        (inverse_33[1, 0], inverse_33[1, 2]),
        (inverse_33[0, 0], inverse_33[2, 2]),
        (inverse_33[0, 2], inverse_33[2, 0]),
    )
    edge = np.zeros(z.shape, np.bool_)
    with np.errstate(invalid="ignore"):
        for one, other in lines:
            edge |= np.abs(one - 2 * inverse_33[1, 1] + other) * z > rule.max_bend
        nine = inverse_33.reshape(9, *z.shape)
        spread = np.fmax.reduce(nine, axis=0) - np.fmin.reduce(nine, axis=0)
        return edge | (spread * z > rule.max_spread)


def _map_position(xy: F64, depth_Thw: F32, picture_size: tuple[int, int]) -> tuple[F64, F64]:
    """Column and row (T, N), counted from the centre of the map's first pixel; 0 for NaN."""
    height, width = depth_Thw.shape[1:]
    position = xy * np.divide((width, height), picture_size) - 0.5
    position = np.clip(np.nan_to_num(position), -0.5, np.array([width, height]) - 0.5)
    return position[..., 0], position[..., 1]


def _inside(xy: F64, picture_size: tuple[int, int]) -> Bool:
    with np.errstate(invalid="ignore"):
        return np.asarray(((xy >= 0) & (xy <= np.asarray(picture_size))).all(axis=-1))


def _pick(window_33: NDArray[np.generic], row: Indices, column: Indices) -> F64:
    """One of the nine values per position."""
    nine = window_33.reshape(9, *window_33.shape[2:])
    return np.take_along_axis(nine, (row * 3 + column)[None], axis=0)[0]


def _check_shapes(depth_Thw: F32, xy: F64) -> None:
    if depth_Thw.ndim != 3 or min(depth_Thw.shape[1:]) < 3:
        raise ValueError(f"depth maps: found {depth_Thw.shape}, expected (T, h, w) of 3x3 or more")
    if xy.ndim != 3 or xy.shape[2] != 2 or len(xy) != len(depth_Thw):
        raise ValueError(
            f"positions: found {xy.shape}, expected ({len(depth_Thw)}, N, 2), one per depth map"
        )
