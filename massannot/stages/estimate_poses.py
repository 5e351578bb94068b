"""The camera's poses from the background, where nobody gave them: columns of `cameras`.

Where the camera stands still, by the same test as in summarize_clip, all poses are the first one.
Elsewhere corners of the background are followed and a camera is adjusted to them
(geometry/camera_adjustment.py), in the unit of the clip's depth: metres where it is metric.

A clip that zooms (geometry/zoom.py) is said to: its lens is not one, and its poses stay assumed. So
is one whose pictures a rolling shutter took (geometry/rolling_shutter.py); its poses are estimated.

Unusual: a clip whose poses were given, whose depth has no scale, or whose background says too
little is handed on as it is; poses that were assumed are still called so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from massannot.clip import Clip, DepthMaps
from massannot.geometry import rle
from massannot.geometry.camera import resized_intrinsics
from massannot.geometry.camera_adjustment import PoseEstimate, PoseRule, estimated_poses
from massannot.geometry.camera_motion import StaticCameraRule
from massannot.geometry.depth_sampling import sample_depth
from massannot.geometry.rolling_shutter import ShutterRule, rolling_shutter
from massannot.geometry.zoom import ZoomRule, zooms
from massannot.models.background_corners import BackgroundCorners
from massannot.stages._stage import Stage
from massannot.stages._track_arrays import (
    background_motion,
    camera_arrays,
    free_of_bars,
    numbers,
    with_columns,
    words,
)
from massannot.tables._matrices import upper_triangles

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True)
class EstimatePoses(Stage):
    """Replaces poses that were assumed."""

    corners: BackgroundCorners
    rule: PoseRule = field(default_factory=PoseRule)
    static_camera: StaticCameraRule = field(default_factory=StaticCameraRule)
    """The rule for a camera that stands still; the same as in summarize_clip."""
    zoom: ZoomRule = field(default_factory=ZoomRule)
    shutter: ShutterRule = field(default_factory=ShutterRule)

    reads: ClassVar[tuple[str, ...]] = ("frames", "depth", "masks", "tracks_xy", "cameras")
    writes: ClassVar[tuple[str, ...]] = ("cameras",)

    def process(self, clip: Clip) -> Clip:
        """`clip` with the poses that were found; the same clip where none can be told."""
        if not words(clip.table("cameras"), "pose_origin", "assumed").all():
            return clip
        if background_motion(clip, self.static_camera).static is True:
            still = np.tile(np.eye(4), (len(clip), 1, 1))
            return _with_poses(clip, still, None)
        depth = clip.depth
        if depth is None or depth.kind == "affine":
            return clip
        sightings = self._sightings(clip, depth)
        zoom = zooms(*sightings[:3], intrinsics=sightings.intrinsics, rule=self.zoom)
        rolls = rolling_shutter(
            sightings.xy,
            sightings.visible,
            picture_size=(clip.frames.width, clip.frames.height),
            intrinsics=sightings.intrinsics,
            rule=self.shutter,
        )
        clip = _with_one_answer(clip, zooms=zoom, rolling_shutter=rolls)
        estimate = None if zoom else self._estimate(clip, sightings)
        if estimate is None:
            return clip
        clip = _with_poses(clip, estimate.cam_from_world, estimate.cov)
        return clip if estimate.focal_factor == 1 else _with_focal(clip, estimate)

    def _sightings(self, clip: Clip, depth: DepthMaps) -> _Sightings:
        frames = clip.frames
        size = (frames.width, frames.height)
        tracks = self.corners.follow(frames, free=_free_of_things(clip))
        samples = sample_depth(depth.values, tracks.xy, picture_size=size)
        intrinsics = resized_intrinsics(
            camera_arrays(clip)[0],
            from_size=(frames.source_width, frames.source_height),
            to_size=size,
        )
        z = np.where(samples.reliable, samples.z, np.nan)
        return _Sightings(tracks.xy, tracks.visible, z, intrinsics)

    def _estimate(self, clip: Clip, sightings: _Sightings) -> PoseEstimate | None:
        return estimated_poses(
            *sightings[:3],
            intrinsics=sightings.intrinsics,
            picture_size=(clip.frames.width, clip.frames.height),
            lens_rel_sd=_lens_rel_sd(clip),
            rule=self.rule,
        )


class _Sightings(NamedTuple):
    """Points of the background in working pixels."""

    xy: F64
    """(T, N, 2)."""
    visible: Bool
    """(T, N)."""
    z: F64
    """(T, N); NaN: not known."""
    intrinsics: F64
    """(T, 4)."""


def _lens_rel_sd(clip: Clip) -> float | None:
    """How unsure the clip's lens is; None: it was given."""
    stated = numbers(clip.table("cameras"), "focal_rel_sd")
    return None if np.isnan(stated).any() else round(float(stated[0]), 6)  # stored as float32


def _free_of_things(clip: Clip) -> Bool:
    """(T, height, width) working pixels outside of all masks and black bars."""
    frames, masks = clip.frames, clip.table("masks")
    free = np.tile(free_of_bars(frames, margin=0), (len(frames), 1, 1))
    for frame, counts in zip(masks["frame"].to_pylist(), masks["counts"].to_pylist(), strict=True):
        counts = rle.resize_nearest(
            counts,
            height=frames.source_height,
            width=frames.source_width,
            to_height=frames.height,
            to_width=frames.width,
        )
        free[frame] &= ~rle.decode(counts, height=frames.height, width=frames.width)
    return free


def _with_one_answer(clip: Clip, **answers: bool | None) -> Clip:
    """`cameras` with one answer a column for the whole clip; None: as it was."""
    known = {name: [answer] * len(clip) for name, answer in answers.items() if answer is not None}
    if not known:
        return clip
    return clip.with_table("cameras", with_columns(clip.table("cameras"), **known))


def _with_poses(clip: Clip, cam_from_world: F64, cov: F64 | None) -> Clip:
    """`cameras` with other poses and their covariances; None: null."""
    cameras = with_columns(
        clip.table("cameras"),
        cam_from_world=list(cam_from_world.reshape(len(clip), 16)),
        pose_origin=["estimated"] * len(clip),
        pose_cov=[None] * len(clip) if cov is None else upper_triangles(cov),
    )
    return clip.with_table("cameras", cameras)


def _with_focal(clip: Clip, estimate: PoseEstimate) -> Clip:
    """`cameras` with the focal length that was observed."""
    cameras = clip.table("cameras")
    cameras = with_columns(
        cameras,
        fx=numbers(cameras, "fx") * estimate.focal_factor,
        fy=numbers(cameras, "fy") * estimate.focal_factor,
        intrinsics_origin=["estimated"] * len(clip),
        focal_rel_sd=[estimate.focal_rel_sd] * len(clip),
    )
    return clip.with_table("cameras", cameras)
