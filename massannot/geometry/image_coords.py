"""Conversions between conventions for pixels and boxes, named target_from_source.

corner: the project's own. The origin is the picture's top-left corner, the first pixel's centre is
(0.5, 0.5), the picture ends at (width, height), boxes are x0 y0 x1 y1, half-open.
center: whole numbers are pixel centres, so the first pixel's centre is (0, 0): OpenCV, TAPVid-3D,
trackers, most indices.
Points are (..., 2) as x, y; boxes (..., 4).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

F64 = NDArray[np.float64]


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
