"""Names: a million addresses held as one Arrow column, sixty bytes each instead of two hundred."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from massannot.errors import UsageError

AT_ONCE = 2**16
"""As large as a block of PlannedVideos, so that memory which one gives back fits the other."""
SHOWN = 4096


VIDEO_ENDINGS = frozenset(
    {
        ".3gp",
        ".avi",
        ".flv",
        ".gif",
        ".m2ts",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".ogv",
        ".ts",
        ".webm",
        ".wmv",
        ".y4m",
    }
)


def is_video_name(name: str) -> bool:
    """By its ending; hidden files are none."""
    base = name.rpartition("/")[2]
    return not base.startswith(".") and f".{base.rpartition('.')[2]}".lower() in VIDEO_ENDINGS


class Names(Sequence[str]):
    """Texts in the order in which they were given. Raises UsageError for one that is no UTF-8."""

    def __init__(self, names: Iterable[str] = ()):
        self._chunks: list[pa.Array] = []
        self._last: list[str] = []
        for name in names:
            self.add(name)

    def add(self, name: str) -> None:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise UsageError(
                f"{name!r}: found a name that is not UTF-8, expected text, which tables hold; "
                "rename the file"
            ) from error
        self._last.append(name)
        if len(self._last) == AT_ONCE:
            self._chunks.append(pa.array(self._last, pa.large_string()))
            self._last = []

    def __len__(self) -> int:
        return len(self._chunks) * AT_ONCE + len(self._last)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[n] for n in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        chunk, place = divmod(index % len(self), AT_ONCE)
        if chunk == len(self._chunks):
            return self._last[place]
        name: str = self._chunks[chunk][place].as_py()
        return name

    def __iter__(self) -> Iterator[str]:
        for chunk in self._chunks:
            yield from chunk.to_pylist()
        yield from self._last

    def drained(self) -> Iterator[str]:
        """The same names; none is kept."""
        chunks, last = self._chunks[::-1], self._last
        self._chunks, self._last = [], []
        while chunks:
            yield from chunks.pop().to_pylist()
        yield from last

    def drained_in_order(self) -> Iterator[str]:
        """The names as `sorted` puts them (UTF-8 keeps the order of code points); none is kept."""
        column = pa.concat_arrays([*self._chunks, pa.array(self._last, pa.large_string())])
        self._chunks, self._last = [], []
        order = pc.sort_indices(column)
        for start in range(0, len(order), SHOWN):
            yield from column.take(order.slice(start, SHOWN)).to_pylist()


class Identities:
    """Which of many things are the same, by 128 bits of a name of each."""

    def __init__(self) -> None:
        self._digests = bytearray()

    def add(self, name: str) -> None:
        """Also one that is no UTF-8: a folder above a video may be called so."""
        self._digests += hashlib.blake2b(os.fsencode(name), digest_size=16).digest()

    def repeated(self) -> set[int]:
        """Places of things that were there before."""
        if not self._digests:
            return set()
        high, low = np.frombuffer(self._digests, np.uint64).reshape(-1, 2).T
        halves = np.sort(high)
        if not (halves[1:] == halves[:-1]).any():  # as good as always
            return set()
        order = np.lexsort((low, high))  # stable: of equal ones the first comes first
        same = (high[order][1:] == high[order][:-1]) & (low[order][1:] == low[order][:-1])
        return set(order[1:][same].tolist())
