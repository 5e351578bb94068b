"""Files that appear whole or not at all, and survive a power cut once they are there.

Every exactly-once promise rests on `write_once`, a conditional put: of two writers of one name the
first wins. On POSIX that is a hard link, which fails if the name exists;
in a bucket a conditional put.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from massannot.errors import NothingToRun
from massannot.storage.path import BucketPath


def write_once(path: Path, content: bytes) -> bool:
    """Put `content` under a name that must not exist yet; False: another writer was first."""
    if isinstance(path, BucketPath):
        return path.store.put_once(str(path), content)
    with private_file(path) as written:
        _write(written, content)
        return link_once(written, path)


def write_over(path: Path, content: bytes) -> None:
    """Put `content` under `path`, over an existing file: readers see the old or the new one."""
    if isinstance(path, BucketPath):
        return path.store.put(str(path), content)
    with private_file(path) as written:
        _write(written, content)
        os.replace(written, path)
        sync_folder(path.parent)


def copy_over(source: Path, target: Path) -> None:
    """Copy a file to `target`, on whatever disk: readers see the old or the new one, whole."""
    if isinstance(target, BucketPath):
        return target.store.upload(source, str(target))
    with private_file(target) as written:
        shutil.copyfile(source, written)
        sync(written)
        os.replace(written, target)
        sync_folder(target.parent)


def link_once(source: Path, target: Path) -> bool:
    """Give `source` a second name that must not exist yet; False: it exists. Both names lie in one
    file system. Raises NothingToRun where it knows no hard links.

    A bucket knows no second names: the file is copied over an existing one, so use it only for
    files that exist in one version."""
    if isinstance(target, BucketPath):
        target.store.copy(str(source), str(target))
        return True
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS):
            raise
        raise NothingToRun(
            f"{target.parent}: found a file system without hard links ({error.strerror}), expected "
            "one on which the first of two writers can win; choose a folder on another disk"
        ) from error
    sync_folder(target.parent)
    return True


def link_over(source: Path, target: Path) -> None:
    """Give `source` the name of a file that may exist, whose readers see the old or the new one.
    Killed between the two steps, it leaves its private name beside `source`, not beside `target`.
    """
    if isinstance(target, BucketPath):
        return target.store.copy(str(source), str(target))
    linked = private_name(source)
    os.link(source, linked)  # fails first, and makes no folder, where another has dropped `source`
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(linked, target)
        sync_folder(target.parent)
    finally:
        linked.unlink(missing_ok=True)


@contextlib.contextmanager
def full_disk_refused(out: Path) -> Iterator[None]:
    """Raises NothingToRun for a disk or quota that is full, with the way out."""
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        raise no_space_left(out) from error


def is_full(error: OSError) -> bool:
    """Whether the disk, or the user's quota on it, has no space left."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def no_space_left(where: object) -> NothingToRun:
    """`where`: a folder or file on the disk that is full."""
    return NothingToRun(
        f"{where}: no space left on the disk; what is finished is kept: make room and give the "
        "same command again"
    )


def sync(path: Path) -> None:
    """Wait until the file's bytes are on the disk."""
    with open(path, "rb+") as opened:
        os.fsync(opened.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the folder's names are on the disk, on a system whose folders can be opened."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with open(path, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


PRIVATE = ".*.tmp"
"""What matches the names of `private_file`; a killed process leaves its own."""


@contextlib.contextmanager
def private_file(path: Path) -> Iterator[Path]:
    """A name in the same folder that no other process on any machine uses. A file that is left
    under it at the end is deleted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = private_name(path)
    try:
        yield written
    finally:
        written.unlink(missing_ok=True)


def private_name(path: Path) -> Path:
    """One beside `path` that no other process on any machine uses; PRIVATE matches it."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")


def _write(path: Path, content: bytes) -> None:
    with open(path, "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
