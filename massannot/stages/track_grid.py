"""Points of a regular grid through the clip: `tracks_xy` without any phrase or mask.

The grid lies in one frame, its points in the middle of equal cells of the picture between black
bars; all belong to entity -1, as points that belong to no named thing do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from massannot.clip import Clip
from massannot.errors import BadRecipe
from massannot.models.protocols import F64, PointTracker
from massannot.stages._stage import Stage
from massannot.stages._track_arrays import BACKGROUND, tracks_xy_table


@dataclass(frozen=True)
class TrackGrid(Stage):
    """Follows a grid of points with `tracker`."""

    tracker: PointTracker
    size: int = 8
    """Points in a row and in a column."""
    frame: int = 0
    """The frame in which the grid lies; in a shorter clip its last one."""

    reads: ClassVar[tuple[str, ...]] = ("frames",)
    writes: ClassVar[tuple[str, ...]] = ("tracks_xy",)

    def __post_init__(self) -> None:
        if self.size < 1 or self.frame < 0:
            raise BadRecipe(
                f"track_grid: found size {self.size} and frame {self.frame}, expected a size of at "
                "least 1 and a frame of at least 0"
            )

    def process(self, clip: Clip) -> Clip:
        """`clip` with `tracks_xy`. Raises BadModelOutput."""
        queries = self._queries(clip)
        numbers = np.arange(len(queries), dtype=np.int32)
        entities = np.full(len(queries), BACKGROUND, np.int32)
        table = tracks_xy_table(
            clip, self.tracker, queries_txy=queries, entities=entities, points=numbers
        )
        return clip.with_table("tracks_xy", table)

    def _queries(self, clip: Clip) -> F64:
        """Queries (N, 3) frame, x, y in source pixels, row by row."""
        middles = (np.arange(self.size) + 0.5) / self.size
        y, x = np.meshgrid(middles, middles, indexing="ij")
        x0, y0, x1, y1 = clip.frames.area
        points = np.stack([x.ravel(), y.ravel()], axis=1) * [x1 - x0, y1 - y0] + [x0, y0]
        return np.c_[np.full(len(points), min(self.frame, len(clip) - 1)), points]
