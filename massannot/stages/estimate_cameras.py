"""The pinhole and pose of every frame, in source pixels: the table `cameras`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from massannot import tables
from massannot.clip import Clip
from massannot.errors import BadModelOutput
from massannot.geometry.camera import check_rigid, resized_intrinsics
from massannot.geometry.camera_adjustment import ASSUMED_FOCAL_REL_SD
from massannot.models.protocols import CameraEstimator, Cameras
from massannot.stages._stage import Stage

_POSE_TOLERANCE = 1e-6


@dataclass(frozen=True)
class EstimateCameras(Stage):
    """Asks `model`, which answers in working pixels."""

    model: CameraEstimator

    reads: ClassVar[tuple[str, ...]] = ("frames",)
    writes: ClassVar[tuple[str, ...]] = ("cameras",)

    def process(self, clip: Clip) -> Clip:
        """`clip` with one camera per frame. Raises BadModelOutput for cameras that are none."""
        cameras = self.model.estimate_cameras(clip.frames)
        _check(cameras, n_frames=len(clip), source_id=clip.frames.source_id)
        frames, n_frames = clip.frames, len(clip)
        focal_rel_sd = cameras.focal_rel_sd
        if cameras.intrinsics_origin == "assumed":
            focal_rel_sd = ASSUMED_FOCAL_REL_SD
        intrinsics = resized_intrinsics(
            cameras.intrinsics,
            from_size=(frames.width, frames.height),
            to_size=(frames.source_width, frames.source_height),
        )
        fx, fy, cx, cy = intrinsics.T
        table = tables.spec("cameras").from_columns(
            {
                "clip_id": [clip.clip_id] * n_frames,
                "frame": np.arange(n_frames),
                "fx": fx,
                "fy": fy,
                "cx": cx,
                "cy": cy,
                "cam_from_world": list(cameras.cam_from_world.reshape(n_frames, 16)),
                "intrinsics_origin": [cameras.intrinsics_origin] * n_frames,
                "pose_origin": [cameras.pose_origin] * n_frames,
                "focal_rel_sd": [focal_rel_sd] * n_frames,
            }
        )
        return clip.with_table("cameras", table)


def _check(cameras: Cameras, *, n_frames: int, source_id: str) -> None:
    """Refuse an answer that breaks the contract of CameraEstimator."""
    where = f"cameras of {source_id}"
    shapes = (cameras.intrinsics.shape, cameras.cam_from_world.shape)
    if shapes != ((n_frames, 4), (n_frames, 4, 4)):
        raise BadModelOutput(
            f"{where}: found intrinsics {shapes[0]} and poses {shapes[1]}, "
            f"expected ({n_frames}, 4) and ({n_frames}, 4, 4)"
        )
    if not np.isfinite(cameras.intrinsics).all() or (cameras.intrinsics[:, :2] <= 0).any():
        raise BadModelOutput(f"{where}: a focal length is not positive, or a number not finite")
    try:
        check_rigid(cameras.cam_from_world)
    except ValueError as error:
        raise BadModelOutput(f"{where}: {error}") from error
    if n_frames and np.abs(cameras.cam_from_world[0] - np.eye(4)).max() > _POSE_TOLERANCE:
        raise BadModelOutput(
            f"{where}: the first pose is not the identity, but the world is the clip's first "
            "camera; convert with geometry.camera.relative_to_first"
        )
