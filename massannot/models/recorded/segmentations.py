"""Segmentations of COCO's forms as compressed run lengths: run lengths, compressed or plain, and
polygons. A polygon's mask is the pixels whose centres lie inside; COCO's tool draws outlines up to
a pixel wider.

Errors are ValueError (BadMask among them) without the annotation's name, which the reader adds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from massannot.geometry import rle


def counts_of(segmentation: Any, *, height: int, width: int) -> str | None:
    """COCO's compressed form; None for null and for an empty list: no mask is given.

    Raises ValueError for anything that is no segmentation of a picture of this size.
    """
    if segmentation is None or segmentation == []:
        return None
    if isinstance(segmentation, list):
        return rle.encode(_filled(_polygons(segmentation), height, width))
    if not isinstance(segmentation, dict) or "counts" not in segmentation:
        raise ValueError(
            f"segmentation {_shown(segmentation)}: expected polygons [[x0, y0, x1, y1, ...]] or "
            "run lengths {'size': [height, width], 'counts': ...}"
        )
    size = segmentation.get("size", [height, width])
    if list(size) != [height, width]:
        turned = "; size is [height, width]" if list(size) == [width, height] else ""
        raise ValueError(f"mask of {size} in a picture of {[height, width]}{turned}")
    counts = segmentation["counts"]
    if isinstance(counts, str):
        rle.check(counts, height=height, width=width)
        return counts
    return rle.encode(_of_runs(counts, height, width))


def check_polygons(segmentation: Any, *, height: int, width: int) -> None:
    """Raises ValueError where all corners of polygons are in shares of the picture, or beside it:
    the mask would be empty. Of other forms nothing is checked."""
    if not segmentation or not isinstance(segmentation, list):
        return
    corners = np.concatenate(_polygons(segmentation))
    low, high = corners.min(axis=0), corners.max(axis=0)
    if min(height, width) > 2 and np.all(low >= 0) and np.all(high <= 1):
        raise ValueError(
            f"segmentation {_shown(segmentation)} lies within the first pixel; expected pixels, "
            "not shares of the picture: multiply by width and height"
        )
    if np.any(high <= 0) or np.any(low >= [width, height]):
        raise ValueError(
            f"segmentation {_shown(segmentation)} lies outside of the picture of {width}x{height}"
        )


def _of_runs(counts: Any, height: int, width: int) -> NDArray[np.bool_]:
    if not isinstance(counts, list) or not all(type(n) is int and n >= 0 for n in counts):
        raise ValueError(f"counts {_shown(counts)}: expected a text or a list of run lengths")
    runs = np.asarray(counts, np.int64)
    if runs.sum() != height * width:
        raise ValueError(f"runs of {runs.sum()} pixels, expected {height} x {width}")
    ones = np.repeat(np.arange(runs.size) % 2 == 1, runs)
    return np.ascontiguousarray(ones.reshape(width, height).T)


def _polygons(segmentation: list[Any]) -> list[NDArray[np.float64]]:
    """Corners (C, 2) of each polygon."""
    if all(isinstance(value, int | float) for value in segmentation):
        raise ValueError(
            f"segmentation {_shown(segmentation)} is a flat list: expected a list of polygons "
            "[[x0, y0, x1, y1, ...]]; write one more pair of brackets around it"
        )
    polygons = []
    for polygon in segmentation:
        flat = isinstance(polygon, list) and all(
            isinstance(value, int | float) and not isinstance(value, bool) for value in polygon
        )
        if not flat or len(polygon) % 2 or len(polygon) < 6 or not np.isfinite(polygon).all():
            raise ValueError(
                f"polygon {_shown(polygon)}: expected x0, y0, x1, y1, x2, y2, ..: an even number "
                "of finite numbers, at least 6"
            )
        polygons.append(np.asarray(polygon, np.float64).reshape(-1, 2))
    return polygons


def _filled(polygons: Sequence[NDArray[np.float64]], height: int, width: int) -> NDArray[np.bool_]:
    """(H, W) the pixels whose centres lie in any of the polygons, corner-origin."""
    mask = np.zeros((height, width), np.bool_)
    for corners in polygons:
        mask |= _inside(corners, height, width)
    return mask


def _inside(corners: NDArray[np.float64], height: int, width: int) -> NDArray[np.bool_]:
    """Even-odd: a pixel is inside when an odd number of edges passes to the left of its centre."""
    crossings = np.zeros((height, width + 1), np.int64)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0)):
        if y0 == y1:
            continue
        rows = np.arange(
            max(0, int(np.ceil(min(y0, y1) - 0.5))),
            min(height, int(np.ceil(max(y0, y1) - 0.5))),
        )
        x = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
        crossings[rows, np.clip(np.ceil(x - 0.5), 0, width).astype(int)] += 1
    inside: NDArray[np.bool_] = np.cumsum(crossings[:, :width], axis=1) % 2 == 1
    return inside


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
