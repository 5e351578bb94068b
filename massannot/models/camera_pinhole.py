"""A CameraEstimator of a known or assumed pinhole, which stands still unless a file has poses.

Given in SOURCE pixels, answered in working pixels. Without intrinsics a horizontal field of view is
assumed, and marked as assumed: everything metric sideways (x, y, and motion across the picture)
hangs on it.

A poses file is an .npz with `cam_from_world` or `extrinsics` (N, 4, 4), world-to-camera with OpenCV
axes, and perhaps `pts` (N,), which then must hold every annotated frame's; without it, N is the
clip's number of frames. The world may be any: it becomes the clip's first camera. `{source_id}` in
the path stands for each video's id.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from massannot.clip import Frames
from massannot.counts import counted
from massannot.errors import BadRecipe, MissingWeights, ModelFailed
from massannot.geometry.camera import (
    pinhole_from_horizontal_fov,
    relative_to_first,
    resized_intrinsics,
)
from massannot.models.protocols import Cameras, ModelCard

F64 = NDArray[np.float64]

ASSUMED_FOV_DEG = 60.0
"""Between a webcam's and a phone's main camera, held sideways, which span 55 to 70 degrees."""


@dataclass(frozen=True)
class PinholeCamera:
    """Give `intrinsics`, or `horizontal_fov_deg`, or neither."""

    intrinsics: tuple[float, float, float, float] | None = None
    """fx fy cx cy in source pixels, from the top-left corner (OpenCV's cx, cy plus 0.5)."""
    horizontal_fov_deg: float | None = None
    """Degrees from the picture's left to its right edge, or from bar to bar; None:
    ASSUMED_FOV_DEG."""
    poses: str | None = None
    """Path of an .npz; None: the camera stands still."""

    def __post_init__(self) -> None:
        if self.intrinsics is not None and self.horizontal_fov_deg is not None:
            raise BadRecipe("camera: found intrinsics and a field of view, expected one of the two")
        if self.horizontal_fov_deg is not None and not 0 < self.horizontal_fov_deg < 180:
            raise BadRecipe(
                f"camera: found a horizontal field of view of {self.horizontal_fov_deg} degrees, "
                "expected more than 0, below 180"
            )
        if self.intrinsics is not None and (
            not np.isfinite(self.intrinsics).all() or min(self.intrinsics[:2]) <= 0
        ):
            raise BadRecipe(
                f"camera: found intrinsics {self.intrinsics}, expected fx fy cx cy in source pixels"
            )

    def setup(self, *, device: str) -> None:
        """Raises MissingWeights when the poses are one file and it is not there."""
        if self.poses and "{source_id}" not in self.poses and not Path(self.poses).is_file():
            raise MissingWeights(f"camera poses: there is no file {self.poses}")

    def destroy(self) -> None:
        """Nothing is held."""

    def card(self) -> ModelCard:
        return ModelCard(name="pinhole", weights=self.poses or "")

    def estimate_cameras(self, frames: Frames) -> Cameras:
        """The same pinhole for every frame, with its pose. Raises ModelFailed for a poses file that
        does not fit the clip."""
        n_frames = len(frames)
        given = self.intrinsics is not None or self.horizontal_fov_deg is not None
        return Cameras(
            intrinsics=np.tile(self._working_intrinsics(frames), (n_frames, 1)),
            cam_from_world=self._poses_of(frames)
            if self.poses
            else np.tile(np.eye(4), (n_frames, 1, 1)),
            intrinsics_origin="given" if given else "assumed",
            pose_origin="given" if self.poses else "assumed",
        )

    def _working_intrinsics(self, frames: Frames) -> F64:
        source_size = (frames.source_width, frames.source_height)
        source: object = self.intrinsics
        if source is None:
            x0, y0, x1, y1 = frames.area
            fx, fy, cx, cy = pinhole_from_horizontal_fov(
                self.horizontal_fov_deg or ASSUMED_FOV_DEG,
                width=x1 - x0,
                height=y1 - y0,
                sample_aspect=float(frames.sample_aspect),
            )
            source = (fx, fy, x0 + cx, y0 + cy)
        return resized_intrinsics(
            np.asarray(source, np.float64),
            from_size=source_size,
            to_size=(frames.width, frames.height),
        )

    def _poses_of(self, frames: Frames) -> F64:
        path = Path((self.poses or "").replace("{source_id}", frames.source_id))
        if not path.is_file():
            raise ModelFailed(f"camera poses of {frames.source_id}: there is no file {path}")
        with np.load(path, allow_pickle=False) as stored:
            name = "cam_from_world" if "cam_from_world" in stored else "extrinsics"
            if name not in stored:
                raise ModelFailed(
                    f"{path}: found {sorted(stored)}, expected cam_from_world or extrinsics"
                )
            poses = np.asarray(stored[name], np.float64)
            pts = np.asarray(stored["pts"], np.int64) if "pts" in stored else None
        chosen = poses if pts is None else poses[_rows(pts, frames.pts, path=path)]
        if chosen.shape != (len(frames), 4, 4):
            raise ModelFailed(
                f"{path}: found poses {chosen.shape} for {counted(len(frames), 'frame')} of "
                f"{frames.source_id}; expected one each, or pts to choose by"
            )
        try:
            return relative_to_first(chosen)
        except ValueError as error:
            raise ModelFailed(f"{path}: {error}") from error


def _rows(stored: NDArray[np.int64], wanted: NDArray[np.int64], *, path: Path) -> NDArray[np.int64]:
    """Row of each wanted pts."""
    order = np.argsort(stored)
    index = np.minimum(np.searchsorted(stored, wanted, sorter=order), len(stored) - 1)
    rows = order[index]
    missing = wanted[stored[rows] != wanted]
    if len(missing):
        raise ModelFailed(f"{path}: no pose for pts {missing[0]} and {len(missing) - 1} others")
    return rows
