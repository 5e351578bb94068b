"""Points to follow: spread evenly over a mask, whatever its shape, the same ones every time.

The mask's pixels are halved again and again across their longer side until there is one part for
every point, and each part gives the pixel nearest to its middle. So thin, bent and broken masks get
points along their whole length, and no point stands on the outline while a better one exists.
A grid would miss thin masks; the farthest-point rule puts its points on the outline.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from massannot.geometry.region import Mask, Region

F64 = NDArray[np.float64]

_MARGIN = 2
"""Pixels left free along the outline, where the mask is least sure, if enough remain."""
_MOST_PIXELS = 8192


def choose_points(
    mask: Mask, n_points: int, *, preference: NDArray[np.float32] | None = None
) -> F64:
    """Centres (N, 2) x, y of at most `n_points` pixels of `mask` (H, W), corner-origin.

    Fewer where the mask has fewer pixels; none in an empty one. `preference` (H, W): each part
    gives its pixel of highest preference instead of its middle; such points are less evenly spread.
    """
    region = Region.of(mask)
    if region is None or n_points <= 0:
        return np.zeros((0, 2))
    rows, columns = np.nonzero(_inner(region, n_points))
    step = max(1, -(-rows.size // max(_MOST_PIXELS, n_points)))
    pixels = np.stack([columns + region.x0, rows + region.y0], axis=1)[::step]
    parts = _parts(pixels, min(n_points, len(pixels)))
    if preference is None:
        chosen = np.array([_middle(part) for part in parts])
    else:
        chosen = np.array([part[np.argmax(preference[part[:, 1], part[:, 0]])] for part in parts])
    return chosen + 0.5


def _inner(region: Region, n_points: int) -> Mask:
    """The region without its outline, as far as that leaves room for the points."""
    for margin in range(_MARGIN, 0, -1):
        inner = region.eroded(margin)
        if np.count_nonzero(inner) >= max(n_points, region.area // 4):
            return inner
    return region.inside


def _parts(pixels: NDArray[np.int64], n_parts: int) -> list[NDArray[np.int64]]:
    """`pixels` (P, 2) in `n_parts` compact groups of equal size, give or take one."""
    if n_parts == 1:
        return [pixels]
    extent = pixels.max(axis=0) - pixels.min(axis=0)
    axis = int(extent[1] > extent[0])
    order = np.lexsort((pixels[:, 1 - axis], pixels[:, axis]))
    n_first = n_parts // 2
    cut = len(pixels) * n_first // n_parts
    first, second = pixels[order[:cut]], pixels[order[cut:]]
    return _parts(first, n_first) + _parts(second, n_parts - n_first)


def _middle(part: NDArray[np.int64]) -> NDArray[np.int64]:
    distance = ((part - part.mean(axis=0)) ** 2).sum(axis=1)
    return part[np.argmin(distance)]


def texture(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(H, W) how well a place of an RGB picture (H, W, 3) can be followed: the smaller eigenvalue
    of the brightness gradient's products in 7 x 7 pixels (Shi and Tomasi 1994)."""
    light = picture.mean(axis=2, dtype=np.float32)
    gx, gy = np.zeros_like(light), np.zeros_like(light)
    gx[:, 1:-1] = light[:, 2:] - light[:, :-2]
    gy[1:-1] = light[2:] - light[:-2]
    xx, yy, xy = (_box_sum(product) for product in (gx * gx, gy * gy, gx * gy))
    smaller = (xx + yy) / 2 - np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    return smaller.astype(np.float32)


def _box_sum(values: NDArray[np.float32], radius: int = 3) -> NDArray[np.float32]:
    """Sums over (2 radius + 1) squared pixels; beyond the edge lies zero."""
    for axis in (0, 1):
        shifted = np.zeros_like(values)
        size = values.shape[axis]
        for shift in range(-min(radius, size - 1), min(radius, size - 1) + 1):
            to = [slice(None)] * 2
            source = [slice(None)] * 2
            to[axis] = slice(max(0, shift), size + min(0, shift))
            source[axis] = slice(max(0, -shift), size + min(0, -shift))
            shifted[tuple(to)] += values[tuple(source)]
        values = shifted
    return values
