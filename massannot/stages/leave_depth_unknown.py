"""No depth, where places come from somewhere else: every pixel is unknown, in metres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from massannot.clip import Clip, DepthMaps
from massannot.stages._stage import Stage


@dataclass(frozen=True)
class LeaveDepthUnknown(Stage):
    """Stands for `estimate_depth` where nobody estimates any."""

    reads: ClassVar[tuple[str, ...]] = ("frames",)
    writes: ClassVar[tuple[str, ...]] = ("depth",)

    def process(self, clip: Clip) -> Clip:
        """`clip` with a map of unknown values for each frame."""
        values = np.full((len(clip), 3, 3), np.nan, np.float32)
        return clip.with_depth(DepthMaps(values, kind="metric"))
