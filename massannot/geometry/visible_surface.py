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

import math
from collections.abc import Sequence
from dataclasses import dataclass
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
    rows = [
        _surface(
            _samples(outline, picture_size),
            depth_Thw[outline.frame],
            intrinsics[outline.frame].tolist(),
            picture_size,
        )
        for outline in outlines
    ]
    columns = np.array(rows, np.float64).reshape(-1, 7)
    return Surfaces(columns[:, :3], columns[:, 3], columns[:, 4], columns[:, 5:])


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


_SPREAD = (np.arange(1, N_SAMPLES + 1) * np.array([[0.7548776662], [0.5698402910]]) + 0.5) % 1
"""(2, N_SAMPLES) points spread evenly over a unit square, no two in one row or column, so that
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
    """(2, N) inside the mask."""
    read_at: F64
    """(2, N) where their depth is read."""
    centroid: F64
    """(2,) of all samples inside."""


def _samples(outline: Outline, picture_size: tuple[int, int]) -> _Samples:
    margin = outline_margin(picture_size)
    padded = _padded(outline, picture_size, margin)
    flat, stride = padded.ravel(), padded.shape[1]
    first = margin * (stride + 1)  # the box's first pixel
    inside = flat[first:]
    across, along = outline.x1 - outline.x0, outline.y1 - outline.y0
    if across * along <= MOST_PIXELS:
        held = np.stack(padded[margin : margin + across, margin : margin + along].nonzero())
        offsets, pixel = held + 0.5, _pixel(held, stride)
    else:
        offsets = _SPREAD * np.array([[across], [along]])
        pixel = _pixel(offsets, stride)
        within = inside.take(pixel).nonzero()[0]
        offsets, pixel = offsets.take(within, axis=1), pixel.take(within)
    corner = np.array([[outline.x0], [outline.y0]], np.float64)
    points = offsets + corner
    n = points.shape[1]
    if n == 0:
        middle = (outline.x0 + outline.x1) / 2, (outline.y0 + outline.y1) / 2
        return _Samples(points, points, np.array(middle))
    centroid = points.sum(axis=1) / n
    deep = flat[first - margin :].take(pixel)
    for step in (margin, -margin * stride, margin * stride):
        deep &= flat[first + step :].take(pixel)
    outer = (~deep).nonzero()[0]
    at = points.take(outer, axis=1)
    inwards = centroid[:, None] - at
    inwards *= np.minimum(margin / np.maximum(np.hypot(inwards[0], inwards[1]), 1e-9), 1.0)
    at += inwards
    read_at = points.copy()
    read_at[:, outer] = at
    lost = outer[~inside.take(_pixel(at - corner, stride))]
    if lost.size:
        points, read_at = np.delete(points, lost, axis=1), np.delete(read_at, lost, axis=1)
    return _Samples(points, read_at, centroid)


def _padded(outline: Outline, picture_size: tuple[int, int], margin: int) -> Bool:
    """The mask in its box with `margin` pixels around, column by column (across, along). Beyond the
    sides that lie at the picture's edge it goes on as it is there; beyond others there is nothing
    of it."""
    x0, y0, x1, y1 = outline.x0, outline.y0, outline.x1, outline.y1
    width, height = picture_size
    padded = np.zeros((x1 - x0 + 2 * margin, y1 - y0 + 2 * margin), np.bool_)
    columns, rows = slice(margin, margin + x1 - x0), slice(margin, margin + y1 - y0)
    padded[columns, rows] = rle.decode_box(
        outline.counts, (x0, y0, x1, y1), height=height, width=width
    ).T
    if x0 <= 0:
        padded[:margin] = padded[margin]
    if x1 >= width:
        padded[columns.stop :] = padded[columns.stop - 1]
    if y0 <= 0:
        padded[:, :margin] = padded[:, margin, None]
    if y1 >= height:
        padded[:, rows.stop :] = padded[:, rows.stop - 1, None]
    return padded


def _pixel(offsets: NDArray[np.float64 | np.int64], stride: int) -> I64:
    """(N,) of the pixels that hold points (2, N) x, y of a box, their numbers after its first, in a
    mask of columns of `stride` pixels."""
    column, row = offsets.astype(np.int64)
    return np.asarray(column * stride + row)


def _surface(
    samples: _Samples, depth_hw: F32, intrinsics: Sequence[float], picture_size: tuple[int, int]
) -> tuple[float, ...]:
    """Centre, spread, share of samples with depth, centroid."""
    fx, fy, cx, cy = intrinsics
    z, known = read_depth(depth_hw, samples.read_at, picture_size=picture_size)
    n_known = np.count_nonzero(known)
    share = n_known / max(len(z), 1)
    if n_known < MIN_SAMPLES:
        return (np.nan, np.nan, np.nan, np.nan, share, *samples.centroid)
    x, y = samples.xy
    if n_known < len(z):
        x, y, z = x[known], y[known], z[known]
    x, y = (x - cx) / fx * z, (y - cy) / fy * z
    centre = [sum(_middle(axis)) / 2 for axis in (x, y, z)]
    x -= centre[0]
    y -= centre[1]
    z -= centre[2]
    spread = sum(map(math.sqrt, _middle(x * x + y * y + z * z))) / 2
    return (*centre, spread, share, *samples.centroid)


def _middle(values: F64) -> tuple[float, float]:
    """The two in the middle of values (N,) that are all known, in order; of an odd number the same
    twice. Ranked around one place: around two at once it takes three times as long."""
    upper = len(values) // 2
    ranked = np.partition(values, upper)
    high = float(ranked[upper])
    return (high if len(values) % 2 else float(ranked[:upper].max())), high
