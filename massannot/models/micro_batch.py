"""Micro-batch: how much of a clip a model takes at a time, and half of that after out-of-memory.

Sizes are functions of recipe and device, never of free memory, so that equal clips give equal bits;
only a clip that did not fit is done with half of everything, and its row says so.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_HALVINGS: ContextVar[int] = ContextVar("halvings", default=0)


@contextmanager
def halved(times: int) -> Iterator[None]:
    """Inside the block `micro_batch` gives its sizes halved so many times."""
    before = _HALVINGS.set(times)
    try:
        yield
    finally:
        _HALVINGS.reset(before)


def micro_batch(size: int) -> int:
    """`size`, or what is left of it after halving; at least 1."""
    return max(1, size >> _HALVINGS.get())


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device had no memory left. Asks by name: who asks need not have torch."""
    return any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__)


def free_device_memory() -> None:
    """Give back what torch keeps for later: another size needs other blocks."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
