"""StopSignals: SIGTERM and Ctrl-C ask a run to stop after the clip in hand."""

from __future__ import annotations

import signal
import threading
from typing import Any


class StopSignals:
    """Inside the `with` block SIGTERM and the first Ctrl-C set `stopping`; the second Ctrl-C is a
    KeyboardInterrupt. Does nothing outside the main thread: Python delivers no signals there."""

    def __init__(self) -> None:
        self.stopping = False
        self._before: list[tuple[int, Any]] = []

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before.append((number, signal.signal(number, self._heard)))

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before:
            signal.signal(number, handler)

    def _heard(self, number: int, frame: object) -> None:
        if self.stopping and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.stopping = True
