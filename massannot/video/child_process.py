"""A Python process at the other end of a socket pair: the only door to `pass_fds` and `send_fds`.

The decoder and the workers are such processes. Unusual: started by `subprocess`, not by
`multiprocessing`, so that a user's script needs no `if __name__ == "__main__"`.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import IO

from massannot.errors import NothingToRun


def start_child(
    arguments: Callable[[int], list[str]],
    *,
    stdout: int | IO[bytes],
    stderr: int | IO[bytes],
    variables: Mapping[str, str] | None = None,
    own_session: bool = False,
) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """This end of a socket pair, and an interpreter that inherits the other end and `sys.path`.
    `arguments`: the interpreter's, given the number of the inherited descriptor.

    Raises NothingToRun on a system whose processes cannot hand descriptors to each other.
    """
    if not hasattr(socket, "send_fds"):
        raise NothingToRun(
            f"{sys.platform}: found a system that passes no open descriptors between processes, "
            "which decoders and workers need; run this command on Linux or macOS, or under WSL"
        )
    ours, theirs = socket.socketpair()
    with theirs:
        popen = subprocess.Popen(
            [sys.executable, *arguments(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
                **(variables or {}),
            },
            start_new_session=own_session,
        )
    return ours, popen
