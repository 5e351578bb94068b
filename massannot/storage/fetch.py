"""Fetching: a video that lies in a bucket or a tar becomes a local file while it is read."""

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
    """The path of a whole local copy, gone afterwards. At most one video per reader lies there.

    Raises VideoChanged when size or etag are not those that were planned, VideoNotFound, BadVideo
    where the store refuses access or the tar is none; StoreSilent, after having waited."""
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
            known = None if size_bytes is None else Entry(uri, size_bytes, None, etag)
            found = store.download(uri, path, known=known)
        else:
            _refuse_changed(uri, store.head(uri), size_bytes, etag)
            found = store.download(uri, path)
    except FileNotFoundError as error:
        raise VideoNotFound(f"{uri}: found nothing, expected a video file") from error
    except (StoreRefused, UsageError) as error:  # the latter: its tar is none any more
        raise BadVideo(str(error)) from error
    if found.size_bytes == 0:
        raise EmptyFile(f"{uri}: found 0 bytes, expected a video file")
    return found


def _refuse_changed(uri: str, found: Entry, size_bytes: int | None, etag: str | None) -> None:
    if size_bytes is not None and found.size_bytes != size_bytes:
        raise VideoChanged(
            f"{uri}: found {found.size_bytes} bytes, expected {size_bytes} as planned; plan again"
        )
    if etag is not None and found.etag != etag:
        raise VideoChanged(
            f"{uri}: found version {found.etag}, expected {etag} as planned; plan again"
        )


@cache
def _folder() -> Path:
    """Where copies lie. What dead processes left there goes."""
    folder = Path(tempfile.gettempdir()) / f"massannot-fetched-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():  # somebody took the name: it is not ours to write to
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
