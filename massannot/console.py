"""What a person sees while a run runs and when it is over. stderr for progress, stdout for results.

On a terminal a bar; without one a line a minute. NO_COLOR is honoured by rich.
"""

from __future__ import annotations

import sys
import time
from collections import Counter, defaultdict
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from massannot.executors.progress import (
    ClipDone,
    ClipFailed,
    Event,
    WorkerDied,
    WorkerReady,
)

LINE_EVERY_S = 60.0


class Watcher:
    """Listens to a run and draws it; use it in a `with` block and hand `watch` to the executor."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self.console = Console(stderr=True)
        self._quiet, self._verbose = quiet, verbose
        self._bar: Progress | None = None
        self._started = self._last_line = time.monotonic()
        self.n_done = self.n_failed = self.n_frames = 0
        self.seconds_of: dict[str, float] = defaultdict(float)
        self.reasons: Counter[str] = Counter()

    def __enter__(self) -> Watcher:
        if self.console.is_terminal and not self._quiet:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=self.console,
            )
            self._bar.start()
            self._bar.add_task("clips", total=None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def watch(self, event: Event) -> None:
        if isinstance(event, ClipDone):
            self.n_done += 1
            self.n_frames += event.n_frames
            self.seconds_of["waiting for pictures"] += event.waited_s
            for stage in event.times:
                self.seconds_of[stage.stage] += stage.seconds
        elif isinstance(event, ClipFailed):
            self.n_failed += 1
            self.reasons[event.reason] += 1
            self.say(f"failed: {event.uri} [{event.reason}] {event.message}")
        elif isinstance(event, WorkerDied):
            self.say(f"worker {event.worker} died (exit code {event.exit_code}); its clips go on")
        elif isinstance(event, WorkerReady) and self._verbose:
            self.say(f"worker {event.worker} ready on {event.device} after {event.seconds:.1f} s")
        self._draw()

    def say(self, message: str) -> None:
        """One line to stderr, above the bar."""
        if not self._quiet:
            self.console.print(message, markup=False, highlight=False, soft_wrap=True)

    def slowest(self) -> str:
        """Share of time of the three slowest stages, for people."""
        total = sum(self.seconds_of.values()) or 1.0
        most = sorted(self.seconds_of.items(), key=lambda item: -item[1])[:3]
        return ", ".join(f"{stage} {seconds / total:.0%}" for stage, seconds in most)

    def _draw(self) -> None:
        elapsed = time.monotonic() - self._started
        rate = f"{self.n_frames / elapsed:.1f} frames/s" if elapsed > 0 else ""
        failed = f", {self.n_failed} failed" if self.n_failed else ""
        if self._bar is not None:
            self._bar.update(
                self._bar.task_ids[0],
                completed=self.n_done + self.n_failed,
                description=f"clips  {rate}{failed}  {self.slowest()}",
            )
        elif not self._quiet and time.monotonic() - self._last_line > LINE_EVERY_S:
            self._last_line = time.monotonic()
            print(
                f"{self.n_done} clips done{failed}, {rate}; {self.slowest()}",
                file=sys.stderr,
                flush=True,
            )
