"""The clip's own row: its span and sizes, the scale and edge of its depth, and how still its
background is.

Noise floor: the background ought to stand still in the world, so the 3D path that its points seem
to walk each second is what this clip's noise alone can look like, measured like any entity's path.
It is known where the camera stands still, or where its motion was given.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from massannot import tables
from massannot.clip import Clip, DepthMaps
from massannot.geometry.camera_motion import StaticCameraRule
from massannot.stages._stage import Stage
from massannot.stages._track_arrays import background_motion, background_paths

EDGE = 0.9
"""Share of a depth model's range from which its answers are no longer believed: what lies beyond
the range is answered there too."""


@dataclass(frozen=True)
class SummarizeClip(Stage):
    """Writes the one row of `clips`."""

    static_camera: StaticCameraRule = field(default_factory=StaticCameraRule)
    """The rule for a camera that stands still; the same as in stabilize_depth."""
    min_points: int = 8
    """Lifted background points from which a noise floor can be told."""

    reads: ClassVar[tuple[str, ...]] = ("frames", "depth", "tracks_xy", "tracks_xyz", "cameras")
    writes: ClassVar[tuple[str, ...]] = ("clips",)

    def process(self, clip: Clip) -> Clip:
        """`clip` with its row."""
        motion = background_motion(clip, self.static_camera)
        floor, floor_p90 = self._noise_floor(clip, motion.static)
        camera = clip.table("cameras").slice(0, 1).to_pylist()[0]
        row = {
            **clip.read_columns(),
            "scale_type": None if clip.depth is None else clip.depth.kind,
            "camera_static": motion.static,
            "camera_zooms": camera["zooms"],
            "rolling_shutter": camera["rolling_shutter"],
            "background_motion_px": _known(motion.displacement_px),
            "noise_floor": floor,
            "noise_floor_p90": floor_p90,
            "depth_at_edge_share": None if clip.depth is None else _at_edge_share(clip.depth),
            "size_scale": None if clip.depth is None else clip.depth.size_scale,
            "size_scale_rel_sd": None if clip.depth is None else clip.depth.size_scale_rel_sd,
        }
        return clip.with_table("clips", tables.spec("clips").from_rows([row]))

    def _noise_floor(self, clip: Clip, static: bool | None) -> tuple[float | None, float | None]:
        """Median and 90th percentile over background points of their path a second."""
        paths = background_paths(clip, camera_static=static)
        if paths is None:
            return None, None
        length, seconds = paths.over(0, len(clip))
        if len(length) < self.min_points:
            return None, None
        a_second = length / seconds
        return float(np.median(a_second)), float(np.quantile(a_second, 0.9))


def _at_edge_share(depth: DepthMaps) -> float | None:
    """Of the valid depth, in the last tenth of what the model can answer."""
    if depth.max_depth is None:
        return None
    ones = np.ones(len(depth), np.float32)
    scale = ones if depth.scale is None else depth.scale
    shift = 0 * ones if depth.shift is None else depth.shift
    edges = EDGE * depth.max_depth * scale + shift
    n_valid = sum(int(np.isfinite(z).sum()) for z in depth.values)
    n_at_edge = sum(int((z >= edge).sum()) for z, edge in zip(depth.values, edges))
    return n_at_edge / n_valid if n_valid else None


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None
