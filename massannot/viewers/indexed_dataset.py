"""A dataset with its index of clips in memory, of which a list, a sample or a report is made.

Of each table the few columns that the index has are read, file by file; a dataset of millions of
clips is never in memory whole.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from massannot.dataset.reading import Dataset
from massannot.storage.parquet import read_parquet
from massannot.viewers.clip_index import ClipIndex

STATE_COLUMNS = ["clip_id", "state"]
STATES_AT_ONCE = 250_000


class IndexedDataset:
    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self._has_copies = False
        self._reading = threading.Lock()

    @property
    def index(self) -> ClipIndex:
        """Read once, by whoever asks first."""
        with self._reading:
            return self._index

    @cached_property
    def _index(self) -> ClipIndex:
        return ClipIndex.read(self.columns)

    @cached_property
    def failures(self) -> pa.Table:
        return self.dataset.table_or_empty("failures")

    def columns(self, name: str, wanted: Sequence[str]) -> pa.Table:
        """Some columns of a whole table. A clip that two shards hold is resolved by the dataset."""
        if self._has_copies:
            return self.dataset.table_or_empty(name).select(list(wanted))
        found = self.dataset.columns(name, wanted)
        pa.default_memory_pool().release_unused()  # of reading whole columns, before the next ones
        if name == "clips" and len(found["clip_id"].unique()) < found.num_rows:
            self._has_copies = True
            return self.columns(name, wanted)
        return found

    def count_states(self) -> None:
        """Read the states of all positions, some at a time; takes a while in a large dataset. To
        find the clips costs as much as the index has, so as many pairs of clip and state wait."""
        files = self.dataset.files("positions")
        total = sum(pq.read_metadata(path).num_rows for path in files)
        counted, pairs = 0, list[pa.Table]()
        for batch in (batch for path in files for batch in _states(path)):
            counted += batch.num_rows
            part = pa.Table.from_batches([batch])
            pairs.append(part.group_by(STATE_COLUMNS, use_threads=False).aggregate([]))
            if sum(map(len, pairs)) >= len(self.index):
                self.index.count_states(pa.concat_tables(pairs), share=counted / total)
                pairs.clear()
        if pairs:
            self.index.count_states(pa.concat_tables(pairs), share=1.0)
        self.index.states_counted = 1.0


def _states(path: Path) -> Iterator[pa.RecordBatch]:
    file = pq.ParquetFile(path)
    if {*STATE_COLUMNS} <= {*file.schema_arrow.names}:
        yield from file.iter_batches(STATES_AT_ONCE, columns=STATE_COLUMNS)
    else:
        yield from read_parquet(path, name="positions").select(STATE_COLUMNS).to_batches()
