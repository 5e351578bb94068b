"""Depth at positions in the picture, read from maps of another size, and its reliability.

Half-pixel rule: a map covers the whole picture, edge to edge, so a picture position maps to the
map by the ratio of sizes, and map pixel i has its centre at i + 0.5. Between four centres the value
is bilinear; in the outermost half pixel the last cell goes on straight, so that a ramp is exact up
to the picture's edge.

Unusual: not z but 1/z is interpolated, because 1/z of a plane is linear in the picture: a tilted
plane comes out exactly, at any map size. For the same reason a depth edge is told from a slope by
the bend of 1/z in the 3x3 pixels around: zero on a plane, the whole jump across an edge.

`edge_depth` reads points that are seen on a depth edge from their own side of it. Around such a
point the map shows two surfaces, and each pixel may belong to either. The pixels are parted at the
largest gap of 1/z; the point's side is the one nearer to the depth that was last, or is next,
measured for it. A plane through that side is read at the point; where the side is no plane, its
pixel closest to the earlier depth stands for it. One reading in a thousand is from the wrong side
and some are extrapolated where a surface turns away: good enough for the middle of many points, not
good enough to be called a measurement.
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

_LEAST_GAP = 0.02
"""Gap of 1/z, as a share of it, that parts two surfaces."""
_MOST_RESIDUAL = 0.03
"""Distance of a side's pixels from its plane, as a share of 1/z, up to which it is a plane."""
_COLUMN, _ROW = (axis.ravel() - 1.0 for axis in np.meshgrid(np.arange(3), np.arange(3)))
_DESIGN = np.stack([np.ones(9), _COLUMN, _ROW], axis=1)


@dataclass(frozen=True)
class EdgeRule:
    """Thresholds, as shares of z, above which a reading counts as lying on a depth edge."""

    max_bend: float = 0.005
    """Second difference of 1/z along a row, a column or a diagonal of the 3x3 pixels. Across an
    edge it is the distance of the two surfaces. On scenes of 160x128 pixels with exact depth, no
    reading that is kept is 5 cm wrong; with 0.01 one in 100,000 is."""
    roughness: float = 4.0
    """Rough maps bend everywhere: up to so many times the maps' median bend is no edge."""
    max_spread: float = 0.5
    """Largest minus smallest 1/z of the 3x3 pixels. Networks smear an edge over several pixels, as
    a steep ramp without a bend; floors get this steep only within four map rows of the horizon."""


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
    frame = np.broadcast_to(np.arange(len(positions))[:, None], positions.shape[:2])
    window = read_windows(depth_Thw, frame, positions, picture_size=picture_size)
    inverse = bilinear(window)
    known = window.inside & np.isfinite(window.inverse_z[1, 1]) & (inverse > 0)
    z = 1.0 / np.where(known, inverse, np.nan)
    max_bend = max(edge_rule.max_bend, edge_rule.roughness * usual_bend(depth_Thw))
    edge = known & (
        (_bend(window.inverse_z) > max_bend) | (_spread(window.inverse_z) > edge_rule.max_spread)
    )
    return DepthSamples(z=z, known=known, edge=edge)


def read_depth(depth_hw: F32, xy: F64, *, picture_size: tuple[int, int]) -> tuple[F64, Bool]:
    """z (N,) of one map at positions xy (2, N) in the picture, as the nearest pixel has it, and
    whether it is valid there. Cheap: for medians of many readings."""
    n_rows, n_columns = depth_hw.shape
    width, height = picture_size
    scale = np.array([[n_columns / width], [n_rows / height]])
    last = np.array([[n_columns - 1], [n_rows - 1]])
    column, row = np.minimum((xy * scale).astype(np.int64), last)
    z = depth_hw.take(row * n_columns + column).astype(np.float64)
    return z, (z > 0) & (z < np.inf)


def edge_depth(
    depth_Thw: F32, xy: F64, wanted: Bool, *, expected_z: F64, picture_size: tuple[int, int]
) -> F64:
    """z (T, N) at positions xy (T, N, 2) where `wanted` (T, N); NaN elsewhere and where the map is
    invalid all around.

    `expected_z` (T, N) is roughly the points' depth; NaN: the nearest pixel's.
    """
    frame, point = np.nonzero(wanted)
    window = read_windows(depth_Thw, frame, xy[frame, point], picture_size=picture_size)
    nine = window.inverse_z.reshape(9, -1)
    expected = 1.0 / expected_z[frame, point]
    expected = np.where(np.isfinite(expected), expected, nine[4])
    some = np.isfinite(nine).any(axis=0) & np.isfinite(expected) & window.inside
    z = np.full(wanted.shape, np.nan)
    if some.any():
        part = Windows(
            window.inverse_z[..., some], window.right[some], window.down[some], window.inside[some]
        )
        z[frame[some], point[some]] = 1.0 / _own_side(part, nine[:, some], expected[some])
    return z


def usual_bend(depth_Thw: F32) -> float:
    """Median bend of maps (T, h, w), from a grid of 24x24 pixels in up to eight of them."""
    n_frames, height, width = depth_Thw.shape
    frame = np.unique(np.linspace(0, n_frames - 1, min(8, n_frames)).astype(np.int64))
    x = np.linspace(1, width - 1, min(24, width))
    y = np.linspace(1, height - 1, min(24, height))
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    window = read_windows(
        depth_Thw,
        np.broadcast_to(frame[:, None], (len(frame), len(grid))),
        np.broadcast_to(grid, (len(frame), *grid.shape)),
        picture_size=(width, height),
    )
    bend = _bend(window.inverse_z)
    known = bend[np.isfinite(bend)]
    return float(np.median(known)) if known.size else 0.0


class Windows(NamedTuple):
    """The 3x3 map pixels around positions (...)."""

    inverse_z: F64
    """(3, 3, ...) 1/z; NaN where the map is invalid."""
    right: F64
    """(...) pixels from the centre of the middle pixel to the position."""
    down: F64
    inside: Bool
    """(...) whether the position is in the picture."""


def read_windows(
    depth_Thw: F32, frame: Indices, xy: F64, *, picture_size: tuple[int, int]
) -> Windows:
    """Windows around the pixel nearest to xy (..., 2) in map number `frame` (...); at the border of
    the map they are moved inwards."""
    height, width = depth_Thw.shape[1:]
    with np.errstate(invalid="ignore"):
        inside = np.asarray(((xy >= 0) & (xy <= np.asarray(picture_size))).all(axis=-1))
    position = np.where(inside[..., None], xy, 0.0) * np.divide((width, height), picture_size) - 0.5
    column = np.clip(np.rint(position[..., 0]).astype(np.int64), 1, width - 2)
    row = np.clip(np.rint(position[..., 1]).astype(np.int64), 1, height - 2)
    middle = (frame * height + row) * width + column
    step = np.array([[i * width + j for j in (-1, 0, 1)] for i in (-1, 0, 1)])
    z = depth_Thw.reshape(-1)[middle + step.reshape(3, 3, *[1] * middle.ndim)].astype(np.float64)
    valid = (z > 0) & (z < np.inf)
    inverse_z = 1.0 / np.where(valid, z, np.nan)
    return Windows(inverse_z, position[..., 0] - column, position[..., 1] - row, inside)


def bilinear(window: Windows) -> F64:
    """1/z (...) at the positions, from the cell of four centres around each.

    Invalid corners lose their weight to the others. NaN where less than half of the weight is on
    valid corners.
    """
    first_column = (window.right >= 0).astype(np.int64)
    first_row = (window.down >= 0).astype(np.int64)
    # Within the cell 0..1, but at the map's border, where the cell is continued.
    x, y = window.right + 1 - first_column, window.down + 1 - first_row
    total = np.zeros(x.shape)
    weighted = np.zeros(x.shape)
    nine = window.inverse_z.reshape(9, *x.shape)
    for i, weight_y in ((0, 1 - y), (1, y)):
        for j, weight_x in ((0, 1 - x), (1, x)):
            index = (first_row + i) * 3 + first_column + j
            corner = np.take_along_axis(nine, index[None], axis=0)[0]
            valid = np.isfinite(corner)
            weight = weight_x * weight_y * valid
            total += weight
            weighted += np.where(valid, corner, 0.0) * weight
    return np.where(total >= 0.5, weighted / np.where(total >= 0.5, total, 1.0), np.nan)


def _bend(inverse_33: F64) -> F64:
    """Largest second difference (...) of 1/z through the middle, as a share of the middle."""
    middle = inverse_33[1, 1]
    opposite = (
        inverse_33[0, 1] + inverse_33[2, 1],
        inverse_33[1, 0] + inverse_33[1, 2],
        inverse_33[0, 0] + inverse_33[2, 2],
        inverse_33[0, 2] + inverse_33[2, 0],
    )
    return np.asarray(np.fmax.reduce([np.abs(pair - 2 * middle) for pair in opposite]) / middle)


def _spread(inverse_33: F64) -> F64:
    """Largest minus smallest 1/z (...) of the nine, as a share of the middle."""
    nine = inverse_33.reshape(9, *inverse_33.shape[2:])
    return (np.fmax.reduce(nine, axis=0) - np.fmin.reduce(nine, axis=0)) / inverse_33[1, 1]


def _check_shapes(depth_Thw: F32, xy: F64) -> None:
    if depth_Thw.ndim != 3 or min(depth_Thw.shape[1:]) < 3:
        raise ValueError(f"depth maps: found {depth_Thw.shape}, expected (T, h, w) of 3x3 or more")
    if xy.ndim != 3 or xy.shape[2] != 2 or len(xy) != len(depth_Thw):
        raise ValueError(
            f"positions: found {xy.shape}, expected ({len(depth_Thw)}, N, 2), one per depth map"
        )


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
