"""Colours: one per entity, and a ramp for depth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Twelve hues that stay apart for colour-blind readers at the start of the list.
ENTITY_RGB: tuple[tuple[int, int, int], ...] = (
    (0, 158, 255),
    (255, 149, 0),
    (0, 200, 120),
    (240, 80, 160),
    (250, 220, 50),
    (150, 100, 255),
    (90, 220, 240),
    (230, 70, 60),
    (150, 200, 40),
    (200, 130, 90),
    (120, 140, 255),
    (255, 170, 190),
)
PAPER = (18, 20, 24)
INK = (228, 230, 235)
FAINT = (110, 116, 126)
GRID = (48, 52, 60)

# Dark blue (far) over teal to pale yellow (near), interpolated between these stops.
_RAMP = np.array(
    [[24, 20, 60], [38, 60, 130], [30, 120, 150], [70, 180, 130], [180, 222, 90], [253, 245, 190]],
    np.float32,
)


def entity_rgb(entity: int) -> tuple[int, int, int]:
    return ENTITY_RGB[entity % len(ENTITY_RGB)]


def depth_rgb(depth: npt.NDArray[np.float32], *, near: float, far: float) -> npt.NDArray[np.uint8]:
    """(h, w) depth as (h, w, 3) colours, linear in 1/depth; unknown (NaN) is dark grey."""
    known = np.isfinite(depth) & (depth > 0)
    inverse = 1 / np.where(known, depth, 1)
    low, high = 1 / max(far, 1e-6), 1 / max(near, 1e-6)
    place = np.clip((inverse - low) / max(high - low, 1e-9), 0, 1) * (len(_RAMP) - 1)
    left = np.minimum(place.astype(np.int32), len(_RAMP) - 2)
    mixed = _RAMP[left] + (place - left)[..., None] * (_RAMP[left + 1] - _RAMP[left])
    mixed[~known] = GRID
    return mixed.astype(np.uint8)
