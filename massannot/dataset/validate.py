"""Validation of a whole dataset: its files, its tables, and its tables against each other.

Validation of a published dataset, whose tables are cut into files each in its own way.

All tables that belong to clips have the clips in one order, so they are walked through side by
side, some clips at a time.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from massannot import tables
from massannot.counts import counted
from massannot.dataset import commits
from massannot.dataset.publish import RECORD
from massannot.dataset.reading import Dataset, table_names
from massannot.errors import BadTable
from massannot.storage.json_text import our_own, parsed
from massannot.storage.parquet import read_parquet, readable, upgraded
from massannot.tables import _consistency as consistency
from massannot.tables import upgrades_of

CLIPS_AT_ONCE = 64
OF_VIDEOS = tuple(name for name in tables.names() if not tables.spec(name).of_clips)
"""Small enough to be held."""


def is_published(dataset: Dataset) -> bool:
    """Whether `publish` wrote it."""
    return (dataset.layout.out / RECORD).is_file()


def _problems_published(dataset: Dataset) -> Iterator[str]:
    """One sentence for each thing that is wrong."""
    path = dataset.layout.out / RECORD
    with our_own(path, "publish again, or fetch the dataset again"):
        broken = list(_of_files(dataset, parsed(path.read_bytes())["files"]))
    yield from broken
    if broken:  # what is said of tables would only repeat it
        return
    try:
        yield from _of_tables(dataset)
    except BadTable as error:
        yield str(error)


def _of_files(dataset: Dataset, expected: Sequence[dict[str, Any]]) -> Iterator[str]:
    there = {
        f"data/{name}/{path.name}"
        for name in table_names(dataset.layout)
        for path in (dataset.layout.data / name).glob("*.parquet")
    }
    for file in expected:
        if file["name"] not in there:
            yield f"{file['name']} is missing; the command that published this completes it"
            continue
        there.remove(file["name"])
        path = dataset.layout.out / file["name"]
        try:
            with readable(path):
                rows = pq.ParquetFile(path).metadata.num_rows
        except BadTable as error:
            yield str(error)
            continue
        if rows != file["rows"]:
            yield f"{file['name']} has {counted(rows, 'row')}, {RECORD} says {file['rows']}"
    yield from (f"{name} is there, but not in {RECORD}" for name in sorted(there))


def _of_tables(dataset: Dataset) -> Iterator[str]:
    held = {name: dataset.table(name) for name in OF_VIDEOS if name in dataset.names}
    yield from consistency.problems({n: t for n, t in held.items() if n != "identities"})
    videos, identities = held.get("videos"), held.get("identities")
    if identities is not None:
        yield from consistency.problems_of_links(identities)
    others = {
        name: _Walk(dataset, name) for name in dataset.names if name not in (*OF_VIDEOS, "clips")
    }
    for clips in _some_clips(dataset):
        found = {name: walk.take(clips["clip_id"]) for name, walk in others.items()}
        if videos is not None:
            found["videos"] = videos.filter(
                pc.is_in(videos["video_id"], value_set=clips["video_id"].combine_chunks())
            )
        yield from consistency.problems({"clips": clips, **found})
        if identities is not None and "entities" in found:
            of_clips = pc.is_in(identities["clip_id"], value_set=clips["clip_id"].combine_chunks())
            yield from consistency.problems_of_identified(
                identities.filter(of_clips), found["entities"]
            )
    for name, walk in others.items():
        left = walk.left()
        if left is not None:
            yield f"table {name}: rows of clip {left}, which is not in clips at this place"
    n_clips = pc.value_counts(dataset.table("clips")["clip_id"])
    for count in n_clips.filter(pc.greater(n_clips.field("counts"), 1)).to_pylist():
        yield (
            f"table clips: clip {count['values']} is there {counted(count['counts'], 'time')}: "
            "the same video lies under several names; publish its run again, which leaves copies "
            "out"
        )


def _some_clips(dataset: Dataset) -> Iterator[pa.Table]:
    """The rows of `clips` as they lie, at most so many at once and each time in key order."""
    for group in _groups(dataset, "clips"):
        ids = np.array(group["clip_id"].to_pylist(), dtype=str)
        cuts = {0, len(ids), *(np.flatnonzero(ids[1:] < ids[:-1]) + 1).tolist()}
        cuts |= set(range(0, len(ids), CLIPS_AT_ONCE))
        edges = sorted(cuts)
        for start, end in itertools.pairwise(edges):
            yield group.slice(start, end - start)


class _Walk:
    """One table, taken clip by clip from its beginning."""

    def __init__(self, dataset: Dataset, name: str):
        self._groups = _groups(dataset, name)
        self._rest = dataset.spec(name).empty()

    def take(self, clip_ids: pa.ChunkedArray) -> pa.Table:
        """The next rows, as long as they are of these clips."""
        taken = [self._rest.slice(0, 0)]
        while True:
            wanted = pc.is_in(self._rest["clip_id"], value_set=clip_ids.combine_chunks())
            other = np.flatnonzero(~wanted.to_numpy())
            end = int(other[0]) if len(other) else self._rest.num_rows
            taken.append(self._rest.slice(0, end))
            self._rest = self._rest.slice(end)
            if self._rest.num_rows:
                return pa.concat_tables(taken).combine_chunks()
            group = next(self._groups, None)
            if group is None:
                return pa.concat_tables(taken).combine_chunks()
            self._rest = group

    def left(self) -> str | None:
        """The clip of the first row that nobody took."""
        while not self._rest.num_rows:
            group = next(self._groups, None)
            if group is None:
                return None
            self._rest = group
        found: str = self._rest["clip_id"][0].as_py()
        return found


def _groups(dataset: Dataset, name: str) -> Iterator[pa.Table]:
    """The row groups of all files of a table, as they lie."""
    for path in sorted((dataset.layout.data / name).glob("*.parquet")):
        with pq.ParquetFile(path) as file:
            for number in range(file.num_row_groups):
                group = file.read_row_group(number)
                group = group.replace_schema_metadata(file.schema_arrow.metadata)
                yield upgraded(group, spec=dataset.spec(name), upgrades=upgrades_of(name))


def problems(dataset: Dataset) -> Iterator[str]:
    """One sentence for each thing that is wrong; none: the dataset is what it claims to be."""
    if dataset.layout.run.is_dir():
        yield from commits.damage(dataset.layout)
        yield from _half_published(dataset)
    elif is_published(dataset):
        yield from _problems_published(dataset)
        return
    n_clips: Counter[tuple[str, str]] = Counter()
    for shard in dataset.shards:
        found: dict[str, pa.Table] = {}
        for name in dataset.names:
            path = dataset.layout.published(name, shard)
            if not path.exists():
                yield f"data/{name}/{shard}.parquet is missing, but its clips are there"
                continue
            try:
                found[name] = read_parquet(path, name=name)
            except BadTable as error:
                yield str(error)
        yield from (f"shard {shard}: {problem}" for problem in consistency.problems(found))
        if "clips" in found:
            named = (found["clips"][name].to_pylist() for name in ("clip_id", "uri"))
            n_clips.update(zip(*named, strict=True))
    for (clip_id, uri), count in n_clips.items():
        if count > 1:  # under several uris: byte copies, of which readers take one
            yield f"table clips: clip {clip_id} of {uri} is there {counted(count, 'time')}"


def _half_published(dataset: Dataset) -> Iterator[str]:
    for name in table_names(dataset.layout):
        for path in sorted((dataset.layout.data / name).glob("*.parquet")):
            if path.stem not in dataset.shards:
                yield (
                    f"data/{name}/{path.name} is there, but not its clips: publishing was "
                    "interrupted; the command that made this folder completes it"
                )
