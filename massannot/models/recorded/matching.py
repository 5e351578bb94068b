"""How a recorded model finds the file, the clips of a dataset and the rows that speak of a clip.

A row is found by `pts` where the file has them (exact), else by `fps` or `t_s` (nearest, at most
half a frame away), else by order, when the file has as many rows as the clip has frames. Any other
row is refused: an answer for the wrong frame looks right.

One of our own datasets is read as every reader reads it: a table in its present version, from disk
or from a bucket, and of a run that is not over only the shards that are finished.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

from massannot.clip import Frames
from massannot.dataset.reading import Dataset, open_dataset
from massannot.errors import ModelFailed, UsageError
from massannot.storage.path import place

Rows = NDArray[np.int64]

NO_ROW = -1


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
        """The clips of the same bytes, or else of the same source id. Raises ModelFailed."""
        clips = self._clips
        for name, wanted in (("video_id", frames.video_id), ("source_id", frames.source_id)):
            rows = clips.filter(pc.equal(clips[name], wanted))
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


def rows_for(
    frames: Frames,
    *,
    n_rows: int,
    where: str,
    pts: ArrayLike | None = None,
    t_s: ArrayLike | None = None,
    fps: float | None = None,
    numbers: ArrayLike | None = None,
) -> Rows:
    """(T,) the row of each frame, NO_ROW for a frame that was not recorded.

    `pts`, `t_s`: (n_rows,) of the rows; or `fps`, with `numbers` (n_rows,) of the video's frames,
    by default 0, 1, 2, ... `where` names the file for messages. Raises ModelFailed when nothing of
    the clip was recorded, or when frames cannot be matched.
    """
    if pts is not None:
        rows = _equal(np.asarray(pts, np.int64), frames.pts)
    elif t_s is not None or fps:
        times = np.asarray(t_s, np.float64) if t_s is not None else _times(n_rows, numbers, fps)
        rows = _nearest(times, frames.t_s)
    elif n_rows == len(frames):
        return np.arange(n_rows)
    else:
        raise ModelFailed(
            f"{where}: found {n_rows} frames for {frames.source_id}, whose clip has {len(frames)}, "
            "and no way to tell which is which: give pts, t_s or fps in the file, or annotate "
            "every frame (--fps all)"
        )
    if not np.any(rows != NO_ROW):
        raise ModelFailed(
            f"{where}: none of its {n_rows} frames lies in the clip of {frames.source_id} "
            f"from {frames.t_s[0]:.3f} s to {frames.t_s[-1]:.3f} s (pts {frames.pts[0]}.."
            f"{frames.pts[-1]})"
        )
    return rows


def file_for(path: str, frames: Frames, *, endings: Sequence[str]) -> Path:
    """`path` itself if it is a file; in a folder, the entry named like the clip's video: an ending
    of `endings`, or a folder. Raises ModelFailed naming the paths that were tried."""
    root = Path(path)
    if root.is_file():
        return root
    for name in (frames.source_id, frames.video_id):
        for candidate in (*(root / f"{name}{ending}" for ending in endings), root / name):
            if candidate.exists():
                return candidate
    raise ModelFailed(
        f"{root}: nothing for video {frames.source_id!r}; expected {frames.source_id}"
        f"{' or '.join(endings)} or a folder {frames.source_id}/"
    )


def check_shape(size: tuple[int, int], frames: Frames, *, where: str) -> None:
    """Raises ModelFailed when a picture of `size` (width, height) has another shape than the
    clip's: it is of another video, or not rotated for display."""
    aspect = size[0] / size[1]
    expected_aspect = frames.source_width / frames.source_height
    slack = 1.5 / min(*size, frames.width, frames.height)  # sizes are rounded to whole pixels
    if abs(aspect / expected_aspect - 1) > slack:
        raise ModelFailed(
            f"{where}: made for pictures of {size[0]}x{size[1]}, but {frames.source_id} has "
            f"{frames.source_width}x{frames.source_height}: another shape"
        )


def load_arrays(path: Path) -> Mapping[str, NDArray[Any]]:
    """Arrays of an npz file by name; the array of an npy file under the name `""`.

    Raises UsageError for a file that is neither, or holds Python objects.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"": loaded}
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not an npz or npy file of plain arrays: {error}") from error


def first_of(arrays: Mapping[str, NDArray[Any]], *names: str) -> NDArray[Any] | None:
    """The first array there is under one of `names`."""
    return next((arrays[name] for name in names if name in arrays), None)


def _times(n_rows: int, numbers: ArrayLike | None, fps: float | None) -> NDArray[np.float64]:
    counted = np.arange(n_rows) if numbers is None else np.asarray(numbers)
    return counted / float(fps or 1)


def _equal(known: Rows, wanted: Rows) -> Rows:
    if not known.size:
        return np.full(len(wanted), NO_ROW)
    order = np.argsort(known, kind="stable")
    index = np.minimum(np.searchsorted(known[order], wanted), known.size - 1)
    return np.where(known[order][index] == wanted, order[index], NO_ROW)


def _nearest(known: NDArray[np.float64], wanted: NDArray[np.float64]) -> Rows:
    """Rows at most half of the rows' usual distance away."""
    if not known.size:
        return np.full(len(wanted), NO_ROW)
    order = np.argsort(known, kind="stable")
    ordered = known[order]
    step = float(np.median(np.diff(ordered))) if known.size > 1 else np.inf
    right = np.clip(np.searchsorted(ordered, wanted), 0, known.size - 1)
    left = np.maximum(right - 1, 0)
    closer = np.abs(ordered[left] - wanted) <= np.abs(ordered[right] - wanted)
    index = np.where(closer, left, right)
    near = np.abs(ordered[index] - wanted) <= step / 2 + 1e-9
    return np.where(near, order[index], NO_ROW)
