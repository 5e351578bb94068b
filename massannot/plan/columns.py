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

from massannot.inputs.span import Span
from massannot.plan.planned_videos import PlannedVideo

AT_ONCE = 4096
BLOCK = 16 * AT_ONCE
"""Videos in one Arrow table. One table for all would be there twice while it is made; of small ones
the videos of a shard, who come from anywhere, would be long in picking."""
COLUMNS = pa.schema(
    {
        "uri": pa.string(),
        "source_id": pa.string(),
        "size_bytes": pa.int64(),
        "mtime_ns": pa.int64(),
        "license": pa.string(),
        "cost": pa.float64(),
        "etag": pa.string(),
        "n_clips": pa.int32(),
    }
)
assert {*COLUMNS.names, "spans"} == {field.name for field in fields(PlannedVideo)}


class PlannedVideos(Sequence[PlannedVideo]):
    """In the order in which they were given. Equal `spans` should be one object."""

    def __init__(self, videos: Iterable[PlannedVideo]):
        self.spans: list[tuple[Span, ...]] = []
        self._blocks: list[pa.Table] = []
        rest = iter(videos)
        while pieces := list(itertools.islice(self._pieces(rest), BLOCK // AT_ONCE)):
            self._blocks.append(pa.concat_tables(pieces).combine_chunks())
        pa.default_memory_pool().release_unused()

    def _pieces(self, videos: Iterator[PlannedVideo]) -> Iterator[pa.Table]:
        while some := list(itertools.islice(videos, AT_ONCE)):
            self.spans += [video.spans for video in some]
            columns = [[getattr(video, name) for video in some] for name in COLUMNS.names]
            yield pa.table(columns, schema=COLUMNS)

    def __len__(self) -> int:
        return len(self.spans)

    @overload
    def __getitem__(self, index: int) -> PlannedVideo: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[PlannedVideo]: ...
    def __getitem__(self, index: int | slice) -> PlannedVideo | Sequence[PlannedVideo]:
        if isinstance(index, slice):
            return self.at(np.arange(*index.indices(len(self))))
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self.at(np.array([index % len(self)]))[0]

    def __iter__(self) -> Iterator[PlannedVideo]:
        for start in range(0, len(self), AT_ONCE):
            yield from self[start : start + AT_ONCE]

    def at(self, places: npt.NDArray[np.integer[Any]]) -> list[PlannedVideo]:
        """Those at these places, in this order."""
        found: dict[int, PlannedVideo] = {}
        for block in np.unique(places // BLOCK).tolist():
            inside = places[places // BLOCK == block]
            rows = self._blocks[block].take(pa.array(inside % BLOCK))
            columns = [column.to_pylist() for column in rows.columns]
            for place, *values in zip(inside.tolist(), *columns, strict=True):
                known = dict(zip(COLUMNS.names, values, strict=True))
                found[place] = PlannedVideo(spans=self.spans[place], **known)
        return [found[place] for place in places.tolist()]

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
        for start, block in zip(range(0, len(self), BLOCK), self._blocks, strict=True):
            some = slice(start, start + BLOCK)
            clips = pa.array(n_clips[some], mask=n_clips[some] == 0)
            for name, column in (("cost", pa.array(costs[some])), ("n_clips", clips)):
                place = COLUMNS.get_field_index(name)
                block = block.set_column(place, COLUMNS.field(place), column)
            other._blocks.append(block)
        return other

    def _numbers(self, name: str) -> npt.NDArray[Any]:
        kind = COLUMNS.field(name).type.to_pandas_dtype()
        numbers = np.empty(len(self), kind)
        for start, block in zip(range(0, len(self), BLOCK), self._blocks, strict=True):
            numbers[start : start + BLOCK] = block[name].fill_null(0).to_numpy()
        return numbers
