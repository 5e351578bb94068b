"""Metres that are none: no scene is so far away that its median has four digits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FARTHEST_M = 1000.0
"""Median of distances: beyond that metres are millimetres."""
FARTHEST_WHOLE_M = 100.0
"""The same, where all values are whole numbers."""


def too_far(distances: NDArray[np.floating], *, all_whole: bool) -> str:
    """The median of distances that are no metres, as a message says it; empty: they may be."""
    middle = float(np.median(distances)) if distances.size else 0.0
    if middle <= (FARTHEST_WHOLE_M if all_whole else FARTHEST_M):
        return ""
    return f"{middle:g} m{', all of it whole numbers' if all_whole else ''}"
