"""Sightings: which point of the background was seen where, in which frame, at which depth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Sightings:
    """O sightings of N points in T frames, in order of their frames; each frame sees a point, and
    each point is seen."""

    frame: I64
    point: I64
    xy: F64
    """(O, 2) pixels."""
    log_z: F64
    """(O,) NaN: no depth."""
    intrinsics: F64
    """(O, 4) fx fy cx cy."""
    n_frames: int
    n_points: int

    def by_frame(self, values: F64) -> F64:
        """Sums (..., T) of the values (..., O) of each frame."""
        return np.add.reduceat(values, self.frame_starts[:-1], axis=-1)

    def by_point(self, values: F64) -> F64:
        """Sums (..., N) of the values (..., O) of each point."""
        order, first = self._point_order
        return np.add.reduceat(values[..., order], first, axis=-1)

    @cached_property
    def frame_starts(self) -> I64:
        """(T + 1,) first sighting of each frame, and O."""
        return np.searchsorted(self.frame, range(self.n_frames + 1))

    @cached_property
    def cell(self) -> I64:
        """(O,) place of each sighting in a row of all points in all frames, frame by frame."""
        return self.frame * self.n_points + self.point

    @cached_property
    def _point_order(self) -> tuple[I64, I64]:
        """The sightings (O,) by point, and where each point's begin (N,)."""
        order = np.argsort(self.point, kind="stable")
        return order, np.searchsorted(self.point[order], range(self.n_points))
