"""A word every half minute from what takes long, so that nobody wonders whether it hangs."""

from __future__ import annotations

import functools
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import ParamSpec

EVERY_S = 30.0
P = ParamSpec("P")


class Heartbeat:
    """Calls `beat` every `every_s` seconds, in a thread of its own, as long as the block lasts."""

    def __init__(self, beat: Callable[[], None], *, every_s: float = EVERY_S) -> None:
        self._beat, self._every_s = beat, every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._every_s):
            self._beat()


def never_silent(command: Callable[P, None]) -> Callable[P, None]:
    """Decorates a command that has no progress of its own."""

    @functools.wraps(command)
    def told(*args: P.args, **kwargs: P.kwargs) -> None:
        began = time.monotonic()

        def beat() -> None:
            print(f"at work for {spoken_s(time.monotonic() - began)}", file=sys.stderr, flush=True)

        with Heartbeat(beat):
            command(*args, **kwargs)

    return told


def spoken_s(seconds: float) -> str:
    """'1 h 05 min', '2 min 03 s', '45 s'."""
    hours, minutes = int(seconds // 3600), int(seconds % 3600 // 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds % 60:02.0f} s" if minutes else f"{seconds:.0f} s"
