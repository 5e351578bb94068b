"""How a recorded model finds the file, the clips of a dataset and the rows that speak of a clip.

A row is found by `pts` where the file has them (exact), else by `fps` or `t_s` (nearest, at most
half a frame away, and for one frame only), else by order, when the file has as many rows as the
clip has frames, the clip begins its video and the numbers do not jump. Any other row is refused: an
answer for the wrong frame looks right.

One of our own datasets is read as every reader reads it: a table in its present version, from disk
or from a bucket, and of a run that is not over only the shards that are finished.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

from massannot.clip import Frames
from massannot.counts import counted
from massannot.dataset.reading import Dataset, open_dataset
from massannot.errors import ModelFailed, UsageError
from massannot.models.recorded.picture_names import from_zero
from massannot.storage.path import place

Rows = NDArray[np.int64]

NO_ROW = -1

_PATCHES = (1, 14, 16, 32)
"""Pixels of which the sides of networks' outputs are multiples."""
_MOST_SLACK = 0.05
"""Of a shape, for patches: beyond that a rounding is a crop."""
_ONE_FRAME_S = 0.04
"""Of a file and a clip that both have but one frame."""


@dataclass(frozen=True)
class RecordedClips:
    """The clips of one video, and the size of its pictures."""

    clip_ids: tuple[str, ...]
    width: int
    height: int


class RecordedDataset:
    """One of our own datasets as a source of answers: the rows that speak of a clip's video."""

    def __init__(self, dataset: Dataset):
        self._dataset = dataset

    @classmethod
    def at(cls, path: str, *, table: str | None = None) -> RecordedDataset | None:
        """The dataset in folder `path`; None: a file, or a folder without table `table`. Raises
        UsageError where `path` does not exist, and for a folder without a dataset if no table is
        named."""
        folder = place(path)
        if folder.is_file():
            return None
        if not folder.is_dir():
            raise UsageError(f"{path}: no such file or folder")
        if table is not None and not (folder / "data" / table).is_dir():
            return None
        return cls(open_dataset(path))

    def has(self, table: str) -> bool:
        """Whether the dataset has such a table."""
        return table in self._dataset.names

    def clips_of(self, frames: Frames) -> RecordedClips:
        """The clips of the same bytes, or else of the same source id; only one where it covers
        these frames. Raises ModelFailed."""
        clips = self._clips
        for name, wanted in (("video_id", frames.video_id), ("source_id", frames.source_id)):
            rows = clips.filter(pc.equal(clips[name], wanted))
            first, last = int(frames.pts[0]), int(frames.pts[-1])
            around = pc.and_(pc.less_equal(rows["first_pts"], first),
                             pc.greater_equal(rows["end_pts"], last))  # fmt: skip
            if rows.num_rows and pc.any(around).as_py():
                rows = rows.filter(around).slice(0, 1)  # neighbours would share a border frame
            if rows.num_rows:
                return RecordedClips(
                    tuple(rows["clip_id"].to_pylist()),
                    rows["source_width"][0].as_py(),
                    rows["source_height"][0].as_py(),
                )
        raise ModelFailed(f"{self._dataset.layout.out}: nothing about video {frames.source_id!r}")

    @cached_property
    def _clips(self) -> pa.Table:
        return self._dataset.table("clips")

    def rows(self, table: str, clip_ids: Sequence[str]) -> list[dict[str, Any]]:
        """The rows of these clips, in key order. Raises UsageError when there is no such table."""
        if not self.has(table):
            raise UsageError(f"{self._dataset.layout.out}: has no table {table!r}")
        tables = (self._dataset.clip(clip_id).table(table) for clip_id in clip_ids)
        return [row for part in tables for row in part.to_pylist()]


@dataclass(frozen=True)
class RowTimes:
    """When the rows of a file are: the first of these that is known decides."""

    n_rows: int
    pts: ArrayLike | None = None
    t_s: ArrayLike | None = None
    fps: float | None = None
    numbers: Sequence[int] | None = None
    """Frames' numbers in the video, as the file counts them; with `fps`, by default 0, 1, 2, .."""
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
    or when frames cannot be matched, UsageError for impossible times.
    """
    times.check(where=where)
    n_rows = times.n_rows
    if times.pts is not None:
        rows = _equal(np.asarray(times.pts, np.int64), frames.pts)
    elif times.t_s is not None or times.fps:
        rows = _nearest(_seconds(times, where=where), frames.t_s)
    elif n_rows == len(frames) and not _begins_the_video(frames):
        raise ModelFailed(
            f"{where}: the clip of {frames.source_id} begins {frames.t_s[0]:.3f} s after its "
            "video, so that the order of rows does not tell which frames they are: give pts, t_s "
            "or fps in the file"
        )
    elif n_rows == len(frames) and _is_regular(times.numbers):
        return np.arange(n_rows)
    elif n_rows == len(frames):
        raise ModelFailed(
            f"{where}: the numbers of its frames jump, {_shown(times.numbers)}, and no way to tell "
            "their times: give pts, t_s or fps in the file"
        )
    else:
        raise ModelFailed(
            f"{where}: found {counted(n_rows, 'frame')} for {frames.source_id}, whose clip has "
            f"{len(frames)}, "
            "and no way to tell which is which: give pts, t_s or fps in the file, or annotate "
            "every frame (--fps all)"
        )
    if not np.any(rows != NO_ROW):
        raise ModelFailed(
            f"{where}: none of its {counted(n_rows, 'frame')} lies in the clip of "
            f"{frames.source_id} "
            f"from {frames.t_s[0]:.3f} s to {frames.t_s[-1]:.3f} s (pts {frames.pts[0]}.."
            f"{frames.pts[-1]})"
        )
    return rows


def check_shape(
    size: tuple[int, int], frames: Frames, *, where: str, patches: bool = False
) -> None:
    """Raises ModelFailed when a picture of `size` (width, height) has another shape than the
    clip's: it is of another video, or not rotated for display. `patches`: sides may be rounded to
    whole patches of a network."""
    aspect = size[0] / size[1]
    expected_aspect = frames.source_width / frames.source_height
    slack = 1.5 / min(*size, frames.width, frames.height)  # sizes are rounded to whole pixels
    if patches:
        slack = max(slack, *(patch / 2 / min(size) for patch in _PATCHES if _is_whole(size, patch)))
        slack = min(slack, _MOST_SLACK)
    if abs(aspect / expected_aspect - 1) > slack:
        turned = abs(1 / aspect / expected_aspect - 1) <= slack
        raise ModelFailed(
            f"{where}: made for pictures of {size[0]}x{size[1]}, but {frames.source_id} has "
            f"{frames.source_width}x{frames.source_height}: another shape, "
            + ("turned by a quarter" if turned else "cropped, padded or stretched")
            + "; expected the whole picture as it is shown"
        )


def _is_whole(size: tuple[int, int], patch: int) -> bool:
    return size[0] % patch == size[1] % patch == 0


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


def _shown(numbers: Sequence[int] | None) -> str:
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
