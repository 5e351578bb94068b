"""Conversions between conventions for pixels and boxes, named target_from_source.

corner: the project's own. The origin is the picture's top-left corner, the first pixel's centre is
(0.5, 0.5), the picture ends at (width, height), boxes are x0 y0 x1 y1, half-open.
center: whole numbers are pixel centres, so the first pixel's centre is (0, 0): OpenCV, TAPVid-3D,
trackers, most indices. Boxes that count their last pixel are `inclusive`.
Points are (..., 2) as x, y unless the name says otherwise; boxes (..., 4).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

F64 = NDArray[np.float64]


def corner_from_center(xy: ArrayLike) -> F64:
    """Also for cx, cy. The pixel with index i is centred at i + 0.5."""
    return np.asarray(xy, np.float64) + 0.5


def center_from_corner(xy: ArrayLike) -> F64:
    """Also for cx, cy."""
    return np.asarray(xy, np.float64) - 0.5


def index_from_corner(xy: ArrayLike) -> NDArray[np.int64]:
    """The pixel that holds a point; outside the picture for points outside it. Refuses NaN."""
    points = np.asarray(xy, np.float64)
    if not np.isfinite(points).all():
        raise ValueError("point: found NaN or infinity, expected pixels")
    return np.floor(points).astype(np.int64)


def corner_from_normalized(xy: ArrayLike, *, width: int, height: int) -> F64:
    """From 0..1 across the whole picture, edge to edge."""
    return np.asarray(xy, np.float64) * [width, height]


def normalized_from_corner(xy: ArrayLike, *, width: int, height: int) -> F64:
    """To 0..1 across the whole picture, edge to edge."""
    return np.asarray(xy, np.float64) / [width, height]


def xy_from_yx(yx: ArrayLike) -> F64:
    """The other order; its own inverse."""
    return np.asarray(yx, np.float64)[..., ::-1]


def corner_after_half_pixel_resize(
    xy: ArrayLike, *, from_size: tuple[int, int], to_size: tuple[int, int]
) -> F64:
    """Where points of a picture (width, height) lie after an ordinary resize: edges meet edges.

    PIL, OpenCV, and torch with align_corners=False.
    """
    return np.asarray(xy, np.float64) * np.divide(to_size, from_size)


def corner_after_align_corners_resize(
    xy: ArrayLike, *, from_size: tuple[int, int], to_size: tuple[int, int]
) -> F64:
    """Where points lie after a resize in which the outermost pixel CENTRES meet.

    torch with align_corners=True: the factor is (to - 1) / (from - 1) between centres. Along an
    axis that had one pixel, everything lies at the first pixel's centre.
    """
    old, new = np.asarray(from_size, np.float64), np.asarray(to_size, np.float64)
    factor = np.where(old > 1, (new - 1) / np.maximum(old - 1, 1), 0.0)
    return corner_from_center(center_from_corner(xy) * factor)


def xyxy_from_cxcywh(boxes: ArrayLike) -> F64:
    """From centre and size."""
    box = np.asarray(boxes, np.float64)
    half = box[..., 2:] / 2
    return np.concatenate([box[..., :2] - half, box[..., :2] + half], axis=-1)


def cxcywh_from_xyxy(boxes: ArrayLike) -> F64:
    """To centre and size."""
    box = np.asarray(boxes, np.float64)
    size = box[..., 2:] - box[..., :2]
    return np.concatenate([box[..., :2] + size / 2, size], axis=-1)


def xyxy_from_normalized_cxcywh(boxes: ArrayLike, *, width: int, height: int) -> F64:
    """From centre and size in 0..1 of the picture: DETR and its kin, YOLO's text files."""
    return xyxy_from_cxcywh(np.asarray(boxes, np.float64) * [width, height, width, height])


def normalized_cxcywh_from_xyxy(boxes: ArrayLike, *, width: int, height: int) -> F64:
    """To centre and size in 0..1 of the picture."""
    return cxcywh_from_xyxy(boxes) / [width, height, width, height]


def xyxy_from_xywh(boxes: ArrayLike) -> F64:
    """From corner and size: COCO's JSON."""
    box = np.asarray(boxes, np.float64)
    return np.concatenate([box[..., :2], box[..., :2] + box[..., 2:]], axis=-1)


def xywh_from_xyxy(boxes: ArrayLike) -> F64:
    """To corner and size."""
    box = np.asarray(boxes, np.float64)
    return np.concatenate([box[..., :2], box[..., 2:] - box[..., :2]], axis=-1)


def xyxy_from_inclusive_xyxy(boxes: ArrayLike) -> F64:
    """From boxes of pixel indices that name their last pixel: Pascal VOC, most mask scripts."""
    return np.add(boxes, [0, 0, 1, 1], dtype=np.float64)


def inclusive_xyxy_from_xyxy(boxes: ArrayLike) -> F64:
    """To boxes of pixel indices that name their last pixel."""
    return np.subtract(boxes, [0, 0, 1, 1], dtype=np.float64)


def clipped_xyxy(boxes: ArrayLike, *, width: int, height: int) -> F64:
    """The part of each box that lies inside the picture; empty boxes for those outside."""
    return np.clip(np.asarray(boxes, np.float64), 0, [width, height, width, height])
