"""Which points lie inside a mask, without decoding it."""

from __future__ import annotations

import numpy as np
import pytest

from massannot.errors import BadMask
from massannot.geometry import rle

SHAPES = [(1, 1), (7, 5), (40, 64)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_point_is_inside_where_its_pixel_is(shape: tuple[int, int], share: float) -> None:
    rng = np.random.default_rng(0)
    height, width = shape
    mask = rng.random(shape) < share
    xy = rng.uniform((0, 0), (width, height), (300, 2))
    expected = mask[xy[:, 1].astype(int), xy[:, 0].astype(int)]
    found = rle.contains(rle.encode(mask), xy, height=height, width=width)
    np.testing.assert_array_equal(found, expected)


def test_points_outside_the_picture_are_outside_the_mask() -> None:
    everywhere = rle.encode(np.ones((4, 6), bool))
    xy = np.array([[-0.1, 1], [6, 1], [1, -2], [1, 4], [np.nan, 1], [5.9, 3.9], [0, 0]])
    found = rle.contains(everywhere, xy, height=4, width=6)
    assert found.tolist() == [False] * 5 + [True] * 2


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(BadMask):
        rle.contains(rle.encode(np.ones((4, 6), bool)), np.zeros((1, 2)), height=5, width=6)


def test_a_box_of_a_mask_is_that_part_of_it() -> None:
    rng = np.random.default_rng(3)
    mask = rng.random((9, 12)) < 0.4
    for x0, y0, x1, y1 in [(0, 0, 12, 9), (3, 2, 8, 7), (11, 0, 12, 9), (4, 4, 4, 4)]:
        part = rle.decode_box(rle.encode(mask), (x0, y0, x1, y1), height=9, width=12)
        np.testing.assert_array_equal(part, mask[y0:y1, x0:x1])
