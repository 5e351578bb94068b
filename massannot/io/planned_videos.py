"""PlannedVideos: the videos of a plan in the making, held by column. A million take some hundred
megabytes; as a million objects they would take a gigabyte."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from massannot.io.plan import PlannedVideo
from massannot.io.span import Span

AT_ONCE = 4096
COLUMNS = pa.schema(
    {
        "uri": pa.large_string(),
        "source_id": pa.large_string(),
        "size_bytes": pa.int64(),
        "mtime_ns": pa.int64(),
        "license": pa.string(),
        "cost": pa.float64(),
        "etag": pa.large_string(),
        "n_clips": pa.int32(),
    }
)
assert {*COLUMNS.names, "spans"} == {field.name for field in fields(PlannedVideo)}


class PlannedVideos(Sequence[PlannedVideo]):
    """In the order in which they were given. Equal `spans` should be one object."""

    def __init__(self, videos: Iterable[PlannedVideo]):
        self.spans: list[tuple[Span, ...]] = []
        chunks = {field.name: [pa.array([], field.type)] for field in COLUMNS}
        rest = iter(videos)
        while some := list(itertools.islice(rest, AT_ONCE)):
            self.spans += [video.spans for video in some]
            for field in COLUMNS:
                values = [getattr(video, field.name) for video in some]
                chunks[field.name].append(pa.array(values, field.type))
        whole = [pa.concat_arrays(chunks.pop(name)) for name in COLUMNS.names]  # one at a time
        self._table = pa.table(whole, schema=COLUMNS)

    def __len__(self) -> int:
        return len(self.spans)

    @overload
    def __getitem__(self, index: int) -> PlannedVideo: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[PlannedVideo]: ...
    def __getitem__(self, index: int | slice) -> PlannedVideo | Sequence[PlannedVideo]:
        places = np.arange(len(self))[index]
        found = self.at(np.atleast_1d(places))
        return found if isinstance(index, slice) else found[0]

    def __iter__(self) -> Iterator[PlannedVideo]:
        for start in range(0, len(self), AT_ONCE):
            yield from self[start : start + AT_ONCE]

    def at(self, places: npt.NDArray[np.int64]) -> list[PlannedVideo]:
        """Those at these places, in this order."""
        rows = self._table.take(pa.array(places)).to_pylist()
        return [
            PlannedVideo(spans=self.spans[n], **row)
            for n, row in zip(places.tolist(), rows, strict=True)
        ]

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """(N,) bytes; 0 where nobody knows."""
        return self._numbers("size_bytes")

    @property
    def costs(self) -> npt.NDArray[np.float64]:
        """(N,)"""
        return self._numbers("cost")

    def expecting(
        self, costs: npt.NDArray[np.float64], n_clips: npt.NDArray[np.int32]
    ) -> PlannedVideos:
        """The same videos, with these costs and as many clips; 0 clips: nobody knows."""
        other = PlannedVideos(())
        other.spans = self.spans
        other._table = self._table
        clips = pa.array(n_clips, mask=n_clips == 0)
        for name, column in (("cost", pa.array(costs)), ("n_clips", clips)):
            place = COLUMNS.get_field_index(name)
            other._table = other._table.set_column(place, COLUMNS.field(place), column)
        return other

    def _numbers(self, name: str) -> npt.NDArray[Any]:
        return self._table[name].combine_chunks().fill_null(0).to_numpy(zero_copy_only=False)
