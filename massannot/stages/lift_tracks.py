"""Point tracks in space: `tracks_xy` lifted by depth and camera into `tracks_xyz`.

Background points are lifted like any other. Nothing is lifted from affine depth, whose offset is
unknown: the table exists and is empty.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from massannot import tables
from massannot.clip import Clip
from massannot.geometry.depth_sampling import EdgeRule
from massannot.geometry.lifting import lift_tracks
from massannot.stages._stage import Stage
from massannot.stages._track_arrays import camera_arrays, float_lists, picture_tracks, state_lists
from massannot.tables._spec import in_steps


@dataclass(frozen=True)
class LiftTracks(Stage):
    """Lifts all points of a clip at once."""

    edge: EdgeRule = field(default_factory=EdgeRule)
    """The rule for readings that lie on a depth edge."""

    reads: ClassVar[tuple[str, ...]] = ("frames", "depth", "tracks_xy", "cameras")
    writes: ClassVar[tuple[str, ...]] = ("tracks_xyz",)

    def process(self, clip: Clip) -> Clip:
        """`clip` with `tracks_xyz`, in the camera of each frame."""
        spec, depth = tables.spec("tracks_xyz"), clip.depth
        if depth is None or depth.kind == "affine":
            return clip.with_table("tracks_xyz", spec.empty())
        size = (clip.frames.source_width, clip.frames.source_height)
        tracks = picture_tracks(clip)
        intrinsics, _ = camera_arrays(clip)
        lifted = lift_tracks(
            tracks.xy,
            tracks.visible,
            depth.values,
            intrinsics=intrinsics,
            t_s=clip.frames.t_s,
            picture_size=size,
            edge_rule=self.edge,
        )
        n_points = len(tracks.entity)
        xyz = {axis: lifted.xyz[..., i] for i, axis in enumerate("xyz")}
        # Of another unit nobody knows how long a step would be; what was given is not in steps.
        if depth.kind == "metric" and _are_in_steps(tracks.xy):
            xyz = {axis: in_steps(spec.column(axis), values) for axis, values in xyz.items()}
        table = spec.from_columns(
            {
                "clip_id": [clip.clip_id] * n_points,
                "entity": tracks.entity,
                "point": tracks.point,
                "scale_type": [depth.kind] * n_points,
                **{axis: float_lists(xyz[axis]) for axis in "xyz"},
                "state": state_lists(lifted.measured, lifted.interpolated),
            }
        )
        return clip.with_table("tracks_xyz", table)


def _are_in_steps(xy: NDArray[np.float64]) -> bool:
    """Whether all places (T, N, 2) in the picture are whole steps of their columns: found ones."""
    return np.array_equal(in_steps(tables.spec("tracks_xy").column("x"), xy), xy)
