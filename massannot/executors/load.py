"""Load: what a worker's memory holds when a clip is done. For progress, never for a table."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from massannot.io.byte_budget import ByteBudget


@dataclass(frozen=True)
class Load:
    """`prefetched`: share of the memory for decoded clips that is in use, 1 when decoding waits for
    the models; near 0 the models wait for decoding. `gpu_bytes`: in use by everybody on the
    worker's GPU."""

    prefetched: float
    gpu_bytes: int | None = None
    gpu_total_bytes: int | None = None


def load_of(memory: ByteBudget, device: str) -> Load:
    """The load now."""
    prefetched = memory.held_bytes / memory.limit_bytes if memory.limit_bytes else 0.0
    torch = sys.modules.get("torch")
    if torch is None or not device.startswith("cuda"):
        return Load(prefetched)
    free, total = torch.cuda.mem_get_info(device)
    return Load(prefetched, total - free, total)
