"""Occlusion: what a hidden thing is hidden by, where that has a mask of its own.

In a frame in which a thing is hidden, its mask is laid where the thing should be: on its way before
the gap and on its way after it, each going on at its speed, the nearer end counting more. The thing
whose mask covers most of that place hides it; where there is depth, it must not be farther there
than the hidden thing was.

Unusual: the ends of a gap count more than its middle, since in hiding things stop and turn. What
hides it in the hidden frames next to the masks before and after, where the two are one or only one
end is known, hides it throughout, while it is in the picture itself. Hidden by something that has
no mask: nothing is said.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from massannot.geometry.active_area import Area
from massannot.geometry.presence import (
    COVERED,
    F64,
    HIDDEN,
    MaskPath,
    MaskPicture,
    States,
    gaps,
)

I64 = NDArray[np.int64]

_FARTHER = 1.1
"""Ratio of depths up to which something may be in front: its near side is, where the depth read
under its mask may be of its far side or of an edge."""

NOTHING = -1
"""In the place of a number: not hidden, or nobody knows by what."""


def occluders_of_all(
    paths: Mapping[int, MaskPath],
    states: Mapping[int, States],
    *,
    height: int,
    width: int,
    depth: NDArray[np.float32] | None = None,
    area: Area | None = None,
) -> dict[int, I64]:
    """For each thing: (T,) the number of the thing that hides it in each frame, NOTHING for none.

    The arguments are those, and `states` the result, of `presence.presence_of_all`.
    """
    return {
        number: _Hidden(number, paths, (height, width), depth, area).occluders(states[number])
        for number in paths
    }


class _Hidden:
    """One thing among all."""

    def __init__(
        self,
        number: int,
        paths: Mapping[int, MaskPath],
        size: tuple[int, int],
        depth: NDArray[np.float32] | None,
        area: Area | None,
    ) -> None:
        self.path = paths[number]
        self.others = {n: path for n, path in paths.items() if n != number}
        self.picture = MaskPicture(list(self.others.values()), *size, area)
        self.depth = depth

    def occluders(self, states: States) -> I64:
        """(T,) numbers; NOTHING for none."""
        found = np.full(len(states), NOTHING)
        seen = self.path.area > 0
        if not self.others or not seen.any():
            return found
        for first, end in gaps(seen):
            hidden = first + np.flatnonzero(states[first:end] == HIDDEN)
            if len(hidden):
                found[hidden] = self._within(first, end, hidden)
        return found

    def _within(self, first: int, end: int, hidden: I64) -> I64:
        """Of the hidden frames of a gap [first, end)."""
        ends = self._ends(first, end)
        edges = [seen + step for seen, step in ends if seen + step in hidden]
        at_edges = {self._at(ends, frame) for frame in edges} - {NOTHING}
        if len(at_edges) == 1:
            (only,) = at_edges
            covering = np.where(self.others[only].area[hidden] > 0, only, NOTHING)
            return np.asarray(covering, np.int64)
        return np.array([self._at(ends, frame) for frame in hidden.tolist()], np.int64)

    def _at(self, ends: list[tuple[int, int]], frame: int) -> int:
        """What covers the place in one frame of the gap between `ends`."""
        place = self._place(ends, frame)
        around = np.concatenate([place.min(axis=0), place.max(axis=0)])
        near = {
            n: self.picture.widened(other, frame)
            for n, other in self.others.items()
            if _meet(other.box_xyxy[frame], around)
        }
        if self.depth is not None:
            was = np.concatenate(
                [self.picture.own_depth(self.path, self.depth, t) for t, _ in ends]
            )
            own = float(np.median(was)) if len(was) else np.inf
            near = {
                n: mask
                for n, mask in near.items()
                if self._nearest(mask, place, frame) <= _FARTHER * own
            }
        if self.picture.share_covered(place, list(near.values())) < COVERED:
            return NOTHING
        return max(near, key=lambda n: self.picture.share_covered(place, [near[n]]))

    def _ends(self, first: int, end: int) -> list[tuple[int, int]]:
        """(frame, step) of the masks before and after a gap, with time running into it."""
        both = ((first - 1, 1), (end, -1))
        return [(seen, step) for seen, step in both if 0 <= seen < len(self.path)]

    def _place(self, ends: list[tuple[int, int]], frame: int) -> F64:
        """(N, 2) source pixels of the mask that is whole, where it should be in `frame`."""
        centres, weights, steady = [], [], []
        for seen, step in ends:
            used = self.picture.steady_frames(self.path, seen=seen, step=step)
            velocity = self.picture.velocity(self.path, seen=seen, step=step)
            middle = used.mean()
            centres.append(self.path.centre[used].mean(axis=0) + velocity * step * (frame - middle))
            weights.append(1 / abs(frame - seen))
            steady += used.tolist()
        largest = max(steady, key=lambda t: self.path.area[t])
        shift = np.average(centres, axis=0, weights=weights) - self.path.centre[largest]
        return np.asarray(self.picture.pixels(self.path, largest) + shift)

    def _nearest(self, mask: NDArray[np.bool_], place: F64, frame: int) -> float:
        """Median depth of the map under `mask` within `place`; infinite where there is none."""
        assert self.depth is not None
        h, w = self.depth.shape[1:]
        column, row = place.T.astype(np.int64)
        inside = (column >= 0) & (column < mask.shape[1]) & (row >= 0) & (row < mask.shape[0])
        column, row = column[inside], row[inside]
        under = mask[row, column]
        y = (row[under] + 0.5) * h / mask.shape[0]
        x = (column[under] + 0.5) * w / mask.shape[1]
        values = self.depth[frame, y.astype(np.int64), x.astype(np.int64)]
        values = values[np.isfinite(values)]
        return float(np.median(values)) if len(values) else np.inf


def _meet(box_xyxy: F64, around: F64) -> bool:
    """Whether a box, NaN for none, and the box around a place meet."""
    return bool((box_xyxy[:2] <= around[2:]).all() and (around[:2] <= box_xyxy[2:]).all())
