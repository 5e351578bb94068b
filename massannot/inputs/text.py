"""Text that tables can hold: valid Unicode only, and a million names as one Arrow column.

A Python string may hold halves of surrogate pairs: JSON's "\ud83d" alone becomes one, and so does
a byte that is no UTF-8 where it was read with `surrogateescape`. Arrow refuses such a string.

Video names: which endings are a video's, and which names no file can have.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from massannot.errors import ImpossibleName, UsageError
from massannot.storage.store import IN_TAR, is_remote

_ENDINGS = "3gp avi flv gif m2ts m4v mkv mov mp4 mpeg mpg mts ogv ts webm wmv y4m"
VIDEO_ENDINGS = frozenset(f".{ending}" for ending in _ENDINGS.split(" "))
USUAL_BYTES = 255
"""Longest part of a path on usual file systems; a longer one is tried before it is refused."""
KEY_BYTES = 1024
"""Longest name in a bucket (S3, Google Cloud Storage)."""


def is_video_name(name: str) -> bool:
    """By its ending, in any case; hidden files are none."""
    base = name.rpartition("/")[2]
    return not base.startswith(".") and f".{base.rpartition('.')[2]}".lower() in VIDEO_ENDINGS


def refuse_impossible_name(uri: str) -> None:
    """Raises ImpossibleName for the address of a video that no file system or bucket can hold, or
    no table."""
    if not is_unicode(uri):
        raise _impossible(uri, "bytes that are no UTF-8, or half a surrogate pair")
    if "\0" in uri:
        raise _impossible(uri, "the character NUL")
    file = uri.partition(IN_TAR)[0]
    if is_remote(file):
        key = "/".join(file.split("/")[3:])
        if len(key.encode()) > KEY_BYTES:
            raise _impossible(uri, f"{len(key.encode())} bytes, expected at most {KEY_BYTES}")
    elif len(uri) > USUAL_BYTES // 4:  # a character has at most four bytes
        _refuse_too_long(uri, file)


def _refuse_too_long(uri: str, path: str) -> None:
    longest = max(len(part.encode()) for part in path.split("/"))
    if longest <= USUAL_BYTES and len(path.encode()) < 4 * KEY_BYTES:
        return
    try:
        os.lstat(path)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            what = f"a part of {longest} bytes in {len(path.encode())}, too long for this machine"
            raise _impossible(uri, what) from None


def _impossible(uri: str, what: str) -> ImpossibleName:
    shown = escaped(uri.rpartition("/")[2]).replace("\0", "\\0")
    if len(shown) > 120:
        shown = f"{shown[:60]}...{shown[-50:]}"
    return ImpossibleName(f"{shown}: found a name with {what}; no file is called so")


AT_ONCE = 2**16
"""As large as a block of PlannedVideos, so that memory which one gives back fits the other."""
SHOWN = 4096
START_BYTES = 4096
"""As much of a file as `looks_binary` wants to see."""


def is_unicode(text: str) -> bool:
    """Whether a text can be encoded as UTF-8."""
    if text.isascii():  # asked several times of each of a million names
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def escaped(text: str) -> str:
    """The text with every half of a surrogate pair spelt out: six characters like \\ud83d."""
    return text.encode(errors="backslashreplace").decode()


def printable(text: str) -> str:
    """The text as a terminal may show it: control characters, which could move its cursor or name
    its window, are spelt out; lines and tabs stay."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", lambda found: repr(found[0])[1:-1], text)


def looks_binary(start: bytes) -> bool:
    """Whether a file that begins so is no text, or text in UTF-16: one byte in twenty controls
    something. A text with a few bytes of another encoding, or a stray NUL, is still a text."""
    n_controls = sum(byte < 32 and byte not in b"\t\n\f\r" for byte in start)
    return n_controls * 20 > len(start)


class TextColumn(Sequence[str]):
    """Texts in the order in which they were given, sixty bytes each instead of two hundred.

    Raises UsageError for one that is no valid Unicode.
    """

    def __init__(self, texts: Iterable[str] = ()):
        self._chunks: list[pa.Array] = []
        self._last: list[str] = []
        for text in texts:
            self.add(text)

    def add(self, text: str) -> None:
        if not is_unicode(text):
            raise UsageError(
                f"{escaped(text)}: found a name that is not UTF-8, expected text, which tables "
                "hold; rename the file"
            )
        self._last.append(text)
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
        chunk, row = divmod(index % len(self), AT_ONCE)
        if chunk == len(self._chunks):
            return self._last[row]
        text: str = self._chunks[chunk][row].as_py()
        return text

    def __iter__(self) -> Iterator[str]:
        for chunk in self._chunks:
            yield from _texts(chunk)
        yield from self._last

    def drained(self) -> Iterator[str]:
        """The same texts; the column is empty afterwards."""
        chunks, last = self._chunks[::-1], self._last
        self._chunks, self._last = [], []
        while chunks:
            yield from _texts(chunks.pop())
        yield from last

    def drained_in_order(self) -> Iterator[str]:
        """The texts as `sorted` puts them (UTF-8 keeps the order of code points); the column is
        empty afterwards."""
        column = pa.concat_arrays([*self._chunks, pa.array(self._last, pa.large_string())])
        self._chunks, self._last = [], []
        order = pc.sort_indices(column)
        for start in range(0, len(order), SHOWN):
            yield from column.take(order.slice(start, SHOWN)).to_pylist()


def _texts(chunk: pa.Array) -> Iterator[str]:
    for start in range(0, len(chunk), SHOWN):
        yield from chunk.slice(start, SHOWN).to_pylist()


class Identities:
    """Which of many things are the same, by 128 bits of a name of each."""

    def __init__(self) -> None:
        self._digests = bytearray()

    def add(self, name: str) -> None:
        """Also one that is no UTF-8: a folder above a video may be called so."""
        self._digests += hashlib.blake2b(os.fsencode(name), digest_size=16).digest()

    def repeated(self) -> set[int]:
        """Indices of things that were there before."""
        if not self._digests:
            return set()
        high, low = np.frombuffer(self._digests, np.uint64).reshape(-1, 2).T
        halves = np.sort(high)
        if not (halves[1:] == halves[:-1]).any():  # almost always: no duplicates
            return set()
        order = np.lexsort((low, high))  # stable: of equal ones the first comes first
        same = (high[order][1:] == high[order][:-1]) & (low[order][1:] == low[order][:-1])
        return set(order[1:][same].tolist())
