"""The visible surface of an entity: depth under its mask, its centre, and what the outline says of
the body.

    surface centre   component-wise median of the lifted samples of the mask; those at its outline,
                     where the map may show what lies behind, read their depth a step further inside
    body centre      on the ray of the outline's centroid at z + r / sqrt(2), z of the surface
                     centre and r = sqrt(area / pi) z / f the radius of a disc of the outline's
                     area: half of what is seen of a ball lies nearer than that before its centre

Unusual: masks are read at samples, never as whole pictures, so that the cost is
that of the samples, whatever the size of the picture. The samples at the outline are moved and not
left out: on a ball the outline is the far part of what is seen, and without it the centre comes
1 cm too near.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from massannot.geometry import rle
from massannot.geometry.depth_sampling import read_depth

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
I64 = NDArray[np.int64]

N_SAMPLES = 1500
"""Samples of a mask's box where it has more than MOST_PIXELS: the median of half of them has 5 % of
their scatter as its standard error."""
MOST_PIXELS = 6000
"""Pixels of a box up to which each is a sample: half a pixel counts where things are small."""
MASK_GRID = 256
"""Pixels along the longer side of the grid that propagators draw masks on: the outline is no more
certain than one of them."""
MIN_SAMPLES = 8


@dataclass(frozen=True)
class Outline:
    """A mask that is not empty: its frame, run lengths and box, half-open, in source pixels."""

    frame: int
    counts: str
    x0: int
    y0: int
    x1: int
    y1: int


class Surfaces(NamedTuple):
    """The visible surfaces under M outlines, each in the camera of its frame; NaN: too little valid
    depth."""

    xyz: F64
    """(M, 3)."""
    spread: F64
    """(M,) median distance of the samples from the centre."""
    valid_share: F64
    """(M,) share of the samples that have depth."""
    centroid: F64
    """(M, 2) of the outline, source pixels."""


def outline_margin(picture_size: tuple[int, int]) -> int:
    """Source pixels within which an outline of a picture (width, height) is uncertain."""
    return max(1, round(max(picture_size) / MASK_GRID))


def visible_surfaces(
    outlines: Sequence[Outline],
    depth_Thw: F32,
    *,
    intrinsics: F64,
    picture_size: tuple[int, int],
) -> Surfaces:
    """Surfaces of a picture (width, height), from depth z (T, h, w) of any size and intrinsics
    (T, 4) fx fy cx cy in source pixels."""
    samples = [_samples(outline, picture_size) for outline in outlines]
    bounds = np.cumsum([0, *(len(s.xy) for s in samples)])
    xy, read_at = (
        np.concatenate([np.zeros((0, 2)), *(points for points in column)])
        for column in ([s.xy for s in samples], [s.read_at for s in samples])
    )
    frame = np.repeat([o.frame for o in outlines], np.diff(bounds)).astype(np.int64)
    z = read_depth(depth_Thw, frame, read_at, picture_size=picture_size)
    focal, centre = intrinsics[frame, :2], intrinsics[frame, 2:]
    xyz = np.column_stack([(xy - centre) / focal, np.ones(len(xy))]) * z[:, None]
    rows = [_median_surface(xyz[a:b]) for a, b in pairwise(bounds)]
    columns = np.array(rows, np.float64).reshape(-1, 5)
    centroid = np.array([s.centroid for s in samples], np.float64).reshape(-1, 2)
    return Surfaces(columns[:, :3], columns[:, 3], columns[:, 4], centroid)


class Bodies(NamedTuple):
    """Bodies behind M outlines, see the module's head."""

    xyz: F64
    """(M, 3) centre."""
    size: F64
    """(M, 3) extent along the camera's axes: that of the box at the centre's distance, and 2 r."""


def bodies(
    outlines: Sequence[Outline], surfaces: Surfaces, *, areas: F64, intrinsics: F64
) -> Bodies:
    """`areas` (M,) pixels; intrinsics (T, 4)."""
    frame = np.array([o.frame for o in outlines], np.int64)
    box = np.array([(o.x1 - o.x0, o.y1 - o.y0) for o in outlines], np.float64).reshape(-1, 2)
    focal, centre = intrinsics[frame, :2], intrinsics[frame, 2:]
    radius = np.sqrt(areas / np.pi / focal.prod(axis=1)) * surfaces.xyz[:, 2]
    z = surfaces.xyz[:, 2] + radius / np.sqrt(2)
    ray = np.column_stack([(surfaces.centroid - centre) / focal, np.ones(len(z))])
    return Bodies(ray * z[:, None], np.column_stack([box / focal * z[:, None], 2 * radius]))


_SPREAD = (np.arange(1, N_SAMPLES + 1)[:, None] * np.array([0.7548776662, 0.5698402910]) + 0.5) % 1
"""(N_SAMPLES, 2) points spread evenly over a unit square, no two in one row or column, so that
medians take no steps (Roberts, "The unreasonable effectiveness of quasirandom sequences", 2018)."""


def over_usual(values: F64, entity: I64) -> F64:
    """(N,) each value over the upper quartile of its entity's; NaN where none is known. Of areas
    brought to one distance: 1 where the whole outline is seen, less where part of it is hidden."""
    result = np.full(len(values), np.nan)
    for number in np.unique(entity):
        mine = entity == number
        known = values[mine][np.isfinite(values[mine])]
        if known.size:
            result[mine] = values[mine] / np.quantile(known, 0.75)
    return result


class _Samples(NamedTuple):
    xy: F64
    """(N, 2) inside the mask."""
    read_at: F64
    """(N, 2) where their depth is read."""
    centroid: F64
    """(2,) of all samples inside."""


def _samples(outline: Outline, picture_size: tuple[int, int]) -> _Samples:
    x0, y0, x1, y1 = outline.x0, outline.y0, outline.x1, outline.y1
    margin = outline_margin(picture_size)
    width, height = picture_size
    mask = np.ascontiguousarray(
        rle.decode_box(outline.counts, (x0, y0, x1, y1), height=height, width=width)
    )
    if mask.size <= MOST_PIXELS:
        pixel = np.flatnonzero(mask)
        offsets = np.column_stack([pixel % mask.shape[1], pixel // mask.shape[1]]) + 0.5
    else:
        offsets = _SPREAD * np.array([x1 - x0, y1 - y0])
        pixel = _pixel(offsets, mask.shape[1])
        inside = mask.ravel()[pixel]
        offsets, pixel = offsets[inside], pixel[inside]
    corner = np.array([x0, y0], np.float64)
    points = corner + offsets
    if len(points) == 0:
        return _Samples(points, points, np.array([(x0 + x1) / 2, (y0 + y1) / 2]))
    centroid = points.mean(axis=0)
    at_edge = (x0 <= 0, y0 <= 0, x1 >= width, y1 >= height)
    outer = np.flatnonzero(~_eroded(mask, margin, at_edge).ravel()[pixel])
    inwards = centroid - points[outer]
    distance = np.hypot(inwards[:, 0], inwards[:, 1])[:, None]
    read_at = points.copy()
    read_at[outer] += np.minimum(margin / np.maximum(distance, 1e-9), 1.0) * inwards
    usable = np.ones(len(points), np.bool_)
    usable[outer] = mask.ravel()[_pixel(read_at[outer] - corner, mask.shape[1])]
    return _Samples(points[usable], read_at[usable], centroid)


def _pixel(offsets: F64, width: int) -> I64:
    """(N,) numbers, row by row, of the pixels that hold points (N, 2) x, y of a box."""
    column, row = offsets.astype(np.int64).T
    return np.asarray(row * width + column)


def _eroded(mask: Bool, margin: int, sides_at_edge: tuple[bool, bool, bool, bool]) -> Bool:
    """Whether the pixels `margin` to the left, above, right and below of each one are in the mask
    too, which goes on beyond the sides of its box that lie at the picture's edge."""
    left, above, right, below = sides_at_edge
    inner = mask.copy()
    for to, there, goes_on in (
        (inner, mask, left),
        (inner.T, mask.T, above),
        (inner[:, ::-1], mask[:, ::-1], right),
        (inner.T[:, ::-1], mask.T[:, ::-1], below),
    ):
        to[:, margin:] &= there[:, :-margin]
        to[:, :margin] &= there[:, :1] & goes_on
    return inner


def _median_surface(xyz: F64) -> tuple[float, float, float, float, float]:
    """Centre, spread, share of samples with depth."""
    known = np.isfinite(xyz[:, 2])
    share = float(known.mean()) if len(xyz) else 0.0
    used = xyz[known].T
    if used.shape[1] < MIN_SAMPLES:
        return (np.nan, np.nan, np.nan, np.nan, share)
    x, y, z = (_median(values) for values in used)
    dx, dy, dz = used[0] - x, used[1] - y, used[2] - z
    return x, y, z, _median(np.sqrt(dx * dx + dy * dy + dz * dz)), share


def _median(values: F64) -> float:
    """Of values (N,) that are all known; of an even number the mean of the middle two."""
    upper = len(values) // 2
    ranked = np.partition(values, (upper - 1, upper))
    return float(ranked[upper] if len(values) % 2 else (ranked[upper - 1] + ranked[upper]) / 2)
