"""How a recorded model finds the clips of a dataset, and whether a file's pictures have the clip's
shape. (Rows: see row_times.py; names of videos: video_names.py.)

One of our own datasets is read as every reader reads it: a table in its present version, from disk
or from a bucket, and of a run that is not over only the shards that are finished.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from massannot.clip import Frames
from massannot.dataset.reading import Dataset, open_dataset
from massannot.errors import ModelFailed, UsageError
from massannot.storage.path import place

_PATCHES = (1, 14, 16, 32)
"""Pixels of which the sides of networks' outputs are multiples."""
_MOST_SLACK = 0.05
"""Of a shape, for patches: beyond that a rounding is a crop."""


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
