"""open_dataset: an output folder, or a published one, as Arrow tables and numpy arrays.

Read as it lies: nothing is loaded before it is asked for. In a folder whose run is not over, only
shards whose `clips` are there count, since `clips` is what is published last.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from massannot import tables
from massannot.errors import UsageError
from massannot.io.clip_view import ClipView
from massannot.io.layout import Layout
from massannot.io.read_parquet import read_parquet


def open_dataset(out: str | Path) -> Dataset:
    """The dataset in folder `out`. Raises UsageError when there is none (yet)."""
    dataset = Dataset(Layout(Path(out)))
    if not dataset.names:
        unfinished = dataset.layout.run.is_dir()
        why = "its run has finished no shard yet" if unfinished else "no data/clips/*.parquet"
        raise UsageError(f"{out} holds no dataset: {why}; `massannot annotate -o {out}` writes one")
    return dataset


class Dataset:
    """Tables by name, clips by id."""

    def __init__(self, layout: Layout):
        self.layout = layout

    def __repr__(self) -> str:
        return f"Dataset({str(self.layout.out)!r}, {len(self.clip_ids)} clips, {self.names})"

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The tables that are there, in alphabetical order; empty: no clips, so no dataset."""
        there = tuple(name for name in tables.names() if self._files(name))
        return there if "clips" in there else ()

    @cached_property
    def shards(self) -> tuple[str, ...]:
        """Names of the finished shards: the files of `clips`, without their ending."""
        return tuple(sorted(path.stem for path in (self.layout.data / "clips").glob("*.parquet")))

    def table(self, name: str) -> pa.Table:
        """All rows of one table, in key order. Raises UsageError naming the tables there are."""
        parts = [read_parquet(path, name=name) for path in self._files_of(name)]
        return tables.spec(name).sorted(pa.concat_tables(parts))

    def table_or_empty(self, name: str) -> pa.Table:
        """All rows of one table, in key order; none where the dataset has no such table."""
        return self.table(name) if name in self.names else tables.spec(name).empty()

    def shard(self, shard: str) -> dict[str, pa.Table]:
        """Every table of one shard, as it lies, by name; a table without a file is left out."""
        paths = {name: self.layout.published(name, shard) for name in self.names}
        return {n: read_parquet(path, name=n) for n, path in paths.items() if path.exists()}

    @cached_property
    def clip_ids(self) -> tuple[str, ...]:
        """Every clip, by video and time."""
        clips = self.table("clips").sort_by([("uri", "ascending"), ("clip_index", "ascending")])
        return tuple(dict.fromkeys(clips["clip_id"].to_pylist()))

    def clips(self) -> Iterator[ClipView]:
        """Every clip, by video and time."""
        return map(self.clip, self.clip_ids)

    def clip(self, clip_id: str) -> ClipView:
        """One clip. Raises UsageError for an id that is not there."""
        if clip_id not in self._file_stem_of_clip:
            raise UsageError(
                f"{self.layout.out} has no clip {clip_id!r} among its {len(self.clip_ids)} clips"
            )
        return ClipView(clip_id, self._rows_of_clip)

    def _rows_of_clip(self, name: str, clip_id: str) -> pa.Table:
        """Rows of one clip; empty where the table or the clip's rows are not there."""
        if name not in self.names:
            return tables.spec(name).empty()
        files = self._files(name)
        if self.layout.run.is_dir():
            files = [p for p in files if p.stem == self._file_stem_of_clip[clip_id]]
        parts = [read_parquet(path, name=name, clip_id=clip_id) for path in files]
        return pa.concat_tables([tables.spec(name).empty(), *parts]).combine_chunks()

    @cached_property
    def _file_stem_of_clip(self) -> dict[str, str]:
        return {
            clip_id: path.stem
            for path in self._files("clips")
            for clip_id in read_parquet(path, name="clips")["clip_id"].to_pylist()
        }

    def _files_of(self, name: str) -> list[Path]:
        files = self._files(name)
        if not files:
            raise UsageError(
                f"{self.layout.out} has no table {name!r}; tables: {', '.join(self.names)}"
            )
        return files

    def _files(self, name: str) -> list[Path]:
        files = sorted((self.layout.data / name).glob("*.parquet"))
        if self.layout.run.is_dir():  # a published folder has other file names for each table
            finished = set(self.shards)
            files = [path for path in files if path.stem in finished]
        return files
