"""Which row of a file answers for which frame of a clip.

By `pts` where the file has them (exact), else by `t_s` or `fps` (nearest, at most half a frame
away, and for one frame only), else by the numbers of the video's pictures, where the file says
that it counts these, else by order, where it has as many rows as the clip has frames, the clip
begins its video and nothing says otherwise. Any other row is refused: an answer for the wrong frame
looks right. Rows at no moment of the video are counted in a warning, and refused where they are
most.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from massannot.clip import Frames
from massannot.counts import counted
from massannot.errors import MassannotWarning, ModelFailed, UsageError
from massannot.models.recorded.picture_names import from_zero

Rows = NDArray[np.int64]
Seconds = NDArray[np.float64]

NO_ROW = -1

_ONE_FRAME_S = 0.04
"""Of a file and a clip that both have but one frame."""
_RATE = "--set detect.fps=, also masks.fps, depth.fps, tracks.fps, cameras.fps"
_FIRST = "--set detect.first_number={}, also masks.first_number, depth.first_number"


@dataclass(frozen=True)
class RowTimes:
    """When the rows of a file are: the first of these that is known decides."""

    n_rows: int
    pts: ArrayLike | None = None
    t_s: ArrayLike | None = None
    fps: float | None = None
    numbers: Sequence[int] | None = None
    """Frames' numbers in the video, as the file counts them; with `fps`, by default 0, 1, 2, .."""
    numbers_are_frames: bool = False
    """Whether the file says that `numbers` count the pictures of the video; names of pictures may
    count anything."""
    first_number: int | None = None
    """Number of the video's first frame; None: to be read off the numbers."""
    shared: bool = False
    """Whether one moment may have two rows: clips of a dataset share their border frames."""

    def check(self, *, where: str) -> None:
        """Raises UsageError for times of another length, not finite, or given twice."""
        for name in ("pts", "t_s", "numbers"):
            given = getattr(self, name)
            if given is None:
                continue
            try:
                times = np.asarray(given, np.float64)
            except (TypeError, ValueError):
                times = np.empty(0)
            if times.shape != (self.n_rows,) or not np.isfinite(times).all():
                raise UsageError(
                    f"{where}: {name} has shape {times.shape}, expected {self.n_rows} finite "
                    "numbers, one a frame of the file"
                )
            values, counts = np.unique(times, return_counts=True)
            if len(values) < self.n_rows and not self.shared:
                twice = values[np.argmax(counts)]
                raise UsageError(f"{where}: {name} {twice:g} is there twice, expected each once")
        if self.pts is not None and np.any(np.asarray(self.pts) % 1):
            raise UsageError(f"{where}: pts are not whole numbers; times in seconds are t_s")
        if self.fps is not None and not 0 < self.fps < np.inf:
            raise UsageError(f"{where}: fps {self.fps}, expected a positive number")


def rows_for(frames: Frames, times: RowTimes, *, where: str) -> Rows:
    """(T,) the row of each frame, NO_ROW for a frame that was not recorded. A row answers for one
    frame at most.

    `where` names the file for messages. Raises ModelFailed when nothing of the clip was recorded,
    when frames cannot be matched, or most rows are at no moment of the video; UsageError for
    impossible times.
    """
    times.check(where=where)
    if times.pts is not None:
        pts = np.asarray(times.pts, np.int64)
        at_s = (pts - frames.pts[0]) * float(frames.time_base) + frames.t_s[0]
        rows = _equal(pts, frames.pts)
    elif times.t_s is not None or times.fps:
        at_s = _seconds(times, where=where)
        rows = _nearest(at_s, frames.t_s)
    elif times.numbers is not None and times.numbers_are_frames:
        numbers = np.asarray(from_zero(times.numbers, first_number=times.first_number, where=where))
        wanted = _numbers(frames, where=where)
        at_s = frames.t_s[0] + (numbers - wanted[0]) * _step_s(frames)
        rows = _equal(numbers, wanted)
    else:
        return _by_order(frames, times, where=where)
    if not np.any(rows != NO_ROW):
        raise ModelFailed(
            f"{where}: none of its {counted(times.n_rows, 'frame')} lies in the clip of "
            f"{frames.source_id} from {frames.t_s[0]:.3f} s to {frames.t_s[-1]:.3f} s (pts "
            f"{frames.pts[0]}..{frames.pts[-1]}); found {_found(times, at_s)}{_lasts(frames)}"
        )
    if not times.shared:
        _check_moments(frames, times, at_s, rows, where=where)
    return rows


def _by_order(frames: Frames, times: RowTimes, *, where: str) -> Rows:
    n_rows = times.n_rows
    if n_rows != len(frames):
        more = "" if frames.are_all else ", or annotate every frame (--fps all) if it has all"
        raise ModelFailed(
            f"{where}: found {counted(n_rows, 'frame')} for {frames.source_id}, whose clip has "
            f"{len(frames)}, and no way to tell which is which: give pts, t_s or fps in the file "
            f"(in JSON also frame_index), or its rate ({_RATE}){more}"
        )
    if not _begins_the_video(frames):
        raise ModelFailed(
            f"{where}: the clip of {frames.source_id} begins {frames.t_s[0]:.3f} s after its "
            "video, so that the order of rows does not tell which frames they are: give pts, t_s "
            "or fps in the file"
        )
    if not _is_regular(times.numbers):
        raise ModelFailed(
            f"{where}: the numbers of its frames jump, {_jump(times.numbers)}, and no way to tell "
            "their times: give pts, t_s or fps in the file"
        )
    if times.numbers is not None and frames.are_all is False:
        first, last = min(times.numbers), max(times.numbers)
        raise ModelFailed(
            f"{where}: nobody can tell whether its numbers from {first} to {last} count the "
            f"pictures of {frames.source_id} or the {len(frames)} that are annotated of them: say "
            f"the first ({_FIRST.format(first)}), or the rate at which they were taken ({_RATE}), "
            "or give pts or t_s"
        )
    return np.arange(n_rows)


def _check_moments(
    frames: Frames, times: RowTimes, at_s: Seconds, rows: Rows, *, where: str
) -> None:
    """Warn of rows at which the video shows no picture: those outside of it, and those between the
    pictures of this clip. Raises ModelFailed where most are outside, or have other pts than any."""
    step_s = _step_s(frames)
    outside = at_s < -step_s / 2
    if frames.video_s is not None:
        outside |= at_s > max(frames.video_s, frames.t_s[-1] + step_s) - step_s / 4
    n_outside, n_between = int(np.count_nonzero(outside)), _n_between(frames, at_s, rows)
    n_refused = n_outside + (n_between if times.pts is not None else 0)
    found = f"found {_found(times, at_s)}{_lasts(frames)}"
    if 2 * n_refused > times.n_rows:
        raise ModelFailed(
            f"{where}: {n_refused} of {counted(times.n_rows, 'row')} are at no moment of "
            f"{frames.source_id}: {found}{_guess(frames, times, at_s)}"
        )
    parts = [f"{n_outside} outside of the video"] if n_outside else []
    parts += [f"{n_between} between its frames"] if n_between else []
    if parts:
        warnings.warn(
            f"{where}: {n_outside + n_between} of {counted(times.n_rows, 'row')} answer for no "
            f"frame of {frames.source_id}, {' and '.join(parts)}: {found}",
            MassannotWarning,
            stacklevel=3,
        )


def _n_between(frames: Frames, at_s: Seconds, rows: Rows) -> int:
    """How many of the rows within the clip are of no picture of the video; of a clip that has only
    some of the pictures, how many there are more than pictures."""
    half_s = _step_s(frames) / 2
    within = at_s[(at_s >= frames.t_s[0] - half_s) & (at_s <= frames.t_s[-1] + half_s)]
    if frames.numbers is None or not within.size:
        return 0
    if frames.are_all:
        n_pictures = int(np.count_nonzero(rows != NO_ROW))
    else:
        first, last = np.interp([within.min(), within.max()], frames.t_s, frames.numbers)
        n_pictures = round(last - first) + 1
    return max(0, within.size - n_pictures)


def _found(times: RowTimes, at_s: Seconds) -> str:
    """The rows' range: 'pts 0 to 9', '0 to 900 s'."""
    if times.pts is not None:
        return f"pts {np.min(times.pts)} to {np.max(times.pts)}"
    return f"{at_s.min():g} to {at_s.max():g} s"


def _lasts(frames: Frames) -> str:
    if frames.video_s is None:
        return ""
    end_s = max(frames.video_s, float(frames.t_s[-1]))
    first = frames.pts[0] - round(frames.t_s[0] / float(frames.time_base))
    end = first + round(end_s / float(frames.time_base))
    return f", and the video lasts from 0 to {end_s:g} s (pts {first} to {end})"


def _guess(frames: Frames, times: RowTimes, at_s: Seconds) -> str:
    end_s = max(frames.video_s or 0.0, float(frames.t_s[-1]))
    if times.pts is not None:
        return "; pts are the video's own time stamps: are these frame numbers (frame_index)?"
    if times.t_s is not None and at_s.max() / 1000 <= end_s:
        return "; t_s are seconds: are these milliseconds?"
    if times.fps is not None:
        return f", at fps {times.fps:g}: is this the rate at which its rows were taken?"
    return ""


def _numbers(frames: Frames, *, where: str) -> Rows:
    """(T,) 0.. of each frame among the pictures of its video; where nobody counted, a clip that
    begins its video is taken for all of them. Raises ModelFailed for others."""
    if frames.numbers is not None:
        return frames.numbers
    if not _begins_the_video(frames):
        raise ModelFailed(
            f"{where}: has frame numbers, and nobody counted the frames of {frames.source_id} "
            f"before {frames.t_s[0]:.3f} s: give pts, t_s or fps in the file"
        )
    return np.arange(len(frames))


def _step_s(frames: Frames) -> float:
    """Seconds from one picture of the video to the next, on average."""
    if len(frames) == 1:
        return _ONE_FRAME_S
    if frames.numbers is None:
        return float(np.median(np.diff(frames.t_s)))
    n_steps = int(frames.numbers[-1] - frames.numbers[0])
    return float(frames.t_s[-1] - frames.t_s[0]) / n_steps


def _seconds(times: RowTimes, *, where: str) -> NDArray[np.float64]:
    if times.t_s is not None:
        return np.asarray(times.t_s, np.float64)
    assert times.fps is not None
    if times.numbers is None:
        return np.arange(times.n_rows) / times.fps
    zero_based = from_zero(times.numbers, first_number=times.first_number, where=where)
    return np.asarray(zero_based) / times.fps


def _begins_the_video(frames: Frames) -> bool:
    step = float(np.median(np.diff(frames.t_s))) if len(frames) > 1 else _ONE_FRAME_S
    return bool(frames.t_s[0] < step)


def _is_regular(numbers: Sequence[int] | None) -> bool:
    """Whether frames are at equal distances, so that their order tells which they are."""
    return numbers is None or len(set(np.diff(np.sort(numbers)).tolist())) <= 1


def _jump(numbers: Sequence[int] | None) -> str:
    """The first jump: '3 to 7'."""
    ordered = np.sort(numbers or [0])
    steps = np.diff(ordered)
    place = int(np.argmax(steps != steps[0]))
    return f"{ordered[place]} to {ordered[place + 1]}"


def _equal(known: Rows, wanted: Rows) -> Rows:
    if not known.size:
        return np.full(len(wanted), NO_ROW)
    order = np.argsort(known, kind="stable")
    index = np.minimum(np.searchsorted(known[order], wanted), known.size - 1)
    return np.where(known[order][index] == wanted, order[index], NO_ROW)


def _nearest(known: NDArray[np.float64], wanted: NDArray[np.float64]) -> Rows:
    """The nearest row of each frame, within half a frame; each row for one frame only.

    Half a frame of the clip or of the file, whichever is less: a row of a sparse file is of one
    moment, not of all until the next.
    """
    if not known.size:
        return np.full(len(wanted), NO_ROW)
    order = np.argsort(known, kind="stable")
    ordered = known[order]
    steps = [float(np.median(np.diff(t))) for t in (ordered, np.sort(wanted)) if len(t) > 1]
    step = min(steps, default=_ONE_FRAME_S)
    right = np.clip(np.searchsorted(ordered, wanted), 0, known.size - 1)
    left = np.maximum(right - 1, 0)
    closer = np.abs(ordered[left] - wanted) <= np.abs(ordered[right] - wanted)
    index = np.where(closer, left, right)
    distance = np.abs(ordered[index] - wanted)
    rows = np.where(distance <= step / 2 + 1e-6, order[index], NO_ROW)
    taken: set[int] = set()
    for frame in np.argsort(distance, kind="stable"):
        if int(rows[frame]) in taken:
            rows[frame] = NO_ROW
        elif rows[frame] != NO_ROW:
            taken.add(int(rows[frame]))
    return rows
