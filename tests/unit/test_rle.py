"""Masks as COCO strings: equal to COCO's own tool, to a slow plain form, and to counting pixels."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from massannot.errors import BadMask
from massannot.geometry import rle
from tests.counted_lines import lines_run

Mask = NDArray[np.bool_]


def picture(*rows: str) -> Mask:
    return np.array([[letter == "#" for letter in row] for row in rows])


def stripe(*runs: int) -> Mask:
    """One column of pixels with these run lengths, zeros first."""
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs)[:, None]


def disc(height: int, width: int, *, radius: int) -> Mask:
    row, column = np.mgrid[:height, :width]
    return (column - width // 2) ** 2 + (row - height // 2) ** 2 <= radius**2


def block(height: int, width: int, *, rows: slice, columns: slice) -> Mask:
    mask = np.zeros((height, width), np.bool_)
    mask[rows, columns] = True
    return mask


# What pycocotools 2.0 writes for these masks: the format's public definition.
KNOWN = {
    "one pixel, off": (picture("."), "1"),
    "one pixel, on": (picture("#"), "01"),
    "all but the first pixel": (picture(".#", "##"), "13"),
    "one pixel inside": (picture("...", ".#.", "..."), "414"),
    "a middle column": (picture(".#.", ".#.", ".#."), "333"),
    "a middle row": (picture("...", "###", "..."), "112000O"),
    "one row": (picture("#..#..#..#..#"), "0120000000"),
    "one column": (picture(*"#..#..#..#..#"), "0120000000"),
    "chessboard": (picture("#.#.", ".#.#", "#.#.", ".#.#"), "011010O10O10O0"),
    "runs that turn at the border": (picture("##..", "##..", "#..#"), "056L"),
    "disc": (disc(40, 60, radius=10), "di01S18J4M2N2O0O2O00000O20N1000001N101N2N3L6HXg0"),
    "run of 15, one digit": (stripe(15, 1), "?1"),
    "run of 16, two digits": (stripe(16, 1), "`01"),
    "run of 511, two digits": (stripe(511, 512), "o?P`0"),
    "difference of +16": (stripe(20, 1, 20, 17), "d01d0`0"),
    "difference of -16": (stripe(20, 17, 20, 1), "d0a0d0@"),
    "difference of -17": (stripe(20, 18, 20, 1), "d0b0d0_O"),
    "empty at full size": (np.zeros((720, 1280), np.bool_), "PPTl0"),
    "full at full size": (np.ones((720, 1280), np.bool_), "0PPTl0"),
    "last pixel at full size": (
        block(720, 1280, rows=slice(719, None), columns=slice(1279, None)),
        "ooSl01",
    ),
}

PICTURES = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda size: st.lists(
        st.booleans(), min_size=size[0] * size[1], max_size=size[0] * size[1]
    ).map(lambda bits: np.array(bits).reshape(size))
)
PAIRS = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda size: st.lists(
        st.booleans(), min_size=2 * size[0] * size[1], max_size=2 * size[0] * size[1]
    ).map(lambda bits: np.array(bits).reshape(2, *size))
)


def encode_slowly(mask: Mask) -> str:
    """The definition, a pixel and a character at a time."""
    pixels = [bool(value) for column in mask.T for value in column]
    runs = [] if pixels and not pixels[0] else [0]
    runs += [len(list(group)) for _, group in groupby(pixels)]
    text = ""
    for place, run in enumerate(runs):
        rest = run - runs[place - 2] if place > 2 else run
        while True:
            digit, rest = rest & 31, rest >> 5
            finished = rest == (-1 if digit & 16 else 0)
            text += chr(48 + digit + (0 if finished else 32))
            if finished:
                break
    return text


def resize_slowly(mask: Mask, height: int, width: int) -> Mask:
    """Every new pixel asks which old pixel lies under its centre."""
    return np.array(
        [
            [
                mask[(2 * y + 1) * mask.shape[0] // (2 * height)][
                    (2 * x + 1) * mask.shape[1] // (2 * width)
                ]
                for x in range(width)
            ]
            for y in range(height)
        ]
    )


@pytest.mark.parametrize(("mask", "counts"), KNOWN.values(), ids=KNOWN.keys())
def test_a_mask_is_written_as_coco_writes_it(mask: Mask, counts: str) -> None:
    assert rle.encode(mask) == counts


@pytest.mark.parametrize(("mask", "counts"), KNOWN.values(), ids=KNOWN.keys())
def test_what_coco_writes_is_read_back(mask: Mask, counts: str) -> None:
    height, width = mask.shape
    np.testing.assert_array_equal(rle.decode(counts, height=height, width=width), mask)


@given(PICTURES)
def test_every_mask_is_written_as_the_definition_says(mask: Mask) -> None:
    assert rle.encode(mask) == encode_slowly(mask)


@given(PICTURES)
def test_every_mask_comes_back(mask: Mask) -> None:
    height, width = mask.shape
    np.testing.assert_array_equal(rle.decode(rle.encode(mask), height=height, width=width), mask)


@given(PICTURES)
def test_area_and_box_are_those_of_the_pixels(mask: Mask) -> None:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) if mask.any() else None
    height, width = mask.shape
    counts = rle.encode(mask)
    assert rle.area(counts) == mask.sum()
    assert rle.box_xyxy(counts, height=height, width=width) == box


@given(PAIRS)
def test_overlap_is_that_of_the_pixels(masks: NDArray[np.bool_]) -> None:
    inside, any_of_them = (masks[0] & masks[1]).sum(), (masks[0] | masks[1]).sum()
    first, second = rle.encode(masks[0]), rle.encode(masks[1])
    assert rle.intersection_area(first, second) == inside
    assert rle.union_area(first, second) == any_of_them
    assert rle.iou(first, second) == (inside / any_of_them if any_of_them else 0.0)


@given(PICTURES, st.integers(1, 25), st.integers(1, 25))
def test_a_resized_mask_takes_the_pixel_under_each_centre(
    mask: Mask, to_height: int, to_width: int
) -> None:
    height, width = mask.shape
    counts = rle.resize_nearest(
        rle.encode(mask), height=height, width=width, to_height=to_height, to_width=to_width
    )
    assert counts == rle.encode(resize_slowly(mask, to_height, to_width))


@pytest.mark.parametrize(
    ("counts", "canonical"),
    [("414O", "414"), ("90", "9"), ("40014", "414"), ("31004", "324"), ("0009", "09")],
    ids=["at the end", "no ones at all", "no ones first", "ones in two runs", "at the start"],
)
def test_a_foreign_string_with_empty_runs_means_the_same_pixels(
    counts: str, canonical: str
) -> None:
    mask = rle.decode(counts, height=3, width=3)
    assert rle.encode(mask) == canonical
    assert rle.area(counts) == mask.sum()
    assert rle.intersection_area(counts, canonical) == mask.sum()


MALFORMED = {
    "nothing": ("", "expected one or more characters"),
    "a letter past the last digit": ("4p4", "expected one or more characters"),
    "a space": ("4 14", "expected one or more characters"),
    "not ASCII": ("4\u00e94", "expected one or more characters"),
    "half a character": ("4\ud8004", "expected one or more characters"),
    "cut inside a number": ("4`", "ends in the middle of a number"),
    "a number without end": ("o" * 20 + "0", "a number of 21 digits"),
    "a negative run": ("O", "a run of -1 pixels"),
    "differences that pile up": ("0" + "ooooooo?" * 4, "a run of 1099511627774 pixels"),
    "too few pixels": ("413", "found runs of 8 pixels, expected 3 x 3 = 9"),
    "too many pixels": ("415", "found runs of 10 pixels, expected 3 x 3 = 9"),
}


@pytest.mark.parametrize(("counts", "said"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_string_is_refused_and_the_message_says_why(counts: str, said: str) -> None:
    for refuse in (rle.check, rle.decode, rle.box_xyxy):
        with pytest.raises(BadMask, match=said):
            refuse(counts, height=3, width=3)


def test_a_good_string_passes_the_check() -> None:
    rle.check("414", height=3, width=3)


def test_masks_of_two_picture_sizes_have_no_overlap_to_speak_of() -> None:
    with pytest.raises(ValueError, match="found 9 and 4 pixels"):
        rle.iou("414", "13")


@pytest.mark.parametrize(
    "mask",
    [np.zeros((2, 2), np.uint8), np.zeros(4, np.bool_), np.zeros((1, 2, 2), np.bool_)],
    ids=["bytes instead of bool", "one dimension", "three dimensions"],
)
def test_only_a_bool_picture_is_encoded(mask: Mask) -> None:
    with pytest.raises(ValueError, match=r"expected bool \(H, W\)"):
        rle.encode(mask)


def test_a_run_too_long_to_be_read_back_is_not_written() -> None:
    with pytest.raises(ValueError, match="found a run of 1099511627776 pixels"):
        rle.resize_nearest("1", height=1, width=1, to_height=2**20, to_width=2**20)


def test_encoding_does_not_depend_on_memory_layout() -> None:
    mask = disc(40, 60, radius=15)
    assert rle.encode(np.asfortranarray(mask)) == rle.encode(mask)
    assert rle.encode(mask[::-1, ::2]) == rle.encode(mask[::-1, ::2].copy())


def test_arrays_encode_the_hundreds_of_runs_of_a_large_mask() -> None:
    mask = disc(720, 1280, radius=200)
    assert 0 < lines_run(lambda: rle.encode(mask)) < 100
