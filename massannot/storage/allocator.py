"""The allocators of a process: Arrow's, chosen by the environment when Arrow is imported, and the C
library's, which keeps what was freed between things that were not.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any

ALLOCATOR = {"ARROW_DEFAULT_MEMORY_POOL": "system"}
"""Arrow's own keeps much of what a million names took, and of a worker's peak 17 MB."""


def give_back() -> None:
    """Return freed pages to the system, where the C library is GNU's: a worker does so before each
    clip, or its memory would grow from clip to clip."""
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Any:
    if sys.platform != "linux":
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
