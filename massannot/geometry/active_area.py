"""The active area of a clip's pictures: what lies between black bars, above and below or beside.

A bar is black and even in every frame that is looked at, ends in a straight edge at which most
of the line is brighter at once, however little, and has a bar like it on the other side. Where
a picture only fades to black nobody can tell where it ends, and it keeps all of it. Bars with words
in them, and one bar alone, are picture too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Bool = NDArray[np.bool_]

BLACK = 16
"""Levels up to which a pixel is black: black, and what compression makes of it."""
_LIT = 28
"""Levels from which it is picture."""
_FAINT = 4
"""Levels above a bar's own from which a pixel may be picture too, where the edge is sharp: the dark
shots of real films are hardly brighter than their bars."""
_SHARP = 3
"""Lines within which it then is."""
_SPECKS = 0.02
"""Share of a bar's line that may be lit."""
_EDGE = 0.6
"""Least share of the line at a bar's edge that is picture."""
_BLOCK = 8
"""Lines over which a codec blurs the edge."""
_LEAST, _MOST = 0.015, 0.4
"""Share of the picture's side that a bar takes."""
_ALIKE = 0.01
"""Of the same, by which two bars may differ; two pixels at least, which a codec's blocks blur."""


class Area(NamedTuple):
    """Pixels [x0, x1) and [y0, y1) of a picture."""

    x0: int
    y0: int
    x1: int
    y1: int

    def inside(self, *, height: int, width: int) -> Bool:
        """(height, width) whether a pixel of the picture lies in it."""
        mask = np.zeros((height, width), np.bool_)
        mask[self.y0 : self.y1, self.x0 : self.x1] = True
        return mask

    def resized(self, factors: Iterable[float]) -> Area:
        """The same in a picture that is so many times as wide and as high."""
        fx, fy = factors
        return Area(*(round(v * f) for v, f in zip(self, (fx, fy, fx, fy), strict=True)))


def active_area(pictures: Iterable[NDArray[np.uint8]]) -> Area | None:
    """What lies between bars of the pictures (H, W, 3) of one clip, at least one; None: there are
    none."""
    brightest: NDArray[np.uint8] | None = None
    for picture in pictures:
        if brightest is None:
            brightest = picture.copy()
        else:
            np.maximum(brightest, picture, out=brightest)
    assert brightest is not None
    levels = np.maximum(np.maximum(brightest[..., 0], brightest[..., 1]), brightest[..., 2])
    height, width = levels.shape
    above, below = _bars(levels)
    left, right = _bars(levels[above : height - below].T)
    if not (above or left):
        return None
    return Area(left, above, width - right, height - below)


def without_bars(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """The part of a small picture (..., H, W) that lies between black bars, without the lines that
    may be half bar; all of it where there are none."""
    for axis in (-2, -1):
        others = tuple(n for n in range(levels.ndim) if n != levels.ndim + axis)
        lit = np.flatnonzero(levels.max(others) > BLACK)
        size = levels.shape[axis]
        if not len(lit):
            return levels
        first, last = int(lit[0]), size - 1 - int(lit[-1])
        if min(first, last) > 0 and abs(first - last) <= 1 and max(first, last) < _MOST * size:
            inner = slice(first + 1, size - last - 1)
            levels = levels[..., inner, :] if axis == -2 else levels[..., inner]
    return levels


def _bars(levels: NDArray[np.uint8]) -> tuple[int, int]:
    """Lines of the bars above and below in (H, W) levels; 0, 0: there are no two alike."""
    above, below = (_bar(lines) for lines in (levels, levels[::-1]))
    size = len(levels)
    alike = abs(above - below) <= max(2, round(_ALIKE * size))
    if not alike or not _LEAST * size <= min(above, below) <= max(above, below) <= _MOST * size:
        return 0, 0
    return above, below


def _bar(levels: NDArray[np.uint8]) -> int:
    """Lines of the bar that (H, W) levels begin with; 0: there is none."""
    if not levels.size:
        return 0
    own = float(np.median(levels[0]))
    return _edge(levels, black=BLACK, lit=_LIT, blur=_BLOCK) or (
        _edge(levels, black=own + _FAINT, lit=own + _FAINT + 1, blur=_SHARP) if own <= BLACK else 0
    )


def _edge(levels: NDArray[np.uint8], *, black: float, lit: float, blur: int) -> int:
    """Lines of (H, W) levels before the edge at which most of a line lights up, black up to the few
    lines over which a codec blurs it; 0: there is none."""
    bright = (levels >= lit).mean(axis=1)
    full = np.flatnonzero(bright >= _EDGE)
    if not len(full) or full[0] == 0:
        return 0
    blurred = max(int(full[0]) - blur, int(full[0]) // 2)
    if ((levels[:blurred] > black).mean(axis=1) > _SPECKS).any():
        return 0
    return blurred + int(np.argmax(np.diff(bright[blurred : full[0] + 1], prepend=0.0)))
