"""Validation of a whole dataset: its files, its tables, and its tables against each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pyarrow as pa

from massannot import tables
from massannot.errors import BadTable
from massannot.io import commits, validate_published
from massannot.io.dataset import Dataset
from massannot.io.read_parquet import read_parquet
from massannot.tables import consistency


def problems(dataset: Dataset) -> Iterator[str]:
    """One sentence for each thing that is wrong; none: the dataset is what it claims to be."""
    if dataset.layout.run.is_dir():
        yield from commits.damage(dataset.layout)
        yield from _half_published(dataset)
    elif validate_published.is_published(dataset):
        yield from validate_published.problems(dataset)
        return
    n_clips: Counter[str] = Counter()
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
            n_clips.update(found["clips"]["clip_id"].to_pylist())
    for clip_id, count in n_clips.items():
        if count > 1:
            yield (
                f"table clips: clip {clip_id} is there {count} times: the same video lies under "
                "several names"
            )


def _half_published(dataset: Dataset) -> Iterator[str]:
    for name in tables.names():
        for path in sorted((dataset.layout.data / name).glob("*.parquet")):
            if path.stem not in dataset.shards:
                yield (
                    f"data/{name}/{path.name} is there, but not its clips: publishing was "
                    "interrupted; the command that made this folder completes it"
                )
