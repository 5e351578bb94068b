"""Publishing the accepted clips alone: whatever belongs to another clip is left out, and so are
questions that somebody rejected."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from massannot.dataset.commits import Commit
from massannot.dataset.layout import Layout


@dataclass(frozen=True)
class AcceptedClips:
    """The clips that stay."""

    layout: Layout
    clip_ids: Collection[str]
    rejected_questions: Collection[str] = ()

    def left(self, table: str, rows: pa.Table) -> pa.Table:
        """The rows of a table that belong to these clips, or to none."""
        return rows.filter(self._stays(table, rows)) if "clip_id" in rows.column_names else rows

    def counted(self, commit: Commit) -> Commit:
        """The commit with the rows and clips that stay of it."""
        files = tuple(
            replace(file, rows=self._n_left(file.table, commit.shard, file.rows))
            for file in commit.files
        )
        clips = next(file.rows for file in files if file.table == "clips")
        return replace(commit, clips_done=clips, files=files)

    def _n_left(self, table: str, shard: str, rows: int) -> int:
        file = pq.ParquetFile(self.layout.published(table, shard))
        if "clip_id" not in file.schema_arrow.names:
            return rows
        key = ["question_id"] if table == "questions" else []
        found = file.read(columns=["clip_id", *key])
        return int(pc.sum(self._stays(table, found)).as_py() or 0)

    def _stays(self, table: str, rows: pa.Table) -> pa.ChunkedArray:
        stays = pc.or_(pc.is_in(rows["clip_id"], value_set=self._ids), pc.is_null(rows["clip_id"]))
        if table != "questions":
            return stays
        rejected = pa.array(sorted(self.rejected_questions), pa.string())
        return pc.and_(stays, pc.invert(pc.is_in(rows["question_id"], value_set=rejected)))

    @cached_property
    def _ids(self) -> pa.Array:
        return pa.array(sorted(self.clip_ids), pa.string())
