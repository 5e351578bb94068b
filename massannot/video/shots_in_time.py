"""ShotsInTime: every shown frame of a film with its shot, whatever the film's rate.

The frames that a ShotFinder looks at lie on a grid of time that begins with the film. Those between
two of them are of the same shot as both; where a hard cut lies between the two, it lies before the
frame that differs most from the one before it; otherwise they are of none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from typing import Generic, TypeVar

import numpy as np

from massannot.video.sampling import exact, next_target
from massannot.video.shot_rule import ShotRule
from massannot.video.shots import Numbered, ShotFinder, Small

T = TypeVar("T")


class ShotsInTime(Generic[T]):
    """Takes frames as they are shown, and gives them back in order with the number of their shot,
    or None. A frame is whatever the caller wants to have back."""

    def __init__(self, rule: ShotRule, *, time_base: Fraction) -> None:
        rate = exact(rule.fps)
        assert rate is not None
        self._step = 1 / (rate * time_base)
        self._finder = ShotFinder(rule)
        self._first_pts: int | None = None
        self._target = 0
        self._waiting: deque[tuple[int, T]] = deque()
        self._looks: deque[tuple[int, int]] = deque()
        """Times of the frames that were looked at, and of the largest change up to each."""
        self._before = Numbered(0, is_cut=False)
        self._small: Small | None = None
        self._change, self._changed_at = -1, 0

    def add(self, frame: T, *, pts: int, small: Small) -> Iterator[tuple[T, int | None]]:
        """The next frame, with its picture as SmallPictures gives it; gives those now decided."""
        if self._first_pts is None:
            self._first_pts = self._target = pts
        self._waiting.append((pts, frame))
        if (change := self._change_to(small)) > self._change:
            self._change, self._changed_at = change, pts
        self._small = small
        if pts >= self._target:
            self._looks.append((pts, self._changed_at))
            self._target = next_target(pts, origin=self._first_pts, step=self._step)
            self._change = -1
            yield from self._given_back(self._finder.add(small))

    def finish(self) -> Iterator[tuple[T, int | None]]:
        """The frames that are left when the film ends."""
        yield from self._given_back(self._finder.finish())
        while self._waiting:
            yield self._waiting.popleft()[1], self._before.shot

    def _given_back(self, numbered: Iterator[Numbered]) -> Iterator[tuple[T, int | None]]:
        for found in numbered:
            looked_at, changed_at = self._looks.popleft()
            between = found.shot if found.shot == self._before.shot else None
            while self._waiting and self._waiting[0][0] <= looked_at:
                pts, frame = self._waiting.popleft()
                if pts == looked_at:
                    yield frame, found.shot
                elif found.is_cut:
                    yield frame, (found if pts >= changed_at else self._before).shot
                else:
                    yield frame, between
            self._before = found

    def _change_to(self, small: Small) -> int:
        if self._small is None:
            return 0
        return int(np.abs(small.astype(np.int16) - self._small).sum(dtype=np.int64))
