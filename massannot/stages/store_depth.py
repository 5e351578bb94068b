"""Depth stored for people to look at, on request: `depth_maps`, 16-bit PNGs of reduced size.

A smaller map takes every so-many-th value as it is: averaging would invent depths between an object
and what is behind it. Depth is stored as depth, affine depth as the inverse depth it is; 65,535
steps between the clip's nearest and farthest value.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from massannot import tables
from massannot.clip import Clip
from massannot.errors import BadRecipe
from massannot.stages._stage import Stage

F32 = NDArray[np.float32]

_STEPS = 65534


@dataclass(frozen=True)
class StoreDepth(Stage):
    """Writes every frame's depth, as it is after stabilize_depth."""

    short_side: int = 256
    """Largest length of a map's shorter side: the table's own limit."""

    reads: ClassVar[tuple[str, ...]] = ("frames", "depth")
    writes: ClassVar[tuple[str, ...]] = ("depth_maps",)

    def __post_init__(self) -> None:
        if not 1 <= self.short_side <= 256:
            raise BadRecipe(f"store_depth.short_side: found {self.short_side}, expected 1 to 256")

    def process(self, clip: Clip) -> Clip:
        """`clip` with `depth_maps`; empty where there is no valid depth at all."""
        spec, depth = tables.spec("depth_maps"), clip.depth
        if depth is None or not np.isfinite(depth.values).any():
            return clip.with_table("depth_maps", spec.empty())
        maps = _reduced(depth.values, self.short_side)
        low, high = float(np.nanmin(maps)), float(np.nanmax(maps))
        scale = (high - low) / _STEPS if high > low else 1.0
        offset = low - scale  # stored 1 is the smallest value, 0 is invalid
        common: dict[str, Any] = {
            "clip_id": clip.clip_id,
            "height": maps.shape[1],
            "width": maps.shape[2],
            "encoding": "inverse_depth" if depth.kind == "affine" else "depth",
            "scale": scale,
            "offset": offset,
            "scale_type": depth.kind,
        }
        rows = [
            {**common, "frame": frame, "png": _png(values, scale=scale, offset=offset)}
            for frame, values in enumerate(maps)
        ]
        return clip.with_table("depth_maps", spec.from_rows(rows))


def _reduced(values: F32, short_side: int) -> F32:
    """Maps (T, h', w') with the value under each new pixel's centre; the same if small enough."""
    height, width = values.shape[1:]
    factor = min(1.0, short_side / min(height, width))
    size = [max(1, int(side * factor)) for side in (height, width)]
    rows, columns = (
        (2 * np.arange(new) + 1) * old // (2 * new) for new, old in zip(size, (height, width))
    )
    return values[:, rows[:, None], columns]


def _png(values: F32, *, scale: float, offset: float) -> bytes:
    stored = np.rint((np.nan_to_num(values.astype(np.float64), nan=offset) - offset) / scale)
    file = io.BytesIO()
    Image.fromarray(stored.astype(np.uint16)).save(file, format="PNG")
    return file.getvalue()
