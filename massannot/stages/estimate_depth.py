"""Depth of every frame: the model's maps, at its own size, checked once and handed on.

Unusual: a value that cannot be a depth (zero, negative, infinite) becomes NaN here, so that later
stages know one kind of invalid. Maps stay at the model's output size; lifting converts
coordinates instead of resizing depth, which would smear its edges. The model hears the focal
length: a network that learned depth for one lens is right for another only through it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from massannot.clip import Clip, DepthMaps
from massannot.counts import counted
from massannot.errors import BadModelOutput
from massannot.models.protocols import DepthEstimator
from massannot.stages._stage import Stage
from massannot.stages._track_arrays import focal_px


@dataclass(frozen=True)
class EstimateDepth(Stage):
    """Asks `model` for the depth of all frames at once, so that it can batch them."""

    model: DepthEstimator

    reads: ClassVar[tuple[str, ...]] = ("frames", "cameras")
    writes: ClassVar[tuple[str, ...]] = ("depth",)

    def process(self, clip: Clip) -> Clip:
        """`clip` with depth. Raises BadModelOutput for another number of maps than frames, and for
        depth that is nowhere valid."""
        depth = self.model.estimate_depth(clip.frames, focal_px=focal_px(clip))
        if len(depth) != len(clip):
            raise BadModelOutput(
                f"depth of {clip.frames.source_id}: found {len(depth)} maps, expected one for each "
                f"of {counted(len(clip), 'frame')}"
            )
        return clip.with_depth(_without_impossible(depth, source_id=clip.frames.source_id))


def _without_impossible(depth: DepthMaps, *, source_id: str) -> DepthMaps:
    """The same maps with NaN wherever a value cannot be (inverse) depth; not copied if all can."""
    if all(_is_possible(float(z.min()), float(z.max())) for z in depth.values):
        return depth
    # Inverse depth may be zero, infinitely far away; its offset is unknown anyway.
    lowest = -np.inf if depth.kind == "affine" else 0.0
    possible = (depth.values > lowest) & (depth.values < np.inf)
    if not possible.any():
        raise BadModelOutput(
            f"depth of {source_id}: none of {counted(depth.values.size, 'value')} is a "
            f"{depth.kind} depth; expected positive, finite numbers"
        )
    return dataclasses.replace(depth, values=np.where(possible, depth.values, np.float32(np.nan)))


def _is_possible(smallest: float, largest: float) -> bool:
    """False also when one of them is NaN."""
    return smallest > 0.0 and largest < np.inf
