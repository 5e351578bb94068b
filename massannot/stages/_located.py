"""One entity's places through a clip, from what was measured in single frames to the columns of
`positions`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from massannot.geometry.camera import apply, inverse
from massannot.geometry.lifting import fill_linear
from massannot.geometry.occlusion import NOTHING

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
I64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LocatedThing:
    """One entity through T frames."""

    entity: int
    presence: NDArray[np.str_]
    basis: NDArray[np.str_]
    """(T,) what measured it, see tables/positions.py; empty: nothing did."""
    xyz: F64
    """(T, 3) measured positions, camera frame; NaN: none."""
    spread: F64
    body: F64
    """(T, 6) x y z of its centre and size; NaN: not known."""
    valid_share: F64
    cut_share: F64
    n_points: I64

    @property
    def measured(self) -> Bool:
        return np.asarray(self.basis != "")

    def places(self, world_from_cam: F64, t_s: F64) -> F64:
        """(T, 3) with straight lines in the world where the entity is seen or hidden between two
        measurements; where poses are assumed, the world is the camera."""
        in_world = apply(world_from_cam, self.xyz)
        filled = np.column_stack(
            [
                fill_linear(in_world[:, i : i + 1], self.measured[:, None], t_s=t_s)[:, 0]
                for i in range(3)
            ]
        )
        wanted = ~self.measured & np.isin(self.presence, ("seen", "hidden"))
        line = apply(inverse(world_from_cam), filled)
        return np.where(wanted[:, None], line, self.xyz)

    def columns(self, places: F64, world_from_cam: F64 | None) -> dict[str, Any]:
        """Columns of `positions`, (T,) each."""
        unknown = np.full(places.shape, np.nan)
        world = unknown if world_from_cam is None else apply(world_from_cam, places)
        placed = np.isfinite(places[:, 0])
        state = np.where(self.measured, "measured", self.presence)
        state = np.where(state == "seen", np.where(placed, "interpolated", "lost"), state)
        basis = self.basis.astype(object)
        basis[~self.measured] = None
        return {
            "entity": np.full(len(places), self.entity),
            "frame": np.arange(len(places)),
            **{f"{axis}_cam": places[:, i] for i, axis in enumerate("xyz")},
            **{f"{axis}_world": world[:, i] for i, axis in enumerate("xyz")},
            "spread": np.where(self.measured, self.spread, np.nan),
            "n_points": self.n_points,
            "state": state,
            "basis": basis,
            **{f"body_{axis}": self.body[:, i] for i, axis in enumerate("xyz")},
            **{f"size_{axis}": self.body[:, 3 + i] for i, axis in enumerate("xyz")},
            "depth_valid_share": self.valid_share,
            "cut_share": self.cut_share,
        }


def known_occluders(occluder: I64, state: NDArray[np.str_]) -> NDArray[np.object_]:
    """Of hidden frames; None for none."""
    known = occluder.astype(object)
    known[(state != "hidden") | (occluder == NOTHING)] = None
    return known
