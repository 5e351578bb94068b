"""ChildProcess: a worker process as its driver sees it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from massannot.executors.messages import Work
from massannot.executors.order import Order
from massannot.io.layout import Layout


class ChildProcess:
    """One worker process and what it has in hand."""

    def __init__(self, order: Order):
        self.order = order
        self.log = Layout(order.out).logs / f"worker-{order.number}.log"
        self.ready = False
        """Its models are loaded."""
        self.silent = False
        """Its end of the connection is closed."""
        self.wants_more = False
        """It has read all that it was given."""
        self.work: deque[Work] = deque()
        """What it was given and has not ended; the first of it is in its hands."""
        self.attempt: int | None = None
        """Number of the attempt in its hands; None: it has not begun."""
        self.connection, self._popen = _start(self.log)
        self.say(order)

    @property
    def exit_code(self) -> int:
        """Minus the signal's number where one ended it."""
        return self._popen.wait()

    def give(self, work: Work) -> None:
        """Something to do, or to read while it does what it has."""
        self.wants_more = False
        self.work.append(work)
        self.say(work)

    def ended(self) -> Work:
        """The first of its work is off its hands."""
        self.attempt = None
        return self.work.popleft()

    def messages(self) -> Iterator[Any]:
        """All that it has said since; notices its end."""
        try:
            while self.connection.poll():
                yield self.connection.recv()
        except (EOFError, OSError):
            self.silent = True

    def say(self, message: object) -> None:
        with contextlib.suppress(OSError):  # it has died: `_bury` finds out
            self.connection.send(message)

    def last_words(self) -> str:
        """The last line of its log: after a crash, often the reason."""
        with contextlib.suppress(OSError):
            lines = self.log.read_text(errors="replace").splitlines()
            return lines[-1] if lines else "it said nothing"
        return "its log cannot be read"

    def join(self) -> None:
        """Wait for the end of a worker that was told to stop."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(timeout=10)

    def kill(self) -> None:
        self._popen.kill()
        self._popen.wait()
        self.connection.close()


def _start(log: Path) -> tuple[Connection, subprocess.Popen[bytes]]:
    """A fresh interpreter, this end of the line to it, and its output in `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    ours, theirs = socket.socketpair()
    with theirs, open(log, "ab") as output:
        popen = subprocess.Popen(
            [sys.executable, "-m", "massannot.executors.worker_process", str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            start_new_session=True,
        )
    return Connection(ours.detach()), popen
