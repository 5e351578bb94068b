"""Pixel and box conventions: each row names a point everyone can place by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from massannot.geometry import camera as ic

Conversion = Callable[[ArrayLike], NDArray[np.float64]]


def in_picture(convert: Callable[..., NDArray[np.float64]]) -> Conversion:
    return lambda values: convert(values, width=8, height=4)


CONVERSIONS = {
    "first pixel's centre": (ic.corner_from_center, (0, 0), (0.5, 0.5)),
    "first pixel's centre, back": (ic.center_from_corner, (0.5, 0.5), (0, 0)),
    "box from the unit square": (
        in_picture(ic.xyxy_from_normalized_cxcywh),
        (0.5, 0.5, 0.5, 0.5),
        (2, 1, 6, 3),
    ),
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
