"""The pinhole and pose of every frame, in source pixels: the table `cameras`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from massannot import tables
from massannot.clip import Clip
from massannot.errors import BadModelOutput
from massannot.geometry.camera import check_rigid, resized_intrinsics
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
        found = self.model.estimate_cameras(clip.frames)
        _check(found, n_frames=len(clip), source_id=clip.frames.source_id)
        frames, n_frames = clip.frames, len(clip)
        intrinsics = resized_intrinsics(
            found.intrinsics,
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
                "cam_from_world": list(found.cam_from_world.reshape(n_frames, 16)),
                "intrinsics_origin": [found.intrinsics_origin] * n_frames,
                "pose_origin": [found.pose_origin] * n_frames,
            }
        )
        return clip.with_table("cameras", table)


def _check(found: Cameras, *, n_frames: int, source_id: str) -> None:
    """Refuse what the protocol does not promise."""
    who = f"cameras of {source_id}"
    shapes = (found.intrinsics.shape, found.cam_from_world.shape)
    if shapes != ((n_frames, 4), (n_frames, 4, 4)):
        raise BadModelOutput(
            f"{who}: found intrinsics {shapes[0]} and poses {shapes[1]}, "
            f"expected ({n_frames}, 4) and ({n_frames}, 4, 4)"
        )
    if not np.isfinite(found.intrinsics).all() or (found.intrinsics[:, :2] <= 0).any():
        raise BadModelOutput(f"{who}: a focal length is not positive, or a number not finite")
    try:
        check_rigid(found.cam_from_world)
    except ValueError as error:
        raise BadModelOutput(f"{who}: {error}") from error
    if n_frames and np.abs(found.cam_from_world[0] - np.eye(4)).max() > _POSE_TOLERANCE:
        raise BadModelOutput(
            f"{who}: the first pose is not the identity, but the world is the clip's first camera; "
            "convert with geometry.transforms.relative_to_first"
        )
