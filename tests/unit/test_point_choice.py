"""Points for tracking: inside, spread, deterministic, whatever the mask's shape."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from massannot.geometry.point_choice import choose_points, texture

Mask = NDArray[np.bool_]


def disc(radius: float) -> Mask:
    y, x = np.mgrid[:100, :140] + 0.5
    return (x - 70) ** 2 + (y - 50) ** 2 <= radius**2


def diagonal(width: int) -> Mask:
    y, x = np.mgrid[:100, :140]
    return np.abs(y - x) < width


def ring() -> Mask:
    return disc(45) & ~disc(41)


def two_pieces() -> Mask:
    mask = np.zeros((100, 140), np.bool_)
    mask[10:30, 10:30] = mask[70:90, 100:120] = True
    return mask


SHAPES = {
    "disc": disc(40),
    "small disc": disc(5),
    "one pixel wide": diagonal(1),
    "thin": diagonal(3),
    "ring": ring(),
    "two pieces": two_pieces(),
    "everything": np.ones((100, 140), np.bool_),
}


@pytest.mark.parametrize("name", SHAPES)
def test_points_are_centres_of_different_pixels_of_the_mask(name: str) -> None:
    mask = SHAPES[name]
    points = choose_points(mask, 64)
    assert len(points) == 64
    columns, rows = (points - 0.5).T.astype(int)
    assert mask[rows, columns].all()
    assert np.array_equal(points % 1, np.full((64, 2), 0.5))
    assert len(np.unique(points, axis=0)) == 64


@pytest.mark.parametrize("name", SHAPES)
def test_every_pixel_has_a_point_about_as_near_as_an_even_spread_allows(name: str) -> None:
    mask = SHAPES[name]
    points = choose_points(mask, 64)
    pixels = np.argwhere(mask)[:, ::-1] + 0.5
    nearest = np.linalg.norm(pixels[:, None] - points[None], axis=2).min(axis=1)
    even = (mask.sum() / 64) ** 0.5  # side of a square part
    assert nearest.max() <= 2.5 * even + 3  # 3: the margin that is left free


def test_points_keep_away_from_the_outline_where_there_is_room() -> None:
    points = choose_points(disc(40), 64)
    assert np.linalg.norm(points - [70, 50], axis=1).max() <= 40 - 2


@pytest.mark.parametrize(("n_pixels", "expected"), [(0, 0), (1, 1), (4, 4), (9, 9), (64, 64)])
def test_tiny_masks_give_every_pixel(n_pixels: int, expected: int) -> None:
    mask = np.zeros((20, 20), np.bool_)
    rows, columns = np.divmod(np.arange(n_pixels), 8)
    mask[rows + 5, columns + 5] = True
    assert len(choose_points(mask, 64)) == expected


def test_equal_masks_give_equal_points() -> None:
    assert np.array_equal(choose_points(disc(40), 50), choose_points(disc(40).copy(), 50))


def test_preference_picks_the_best_pixel_of_every_part() -> None:
    preference = np.random.default_rng(0).random((100, 140)).astype(np.float32)
    everywhere = np.ones((100, 140), np.bool_)
    columns, rows = (choose_points(everywhere, 16, preference=preference) - 0.5).T.astype(int)
    assert preference[rows, columns].min() > 0.99  # the best of 400 or more


@pytest.mark.parametrize(
    ("pattern", "trackable"), [("flat", False), ("edge", False), ("corner", True)]
)
def test_texture_is_what_can_be_followed_in_both_directions(pattern: str, trackable: bool) -> None:
    picture = np.zeros((40, 40, 3), np.uint8)
    if pattern == "edge":
        picture[:, 20:] = 200
    if pattern == "corner":
        picture[20:, 20:] = 200
    assert (texture(picture)[20, 20] > 1) == trackable
