"""Sampling: which frames are annotated, and the clips that they belong to.

A frame's clips follow from its presentation time alone, in exact arithmetic. Target k of a clip
lies k / fps after the clip's start and is taken by the first frame at or after it; no frame is
taken twice by a clip. All times are rounded DOWN to whole pts units, so that a 30 fps film whose
times a container rounded to milliseconds (0, 33, 67, 100) still gives every frame at 30 fps. A
span with an end is one clip; one without is cut every `clip_s` of presentation time; both are cut
again after `max_frames`, where the targets go on without a break. A clip lies within one shot (see
shots.py), and frames of no shot belong to no clip. A shot that begins within a span without an end
begins a new `clip_s`, so that no shot starts with what was left of the one before it.

With `shared_frames`, a clip that goes on where its span and shot were cut begins with the last
annotated frame of the clip before it, so that things and cameras of the two can be compared there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from math import ceil, floor
from typing import Any

from massannot.counts import counted
from massannot.errors import UsageError
from massannot.video.shot_rule import ShotRule


@dataclass(frozen=True)
class Sampling:
    """Which frames are annotated, and at which size."""

    fps: float | None = 10.0
    """Frames a second; None: all. Never above the source."""
    clip_s: float = 20.0
    """Where no span is given, a clip is cut every so many seconds of presentation time."""
    max_frames: int = 256
    """Annotated frames a clip; then it is cut. Bounds memory and every per-frame list."""
    long_side: int = 1280
    """Pictures are shrunk until their longer side is at most this: larger than any model sees."""
    shots: ShotRule | None = None
    """How shots are found, at which clips are cut; None: clips run across cuts, as they do in
    every record that does not say."""
    shared_frames: bool = False
    """Whether clips cut from one span and shot share their boundary frame: the last of the earlier
    is the first of the later. False in every record that does not say."""

    def __post_init__(self) -> None:
        try:
            valid = (
                (self.fps is None or 0 < self.fps < float("inf"))
                and 0 < self.clip_s < float("inf")
                and self.max_frames >= 1 + bool(self.shared_frames)
                and self.long_side >= 1
            )
        except TypeError:  # a text or a list in JSON
            valid = False
        if not valid:
            raise UsageError(
                f"{self}: expected numbers above 0, 2 frames a clip or more where they share one; "
                "fps None for all frames"
            )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Sampling:
        """The sampling that `to_json` wrote. A field that is missing has its default.

        Raises UsageError for fields of another name and for values that are no such numbers.
        """
        names = [field.name for field in fields(cls)]
        unknown = sorted(set(values) - set(names))
        if unknown:
            raise UsageError(
                f"sampling: found the fields {', '.join(unknown)}, expected {', '.join(names)}"
            )
        shots = values.get("shots")
        return cls(**{**values, "shots": None if shots is None else ShotRule.from_json(shots)})

    def to_json(self) -> dict[str, Any]:
        """Fields by name, as plain JSON values. `shared_frames` only where they are shared, so
        that a run begun before there were any has the record it had."""
        values = {**asdict(self), "shots": None if self.shots is None else self.shots.to_json()}
        if not self.shared_frames:
            del values["shared_frames"]
        return values

    @property
    def name(self) -> str:
        """How frames are chosen, as in the table `clips`: 'all' or frames a second."""
        return "all" if self.fps is None else _decimal(self.fps)

    @property
    def shorter_clips(self) -> str | None:
        """A sentence where `max_frames` ends clips before `clip_s`; None where it does not."""
        if self.fps is None:
            return (
                f"clips hold at most {counted(self.max_frames, 'frame')}: a video of more "
                f"than {self.max_frames / self.clip_s:.3g} frames a second is cut before "
                f"{self.clip_s:g} s, one of 30 every {self.max_frames / 30:.3g} s"
            )
        if self.fps * self.clip_s <= self.max_frames:
            return None
        return (
            f"clips hold at most {counted(self.max_frames, 'frame')}: at {self.fps:g} frames a "
            f"second they are cut every {self.max_frames / self.fps:.3g} s, not every "
            f"{self.clip_s:g} s; fewer frames a second make them longer"
        )

    @property
    def cut_rules(self) -> CutRules:
        """The same in exact arithmetic."""
        return CutRules(
            exact(self.fps), Fraction(_decimal(self.clip_s)), self.max_frames, self.shared_frames
        )


@dataclass(frozen=True)
class CutRules:
    """How a video is cut. fps None: every frame is taken."""

    fps: Fraction | None
    clip_s: Fraction
    max_frames: int
    shared_frames: bool = False


@dataclass(eq=False)
class Cut:
    """A clip in the making: `span` is the index of the span it came from."""

    clip_index: int
    span: int
    first_pts: int
    bound_pts: int | None
    """Where its span or cut ends, exclusive; None: at the end of the video."""
    last_pts: int
    shot: int = 0
    n_frames: int = 0
    end_pts: int | None = None
    """Exclusive end of the stretch it covers; known when it is finished."""
    begins_with: Cut | None = None
    """The cut before it, whose last frame is its first."""
    shares_last: bool = False
    """The cut after it begins with its last frame; known when it is finished."""


@dataclass(frozen=True)
class EmptySpan:
    """A span without clips: no shown frame lies in it, or none that belongs to a shot."""

    clip_index: int
    span: int
    without_shot: bool
    """Frames lie in it, all of them of no shot."""


@dataclass(frozen=True)
class Step:
    """The effect of one more frame: cuts that end before it, and cuts that take it."""

    finished: tuple[Cut, ...]
    taking: tuple[Cut, ...]


class SpanCutter:
    """Assigns the frames of a video, in order of time, to the clips of all spans in one pass."""

    def __init__(
        self,
        spans: Sequence[tuple[Fraction | None, Fraction | None]],
        *,
        rules: CutRules,
        time_base: Fraction,
        first_pts: int,
    ) -> None:
        """spans: start and end in seconds after the first shown frame, None: open."""
        order = sorted(
            range(len(spans)),
            key=lambda i: (spans[i][0] or 0, spans[i][1] is None, spans[i][1] or 0, i),
        )
        self.empty: list[EmptySpan] = []
        self._n_clips = 0
        self._cursors = [
            _Cursor(i, spans[i], rules=rules, time_base=time_base, first_pts=first_pts)
            for i in order
        ]

    @property
    def exhausted(self) -> bool:
        """No later frame can belong to any span."""
        return all(cursor.past for cursor in self._cursors)

    def step(self, pts: int, *, other_size: bool = False, shot: int | None = 0) -> Step:
        """Take the next shown frame. `other_size`: pictures change size here, so clips are cut.
        They are where `shot` changes, too; None: the frame is of none, and no clip takes it."""
        finished: list[Cut] = []
        taking: list[Cut] = []
        for cursor in self._cursors:
            if cursor.past or pts < cursor.start_pts:
                continue
            left = list(cursor.leave(pts, other_size=other_size, shot=shot))
            finished += left
            if cursor.end_pts is not None and pts >= cursor.end_pts:
                cursor.past = True
                if not cursor.has_clips:
                    self._give_up(cursor)
            elif cursor.wants(pts) and shot is None:
                cursor.skip(pts)
            elif cursor.wants(pts):
                if cursor.cut is None:
                    before = None if other_size or not left else left[0]
                    cursor.open(pts, clip_index=self._next_index(), shot=shot or 0, before=before)
                taking.append(cursor.take(pts))
        return Step(tuple(finished), tuple(taking))

    def finish(self, end_pts: int) -> Iterator[Cut]:
        """The cuts still open when the video ends at `end_pts`."""
        for cursor in self._cursors:
            if cursor.cut is not None:
                bound = cursor.cut.bound_pts
                yield cursor.close(end_pts if bound is None else min(bound, end_pts))
            elif not cursor.has_clips and not cursor.past:
                self._give_up(cursor)
            cursor.past = True

    def _next_index(self) -> int:
        self._n_clips += 1
        return self._n_clips - 1

    def _give_up(self, cursor: _Cursor) -> None:
        self.empty.append(EmptySpan(self._next_index(), cursor.span, cursor.has_skipped))


class _Cursor:
    """One span on its way through the video."""

    def __init__(
        self,
        span: int,
        seconds: tuple[Fraction | None, Fraction | None],
        *,
        rules: CutRules,
        time_base: Fraction,
        first_pts: int,
    ) -> None:
        start_s, end_s = seconds
        self.span = span
        self.start_pts = first_pts + floor((start_s or 0) / time_base)
        self.end_pts = None if end_s is None else first_pts + floor(end_s / time_base)
        self.cut: Cut | None = None
        self.has_clips = self.has_skipped = False
        self.past = False
        self._shot: int | None = 0
        """Of the last frame that was taken or passed."""
        self._max_frames = rules.max_frames
        self._shares = rules.shared_frames
        self._step = None if rules.fps is None else 1 / (rules.fps * time_base)
        self._cut_length = rules.clip_s / time_base if end_s is None else None
        self._origin = self.start_pts
        self._bound = self.end_pts
        self._target = self._cuts_from = self.start_pts
        if self._cut_length is not None:
            self._begin_cut(0)

    def _begin_cut(self, number: int) -> None:
        """Begin the `number`-th cut since the span or shot began: its targets start afresh."""
        self._origin = self._target = self._cut_at(number)
        self._bound = self._cut_at(number + 1)

    def _cut_at(self, number: int) -> int:
        assert self._cut_length is not None
        return self._cuts_from + floor(number * self._cut_length)

    def leave(self, pts: int, *, other_size: bool, shot: int | None) -> Iterator[Cut]:
        """The open cut, if a frame at `pts` cannot belong to it."""
        if self._bound is not None and pts >= self._bound:
            if self.cut is not None:
                yield self.close(self._bound)
            if self._cut_length is not None:
                number = floor((pts - self._cuts_from) / self._cut_length)
                self._begin_cut(number + 1 if pts >= self._cut_at(number + 1) else number)
        elif self.cut is not None and (other_size or self.cut.shot != shot):
            yield self.close(pts)
        elif self.cut is not None and self.cut.n_frames >= self._max_frames and self.wants(pts):
            yield self.close(self._target)

    def wants(self, pts: int) -> bool:
        return pts >= self._target

    def skip(self, pts: int) -> None:
        """Pass a frame that is of no shot, so that the same targets follow as if it were taken."""
        self.has_skipped = True
        self._shot = None
        self._aim_beyond(pts)

    def open(self, pts: int, *, clip_index: int, shot: int, before: Cut | None) -> None:
        """Begin a cut at `pts`, or at the last frame of `before`, which has just ended, where it
        was of the same shot."""
        if self._cut_length is not None and shot != self._shot:
            self._cuts_from = pts
            self._begin_cut(0)
        self._shot = shot
        self.cut = Cut(clip_index, self.span, pts, self._bound, last_pts=pts, shot=shot)
        self.has_clips = True
        if self._shares and before is not None and before.shot == shot:
            before.shares_last = True
            self.cut.begins_with = before
            self.cut.first_pts = before.last_pts
            self.cut.n_frames = 1

    def take(self, pts: int) -> Cut:
        assert self.cut is not None
        self.cut.n_frames += 1
        self.cut.last_pts = pts
        self._aim_beyond(pts)
        return self.cut

    def _aim_beyond(self, pts: int) -> None:
        if self._step is None:
            self._target = pts + 1
        else:
            self._target = next_target(pts, origin=self._origin, step=self._step)

    def close(self, end_pts: int) -> Cut:
        assert self.cut is not None
        cut, self.cut = self.cut, None
        cut.end_pts = max(end_pts, cut.last_pts + 1)
        return cut


def next_target(pts: int, *, origin: int, step: Fraction) -> int:
    """The first of the targets origin + k step, rounded down, that lies after `pts`."""
    return origin + floor(ceil((pts - origin + 1) / step) * step)


def exact(value: float | None) -> Fraction | None:
    """The decimal number that was written, as a fraction: 0.1 is one tenth."""
    return None if value is None else Fraction(_decimal(value))


def _decimal(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
