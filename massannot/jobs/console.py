"""What a person sees while a run runs and when it is over. stderr for progress, stdout for results.

On a terminal a bar; without one a line every half minute in which nothing else was said. NO_COLOR
is honoured by rich.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from massannot.counts import counted
from massannot.engine.progress import (
    ClipBegun,
    ClipDone,
    ClipFailed,
    Event,
    Load,
    RunBegun,
    ShardElsewhere,
    WorkerDied,
    WorkerReady,
)
from massannot.inputs.text import printable
from massannot.jobs.heartbeat import EVERY_S, Heartbeat, spoken_s


class Watcher:
    """Listens to a run and draws it; use it in a `with` block and hand `watch` to the executor."""

    def __init__(
        self,
        *,
        quiet: bool = False,
        verbose: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.console = Console(stderr=True)
        self._quiet, self._verbose = quiet, verbose
        self._bar: Progress | None = None
        self._heartbeat: Heartbeat | None = None
        self._clock = clock
        self._started = self._last_line = clock()
        self._step, self._step_began = "", clock()
        self._ready = False
        self._lock = threading.RLock()  # the heartbeat's thread reads what events change
        self._in_hand: dict[int, tuple[str, float]] = {}
        """Each worker's clip, and since when."""
        self.n_expected: int | None = None
        self.loads: dict[int, Load] = {}
        """Each worker's, when its last clip was done."""
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
                TextColumn("{task.fields[more]}"),
                console=self.console,
            )
            self._bar.start()
            self._bar.add_task("clips", total=None, more="")
        elif not self._quiet:
            self._heartbeat = Heartbeat(self.beat).__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        if self._heartbeat is not None:
            self._heartbeat.__exit__(kind, error, trace)

    def watch(self, event: Event) -> None:
        with self._lock:
            self._take(event)
            self._draw()

    def _take(self, event: Event) -> None:
        self._ready |= isinstance(event, WorkerReady | ClipBegun | ClipFailed)
        if isinstance(event, ClipBegun):
            name = f"{event.uri}#{event.clip_index}" if event.clip_index else event.uri
            self._in_hand[event.worker] = (name, self._clock())
        elif isinstance(event, ClipDone | ClipFailed | WorkerDied):
            self._in_hand.pop(event.worker, None)
        if isinstance(event, ClipDone):
            self.n_done += 1
            self.n_frames += event.n_frames
            self.seconds_of["waiting for pictures"] += event.waited_s
            for stage in event.times:
                self.seconds_of[stage.stage] += stage.seconds
            if event.load is not None:
                self.loads[event.worker] = event.load
        elif isinstance(event, ClipFailed):
            self.n_failed += 1
            self.reasons[event.reason] += 1
            self.say(f"failed: {event.uri} [{event.reason}] {event.message}")
        elif isinstance(event, WorkerDied):
            what = "was lost" if event.exit_code is None else f"died (exit code {event.exit_code})"
            self.say(f"worker {event.worker} {what}; its clips go on")
        elif isinstance(event, RunBegun):
            self.n_expected = event.clips
            self._started = self._clock()
        elif isinstance(event, ShardElsewhere) and self.n_expected is not None:
            self.n_expected -= event.clips
        elif isinstance(event, WorkerReady) and self._verbose:
            self.say(f"worker {event.worker} ready on {event.device} after {event.seconds:.1f} s")

    def begin(self, step: str) -> None:
        """Say what is done now that the clips are done."""
        self._step, self._step_began = step, self._clock()
        self.say(step)

    def beat(self) -> None:
        """Say how it goes, unless something was said a moment ago."""
        now = self._clock()
        if now - self._last_line < EVERY_S / 2:
            return
        with self._lock:
            self.say(self._now(now))

    def _now(self, now: float) -> str:
        if self._step:
            return f"{self._step}, for {spoken_s(now - self._step_began)}"
        if self.n_expected is None:  # planning, or tables made from rows
            return f"at work for {spoken_s(now - self._started)}"
        if not self._in_hand:
            return self.line() if self._ready else f"{self.line()}; models are being loaded"
        uri, since = min(self._in_hand.values(), key=lambda held: held[1])
        more = f" and {len(self._in_hand) - 1} more" if len(self._in_hand) > 1 else ""
        return f"{self.line()}; {uri}{more} in hand for {spoken_s(now - since)}"

    def say(self, message: str) -> None:
        """One line to stderr, above the bar."""
        self._last_line = self._clock()
        if not self._quiet:
            self.console.print(printable(message), markup=False, highlight=False, soft_wrap=True)

    def slowest(self) -> str:
        """Share of time of the three slowest stages, for people."""
        total = sum(self.seconds_of.values()) or 1.0
        most = sorted(self.seconds_of.items(), key=lambda item: -item[1])[:3]
        return ", ".join(f"{stage} {seconds / total:.0%}" for stage, seconds in most)

    def line(self) -> str:
        """How the run goes, in one line: clips, speed, time left, stages, failures, memory."""
        n, elapsed_s = self.n_done + self.n_failed, self._clock() - self._started
        expected = max(n, self.n_expected or 0)
        clips = f"{n} of about {counted(expected, 'clip')}" if self.n_expected else ""
        said = [clips or counted(n, "clip")]
        if n and elapsed_s > 0:
            said.append(f"{n / elapsed_s:.2g} clips/s, {self.n_frames / elapsed_s:.1f} frames/s")
            if expected > n:
                said.append(f"{spoken_s((expected - n) * elapsed_s / n)} left")
        if self.seconds_of:
            said.append(self.slowest())
        if self.n_failed:
            reasons = ", ".join(f"{reason} {n}" for reason, n in self.reasons.most_common(3))
            said.append(f"{self.n_failed} failed ({reasons})")
        return "; ".join(said + self._memory())

    def _memory(self) -> list[str]:
        """How full the workers' memories are: the fullest GPU, the mean of what is prefetched."""
        said = []
        gpus = [(load.gpu_bytes, load.gpu_total_bytes) for load in self.loads.values()]
        known = [(used, total) for used, total in gpus if used is not None and total is not None]
        if known:
            used, total = max(known, key=lambda gpu: gpu[0] / gpu[1])
            said.append(f"GPU memory {used / 2**30:.0f} of {total / 2**30:.0f} GiB")
        if self.loads:
            mean = sum(load.prefetched for load in self.loads.values()) / len(self.loads)
            said.append(f"prefetch {mean:.0%} full")
        return said

    def _draw(self) -> None:
        if self._bar is not None:
            self._bar.update(
                self._bar.task_ids[0],
                completed=self.n_done + self.n_failed,
                total=self.n_expected and max(self.n_expected, self.n_done + self.n_failed),
                more=self.line().partition("; ")[2],
            )
