"""ChildProcess: a worker in a process of this machine."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from massannot.executors.order import Order
from massannot.executors.worker_handle import WorkerHandle


class ChildProcess(WorkerHandle):
    """A fresh interpreter at the other end of a socket pair."""

    module = "massannot.executors.worker_process"

    def __init__(self, order: Order):
        super().__init__(order)
        self.connection, self._popen = start_process(self.log, self.module)
        self._said = select.poll()  # Connection.poll builds one for every message
        self._said.register(self.connection.fileno(), select.POLLIN)
        self.say(order)

    @property
    def exit_code(self) -> int:
        return self._popen.wait()

    def messages(self) -> Iterator[Any]:
        try:
            while self._said.poll(0):
                yield self.connection.recv()
        except (EOFError, OSError):
            self.silent = True

    def say(self, message: object) -> None:
        with contextlib.suppress(OSError):
            self.connection.send(message)

    def last_words(self) -> str:
        return last_line(self.log)

    def join(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(timeout=10)

    def kill(self) -> None:
        self._popen.kill()
        self._popen.wait()
        self.connection.close()


class ChildProcesses:
    """The workplace of the local executor."""

    def start(self, order: Order) -> ChildProcess:
        return ChildProcess(order)

    def wait(self, workers: Sequence[ChildProcess], *, timeout_s: float) -> None:
        wait([worker.connection for worker in workers], timeout=timeout_s)


def start_process(log: Path, module: str) -> tuple[Connection, subprocess.Popen[bytes]]:
    """A fresh interpreter that serves, this end of the line to it, and its output in `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    ours, theirs = socket.socketpair()
    with theirs, open(log, "ab") as output:
        popen = subprocess.Popen(
            [sys.executable, "-m", module, str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            start_new_session=True,
        )
    return Connection(ours.detach()), popen


def last_line(log: Path) -> str:
    """The last line of a worker's log: after a crash, often the reason."""
    with contextlib.suppress(OSError):
        lines = log.read_text(errors="replace").splitlines()
        return lines[-1] if lines else "it said nothing"
    return "its log cannot be read"
