"""Pixel and box conventions: each row names a point everyone can place by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from massannot.geometry import image_coords as ic

Conversion = Callable[[ArrayLike], NDArray[np.float64]]


def in_picture(convert: Callable[..., NDArray[np.float64]]) -> Conversion:
    return lambda values: convert(values, width=8, height=4)


def resized(
    convert: Callable[..., NDArray[np.float64]], before: tuple[int, int], after: tuple[int, int]
) -> Conversion:
    return lambda values: convert(values, from_size=before, to_size=after)


HALF_PIXEL, ALIGNED = ic.corner_after_half_pixel_resize, ic.corner_after_align_corners_resize

CONVERSIONS = {
    "first pixel's centre": (ic.corner_from_center, (0, 0), (0.5, 0.5)),
    "first pixel's centre, back": (ic.center_from_corner, (0.5, 0.5), (0, 0)),
    "index of a centre": (ic.index_from_corner, (7.5, 3.5), (7, 3)),
    "index of a pixel's left edge": (ic.index_from_corner, (7.0, 3.0), (7, 3)),
    "index left of the picture": (ic.index_from_corner, (-0.1, 0.0), (-1, 0)),
    "middle of the picture": (in_picture(ic.corner_from_normalized), (0.5, 0.5), (4, 2)),
    "far corner": (in_picture(ic.normalized_from_corner), (8, 4), (1, 1)),
    "order": (ic.xy_from_yx, (3, 7), (7, 3)),
    "ordinary resize, far corner": (resized(HALF_PIXEL, (8, 4), (4, 8)), (8, 4), (4, 8)),
    "ordinary resize, first centre": (resized(HALF_PIXEL, (8, 4), (4, 8)), (0.5, 0.5), (0.25, 1)),
    "aligned, first centre": (resized(ALIGNED, (9, 5), (5, 9)), (0.5, 0.5), (0.5, 0.5)),
    "aligned, last centre": (resized(ALIGNED, (9, 5), (5, 9)), (8.5, 4.5), (4.5, 8.5)),
    "aligned, middle": (resized(ALIGNED, (9, 5), (5, 9)), (4.5, 2.5), (2.5, 4.5)),
    "aligned, from one pixel": (resized(ALIGNED, (1, 3), (5, 5)), (0.5, 1.5), (0.5, 2.5)),
    "aligned, to one pixel": (resized(ALIGNED, (5, 5), (1, 3)), (3.5, 2.5), (0.5, 1.5)),
    "box from centre": (ic.xyxy_from_cxcywh, (4, 2, 4, 2), (2, 1, 6, 3)),
    "box to centre": (ic.cxcywh_from_xyxy, (2, 1, 6, 3), (4, 2, 4, 2)),
    "box from the unit square": (
        in_picture(ic.xyxy_from_normalized_cxcywh),
        (0.5, 0.5, 0.5, 0.5),
        (2, 1, 6, 3),
    ),
    "box to the unit square": (
        in_picture(ic.normalized_cxcywh_from_xyxy),
        (2, 1, 6, 3),
        (0.5, 0.5, 0.5, 0.5),
    ),
    "box from COCO": (ic.xyxy_from_xywh, (2, 1, 4, 2), (2, 1, 6, 3)),
    "box to COCO": (ic.xywh_from_xyxy, (2, 1, 6, 3), (2, 1, 4, 2)),
    "box of the first pixel": (ic.xyxy_from_inclusive_xyxy, (0, 0, 0, 0), (0, 0, 1, 1)),
    "box of the first pixel, back": (ic.inclusive_xyxy_from_xyxy, (0, 0, 1, 1), (0, 0, 0, 0)),
    "box over the edge": (in_picture(ic.clipped_xyxy), (-1, -1, 5, 9), (0, 0, 5, 4)),
    "box outside": (in_picture(ic.clipped_xyxy), (9, 1, 11, 2), (8, 1, 8, 2)),
}


@pytest.mark.parametrize(("convert", "given", "want"), CONVERSIONS.values(), ids=CONVERSIONS.keys())
def test_a_known_point_or_box_converts(
    convert: Conversion, given: tuple[float, ...], want: tuple[float, ...]
) -> None:
    np.testing.assert_array_equal(convert(given), want)


@pytest.mark.parametrize(("convert", "given", "want"), CONVERSIONS.values(), ids=CONVERSIONS.keys())
def test_leading_axes_are_kept(
    convert: Conversion, given: tuple[float, ...], want: tuple[float, ...]
) -> None:
    many = np.broadcast_to(given, (3, 2, len(given)))
    np.testing.assert_array_equal(convert(many), np.broadcast_to(want, (3, 2, len(want))))


def test_an_ordinary_resize_moves_a_ramp_as_averaging_pixels_does() -> None:
    ramp = np.arange(8) + 0.5  # each pixel holds its centre's x
    halved = ramp.reshape(4, 2).mean(axis=1)
    centres = HALF_PIXEL(np.stack([halved, halved], axis=1), from_size=(8, 8), to_size=(4, 4))
    np.testing.assert_array_equal(centres[:, 0], np.arange(4) + 0.5)


def test_an_unknown_point_has_no_pixel() -> None:
    with pytest.raises(ValueError, match="NaN"):
        ic.index_from_corner((np.nan, 0))
