"""ChildProcess: a worker process as its driver sees it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from multiprocessing.connection import Connection
from pathlib import Path

from massannot.executors.messages import Work
from massannot.executors.order import Order
from massannot.io.layout import Layout


class ChildProcess:
    """One worker process and what it has in hand."""

    def __init__(self, order: Order):
        self.order = order
        self.log = Layout(order.out).logs / f"worker-{order.number}.log"
        self.ready = False
        self.silent = False
        """Its end of the connection is closed."""
        self.work: Work | None = None
        self.attempt: int | None = None
        self.connection, self._popen = _start(self.log)
        self.say(order)

    @property
    def exit_code(self) -> int:
        """Minus the signal's number where one ended it."""
        return self._popen.wait()

    def begin(self, work: Work) -> None:
        self.work, self.attempt = work, None
        self.say(work)

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
