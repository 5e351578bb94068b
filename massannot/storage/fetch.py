"""Fetching: a video in a bucket or a tar is copied to a local file while it is read."""

from __future__ import annotations

import contextlib
import os
import tempfile
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from massannot.errors import BadVideo, EmptyFile, UsageError, VideoChanged, VideoNotFound
from massannot.storage.store import Entry, StoreRefused, store_of
from massannot.storage.tar_store import MemberStore


@contextlib.contextmanager
def fetched(uri: str, *, size_bytes: int | None, etag: str | None) -> Iterator[str]:
    """The path of a whole local copy, deleted afterwards: one video per reader at a time.

    Raises VideoChanged where size or etag differ from the planned ones, VideoNotFound, BadVideo
    where the store refuses access or the tar is none, StoreSilent after having waited.
    """
    path = _folder() / f"{os.getpid()}-{uuid.uuid4().hex}"
    try:
        _refuse_changed(uri, _download(uri, path, size_bytes, etag), size_bytes, etag)
        yield str(path)
    finally:
        path.unlink(missing_ok=True)


def _download(uri: str, path: Path, size_bytes: int | None, etag: str | None) -> Entry:
    store = store_of(uri)
    try:
        if isinstance(store, MemberStore):
            planned = None if size_bytes is None else Entry(uri, size_bytes, None, etag)
            entry = store.download(uri, path, known=planned)
        else:
            _refuse_changed(uri, store.head(uri), size_bytes, etag)
            entry = store.download(uri, path)
    except FileNotFoundError as error:
        raise VideoNotFound(f"{uri}: found nothing, expected a video file") from error
    except (StoreRefused, UsageError) as error:  # the latter: its tar is none any more
        raise BadVideo(str(error)) from error
    if entry.size_bytes == 0:
        raise EmptyFile(f"{uri}: found 0 bytes, expected a video file")
    return entry


def _refuse_changed(uri: str, entry: Entry, size_bytes: int | None, etag: str | None) -> None:
    if size_bytes is not None and entry.size_bytes != size_bytes:
        raise VideoChanged(
            f"{uri}: found {entry.size_bytes} bytes, expected {size_bytes} as planned; plan again"
        )
    if etag is not None and entry.etag != etag:
        raise VideoChanged(
            f"{uri}: found version {entry.etag}, expected {etag} as planned; plan again"
        )


@cache
def _folder() -> Path:
    """The folder of the copies. Copies of dead processes are deleted."""
    folder = Path(tempfile.gettempdir()) / f"massannot-fetched-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if (
        folder.stat().st_uid != os.getuid()
    ):  # another user took the name: it is not ours to write to
        return Path(tempfile.mkdtemp(prefix="massannot-fetched-"))
    for path in folder.iterdir():
        pid = path.name.partition("-")[0]
        if pid.isdigit() and not _is_alive(int(pid)):
            path.unlink(missing_ok=True)
    return folder


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
