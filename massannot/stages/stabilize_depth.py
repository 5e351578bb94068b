"""Flicker taken out of depth: each frame's scale, and shift where needed, from a still background.

Only where the camera stands still: then a background point has one depth, and what a frame adds is
the model's error. The factors stay in `cameras`, so that the correction can be undone.

Unusual: the map is read at each point's middle position over time, not at its position in the
frame, so that the tracker's jitter does not become depth.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pyarrow as pa

from massannot.clip import Clip, DepthMaps
from massannot.geometry.background_fit import (
    BackgroundFit,
    BackgroundFitRule,
    fit_background,
    masked_median,
)
from massannot.geometry.camera_motion import StaticCameraRule
from massannot.geometry.depth_sampling import sample_depth
from massannot.stages._stage import Stage
from massannot.stages._track_arrays import (
    BACKGROUND,
    background_motion,
    picture_tracks,
    with_columns,
)
from massannot.tables._spec import FLOAT32


@dataclass(frozen=True)
class StabilizeDepth(Stage):
    """Fits each frame's depth on the background points of `tracks_xy`."""

    static_camera: StaticCameraRule = field(default_factory=StaticCameraRule)
    """The rule for a camera that stands still; the same as in summarize_clip."""
    fit: BackgroundFitRule = field(default_factory=BackgroundFitRule)

    reads: ClassVar[tuple[str, ...]] = ("frames", "depth", "tracks_xy", "cameras")
    writes: ClassVar[tuple[str, ...]] = ("depth", "cameras")

    def process(self, clip: Clip) -> Clip:
        """`clip` with depth and `cameras` corrected; the same clip where nothing can be fitted."""
        depth = clip.depth
        if depth is None or depth.kind == "affine":
            return clip
        size = (clip.frames.source_width, clip.frames.source_height)
        if background_motion(clip, self.static_camera).static is not True:
            return clip
        background = picture_tracks(clip).of(BACKGROUND)
        seen = background.visible & np.isfinite(background.xy).all(axis=-1)
        middle = masked_median(background.xy, seen[..., None], axis=0)
        samples = sample_depth(
            depth.values, np.broadcast_to(middle, background.xy.shape), picture_size=size
        )
        fit = fit_background(samples.z, seen & samples.reliable, rule=self.fit)
        if not fit.fitted.any():
            return clip
        return _with_factors(clip.with_depth(_applied(depth, fit)), fit)


def _applied(depth: DepthMaps, fit: BackgroundFit) -> DepthMaps:
    """Corrected maps; depth that a shift makes impossible becomes invalid."""
    scale, shift = fit.scale.astype(np.float32), fit.shift.astype(np.float32)
    values = depth.values * scale[:, None, None]
    if shift.any():
        values += shift[:, None, None]
        values[~(values > 0)] = np.nan
    return dataclasses.replace(depth, values=values, scale=scale, shift=shift)


def _with_factors(clip: Clip, fit: BackgroundFit) -> Clip:
    """The factors as columns; null in frames without a fit."""
    scale, shift = (pa.array(v, FLOAT32, mask=~fit.fitted) for v in (fit.scale, fit.shift))
    cameras = with_columns(clip.table("cameras"), depth_scale=scale, depth_shift=shift)
    return clip.with_table("cameras", cameras)
