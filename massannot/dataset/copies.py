"""Byte copies in different shards, whose workers knew nothing of each other: the lowest uri wins.

Both have annotated the same clips. In a run's folder the rows of the others stay where they are and
readers leave them out; published files do not have them, and `publish` says for which phrases the
others were asked and the first was not. `videos` keeps a row for every file, and
`same_as` names the first.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from massannot.dataset.commits import READ_AT_ONCE, Commit
from massannot.dataset.layout import Layout
from massannot.errors import BadTable
from massannot.storage.parquet import read_columns
from massannot.tables._spec import TableSpec, stated

SHOWN = 20
"""Phrases that are named in words."""


@dataclass(frozen=True)
class Copies:
    """What the copies among some finished shards do to their rows. Read when it is first asked."""

    layout: Layout
    shards: tuple[str, ...] = field(repr=False)

    @cached_property
    def lost(self) -> Mapping[str, frozenset[str]]:
        """By shard: the clips that stand in another one under a lower uri."""
        lost: dict[str, set[str]] = defaultdict(set)
        for clip_id, places in self._several("clips", "clip_id").items():
            for _, shard in sorted(places)[1:]:
                lost[shard].add(clip_id)
        return {shard: frozenset(clip_ids) for shard, clip_ids in lost.items()}

    @cached_property
    def first(self) -> Mapping[str, str]:
        """By video_id, of those that are there several times: the lowest uri."""
        return {video_id: min(places)[0] for video_id, places in self._videos.items()}

    @cached_property
    def _videos(self) -> Mapping[str, list[tuple[str, str]]]:
        return self._several("videos", "video_id")

    @cached_property
    def n_copies(self) -> int:
        """Files whose bytes another file of a lower uri has too."""
        return sum(len(places) - 1 for places in self._videos.values())

    @cached_property
    def unasked(self) -> Mapping[str, int]:
        """Phrases that only clips which gave way were asked for, and of how many clips each is
        missing: nothing in the dataset says whether such a thing is there."""
        gone = pa.array(sorted({i for ids in self.lost.values() for i in ids}), pa.string())
        texts: tuple[set[tuple[str, str]], set[tuple[str, str]]] = (set(), set())
        for shard, rows in self._read("phrases", ["clip_id", "text"]) if len(gone) else ():
            rows = rows.filter(pc.is_in(rows["clip_id"], value_set=gone))
            for pair in zip(rows["clip_id"].to_pylist(), rows["text"].to_pylist(), strict=True):
                texts[pair[0] in self.lost.get(shard, ())].add(pair)
        asked, of_gone = texts
        return dict(sorted(Counter(text for _, text in of_gone - asked).items()))

    @cached_property
    def unasked_line(self) -> str | None:
        """The same in words; None: there are none."""
        if not self.unasked:
            return None
        some = [f"{text!r} ({n:,})" for text, n in list(self.unasked.items())[:SHOWN]]
        more = [f"{len(self.unasked) - SHOWN:,} more"] if len(self.unasked) > SHOWN else []
        return (
            "phrases that were asked of a copy alone, and not of the clips that stand for it "
            f"(clips): {', '.join([*some, *more])}; annotate the file that `same_as` names for them"
        )

    def resolved(self, table: pa.Table, *, spec: TableSpec, shard: str) -> pa.Table:
        """Some rows of a shard's table, as a reader is to see them."""
        if spec.name == "videos":
            return _with_first(table, self.first) if self.first else table
        if "clip_id" not in spec.key or shard not in self.lost:
            return table
        return table.filter(pc.invert(pc.is_in(table["clip_id"], value_set=self._ids(shard))))

    def counted(self, commit: Commit) -> Commit:
        """The commit with the rows and clips that are left of it."""
        if commit.shard not in self.lost:
            return commit
        gone = {file.table: self._rows_lost(file.table, commit.shard) for file in commit.files}
        files = tuple(replace(file, rows=file.rows - gone[file.table]) for file in commit.files)
        return replace(commit, clips_done=commit.clips_done - gone["clips"], files=files)

    def _rows_lost(self, table: str, shard: str) -> int:
        rows = _columns(self.layout.published(table, shard), ["clip_id"])
        if "clip_id" not in stated(rows.schema).key:
            return 0
        return int(pc.sum(pc.is_in(rows["clip_id"], value_set=self._ids(shard))).as_py() or 0)

    def _ids(self, shard: str) -> pa.Array:
        return pa.array(sorted(self.lost[shard]), pa.string())

    def _several(self, table: str, column: str) -> dict[str, list[tuple[str, str]]]:
        """(uri, shard) of each value that has several rows. Holds one number a row at first."""
        hashes = [
            np.fromiter(map(hash, rows[column].to_pylist()), np.int64)
            for _, rows in self._read(table, [column])
        ]
        in_order = np.sort(np.concatenate([np.empty(0, np.int64), *hashes]))
        twice = frozenset(in_order[1:][in_order[1:] == in_order[:-1]].tolist())
        places: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for shard, rows in self._read(table, [column, "uri"]) if twice else ():
            for value, uri in zip(rows[column].to_pylist(), rows["uri"].to_pylist(), strict=True):
                if hash(value) in twice:
                    places[value].append((uri, shard))
        return {value: found for value, found in places.items() if len(found) > 1}

    def _read(self, table: str, columns: list[str]) -> Iterator[tuple[str, pa.Table]]:
        """Of every shard whose file can be read; what is wrong with the others, others say."""
        paths = [self.layout.published(table, shard) for shard in self.shards]
        with ThreadPoolExecutor(READ_AT_ONCE if self.layout.in_bucket else 1) as pool:
            read = pool.map(lambda path: _columns(path, columns), paths)
            yield from (
                (shard, rows)
                for shard, rows in zip(self.shards, read, strict=True)
                if rows.num_columns == len(columns)
            )


def _columns(path: Path, columns: list[str]) -> pa.Table:
    """Some columns of a file; none where it cannot be read."""
    try:
        return read_columns(path, columns)
    except BadTable:
        return pa.table({})


def _with_first(table: pa.Table, first: Mapping[str, str]) -> pa.Table:
    """Rows of `videos` whose `same_as` is right over all shards."""
    ids, uris = table["video_id"].to_pylist(), table["uri"].to_pylist()
    same_as = [
        None if first.get(video_id, uri) == uri else first[video_id]
        for video_id, uri in zip(ids, uris, strict=True)
    ]
    index = table.schema.get_field_index("same_as")
    field_of = table.schema.field(index)
    return table.set_column(index, field_of, pa.array(same_as, field_of.type))
