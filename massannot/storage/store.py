"""Store: local folders, buckets, the Hub and tars behind one protocol.

Addresses are plain paths, file://, s3://, gs://, hf:// (read only) or `path.tar#name`. Credentials
come from the environment and the machine alone: an address that carries some is refused, and its
secret is not repeated. Folders are read here; object_store, hub_store and tar_store hold the rest.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import BinaryIO, Protocol

from massannot.errors import NothingToRun, UsageError, VideoNotFound

BUCKETS = ("s3", "gs")
"""Schemes that can be read and written."""
SCHEMES = (*BUCKETS, "hf")
IN_TAR = ".tar#"
"""`path.tar#name` is a file inside a tar."""


class StoreRefused(NothingToRun):
    """No such bucket, no right to it, or a request it does not understand."""


class StoreSilent(NothingToRun):
    """No answer, after having waited."""


@dataclass(frozen=True)
class Entry:
    """A file as its store lists it. Two versions of a file differ in at least one field."""

    uri: str
    size_bytes: int
    mtime_ns: int | None
    """None where the store gives none."""
    etag: str | None
    """None in a folder, where mtime_ns changes instead."""
    written_s: float | None = field(default=None, compare=False, repr=False)
    """When it was written, by a bucket's own clock. No part of the version: a listing and a look at
    one file round it differently."""


class Store(Protocol):
    """Files by address. A missing file is a FileNotFoundError. Raises StoreRefused, and StoreSilent
    after having waited."""

    def list(self, folder: str) -> Iterator[Entry]:
        """Every file below a folder, at any depth, sorted by address; none if it does not exist."""

    def head(self, uri: str) -> Entry: ...

    def get(self, uri: str) -> bytes: ...

    def get_range(self, uri: str, start: int, length: int) -> bytes:
        """At most `length` bytes: fewer at the file's end."""

    def open(self, uri: str) -> BinaryIO:
        """A file to read and seek in. Only the parts that are read are fetched."""

    def download(self, uri: str, path: Path) -> Entry:
        """Write the whole file to `path`; returns the state that was fetched."""

    def put(self, uri: str, content: bytes) -> None:
        """Write whole or not at all, over an existing file."""

    def put_once(self, uri: str, content: bytes) -> bool:
        """Write under a name that must not exist yet; False: another writer was first."""

    def upload(self, path: Path, uri: str) -> None:
        """`put` of a local file of any size."""

    def copy(self, source: str, target: str) -> None:
        """Within the store, over an existing file."""

    def delete(self, uri: str) -> None:
        """Harmless when the file does not exist."""


class ReadOnly:
    """The writing half of a store that can only be read: each method raises UsageError."""

    refusal: str
    """The reason, and the way out."""

    def put(self, uri: str, content: bytes) -> None:
        raise UsageError(f"{uri}: {self.refusal}")

    def put_once(self, uri: str, content: bytes) -> bool:
        raise UsageError(f"{uri}: {self.refusal}")

    def upload(self, path: Path, uri: str) -> None:
        raise UsageError(f"{uri}: {self.refusal}")

    def copy(self, source: str, target: str) -> None:
        raise UsageError(f"{target}: {self.refusal}")

    def delete(self, uri: str) -> None:
        raise UsageError(f"{uri}: {self.refusal}")


class ForeignAddress(UsageError):
    """An address that no store here reads."""


def store_of(uri: str) -> Store:
    """The store that holds `uri`. Raises ForeignAddress for one of another kind, UsageError for one
    with credentials in it, NothingToRun where its library is not installed."""
    scheme = scheme_of(uri)
    refuse_credentials(uri)
    if IN_TAR in uri:
        return _tars()
    if scheme in BUCKETS:
        return _bucket(scheme, uri.split("/")[2])
    if scheme == "hf":
        return _hub()
    if scheme not in ("", "file"):
        raise ForeignAddress(
            f"{uri}: found an address of {scheme}, expected a path, s3://, gs:// or hf://; fetch it"
        )
    return _folder()


def scheme_of(uri: str) -> str:
    """'s3' of s3://bucket/name; '' of a path."""
    if "://" not in uri:
        return ""  # nearly always, and this is asked several times of each of a million names
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", uri)
    return scheme[1].lower() if scheme else ""


def local_path(uri: str) -> str:
    """The path of a path or file:// address. Raises VideoNotFound for one on another host."""
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme.lower() != "file":
        return uri
    if not rest.startswith("/"):
        raise VideoNotFound(f"{uri}: found a file address with a host, expected file:///path")
    return rest


def is_remote(uri: str) -> bool:
    """Whether a file has to be fetched before a program can open it."""
    return scheme_of(uri) in SCHEMES or IN_TAR in uri


def refuse_credentials(uri: str) -> None:
    """Raises UsageError, without repeating the secret, for an address that carries one."""
    if not scheme_of(uri):
        return
    shown = without_secrets(uri)
    if shown != uri:
        raise UsageError(
            f"{shown}: found credentials in an address, expected none; put them into the "
            "environment, for instance AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )


def without_secrets(text: str) -> str:
    """The text as it may be shown: user:password@ and the queries of addresses become ***."""
    text = re.sub(r"([A-Za-z][A-Za-z0-9+.-]*://)[^/@\s]+@", r"\1***@", text)
    text = re.sub(
        r"(?i)([?&;](?:x-amz-|x-goog-)?"
        r"[\w-]*(?:signature|token|secret|passw(?:or)?d|credential|key|sig)[\w-]*)=[^&\s\"')]+",
        r"\1=***",
        text,
    )
    return re.sub(r"\b(hf_[A-Za-z0-9]{8,}|(?:AKIA|ASIA)[A-Z0-9]{12,})\b", "***", text)


def forget_connections() -> None:
    """Buckets are asked for anew: endpoint or credentials in the environment have changed."""
    _bucket.cache_clear()
    _hub.cache_clear()


@cache
def _bucket(scheme: str, bucket: str) -> Store:
    from massannot.storage.object_store import ObjectStore

    return ObjectStore(scheme, bucket)


@cache
def _tars() -> Store:
    from massannot.storage.tar_store import MemberStore

    return MemberStore()


@cache
def _hub() -> Store:
    from massannot.storage.hub_store import HubStore

    return HubStore()


@cache
def _folder() -> Store:
    return FolderStore()


class FolderStore:
    def list(self, folder: str) -> Iterator[Entry]:
        paths = []
        for parent, _, files in os.walk(local_path(folder)):
            paths += [os.path.join(parent, name) for name in files]
        yield from map(self.head, sorted(paths))

    def head(self, uri: str) -> Entry:
        status = os.stat(local_path(uri))
        return Entry(uri, status.st_size, status.st_mtime_ns, None)

    def get(self, uri: str) -> bytes:
        return Path(local_path(uri)).read_bytes()

    def get_range(self, uri: str, start: int, length: int) -> bytes:
        with self.open(uri) as file:
            file.seek(start)
            return file.read(length)

    def open(self, uri: str) -> BinaryIO:
        return open(local_path(uri), "rb")

    def download(self, uri: str, path: Path) -> Entry:
        shutil.copyfile(local_path(uri), path)
        return self.head(uri)

    def put(self, uri: str, content: bytes) -> None:
        from massannot.storage import durable  # which imports stores

        durable.write_over(Path(local_path(uri)), content)

    def put_once(self, uri: str, content: bytes) -> bool:
        from massannot.storage import durable

        return durable.write_once(Path(local_path(uri)), content)

    def upload(self, path: Path, uri: str) -> None:
        from massannot.storage import durable

        durable.copy_over(path, Path(local_path(uri)))

    def copy(self, source: str, target: str) -> None:
        self.upload(Path(local_path(source)), target)

    def delete(self, uri: str) -> None:
        Path(local_path(uri)).unlink(missing_ok=True)
