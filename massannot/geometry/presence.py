"""Presence: whether a thing without a mask in a frame is hidden, has left the picture, or is lost.

A gap is a run of frames without a mask. Its two ends are looked at, the last mask before it and the
first one after it, the second with time running backwards. A mask that goes on, at the speed of the
thing while it was whole, onto another mask went behind that one; a mask that goes on beyond the
border of the picture left. Where neither end says anything, depth may: something nearer stands at
the place where the thing should be. All else is lost.

Unusual: masks alone say who stands in front. The one that stays whole is in front of the one that
vanishes, so that no depth is needed where the thing in front has a mask of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from massannot.geometry import rle
from massannot.geometry.active_area import Area

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
States = NDArray[np.str_]

SEEN, HIDDEN, LEFT, LOST = STATES = ("seen", "hidden", "left", "lost")

_BELIEVED = 0.5
"""Score from which on the propagator itself says that a thing without a mask is in the picture: it
decides where masks and depth say nothing."""
_BORDER = 0.01
"""Share of the picture's sides within which a mask touches the border: masks are drawn at the
models' smaller size."""
COVERED = 0.5
"""Share of a mask going on that has to lie on other masks, or outside of the picture."""
_WHOLE = 0.8
"""Share of the largest recent area from which on a mask is taken to be whole."""
_RECENT = 8
"""Frames before a gap among which those of a whole mask are looked for."""
_FITTED = 3
"""Of them, those nearest to the gap, whose places give the speed."""
_STEPS = (0.0, 1.0, 2.0)
"""Frames that a mask is moved on: a sliver may take two to be gone."""
_NEARER = 0.9
"""Ratio of depths below which something is in front."""
_PIXELS = 2000
"""Pixels of a mask that are looked at."""


@dataclass(frozen=True, eq=False)
class MaskPath:
    """The masks of one thing in T frames."""

    counts: Sequence[str | None]
    """COCO's run lengths; None: no row, or an empty mask."""
    box_xyxy: F64
    """(T, 4) source pixels; NaN without a mask."""
    area: F64
    """(T,) pixels, 0 without a mask."""
    score: F64
    """(T,) belief that the thing is in the picture, 0..1; 0 without a row."""

    @classmethod
    def of(
        cls,
        n_frames: int,
        rows: Iterable[tuple[int, str, Sequence[float] | F64 | None, float, float]],
    ) -> MaskPath:
        """Of rows (frame, counts, box, area, score); box None or NaN for an empty mask."""
        counts: list[str | None] = [None] * n_frames
        box = np.full((n_frames, 4), np.nan)
        area, score = np.zeros(n_frames), np.zeros(n_frames)
        for frame, text, corners, n_pixels, belief in rows:
            area[frame], score[frame] = n_pixels, belief
            if n_pixels and corners is not None:
                counts[frame], box[frame] = text, corners
        return cls(counts, box, area, score)

    def __len__(self) -> int:
        return len(self.area)

    @cached_property
    def centre(self) -> F64:
        """(T, 2) of the boxes."""
        return np.stack([self.box_xyxy[:, [0, 2]], self.box_xyxy[:, [1, 3]]], -1).mean(axis=1)


def presence_of_all(
    paths: Mapping[int, MaskPath],
    *,
    height: int,
    width: int,
    depth: NDArray[np.float32] | None = None,
    area: Area | None = None,
) -> dict[int, States]:
    """For each thing of a picture (height, width): (T,) one of STATES for each frame.

    `depth` (T, h, w): maps over the whole picture in which less is nearer, comparable between
    frames; None: there are none. `area`: of the picture between black bars; None: all. Seen: the
    thing has a mask; hidden: something is in front of it; left: it is outside of the picture; lost:
    it has no mask, and none of these is known.
    """
    return {
        number: _states(
            path,
            MaskPicture([p for p in paths.values() if p is not path], height, width, area),
            depth,
        )
        for number, path in paths.items()
    }


def _states(path: MaskPath, picture: MaskPicture, depth: NDArray[np.float32] | None) -> States:
    states: States = np.where(path.area > 0, SEEN, LOST).astype(f"<U{max(map(len, STATES))}")
    if not (path.area > 0).any():
        return states
    for first, end in gaps(path.area > 0):
        before = picture.cause(path, seen=first - 1, step=1) if first else LOST
        after = picture.cause(path, seen=end, step=-1) if end < len(path) else LOST
        if {before, after} == {HIDDEN, LEFT}:
            seen, step = (first - 1, 1) if before == HIDDEN else (end, -1)
            if picture.is_out_later(path, seen=seen, step=step, n_frames=(end - first + 1) // 2):
                before = after = LEFT
        states[first:end] = _between(before, after, n_frames=end - first)
        if before == after == LOST and depth is not None:
            nearer = [picture.is_behind(path, depth, frame) for frame in range(first, end)]
            states[first:end][nearer] = HIDDEN
    states[(states == LOST) & (path.score >= _BELIEVED)] = HIDDEN
    return states


def gaps(seen: Bool) -> Iterator[tuple[int, int]]:
    """Runs (first, end) of frames without a mask, end exclusive."""
    edges = np.flatnonzero(np.diff(np.r_[False, ~seen, False].astype(np.int8)))
    for first, end in edges.reshape(-1, 2):
        yield int(first), int(end)


def _between(before: str, after: str, *, n_frames: int) -> list[str]:
    """States of a gap from the causes at its ends: where they differ, each has its half."""
    if LOST in (before, after):
        return [after if before == LOST else before] * n_frames
    half = (n_frames + 1) // 2
    return [before] * half + [after] * (n_frames - half)


@dataclass(frozen=True)
class MaskPicture:
    """The other masks, and the size of the picture; see also geometry/occlusion.py."""

    others: Sequence[MaskPath]
    height: int
    width: int
    area: Area | None = None
    """Of the picture between bars; None: all."""

    @property
    def edges(self) -> Area:
        """Of what can be seen."""
        return self.area or Area(0, 0, self.width, self.height)

    def cause(self, path: MaskPath, *, seen: int, step: int) -> str:
        """Why the mask of frame `seen` is gone `step` frames later: HIDDEN, LEFT or LOST."""
        xy = self.pixels(path, seen)
        velocity = self.velocity(path, seen=seen, step=step)
        covers = [
            self.widened(other, seen + step) for other in self._near(path, seen, step, velocity)
        ]
        at_border = self.touches_border(path.box_xyxy[seen])
        if at_border and np.mean(self._is_outside(xy + velocity)) >= COVERED:
            return LEFT
        if any(self.share_covered(xy + velocity * n, covers) >= COVERED for n in _STEPS):
            return HIDDEN
        return LEFT if at_border else LOST

    def is_out_later(self, path: MaskPath, *, seen: int, step: int, n_frames: int) -> bool:
        """Whether the mask of frame `seen`, going on for so many frames, is outside."""
        moved = self.pixels(path, seen) + n_frames * self.velocity(path, seen=seen, step=step)
        return bool(np.mean(self._is_outside(moved)) >= COVERED)

    def velocity(self, path: MaskPath, *, seen: int, step: int) -> F64:
        """(2,) source pixels a frame, with time running in the direction of `step`, of the thing
        while it was whole and inside the picture, up to the frame `seen`."""
        used = self.steady_frames(path, seen=seen, step=step)
        if len(used) < 2:
            return np.zeros(2)
        slope: F64 = np.polyfit(used * step, path.centre[used], 1)[0]
        return slope

    def steady_frames(self, path: MaskPath, *, seen: int, step: int) -> NDArray[np.int64]:
        """Frames up to `seen`, the nearest to it first, that say where the thing is and how fast:
        while it was whole and inside the picture, where there are two of these."""
        span = np.arange(seen, seen - step * _RECENT, -step)
        span = span[(span >= 0) & (span < len(path))]
        span = span[path.area[span] > 0]
        inside = np.array([not self.touches_border(path.box_xyxy[t]) for t in span], np.bool_)
        whole = span[inside & (path.area[span] >= _WHOLE * path.area[span].max())]
        return whole[:_FITTED] if len(whole) >= 2 else span[:_FITTED]

    def touches_border(self, box_xyxy: F64) -> bool:
        left, top, right, bottom = self.edges
        near_x, near_y = _BORDER * (right - left), _BORDER * (bottom - top)
        x0, y0, x1, y1 = box_xyxy
        across = x0 <= left + near_x or x1 >= right - near_x
        return bool(across or y0 <= top + near_y or y1 >= bottom - near_y)

    def pixels(self, path: MaskPath, frame: int) -> F64:
        """(N, 2) centres of pixels of a mask, all or evenly chosen ones."""
        counts = path.counts[frame]
        assert counts is not None  # it is seen
        rows, columns = np.nonzero(rle.decode(counts, height=self.height, width=self.width))
        every = -(-len(rows) // _PIXELS)
        return np.asarray(np.stack([columns[::every], rows[::every]], -1) + 0.5)

    def _near(self, path: MaskPath, seen: int, step: int, velocity: F64) -> Iterator[MaskPath]:
        """Others whose box, in the first frame of the gap, the mask can reach."""
        x0, y0, x1, y1 = path.box_xyxy[seen]
        reach = _STEPS[-1] * np.abs(velocity) + self._margin + 1
        for other in self.others:
            ox0, oy0, ox1, oy1 = other.box_xyxy[seen + step]
            near_x = ox0 < x1 + reach[0] and x0 - reach[0] < ox1
            if near_x and oy0 < y1 + reach[1] and y0 - reach[1] < oy1:  # false for NaN
                yield other

    @property
    def _margin(self) -> int:
        """Pixels by which two masks that meet in the picture may stand apart."""
        return max(1, round(0.01 * float(np.hypot(self.height, self.width))))

    def widened(self, other: MaskPath, frame: int) -> Bool:
        counts = other.counts[frame]
        assert counts is not None  # it has a box
        return _widened(rle.decode(counts, height=self.height, width=self.width), self._margin)

    def share_covered(self, xy: F64, covers: Sequence[Bool]) -> float:
        if not covers:
            return 0.0
        inside = ~self._is_outside(xy)
        column, row = np.where(inside[:, None], xy, 0).astype(np.int64).T
        covered = np.any([cover[row, column] for cover in covers], axis=0)
        return float(np.mean(covered & inside))

    def _is_outside(self, xy: F64) -> Bool:
        return np.asarray(((xy < self.edges[:2]) | (xy >= self.edges[2:])).any(axis=-1))

    def is_behind(self, path: MaskPath, depth: NDArray[np.float32], frame: int) -> bool:
        """Whether most of the place where the thing should be is nearer than the thing was."""
        seen = np.flatnonzero(path.area > 0)
        ends = np.r_[seen[seen < frame][-1:], seen[seen > frame][:1]]
        box = [np.interp(frame, ends, path.box_xyxy[ends, side]) for side in range(4)]
        h, w = depth.shape[1:]
        x0, y0, x1, y1 = np.array(box) * np.tile([w / self.width, h / self.height], 2)
        here = depth[frame, int(y0) : int(np.ceil(y1)), int(x0) : int(np.ceil(x1))]
        was = np.concatenate([self.own_depth(path, depth, int(end)) for end in ends])
        if not np.isfinite(here).any() or not len(was):
            return False
        return bool(np.mean(here[np.isfinite(here)] < _NEARER * np.median(was)) >= COVERED)

    def own_depth(self, path: MaskPath, depth: NDArray[np.float32], frame: int) -> F64:
        """Finite depths under the mask of a frame."""
        counts = path.counts[frame]
        assert counts is not None  # it has a box
        h, w = depth.shape[1:]
        small = rle.resize_nearest(
            counts, height=self.height, width=self.width, to_height=h, to_width=w
        )
        values = depth[frame][rle.decode(small, height=h, width=w)].astype(np.float64)
        return values[np.isfinite(values)]


def _widened(mask: Bool, radius: int) -> Bool:
    """`mask` with all pixels within `radius` rows and columns."""
    wide = mask.copy()
    for axis in (0, 1):
        once = wide.copy()
        for shift in range(1, radius + 1):
            ahead, behind = np.roll(once, shift, axis), np.roll(once, -shift, axis)
            _edge(ahead, axis, slice(0, shift))[...] = False
            _edge(behind, axis, slice(-shift, None))[...] = False
            wide |= ahead | behind
    return wide


def _edge(mask: Bool, axis: int, part: slice) -> Bool:
    return mask[part] if axis == 0 else mask[:, part]
