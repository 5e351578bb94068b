"""The rows of a committed shard as they stand, clip by clip: what its next generation takes over,
puts right, or adds to."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from massannot.dataset.commits import Commit
from massannot.dataset.journal import ClipKey
from massannot.dataset.layout import Layout
from massannot.dataset.merge import OF_SHARD
from massannot.dataset.reading import ClipView
from massannot.storage.parquet import read_parquet


class StandingShard:
    """Each table is read once, when it is first asked for. Raises BadTable for a damaged file."""

    def __init__(self, layout: Layout, commit: Commit) -> None:
        self.commit = commit
        self._layout = layout
        self._names = {file.table for file in commit.files}
        self._read: dict[str, pa.Table] = {}

    def table(self, name: str) -> pa.Table:
        """All rows of the shard."""
        if name not in self._read:
            path = self._layout.published(name, self.commit.shard)
            self._read[name] = read_parquet(path, name=name)
        return self._read[name]

    @cached_property
    def clip_ids(self) -> Mapping[ClipKey, str]:
        """Every finished clip."""
        columns = (self.table("clips")[name].to_pylist() for name in ("uri", "clip_index"))
        keys = (ClipKey(*key) for key in zip(*columns, strict=True))
        return dict(zip(keys, self.table("clips")["clip_id"].to_pylist(), strict=True))

    def view(self, clip_id: str) -> ClipView:
        """One clip as readers see it."""
        return ClipView(clip_id, lambda name, _: self._of_clip(name, clip_id))

    def rows_of(self, key: ClipKey) -> dict[str, pa.Table]:
        """The tables of a finished clip, as its part held them."""
        clip_id = self.clip_ids[key]
        found = {n: self._of_clip(n, clip_id) for n in self._names if n not in OF_SHARD}
        found["videos"] = of_value(self.table("videos"), uri=key.uri)
        asked = self._questions_of(clip_id)
        return {**found, "questions": asked} if asked.num_rows else found

    def _of_clip(self, name: str, clip_id: str) -> pa.Table:
        return of_value(self.table(name), clip_id=clip_id)

    def _questions_of(self, clip_id: str) -> pa.Table:
        questions = self.table("questions")
        asked = [clip_id in (ids or ()) for ids in questions["clip_ids"].to_pylist()]
        return questions.filter(pa.array(asked, pa.bool_()))


def of_value(table: pa.Table, **wanted: str) -> pa.Table:
    """The rows in which a column has this value."""
    ((column, value),) = wanted.items()
    return table.filter(pc.equal(table[column], value))
