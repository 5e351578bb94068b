"""Masks as COCO strings: equal to what COCO's own tool writes, to a slow plain form, and to sets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

ROW, COLUMN = np.mgrid[:720, :1280]


def picture(*rows: str) -> Mask:
    return np.array([[letter == "#" for letter in row] for row in rows])


# Strings written by pycocotools 2.0 for the same masks: the public definition of the format.
KNOWN = [
    ("one pixel, off", picture("."), "1"),
    ("one pixel, on", picture("#"), "01"),
    ("all but the corner", picture(".#", "##"), "13"),
    ("a single pixel inside", picture("...", ".#.", "..."), "414"),
    ("one row of thirds", picture("#..#..#..#..#"), "0120000000"),
    ("one column of thirds", picture(*"#..#..#..#..#"), "0120000000"),
    ("a chessboard", picture("#.#.", ".#.#", "#.#.", ".#.#"), "011010O10O10O0"),
    ("a box and a corner", picture("......#", "..###..", "..###..", "..###..", "......."), ";320004NN"),
    ("a disc", (COLUMN - 30) ** 2 + (ROW - 20) ** 2 <= 100, None),
    ("empty at full size", ROW < 0, "PPTl0"),
    ("full at full size", ROW >= 0, "0PPTl0"),
    ("the last pixel of all", (COLUMN == 1279) & (ROW == 719), "ooSl01"),
]
KNOWN[8] = (
    "a disc in 60 x 40",
    KNOWN[8][1][:40, :60],
    "di01S18J4M2N2O0O2O00000O20N1000001N101N2N3L6HXg0",
)
