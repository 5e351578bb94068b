"""Planned videos: which videos, which spans of them, what to look for, and shards of them.

A shard is the unit of scheduling and of commit; all spans of a video lie in one. Planning asks the
file system for size and time of change and reads no picture: a file that changes afterwards is a
failure.

PlannedVideos holds the videos of a plan by column: a million take some hundred megabytes; as a
million objects they would take a gigabyte.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from massannot.inputs.span import Span, VideoSource
from massannot.storage.store import is_remote, store_of

REQUESTS_AT_ONCE = 32
"""Concurrent requests to a store."""


@dataclass(frozen=True, slots=True)
class PlannedVideo(VideoSource):
    """A video as the plan knows it: with the state that it must still be in when it is read.

    Without a `size_bytes` the file was missing; then reading it fails, and `failures` has a row.
    """

    cost: float = 0.0
    """Expected annotated pixels: how long it may take, compared with others in the same plan."""
    n_clips: int | None = None
    """Clips it will have, if its header is right; None: the header does not tell."""

    @property
    def expected_clips(self) -> int:
        """Clips as long as nothing of it has been read: one a span, or what its header says."""
        return max(1, len(self.spans), self.n_clips or 0)


@dataclass(frozen=True)
class Copy:
    """A file with the very bytes of another, which is read instead."""

    video: PlannedVideo
    same_as: str
    """The other's uri."""


def edition(shard: str, generation: int) -> str:
    """A shard's generation as staging, journals and commits name it; the first has the shard's own
    name. What is published has that name in every generation."""
    return f"{shard}.{generation}" if generation else shard


def split_edition(name: str) -> tuple[str, int]:
    """(shard, generation) of such a name."""
    shard, dot, number = name.rpartition(".")
    return (shard, int(number)) if dot and number.isdigit() else (name, 0)


@dataclass(frozen=True)
class Shard:
    """Videos that are committed together. Its id names the files in `data/<table>/`."""

    id: str
    videos: tuple[PlannedVideo, ...]
    copies: tuple[Copy, ...] = ()
    """Further files with the bytes of one of `videos`; none in a plan, which reads no file."""
    generation: int = 0
    """0: the first. Those after it replace its files, each when it is complete."""

    @property
    def edition(self) -> str:
        return edition(self.id, self.generation)

    @property
    def cost(self) -> float:
        return sum(video.cost for video in self.videos)


def with_file_states(videos: Iterable[PlannedVideo]) -> Iterator[PlannedVideo]:
    """The videos with their files' present size and time of change, or etag.

    A store is sent several requests at once. The cost is the size, until a header is read.
    """
    rest = iter(videos)
    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
        while batch := list(itertools.islice(rest, 32 * REQUESTS_AT_ONCE)):
            remote = any(is_remote(video.uri) for video in batch)
            yield from (pool.map if remote else map)(with_file_state, batch)


def with_file_state(video: PlannedVideo) -> PlannedVideo:
    """The video with its file's present state; unchanged where the file cannot be reached."""
    try:
        size, mtime_ns, etag = _state_of(video.uri)
    except (OSError, ValueError):  # ValueError: a name that no file system takes
        return video
    return PlannedVideo(  # dataclasses.replace takes three times as long
        video.uri,
        video.spans,
        video.source_id,
        size,
        mtime_ns,
        video.license,
        etag,
        video.source_kind,
        video.generator,
        float(size),
        video.n_clips,
    )


def _state_of(uri: str) -> tuple[int, int | None, str | None]:
    if is_remote(uri):
        entry = store_of(uri).head(uri)
        return entry.size_bytes, entry.mtime_ns, entry.etag
    state = os.stat(uri)
    return state.st_size, state.st_mtime_ns, None


AT_ONCE = 4096
BLOCK = 16 * AT_ONCE
"""Videos in one Arrow table. One big table would double peak memory while it is built; with small
ones, collecting a shard's scattered videos is slow."""
_REPEATED = pa.dictionary(pa.int32(), pa.string())
_KINDS = {
    "folder": _REPEATED,
    "name": pa.string(),
    "source_id": pa.string(),
    "size_bytes": pa.int64(),
    "mtime_ns": pa.int64(),
    "license": _REPEATED,
    "etag": pa.string(),
    "source_kind": _REPEATED,
    "generator": _REPEATED,
    "cost": pa.float64(),
    "n_clips": pa.int32(),
}
"""Fields of PlannedVideo without `spans`; `folder` and `name` together are `uri`."""
_OF_FILE = attrgetter("uri", *list(_KINDS)[2:])
assert ["uri", "spans", *list(_KINDS)[2:]] == [field.name for field in fields(PlannedVideo)]


class PlannedVideos(Sequence[PlannedVideo]):
    """In the order in which they were given. Equal `spans` should be one object."""

    def __init__(self, videos: Iterable[PlannedVideo]):
        self.spans: list[tuple[Span, ...]] = []
        self._blocks: list[dict[str, pa.Array]] = []
        rest = iter(videos)
        while pieces := list(itertools.islice(self._pieces(rest), BLOCK // AT_ONCE)):
            columns = ([piece[name] for piece in pieces] for name in _KINDS)
            self._blocks.append(dict(zip(_KINDS, map(_joined, columns), strict=True)))
        pa.default_memory_pool().release_unused()

    def _pieces(self, videos: Iterator[PlannedVideo]) -> Iterator[dict[str, pa.Array]]:
        while some := list(itertools.islice(videos, AT_ONCE)):
            self.spans += [video.spans for video in some]
            uris, *others = zip(*map(_OF_FILE, some), strict=True)
            cuts = [uri.rfind("/") + 1 for uri in uris]
            folders = [uri[:cut] for uri, cut in zip(uris, cuts, strict=True)]
            names = [uri[cut:] for uri, cut in zip(uris, cuts, strict=True)]
            yield {
                name: pa.array(column, kind)
                for (name, kind), column in zip(
                    _KINDS.items(), (folders, names, *others), strict=True
                )
            }

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

    def at(self, indices: npt.NDArray[np.integer[Any]]) -> list[PlannedVideo]:
        """The videos with these indices, in this order."""
        blocks = indices // BLOCK
        if len(blocks) and (blocks == blocks[0]).all():  # nearly always
            return self._inside(int(blocks[0]), indices)
        videos: dict[int, PlannedVideo] = {}
        for block in np.unique(blocks).tolist():
            inside = indices[blocks == block]
            videos.update(zip(inside.tolist(), self._inside(block, inside), strict=True))
        return [videos[index] for index in indices.tolist()]

    def _inside(self, block: int, indices: npt.NDArray[np.integer[Any]]) -> list[PlannedVideo]:
        """Those of one block."""
        rows = pa.array(indices % BLOCK)
        columns = (_taken(column, rows) for column in self._blocks[block].values())
        folders, names, *others = columns
        spans = map(self.spans.__getitem__, indices.tolist())
        return list(map(PlannedVideo, map(str.__add__, folders, names), spans, *others))

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """(N,) bytes; 0 where unknown."""
        return self._numbers("size_bytes")

    @property
    def costs(self) -> npt.NDArray[np.float64]:
        """(N,)"""
        return self._numbers("cost")

    def expecting(
        self, costs: npt.NDArray[np.float64], n_clips: npt.NDArray[np.int32]
    ) -> PlannedVideos:
        """The same videos with other costs and expected clips; 0 clips stands for unknown."""
        other = PlannedVideos(())
        other.spans = self.spans
        for start, block in zip(range(0, len(self), BLOCK), self._blocks, strict=True):
            some = slice(start, start + BLOCK)
            clips = pa.array(n_clips[some], mask=n_clips[some] == 0)
            other._blocks.append({**block, "cost": pa.array(costs[some]), "n_clips": clips})
        return other

    def _numbers(self, name: str) -> npt.NDArray[Any]:
        numbers = np.zeros(len(self), _KINDS[name].to_pandas_dtype())
        for start, block in zip(range(0, len(self), BLOCK), self._blocks, strict=True):
            if block[name].null_count < len(block[name]):
                numbers[start : start + BLOCK] = (
                    block[name].fill_null(0).to_numpy(zero_copy_only=False)
                )
        return numbers


def _joined(pieces: Sequence[pa.Array]) -> pa.Array:
    """One column of a block. One that is unknown throughout takes no memory, as five of ten are in
    most plans."""
    if all(piece.null_count == len(piece) for piece in pieces):
        return pa.nulls(sum(map(len, pieces)))
    return pa.concat_arrays(pieces)


def _taken(column: pa.Array, rows: pa.Array) -> list[Any]:
    if column.null_count == len(column):
        return [None] * len(rows)
    taken = column.take(rows)
    if pa.types.is_dictionary(column.type):
        taken = taken.dictionary_decode()
    values: list[Any] = taken.to_pylist()
    return values
