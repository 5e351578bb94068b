"""A lock that one process at a time holds on a file: the only door to `fcntl`.

Where Python has no `fcntl` (Windows), a second file that only one process can create is the lock.
Unlike the kernel's lock that file survives a process that is killed, so a waiter gives up after a
while and names the file to remove.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from massannot.errors import NothingToRun

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

PATIENCE_S = 120.0
"""How long a waiter tries to create the second file. A holder reads or removes a few files, in a
bucket at worst: seconds."""


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time into the block; the others wait. `path` is a local file, which
    stays; the lock ends with its process. On NFS the server keeps it. Where the file system has no
    locks nobody waits. Raises NothingToRun where the lock is a created file that does not go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        if fcntl is not None:
            _flock(stack.enter_context(open(path, "ab")))
        else:
            stack.enter_context(_created(path.with_name(f"{path.name}.held")))
        yield


def _flock(file: BinaryIO) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
            raise


@contextlib.contextmanager
def _created(path: Path) -> Iterator[None]:
    """Hold the lock by a file that must not exist yet, and remove it at the end."""
    give_up = time.monotonic() + PATIENCE_S
    while True:
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            break
        except (FileExistsError, PermissionError) as error:  # Windows: one that is just going
            if time.monotonic() > give_up:
                raise NothingToRun(
                    f"{path}: found another process's lock for {PATIENCE_S:.0f} s, expected it to "
                    "go within seconds; remove the file if no other massannot works in this folder"
                ) from error
        time.sleep(0.05)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
