"""ClipRows: the rows of one clip by key, and a record of which were read and what for.

What is read is the evidence of an answer: a single row, or all rows that begin with a key. Each has
a digest of every cell, so that a cell that is changed later is found.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from massannot import tables
from massannot.dataset.reading import Dataset
from massannot.errors import BadQuestion
from massannot.storage.parquet import read_parquet

Row = Mapping[str, Any]
Key = tuple[Any, ...]

TABLES = (
    "clips", "frames", "phrases", "entities", "masks", "positions", "motions", "events", "cameras",
    "orientations",
)  # fmt: skip
"""That programs read."""
CLIPS_AT_ONCE = 256


class MissingRow(BadQuestion):
    """A row that a program reads and that is not there, or was not cited."""


@dataclass(frozen=True)
class RowRead:
    table: str
    key: Key
    role: str
    step: int


@dataclass
class ClipRows:
    """Rows of one clip. `only`: nothing but these may be read."""

    tables: Mapping[str, pa.Table]
    clip_id: str
    only: frozenset[tuple[str, Key]] | None = None
    cited: dict[tuple[str, Key], RowRead] = field(default_factory=dict)
    step: int = 0
    memo: dict[Any, Any] = field(default_factory=dict)
    """What was computed of rows, by whoever reads them."""
    _index: dict[str, dict[Key, Row]] = field(default_factory=dict)
    _digests: dict[tuple[str, Key], str] = field(default_factory=dict)

    def row(self, table: str, *key: Any, role: str) -> Row:
        """The row of `key`, without its clip_id. Raises MissingRow."""
        whole = (self.clip_id, *key)
        self._cite(table, whole, role)
        found = self._rows(table).get(whole)
        if found is None:
            raise MissingRow(f"{table} {list(whole)}: found no such row, expected one")
        return found

    def rows(self, table: str, *key: Any, role: str) -> list[Row]:
        """All rows whose key begins so, in key order."""
        whole = (self.clip_id, *key)
        self._cite(table, whole, role)
        n = len(whole)
        return [row for found, row in self._rows(table).items() if found[:n] == whole]

    def fresh(self, only: frozenset[tuple[str, Key]] | None = None) -> ClipRows:
        """The same rows with nothing read yet."""
        return ClipRows(
            self.tables,
            self.clip_id,
            only,
            memo=self.memo,
            _index=self._index,
            _digests=self._digests,
        )

    def has(self, table: str, key: Key) -> bool:
        """Whether there is a row of `key`, which has its clip_id; of a shorter key always."""
        return len(key) < len(tables.spec(table).key) or key in self._rows(table)

    def digest(self, table: str, key: Key) -> str:
        """blake2b-64 of all cells of the rows that begin with `key`, as hex; a null is no cell, so
        that a column that a later version adds changes nothing."""
        if (table, key) not in self._digests:
            found = self._rows(table)
            if len(key) == len(tables.spec(table).key):
                rows = [found[key]] if key in found else []
            else:
                rows = [row for there, row in found.items() if there[: len(key)] == key]
            cells = [{name: x for name, x in row.items() if x is not None} for row in rows]
            text = json.dumps(cells, separators=(",", ":"))
            digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
            self._digests[table, key] = digest
        return self._digests[table, key]

    def _cite(self, table: str, key: Key, role: str) -> None:
        if self.only is not None and (table, key) not in self.only:
            raise MissingRow(f"{table} {list(key)}: is read, but not among what was cited")
        self.cited.setdefault((table, key), RowRead(table, key, role, self.step))

    def _rows(self, table: str) -> dict[Key, Row]:
        if table not in self._index:
            names = tables.spec(table).key
            found = self.tables[table].to_pylist() if table in self.tables else []
            self._index[table] = {tuple(row[name] for name in names): row for row in found}
        return self._index[table]


class DatasetRows:
    """Rows of a dataset's clips, some clips at a time."""

    def __init__(self, dataset: Dataset, *, orientations: pa.Table | None = None):
        """`orientations`: a table that is none of the dataset's own."""
        self.dataset = dataset
        self.orientations = orientations

    def of(self, clip_ids: list[str]) -> dict[str, ClipRows]:
        """By clip_id; a clip that is not there has no rows."""
        wanted = pa.array(clip_ids)
        found: dict[str, dict[str, pa.Table]] = {clip_id: {} for clip_id in clip_ids}
        for name in TABLES:
            for table in self._tables(name):
                table = table.filter(pc.is_in(table["clip_id"], value_set=wanted)).combine_chunks()
                for clip_id, first, n in _runs(table):
                    found[clip_id][name] = table.slice(first, n)
        return {clip_id: ClipRows(parts, clip_id) for clip_id, parts in found.items()}

    def _tables(self, name: str) -> Iterator[pa.Table]:
        if name == "orientations" and self.orientations is not None:
            yield self.orientations
            return
        for path in self.dataset.files(name):
            yield read_parquet(path, name=name)

    def each(self, clip_ids: Sequence[str]) -> Iterator[ClipRows]:
        """Of the clips in this order, some read at a time."""
        for first in range(0, len(clip_ids), CLIPS_AT_ONCE):
            yield from self.of(list(clip_ids[first : first + CLIPS_AT_ONCE])).values()


def _runs(table: pa.Table) -> list[tuple[str, int, int]]:
    """clip_id, first row and number of rows; rows of a clip lie together."""
    if table.num_rows == 0:
        return []
    encoded = pc.run_end_encode(table["clip_id"].combine_chunks())
    ends = encoded.run_ends.to_pylist()
    starts = [0, *ends[:-1]]
    values = encoded.values.to_pylist()
    return [(v, start, end - start) for v, start, end in zip(values, starts, ends, strict=True)]
