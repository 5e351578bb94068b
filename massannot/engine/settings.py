"""ExecutorSettings: where workers run, how many, and when a clip counts as hung.

None of this can change a row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from massannot.engine.watchdog import Patience
from massannot.errors import UsageError

MEMORY_BYTES = 2 * 2**30
"""Decoded pictures a worker may hold: three of the largest clips (708 MB), many usual ones."""


@dataclass(frozen=True)
class ExecutorSettings:
    """Where a run's workers are. Raises UsageError for a device or combination that cannot be."""

    executor: Literal["local", "ray"] = "local"
    device: str = "auto"
    """auto, cpu, cuda or cuda:N; auto and cuda are every GPU."""
    workers: int | None = None
    """Processes under local, actors under ray; None: one a GPU. 0: this very process, without the
    protection that another gives."""
    actors_per_gpu: int | None = None
    """Under ray: workers that share a GPU."""
    address: str | None = None
    """Under ray: the cluster to join; None: RAY_ADDRESS, else a Ray of its own."""
    memory_bytes: int = MEMORY_BYTES
    """Decoded pictures that each worker may hold."""
    patience: Patience = field(default_factory=Patience)
    share: str = ""
    """Of a job array: what tells this driver's logs from those of the other jobs."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            raise UsageError(f"--device {self.device}: expected auto, cpu, cuda or cuda:N")
        if self.executor == "local" and (self.actors_per_gpu, self.address) != (None, None):
            raise UsageError("--actors-per-gpu and --address: only with --executor ray")
        if self.actors_per_gpu is not None and self.workers is not None:
            raise UsageError("--actors and --actors-per-gpu: found both, expected one of them")
