"""Regions and looks: overlaps that are fair to tiny masks, descriptors that tell colours apart."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from massannot.geometry.appearance import describe, similarity
from massannot.geometry.region import Region

Mask = NDArray[np.bool_]


def square(x: int, y: int, side: int, *, shape: tuple[int, int] = (60, 80)) -> Mask:
    mask = np.zeros(shape, np.bool_)
    mask[max(y, 0) : y + side, max(x, 0) : x + side] = True
    return mask


def region(mask: Mask) -> Region:
    found = Region.of(mask)
    assert found is not None
    return found


def test_an_empty_mask_has_no_region() -> None:
    assert Region.of(np.zeros((10, 10), np.bool_)) is None


def test_overlaps_equal_those_of_whole_masks() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        a, b = (rng.random((20, 30)) < rng.uniform(0.02, 0.9) for _ in range(2))
        both, either = np.count_nonzero(a & b), np.count_nonzero(a | b)
        assert region(a).intersection(region(b)) == both
        assert region(a).iou(region(b)) == pytest.approx(both / either)
        assert region(a).nested(region(b)) == pytest.approx(both / min(a.sum(), b.sum()))


@pytest.mark.parametrize(("side", "shift", "least"), [(8, 1, 0.8), (8, 4, 0.3), (4, 2, 0.3)])
def test_a_tiny_mask_forgives_what_a_large_one_does_not(
    side: int, shift: int, least: float
) -> None:
    one, other = region(square(20, 20, side)), region(square(20 + shift, 20, side))
    assert one.overlap(other) > least > one.iou(other) - 0.05


def test_large_masks_are_compared_as_they_are() -> None:
    one, other = region(square(10, 10, 20)), region(square(15, 10, 20))
    assert one.overlap(other) == one.iou(other)


def test_a_tiny_mask_at_the_border_is_widened_beyond_it() -> None:
    one, other = region(square(0, 0, 6)), region(square(1, 0, 6))
    inner = region(square(30, 30, 6)).overlap(region(square(31, 30, 6)))
    assert one.overlap(other) == inner


def test_border() -> None:
    found = region(square(10, 20, 4))
    assert not found.touches_border
    assert region(square(76, 20, 4)).touches_border


COLOURS = {
    "red": (200, 40, 40),
    "orange": (230, 140, 30),
    "yellow": (220, 210, 50),
    "green": (50, 160, 60),
    "blue": (40, 60, 200),
    "purple": (140, 50, 160),
    "white": (235, 235, 235),
    "grey": (120, 120, 120),
    "black": (25, 25, 25),
}


def painted(
    rgb: tuple[int, int, int], *, side: int, light: float, seed: int
) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    picture = rng.integers(90, 160, (60, 80, 3))
    shade = np.linspace(0.8, 1.1, side)[:, None, None] * light
    thing = np.array(rgb) * shade + rng.normal(0, 6, (side, side, 3))
    picture[10 : 10 + side, 20 : 20 + side] = thing.clip(0, 255)
    return describe(picture.astype(np.uint8), region(square(20, 10, side)))


@pytest.mark.parametrize("side", [8, 30])
def test_a_thing_is_more_like_itself_in_other_light_and_size_than_like_any_other(side: int) -> None:
    looks = {name: painted(rgb, side=30, light=1, seed=0) for name, rgb in COLOURS.items()}
    for name, rgb in COLOURS.items():
        again = painted(rgb, side=side, light=0.85, seed=1)
        likeness = {other: similarity(looks[other], again) for other in COLOURS}
        others = max(value for other, value in likeness.items() if other != name)
        assert likeness[name] > 0.8, name
        assert likeness[name] > others + 0.1, (name, likeness)


def test_a_descriptor_has_unit_length_and_refuses_another_pictures_size() -> None:
    picture = np.full((60, 80, 3), 100, np.uint8)
    assert np.linalg.norm(describe(picture, region(square(20, 10, 9)))) == pytest.approx(1)
    with pytest.raises(ValueError, match="expected"):
        describe(picture[:30], region(square(20, 10, 9)))
