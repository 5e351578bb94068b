"""Watchdog: which clip is taking far too long, measured against the clips before it."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from massannot.engine.progress import ClipBegun

REMEMBERED = 1001
"""Clips whose times make the running median: enough to be steady, few enough to follow a change."""


@dataclass(frozen=True)
class Patience:
    """How long a run waits for what may never come."""

    hung_after_s: float = 120.0
    """A clip may always take so long: disks have bad minutes."""
    hung_factor: float = 10.0
    """And so many times what clips of its size usually take."""
    first_clip_s: float = 600.0
    """While no clip is finished nothing is usual. Models are loaded by then; this is for the clip
    itself and for kernels that are chosen at first use."""
    first_frame_on_cpu_s: float = 0.0
    """On a CPU so much for each of its frames, if that is more."""
    grace_s: float = 30.0
    """After a signal, for the clip in hand: Slurm and Kubernetes give 30 s before they kill."""


@dataclass(frozen=True)
class Hung:
    """A clip that has taken longer than it may."""

    clip: ClipBegun
    seconds: float
    allowed_s: float


class Watchdog:
    """Hears when clips begin and end; says which of those in hand are overdue."""

    def __init__(self, patience: Patience, *, clock: Callable[[], float] = time.monotonic):
        self._patience = patience
        self._clock = clock
        self._since: dict[ClipBegun, float] = {}
        self._seconds_per_cost: deque[float] = deque(maxlen=REMEMBERED)

    def begun(self, clip: ClipBegun) -> None:
        self._since[clip] = self._clock()

    def done(self, worker: int, uri: str, clip_index: int) -> None:
        """A clip is finished: its time counts."""
        for clip in self._in_hand(worker, uri, clip_index):
            took_s = self._clock() - self._since.pop(clip)
            self._seconds_per_cost.append(took_s / clip.cost)

    def failed(self, worker: int, uri: str, clip_index: int) -> None:
        """Its time says nothing."""
        for clip in self._in_hand(worker, uri, clip_index):
            del self._since[clip]

    def lost(self, worker: int) -> None:
        """The worker is gone, and what it had in hand."""
        for clip in [clip for clip in self._since if clip.worker == worker]:
            del self._since[clip]

    def _in_hand(self, worker: int, uri: str, clip_index: int) -> list[ClipBegun]:
        wanted = (worker, uri, clip_index)
        return [c for c in self._since if (c.worker, c.uri, c.clip_index) == wanted]

    def overdue(self) -> list[Hung]:
        """Clips in hand for longer than they may be."""
        now, least_s = self._clock(), self._patience.hung_after_s
        late = [(clip, now - since) for clip, since in self._since.items() if now - since > least_s]
        if not late:
            return []
        usual_s = statistics.median(self._seconds_per_cost) if self._seconds_per_cost else None
        found = [Hung(clip, took_s, self._allowed_s(clip, usual_s)) for clip, took_s in late]
        return [hung for hung in found if hung.seconds > hung.allowed_s]

    def _allowed_s(self, clip: ClipBegun, usual_s: float | None) -> float:
        """`usual_s`: seconds per cost."""
        patience = self._patience
        if usual_s is None:
            first_s = max(patience.first_clip_s, patience.first_frame_on_cpu_s * clip.n_frames)
            return max(patience.hung_after_s, first_s)
        return max(patience.hung_after_s, patience.hung_factor * usual_s * clip.cost)
