"""Progress: what a run says while it runs, as values. Who listens draws; nothing prints here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from massannot.dataset.journal import Status
from massannot.stages._stage import StageTime
from massannot.video.byte_budget import ByteBudget


@dataclass(frozen=True)
class Load:
    """`prefetched`: share of the memory for decoded clips that is in use, 1 when decoding waits for
    the models; near 0 the models wait for decoding. `gpu_bytes`: in use by everybody on the
    worker's GPU."""

    prefetched: float
    gpu_bytes: int | None = None
    gpu_total_bytes: int | None = None


@dataclass(frozen=True)
class RunBegun:
    """What this start has to do. How many clips unseen videos have is known when they are read: a
    whole video counts for one."""

    clips: int
    shards: int


@dataclass(frozen=True)
class WorkerReady:
    """A worker has loaded its models."""

    worker: int
    device: str
    seconds: float


@dataclass(frozen=True)
class ShardBegun:
    worker: int
    shard: str
    attempt: int
    isolated: bool


@dataclass(frozen=True)
class ClipBegun:
    """From here until ClipDone or ClipFailed the clip is in the worker's hands: what a watchdog
    measures, and what it names."""

    worker: int
    uri: str
    clip_index: int
    cost: float
    """Frames x pixels: clips of equal cost should take equally long."""
    n_frames: int


@dataclass(frozen=True)
class ClipDone:
    """`waited_s`: seconds the models stood still because no decoded clip was there."""

    worker: int
    uri: str
    clip_index: int
    clip_id: str
    n_frames: int
    waited_s: float
    times: tuple[StageTime, ...]
    load: Load | None = None
    warnings: tuple[str, ...] = ()
    """Sentences for a person, as of answers of a file that no frame has."""


@dataclass(frozen=True)
class ClipFailed:
    worker: int
    uri: str
    clip_index: int
    stage: str
    reason: str
    message: str
    status: Status


@dataclass(frozen=True)
class ShardDone:
    worker: int
    shard: str


@dataclass(frozen=True)
class ShardElsewhere:
    """Another driver on the same output has finished it: that much less to do."""

    shard: str
    clips: int


@dataclass(frozen=True)
class WorkerDied:
    """A worker process ended unasked; its shard is done again, one clip at a time."""

    worker: int
    exit_code: int | None
    """Minus the signal's number where one ended it; None: it was lost with its machine."""
    shard: str | None


Event = (
    RunBegun
    | WorkerReady
    | ShardBegun
    | ClipBegun
    | ClipDone
    | ClipFailed
    | ShardDone
    | ShardElsewhere
    | WorkerDied
)
Progress = Callable[[Event], None]


def silent(event: Event) -> None:
    """Listens to nothing."""


def load_of(memory: ByteBudget, device: str) -> Load:
    """The load now."""
    prefetched = memory.held_bytes / memory.limit_bytes if memory.limit_bytes else 0.0
    torch = sys.modules.get("torch")
    if torch is None or not device.startswith("cuda"):
        return Load(prefetched)
    free, total = torch.cuda.mem_get_info(device)
    return Load(prefetched, total - free, total)
