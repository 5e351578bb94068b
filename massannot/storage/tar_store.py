"""Members of tars, `path.tar#name.mp4`, read without unpacking.

A tar's headers are read once; afterwards a member's offset is known from its etag.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from massannot.errors import UsageError
from massannot.storage.store import IN_TAR, Entry, ReadOnly, store_of

TARS_KNOWN = 256
"""Tars whose headers one process remembers."""
_COPIED = 4 << 20


@dataclass(frozen=True)
class Member:
    """The bytes of a file in its tar."""

    offset: int
    size_bytes: int


def members(tar: str) -> Mapping[str, Member]:
    """Every file of a tar by name; of two with one name the last, as tar does it."""
    return _members(store_of(tar).head(tar))


@lru_cache(TARS_KNOWN)
def _members(entry: Entry) -> Mapping[str, Member]:
    tar = entry.uri
    try:
        with store_of(tar).open(tar) as file, tarfile.open(fileobj=file, mode="r:") as opened:
            return {
                member.name.removeprefix("./"): Member(member.offset_data, member.size)
                for member in opened
                if member.isreg() and not member.issparse()
            }
    except tarfile.TarError as error:
        raise UsageError(
            f"{tar}: cannot be read as a tar: {error}; expected one that is not compressed"
        ) from error


class MemberStore(ReadOnly):
    """Members of tars as files of a store, to read from; see store.Store."""

    refusal = "found a name inside a tar, expected a file or folder to write to"

    def list(self, folder: str) -> Iterator[Entry]:
        raise UsageError(f"{folder}: {self.refusal}")
        yield

    def head(self, uri: str) -> Entry:
        """The etag is the tar's state, and the member's offset and size."""
        tar, name = split(uri)
        entry = store_of(tar).head(tar)
        member = members(tar).get(name)
        if member is None:
            raise FileNotFoundError(f"{uri}: the tar has no such file")
        return _entry(uri, entry, member)

    def get(self, uri: str) -> bytes:
        return self.get_range(uri, 0, self.head(uri).size_bytes)

    def get_range(self, uri: str, start: int, length: int) -> bytes:
        tar, name = split(uri)
        member = members(tar)[name]
        length = max(0, min(length, member.size_bytes - start))
        return store_of(tar).get_range(tar, member.offset + start, length)

    def open(self, uri: str) -> BinaryIO:
        return io.BytesIO(self.get(uri))

    def download(self, uri: str, path: Path, *, known: Entry | None = None) -> Entry:
        """`known` is an earlier state of the member: as long as the tar is the same, its headers
        are not read again."""
        tar, name = split(uri)
        entry = store_of(tar).head(tar)
        member = _member(known)
        if member is None or known is None or _entry(uri, entry, member).etag != known.etag:
            member = members(tar).get(name)
        if member is None:
            raise FileNotFoundError(f"{uri}: the tar has no such file")
        with open(path, "wb") as file:
            for start in range(0, member.size_bytes, _COPIED):
                length = min(_COPIED, member.size_bytes - start)
                file.write(store_of(tar).get_range(tar, member.offset + start, length))
        return _entry(uri, entry, member)


def is_member(uri: str) -> bool:
    return IN_TAR in uri


def split(uri: str) -> tuple[str, str]:
    """(tar, name) of a member's address."""
    tar, _, name = uri.partition(IN_TAR)
    return f"{tar}.tar", name


def _entry(uri: str, tar: Entry, member: Member) -> Entry:
    state = tar.etag if tar.etag is not None else tar.mtime_ns
    return Entry(uri, member.size_bytes, None, f"{state}@{member.offset}+{member.size_bytes}")


def _member(known: Entry | None) -> Member | None:
    numbers = re.search(r"@(\d+)\+(\d+)$", known.etag or "") if known else None
    return Member(int(numbers[1]), int(numbers[2])) if numbers else None
