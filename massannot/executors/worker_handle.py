"""WorkerHandle: one worker as its driver sees it, wherever it runs; Workplace: where they run."""

from __future__ import annotations

import abc
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from massannot.executors.messages import Work
from massannot.executors.order import Order
from massannot.io.layout import Layout


class WorkerHandle(abc.ABC):
    """One worker and what it has in hand."""

    def __init__(self, order: Order):
        self.order = order
        self.log = log_of(order)
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

    def start(self, order: Order) -> Handle: ...

    def wait(self, workers: Sequence[Handle], *, timeout_s: float) -> None: ...


def log_of(order: Order) -> Path:
    """Where the worker's output goes."""
    driver = f".{order.driver}" if order.driver else ""
    return Layout(order.out).logs / f"worker-{order.number}{driver}.log"
