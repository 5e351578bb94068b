"""Positions of the things whose cuboids were given: the table `positions` with the rows of these
things replaced.

    measured      in a frame for which a cuboid is given, and there alone: its centre, exactly
    interpolated, hidden    on a straight line in time between two of these
    left, lost    no position

What masks and depth would say of such a thing is not mixed in: they measure the visible surface,
and a cuboid's centre is the body's. Other things keep their rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from massannot import tables
from massannot.clip import Clip
from massannot.errors import ModelFailed
from massannot.geometry.camera import inverse
from massannot.geometry.occlusion import NOTHING
from massannot.models.protocols import CuboidSource, GivenCuboids
from massannot.stages._located import LocatedThing, known_occluders
from massannot.stages._presence import finished_presences, mask_paths
from massannot.stages._stage import Stage
from massannot.stages._track_arrays import camera_arrays, numbers, rows_by_entity, world_known


@dataclass(frozen=True)
class PlaceCuboids(Stage):
    """Takes positions from `source`, in metres."""

    source: CuboidSource

    reads: ClassVar[tuple[str, ...]] = (
        "frames",
        "depth",
        "clips",
        "detections",
        "entities",
        "masks",
        "cameras",
        "positions",
    )
    writes: ClassVar[tuple[str, ...]] = ("positions",)

    def process(self, clip: Clip) -> Clip:
        """`clip` with `positions` of cuboids. Raises ModelFailed where depth is not in metres."""
        if clip.depth is None or clip.depth.kind != "metric":
            kind = "missing" if clip.depth is None else clip.depth.kind
            raise ModelFailed(
                f"cuboids are in metres, and depth is {kind}: expected metric depth, or "
                "--profile none without --depth"
            )
        given, positions = self.source.cuboids(clip.frames), clip.table("positions")
        states = finished_presences(clip, mask_paths(clip))
        world_from_cam = inverse(camera_arrays(clip)[1])
        known_world = world_from_cam if world_known(clip) else None
        track_of, parts = _tracks(clip), []
        for number, rows in rows_by_entity(positions).items():
            track = track_of.get(number)
            if track is not None and np.isfinite(given.centre[track]).any():
                thing = _located(number, states[number], given, track, rows)
                places = thing.places(world_from_cam, clip.frames.t_s)
                found = thing.columns(places, known_world)
                before = [NOTHING if n is None else n for n in rows["occluder"].to_pylist()]
                rows = tables.spec("positions").from_columns(
                    {
                        "clip_id": rows["clip_id"],
                        "scale_type": rows["scale_type"],
                        **found,
                        "occluder": known_occluders(np.array(before), found["state"]),
                        **{f"front_{axis}": given.front[track, :, i]
                           for i, axis in enumerate("xyz")},
                    }
                )  # fmt: skip
            parts.append(rows)
        return clip.with_table("positions", pa.concat_tables(parts) if parts else positions)


def _tracks(clip: Clip) -> dict[int, int]:
    """Of each entity that has given boxes, the number of its thing in the file."""
    rows = clip.table("detections").select(["entity", "track"]).to_pylist()
    known = [row for row in rows if None not in row.values()]
    return {row["entity"]: row["track"] for row in known}


def _located(
    entity: int, presence: NDArray[np.str_], given: GivenCuboids, track: int, rows: pa.Table
) -> LocatedThing:
    """The thing measured where its cuboid is given. `rows`: its rows until now, of which only what
    is said of points and of the picture's border stays."""
    centre = given.centre[track]
    unknown = np.full(len(centre), np.nan)
    return LocatedThing(
        entity=entity,
        presence=presence,
        basis=np.where(np.isfinite(centre[:, 0]), "cuboid", ""),
        xyz=centre,
        spread=unknown,
        body=np.hstack([centre, given.extent[track]]),
        valid_share=unknown,
        cut_share=numbers(rows, "cut_share"),
        n_points=numbers(rows, "n_points").astype(np.int64),
    )
