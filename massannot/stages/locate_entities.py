"""The position of each entity in each frame: the table `positions`.

    measured      the centre of the visible surface, from the depth under the mask; where the mask
                  has too little depth, the component-wise median of the tracked points that are
                  measured in the frame
    interpolated  seen, without either: on a straight line in time between measured neighbours
    hidden        something is in front of it: the same line
    left, lost    no position

Of what is hidden, `occluder` says by which other entity, where that has a mask.

The mask shows the whole visible surface in every frame; points are chosen once, and which of them
are measured changes from frame to frame, so that their median moves while the thing does not: on
rendered scenes it is eight times as far off with exact depth, and a third further with estimated
depth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from massannot import tables
from massannot.clip import Clip
from massannot.geometry.camera import inverse
from massannot.geometry.motion import surface_centre
from massannot.stages._located import LocatedThing, known_occluders
from massannot.stages._presence import presences
from massannot.stages._stage import Stage
from massannot.stages._surfaces import MaskedSurfaces, masked_surfaces
from massannot.stages._track_arrays import (
    SpaceTracks,
    camera_arrays,
    numbers,
    space_tracks,
    world_known,
)

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class LocateEntities(Stage):
    """One row per entity and frame, present or not."""

    min_points: int = 3
    """Points that a centre needs: with fewer a single wrong one is the median."""
    least_outline: float = 0.75
    """An outline of a smaller share of the area that the track leads one to expect counts as partly
    hidden: it says nothing about the body."""

    reads: ClassVar[tuple[str, ...]] = (
        "frames",
        "depth",
        "clips",
        "entities",
        "masks",
        "tracks_xyz",
        "cameras",
    )
    writes: ClassVar[tuple[str, ...]] = ("positions",)

    def process(self, clip: Clip) -> Clip:
        """`clip` with `positions`, which has no rows where nothing can be lifted."""
        spec, depth = tables.spec("positions"), clip.depth
        entities = numbers(clip.table("entities"), "entity").astype(np.int64)
        if depth is None or depth.kind == "affine" or len(entities) == 0:
            return clip.with_table("positions", spec.empty())
        surfaces = masked_surfaces(clip, depth.values, least_outline=self.least_outline)
        tracks, (present, hidden_by) = space_tracks(clip, n_frames=len(clip)), presences(clip)
        world_from_cam = inverse(camera_arrays(clip)[1])
        known = world_known(clip)
        columns: list[dict[str, Any]] = []
        for entity in entities:
            points = tracks.of(int(entity))
            course = self._course(int(entity), present[int(entity)], surfaces, points)
            places = course.places(world_from_cam, clip.frames.t_s)
            found = course.columns(places, world_from_cam if known else None)
            columns.append(
                {**found, "occluder": known_occluders(hidden_by[int(entity)], found["state"])}
            )
        joined = {name: np.concatenate([c[name] for c in columns]) for name in columns[0]}
        n_rows = len(joined["frame"])
        table = spec.from_columns(
            {
                "clip_id": [clip.clip_id] * n_rows,
                "scale_type": [depth.kind] * n_rows,
                **joined,
            }
        )
        return clip.with_table("positions", table)

    def _course(
        self, entity: int, present: NDArray[np.str_], surfaces: MaskedSurfaces, points: SpaceTracks
    ) -> LocatedThing:
        """One entity's own measurements in every frame."""
        mine = surfaces.entity == entity
        n_frames = len(present)
        frame = surfaces.frame[mine]

        def through_time(of_masks: F64) -> F64:
            values = np.full((n_frames, *of_masks.shape[1:]), np.nan)
            values[frame] = of_masks[mine]
            return values

        on_surface = through_time(surfaces.xyz)
        centres = surface_centre(points.xyz, points.measured, min_points=self.min_points)
        seen = present == "seen"
        by_mask = seen & np.isfinite(on_surface[:, 0])
        by_points = seen & ~by_mask & centres.measured
        xyz = np.where(by_mask[:, None], on_surface, np.nan)
        xyz[by_points] = centres.xyz[by_points]
        return LocatedThing(
            entity=entity,
            presence=present,
            basis=np.where(by_mask, "mask_depth", np.where(by_points, "points", "")),
            xyz=xyz,
            spread=np.where(by_points, centres.spread, through_time(surfaces.spread)),
            body=np.where(
                by_mask[:, None],
                through_time(np.column_stack([surfaces.body_xyz, surfaces.body_size])),
                np.nan,
            ),
            valid_share=through_time(surfaces.valid_share),
            cut_share=through_time(surfaces.cut_share),
            n_points=centres.n_measured,
        )
