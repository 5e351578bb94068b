"""WorkerHandle: one worker as its driver sees it, wherever it runs; Workplace: where they run.

ChildProcess: a worker in a process of this machine.
"""

from __future__ import annotations

import abc
import contextlib
import os
import select
import subprocess
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol, TypeVar

from massannot.dataset.layout import Layout
from massannot.engine.messages import Work
from massannot.engine.worker_config import WorkerConfig
from massannot.storage.allocator import ALLOCATOR
from massannot.video.child_process import start_child


class WorkerHandle(abc.ABC):
    """One worker and what it has in hand."""

    def __init__(self, config: WorkerConfig):
        self.config = config
        self.log = log_of(config)
        self.ready = False
        """Its models are loaded."""
        self.silent = False
        """It says nothing more: it has ended, or cannot be reached."""
        self.wants_more = False
        """It has read all that it was given."""
        self.work: deque[Work] = deque()
        """What it was given and has not ended; the first of it is in its hands."""
        self.attempt: int | None = None
        """Number of the attempt in its hands; None: it has not begun."""

    def give(self, work: Work) -> None:
        """Something to do, or to read while it does what it has."""
        self.wants_more = False
        self.work.append(work)
        self.say(work)

    def ended(self) -> Work:
        """The first of its work is off its hands."""
        self.attempt = None
        return self.work.popleft()

    @property
    @abc.abstractmethod
    def exit_code(self) -> int | None:
        """Of a silent worker: minus the signal's number where one ended it; None: it was lost with
        its machine, or the way to it was, so that nobody's clip is to blame."""

    @abc.abstractmethod
    def messages(self) -> Iterator[Any]:
        """All that it has said since, without waiting; notices its end."""

    @abc.abstractmethod
    def say(self, message: object) -> None:
        """Never fails: if nobody hears it, `messages` finds out."""

    @abc.abstractmethod
    def last_words(self) -> str:
        """Of a silent worker: the last line of its log, often the reason."""

    @abc.abstractmethod
    def join(self) -> None:
        """Wait for the end of a worker that was told to stop."""

    @abc.abstractmethod
    def kill(self) -> None:
        """End it now, if it has not ended, and let go of it."""


Handle = TypeVar("Handle", bound=WorkerHandle)


class Workplace(Protocol[Handle]):
    """Starts workers, and waits until one of them has something to say."""

    def start(self, config: WorkerConfig) -> Handle: ...

    def wait(self, workers: Sequence[Handle], *, timeout_s: float) -> None: ...


def log_of(config: WorkerConfig) -> Path:
    """Where the worker's output goes."""
    driver = f".{config.driver}" if config.driver else ""
    return Layout(config.out).logs / f"worker-{config.number}{driver}.log"


class ChildProcess(WorkerHandle):
    """A fresh interpreter at the other end of a socket pair."""

    module = "massannot.engine.worker_process"

    def __init__(self, config: WorkerConfig):
        super().__init__(config)
        self.connection, self._popen = start_process(self.log, self.module)
        self._said = select.poll()  # Connection.poll builds one for every message
        self._said.register(self.connection.fileno(), select.POLLIN)
        self.say(config)

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

    def start(self, config: WorkerConfig) -> ChildProcess:
        return ChildProcess(config)

    def wait(self, workers: Sequence[ChildProcess], *, timeout_s: float) -> None:
        wait([worker.connection for worker in workers], timeout=timeout_s)


def start_process(log: Path, module: str) -> tuple[Connection, subprocess.Popen[bytes]]:
    """A fresh interpreter that serves, this end of the line to it, and its output in `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as output:
        ours, popen = start_child(
            lambda descriptor: ["-m", module, str(descriptor)],
            stdout=output,
            stderr=output,
            variables={k: v for k, v in ALLOCATOR.items() if k not in os.environ},
            own_session=True,
        )
    return Connection(ours.detach()), popen


def last_line(log: Path) -> str:
    """The last line of a worker's log: after a crash, often the reason."""
    with contextlib.suppress(OSError):
        lines = log.read_text(errors="replace").splitlines()
        return lines[-1] if lines else "it said nothing"
    return "its log cannot be read"
