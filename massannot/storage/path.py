"""BucketPath: a file in a bucket, with the methods of `pathlib.Path` that an output folder needs.

Code that writes and reads below an output folder need not know where that is. A library that
insists on a local file (Arrow, for instance) gets a copy, fetched when it opens the path.
"""

from __future__ import annotations

import atexit
import fnmatch
import hashlib
import os
import posixpath
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PosixPath
from typing import Any

from massannot.storage.store import (
    BUCKETS,
    IN_TAR,
    Store,
    local_path,
    refuse_credentials,
    scheme_of,
    store_of,
)

COPIES_BYTES = 4 << 30
"""Local copies of one process at most; the oldest are deleted first."""


def place(where: str | Path) -> Path:
    """The path that a user named: a local one, or one in a bucket.

    `s3://bucket/name` may have become the path s3:/bucket/name on its way here. Raises UsageError
    for an address that nothing can be written to."""
    text = str(where)
    scheme, colon, rest = text.partition(":/")
    if colon and scheme in BUCKETS:
        address = f"{scheme}://{rest.lstrip('/')}"
        refuse_credentials(address)
        return BucketPath(address)
    if scheme_of(text):
        store_of(text)
    return Path(where)


def beside(file: str, name: str) -> str:
    """The address that `name` means in a list or manifest: relative to that file, unless it is an
    address already."""
    scheme = scheme_of(name)
    if scheme == "file":
        return local_path(name)
    if scheme or os.path.isabs(name):
        return name
    if scheme_of(file):
        return f"{file.rpartition('/')[0]}/{posixpath.normpath(name)}"
    return str(Path(file).parent / name)


def resolved(uri: str, *, folder: str) -> str:
    """The address for another working folder: a relative name starts from `folder`.

    Tables keep the name as it was given; whoever opens the file in another process uses this one.
    """
    if scheme_of(uri) or os.path.isabs(uri):
        return uri
    return os.path.join(folder, uri)


def lies_in(uri: str, root: str) -> bool:
    """Whether a file, or a tar that holds it, lies below a folder, all links followed."""
    uri = uri.partition(IN_TAR)[0]
    if scheme_of(uri) or scheme_of(root):
        inside = f"{uri}/".startswith(f"{root.rstrip('/')}/")
        return inside and ".." not in uri.split("/")
    return Path(os.path.realpath(uri)).is_relative_to(os.path.realpath(root))


class BucketPath(PosixPath):
    """`str()` is its address. A folder exists when a file lies in it."""

    def __str__(self) -> str:
        scheme, *names = self.parts
        return f"{scheme}//{'/'.join(names)}"

    def __repr__(self) -> str:
        return f"BucketPath({str(self)!r})"

    def __fspath__(self) -> str:
        return str(_local_copy(self))

    @property
    def store(self) -> Store:
        return store_of(str(self))

    def exists(self, **_: Any) -> bool:
        """A name with an ending is a file's: asking twice would cost a request."""
        return self.is_file() or (not self.suffix and self.is_dir())

    def is_file(self, **_: Any) -> bool:
        try:
            self.store.head(str(self))
        except FileNotFoundError:
            return False
        return True

    def is_dir(self, **_: Any) -> bool:
        return next(self.store.list(str(self)), None) is not None

    def stat(self, **_: Any) -> os.stat_result:
        """Size and, in whole seconds by the store's clock, when it was written."""
        entry = self.store.head(str(self))
        written_s = int(entry.written_s or 0)
        return os.stat_result((0o100644, 0, 0, 1, 0, 0, entry.size_bytes, 0, written_s, 0))

    def glob(self, pattern: str, **_: Any) -> Iterator[Path]:  # type: ignore[override]  # of 3.13
        """Files, not folders, directly in this one."""
        start = len(str(self)) + 1
        for entry in self.store.list(str(self)):
            name = entry.uri[start:]
            if "/" not in name and fnmatch.fnmatchcase(name, pattern):
                yield self / name

    def read_bytes(self) -> bytes:
        return self.store.get(str(self))

    def read_text(self, encoding: str | None = None, *_: Any, **__: Any) -> str:
        return self.read_bytes().decode(encoding or "utf-8")

    def mkdir(self, *_: Any, **__: Any) -> None:
        """Nothing to do: folders are only names."""

    def unlink(self, missing_ok: bool = False) -> None:
        self.store.delete(str(self))


@cache
def _copies() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="massannot-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _local_copy(path: BucketPath) -> Path:
    """A local file of this process's own with the present content."""
    entry = path.store.head(str(path))
    name = hashlib.sha256(repr(entry).encode()).hexdigest()[:32]
    copy = _copies() / f"{name}{path.suffix}"
    if not copy.exists():
        _make_room(entry.size_bytes)
        partial = copy.with_suffix(f".{uuid.uuid4().hex}.partial")
        path.store.download(str(path), partial)
        os.replace(partial, copy)
    return copy


def _make_room(nbytes: int) -> None:
    copies = sorted(_copies().iterdir(), key=lambda file: file.stat().st_mtime_ns)
    total = sum(file.stat().st_size for file in copies) + nbytes
    for file in copies:
        if total <= COPIES_BYTES:
            return
        total -= file.stat().st_size
        file.unlink()
