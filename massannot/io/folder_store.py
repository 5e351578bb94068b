"""Local files as a store: see store.Store. Addresses are paths or file://."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from massannot.errors import VideoNotFound
from massannot.io.store import Entry


class FolderStore:
    def list(self, folder: str) -> Iterator[Entry]:
        found = []
        for parent, _, files in os.walk(local_path(folder)):
            found += [os.path.join(parent, name) for name in files]
        yield from map(self.head, sorted(found))

    def head(self, uri: str) -> Entry:
        found = os.stat(local_path(uri))
        return Entry(uri, found.st_size, found.st_mtime_ns, None)

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
        from massannot.io import durable  # which asks stores

        durable.write_over(Path(local_path(uri)), content)

    def put_once(self, uri: str, content: bytes) -> bool:
        from massannot.io import durable

        return durable.write_once(Path(local_path(uri)), content)

    def upload(self, path: Path, uri: str) -> None:
        from massannot.io import durable

        durable.copy_over(path, Path(local_path(uri)))

    def copy(self, source: str, target: str) -> None:
        self.upload(Path(local_path(source)), target)

    def delete(self, uri: str) -> None:
        Path(local_path(uri)).unlink(missing_ok=True)


def local_path(uri: str) -> str:
    """The path of a path or file:// address. Raises VideoNotFound for one on another host."""
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme.lower() != "file":
        return uri
    if not rest.startswith("/"):
        raise VideoNotFound(f"{uri}: found a file address with a host, expected file:///path")
    return rest
