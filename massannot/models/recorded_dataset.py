"""One of our own datasets as a source of answers: rows of its tables that speak of a clip's video.

Read with pyarrow alone, a video at a time: OUT/data/<table>/*.parquet, or the tables of a published
dataset, OUT/<table>/*.parquet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from massannot.errors import ModelFailed, UsageError
from massannot.pixels import Frames


@dataclass(frozen=True)
class RecordedClips:
    """The clips of one video, and the size of its pictures."""

    clip_ids: tuple[str, ...]
    width: int
    height: int


class RecordedDataset:
    """The dataset in folder `path`. Raises UsageError when there is none."""

    def __init__(self, path: str):
        root = Path(path)
        self._data = root / "data" if (root / "data").is_dir() else root
        if not self.has("clips"):
            raise UsageError(
                f"{path}: no dataset (data/clips/*.parquet); expected one that massannot wrote, or "
                "a file"
            )

    def has(self, table: str) -> bool:
        """Whether there is such a table."""
        return any((self._data / table).glob("*.parquet"))

    def clips_of(self, frames: Frames) -> RecordedClips:
        """The clips of the same bytes, or else of the same source id. Raises ModelFailed."""
        for name, wanted in (("video_id", frames.video_id), ("source_id", frames.source_id)):
            found = self._clips.filter(pc.equal(self._clips[name], wanted))
            if found.num_rows:
                return RecordedClips(
                    tuple(found["clip_id"].to_pylist()),
                    found["source_width"][0].as_py(),
                    found["source_height"][0].as_py(),
                )
        raise ModelFailed(f"{self._data}: nothing about video {frames.source_id!r}")

    def rows(self, table: str, clip_ids: Sequence[str]) -> list[dict[str, Any]]:
        """The rows of these clips, in the order of the table's files."""
        return self.table(table, clip_ids).to_pylist()

    def table(self, table: str, clip_ids: Sequence[str]) -> pa.Table:
        """The same as an Arrow table. Raises UsageError when the dataset has no such table."""
        if not self.has(table):
            raise UsageError(f"{self._data}: has no table {table!r}")
        wanted = [("clip_id", "in", list(clip_ids))]
        files = sorted((self._data / table).glob("*.parquet"))
        return pa.concat_tables([pq.read_table(file, filters=wanted) for file in files])

    @cached_property
    def _clips(self) -> pa.Table:
        columns = ["clip_id", "video_id", "source_id", "source_width", "source_height"]
        files = sorted((self._data / "clips").glob("*.parquet"))
        return pa.concat_tables([pq.read_table(file, columns=columns) for file in files])
