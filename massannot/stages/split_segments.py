"""Sub-spans of a fixed number of frames, as MASS describes motion: 0...31, 32...63, and so on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from massannot import tables
from massannot.clip import Clip
from massannot.errors import BadRecipe
from massannot.stages._stage import Stage


@dataclass(frozen=True)
class SplitSegments(Stage):
    """Cuts every clip from its first frame on; the last segment may be shorter."""

    length: int = 32
    """Frames in a segment: MASS's number."""

    reads: ClassVar[tuple[str, ...]] = ("frames",)
    writes: ClassVar[tuple[str, ...]] = ("segments",)

    def __post_init__(self) -> None:
        if self.length < 1:
            raise BadRecipe(f"split_segments.length: found {self.length}, expected 1 or more")

    def process(self, clip: Clip) -> Clip:
        """`clip` with its segments."""
        first = np.arange(0, len(clip), self.length)
        table = tables.spec("segments").from_columns(
            {
                "clip_id": [clip.clip_id] * len(first),
                "segment": np.arange(len(first)),
                "first_frame": first,
                "end_frame": np.minimum(first + self.length, len(clip)),
                "kind": ["fixed"] * len(first),
            }
        )
        return clip.with_table("segments", table)
