"""How far a second depth model disagrees, thing by thing: `positions.second_depth_log_ratio`.

Two models that were made apart err apart: half the variance of the logarithm of their ratio is a
lower bound of each one's own (what both have wrong shows in nothing). Distances of either that
have no unit of their own are compared after their middle over the clip is taken out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from massannot.clip import Clip
from massannot.models.protocols import DepthEstimator
from massannot.stages._stage import Stage
from massannot.stages._surfaces import masked_surfaces
from massannot.stages._track_arrays import focal_px, numbers, with_columns, words


@dataclass(frozen=True)
class CompareDepth(Stage):
    """Asks a second model, and keeps nothing else of its depth."""

    model: DepthEstimator

    reads: ClassVar[tuple[str, ...]] = ("frames", "depth", "masks", "cameras", "positions")
    writes: ClassVar[tuple[str, ...]] = ("positions",)
    fills: ClassVar[Mapping[str, tuple[str, ...]]] = {"positions": ("second_depth_log_ratio",)}

    def process(self, clip: Clip) -> Clip:
        """`clip` with the column filled where both have depth under a mask."""
        positions, depth = clip.table("positions"), clip.depth
        if positions.num_rows == 0 or depth is None:
            return clip
        second = self.model.estimate_depth(clip.frames, focal_px=focal_px(clip))
        if second.kind == "affine":
            return clip
        found = masked_surfaces(clip, second.values, least_outline=0.0)
        distances = dict(
            zip(zip(found.entity, found.frame, strict=True), found.xyz[:, 2], strict=True)
        )
        rows = zip(numbers(positions, "entity"), numbers(positions, "frame"), strict=True)
        seconds = np.array([distances.get(row, np.nan) for row in rows])
        firsts = np.where(
            words(positions, "basis", "mask_depth"), numbers(positions, "z_cam"), np.nan
        )
        logs = np.log(seconds / firsts)
        own_unit = depth.kind == second.kind == "metric" and depth.size_scale is None
        if np.isfinite(logs).any() and not own_unit:
            logs -= np.nanmedian(logs)
        known = [float(value) if np.isfinite(value) else None for value in logs]
        return clip.with_table("positions", with_columns(positions, second_depth_log_ratio=known))
