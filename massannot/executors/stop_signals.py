"""StopSignals: SIGTERM, SIGUSR1 and Ctrl-C ask a run to stop after the clips in hand."""

from __future__ import annotations

import math
import signal
import threading
import time
from typing import Any

ASK_TO_STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
"""SIGUSR1: what Slurm sends ahead of time with --signal=B:USR1@120."""


class StopSignals:
    """Inside the `with` block these signals set `stopping`; the second Ctrl-C is a
    KeyboardInterrupt. Does nothing outside the main thread: Python delivers no signals there."""

    def __init__(self) -> None:
        self.since = math.inf
        """When the first one came, on time.monotonic's clock."""
        self._before: list[tuple[int, Any]] = []

    @property
    def stopping(self) -> bool:
        return self.since < math.inf

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in ASK_TO_STOP:
                self._before.append((number, signal.signal(number, self._heard)))

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before:
            signal.signal(number, handler)

    def _heard(self, number: int, frame: object) -> None:
        if self.stopping and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.since = min(self.since, time.monotonic())
