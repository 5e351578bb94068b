"""Appearance of a masked piece of a picture, as a short vector that can be compared by a product.

Three histograms, square-rooted, so that the product of two descriptors is their Bhattacharyya
coefficient: 1 for equal, 0 for nothing in common. Most weight has the joint histogram of two
opponent colours divided by brightness, which shadow and exposure change little; brightness itself
and the strength of the texture have the rest, and tell grey things apart.

Unusual: pixels at the outline are left out where enough others remain, since there the colour is
half the background's; and every pixel is shared between neighbouring bins, so that a colour at a
bin's edge does not jump.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from massannot.geometry.region import Region

F32 = NDArray[np.float32]

_COLOUR_BINS = 13  # odd: grey lies in the middle of a bin
_LIGHT_BINS = 8
_TEXTURE_BINS = 6
_WEIGHTS = (0.7, 0.2, 0.1)
_FEWEST_PIXELS = 12
_MOST_PIXELS = 4096  # a share of the pixels, evenly taken, says as much
_DARK = 24.0  # grey values added to the brightness: the colour of nearly black pixels is noise


def describe(picture: NDArray[np.uint8], region: Region) -> F32:
    """Descriptor (F,), unit length, of `region` in an RGB picture (H, W, 3)."""
    if picture.shape != (region.height, region.width, 3):
        raise ValueError(
            f"picture: found {picture.shape}, expected ({region.height}, {region.width}, 3), "
            "the size that the region was cut from"
        )
    cut = picture[region.y0 : region.y1, region.x0 : region.x1].astype(np.float32)
    inside = _inner(region)
    light = cut.mean(axis=2)
    step = -(-int(np.count_nonzero(inside)) // _MOST_PIXELS)
    rgb, texture = cut[inside][::step], _gradient(light)[inside][::step]
    brightness = rgb.mean(axis=1)

    u = (rgb[:, 0] - rgb[:, 1]) / (brightness + _DARK)
    v = (0.5 * (rgb[:, 0] + rgb[:, 1]) - rgb[:, 2]) / (brightness + _DARK)
    colour = np.stack([_spread(u), _spread(v)])
    parts = (
        _soft_histogram(colour, bins=_COLOUR_BINS),
        _soft_histogram(brightness[None] / 255, bins=_LIGHT_BINS),
        _soft_histogram(np.sqrt(texture[None] / 255), bins=_TEXTURE_BINS),
    )
    descriptor = np.concatenate([np.sqrt(w * part) for w, part in zip(_WEIGHTS, parts)])
    return descriptor.astype(np.float32)


def similarity(descriptor: F32, other: F32) -> float:
    """0..1: Bhattacharyya coefficient of two descriptors."""
    return float(np.clip(descriptor @ other, 0, 1))


def _inner(region: Region) -> NDArray[np.bool_]:
    for radius in (2, 1):
        inner = region.eroded(radius)
        if np.count_nonzero(inner) >= max(_FEWEST_PIXELS, region.area // 8):
            return inner
    return region.inside


def _spread(opponent: F32) -> F32:
    """Opponent colour of about -3..3 to 0..1, with more room near grey."""
    return np.clip(0.5 + 0.5 * np.sign(opponent) * np.sqrt(np.abs(opponent) / 2.5), 0, 1)


def _gradient(light: F32) -> F32:
    """Strength (h, w) of the brightness gradient, grey values a pixel."""
    strength = np.zeros(light.shape, np.float32)
    if light.shape[0] > 1:
        strength[:-1] = np.abs(np.diff(light, axis=0))
    if light.shape[1] > 1:
        strength[:, :-1] += np.abs(np.diff(light, axis=1))
    return np.minimum(strength, 255)


def _soft_histogram(values: F32, *, bins: int) -> NDArray[np.float64]:
    """Histogram (bins ** n_values,), sum 1, of `values` (n_values, P) in 0..1; every item is shared
    between the bins next to it in proportion to its distance from their centres."""
    position = values * (bins - 1)
    low = np.minimum(position.astype(np.int64), bins - 2)
    high_share = position - low
    histogram = np.zeros(bins ** len(values))
    for corner in np.ndindex(*(2,) * len(values)):
        upper = np.array(corner, bool)[:, None]
        share = np.where(upper, high_share, 1 - high_share).prod(axis=0)
        index = np.ravel_multi_index(tuple(low + upper), (bins,) * len(values))
        histogram += np.bincount(index, weights=share, minlength=histogram.size)
    return histogram / histogram.sum()
