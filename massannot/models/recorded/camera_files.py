"""Cameras from a file as a CameraEstimator: calibration and poses a user already has.

`path` is an npz or a JSON object, a folder of them named by source id, or one of our own datasets.
Names: `intrinsics`, as fx fy cx cy (4,) or (T, 4), or matrices (3, 3) or (T, 3, 3);
`cam_from_world` or `world_from_cam` (T, 4, 4), optional; `size` (width, height) of the calibrated
picture, by default the video's; `pts`, `t_s` or `fps`; `origin` of cx and cy: "center" (whole
numbers are pixel centres, as OpenCV has it: the default) or "corner" (as COLMAP has it). Axes are
OpenCV's: x right, y down, z forward. Poses are restated with the clip's first camera as the world.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from massannot.clip import Frames
from massannot.errors import ModelFailed, UsageError
from massannot.geometry.camera import corner_from_center
from massannot.models.protocols import F64, Cameras, ModelCard
from massannot.models.recorded.matching import (
    NO_ROW,
    RecordedDataset,
    Rows,
    check_shape,
    file_for,
    first_of,
    load_arrays,
    rows_for,
)


@dataclass
class RecordedCameras:
    """Cameras in `path`, see above."""

    path: str
    fps: float | None = None
    """Frames a second of the file's rows, where the file does not say."""
    _dataset: RecordedDataset | None = field(default=None, init=False, repr=False, compare=False)

    def setup(self, *, device: str) -> None:
        """Raises UsageError when there is nothing at `path`."""
        self._dataset = RecordedDataset.at(self.path, table="cameras")

    def destroy(self) -> None:
        self._dataset = None

    def card(self) -> ModelCard:
        return ModelCard("recorded_cameras", weights=self.path)

    def estimate_cameras(self, frames: Frames) -> Cameras:
        """See protocols.CameraEstimator. Raises ModelFailed when a frame has no camera."""
        if self._dataset:
            return self._of_dataset(frames)
        where = file_for(self.path, frames, endings=(".npz", ".json"))
        arrays = _read(where)
        intrinsics = _intrinsics(arrays, frames, where=str(where))
        poses = _poses(arrays, where=str(where))
        T = len(frames)
        n_rows = {len(a) for a in (intrinsics, poses) if a is not None and len(a) > 1}
        if len(n_rows) > 1:
            raise UsageError(f"{where}: {len(intrinsics)} intrinsics, {len(poses)} poses")
        rows = np.zeros(T, np.int64)
        if n_rows:
            fps = first_of(arrays, "fps")
            rows = rows_for(
                frames,
                n_rows=n_rows.pop(),
                where=str(where),
                pts=first_of(arrays, "pts"),
                t_s=first_of(arrays, "t_s"),
                fps=self.fps if fps is None else float(fps),
            )
        _check_complete(rows, frames, where=str(where))
        one_pose = poses[np.minimum(rows, len(poses) - 1)]
        return Cameras(
            intrinsics=intrinsics[np.minimum(rows, len(intrinsics) - 1)],
            cam_from_world=_from_first(one_pose),
            intrinsics_origin="given",
            pose_origin="given" if _has_poses(arrays) else "assumed",
        )

    def _of_dataset(self, frames: Frames) -> Cameras:
        assert self._dataset is not None
        clips = self._dataset.clips_of(frames)
        check_shape((clips.width, clips.height), frames, where=self.path)
        cameras = self._dataset.rows("cameras", clips.clip_ids)
        pts = {
            (row["clip_id"], row["frame"]): row["pts"]
            for row in self._dataset.rows("frames", clips.clip_ids)
        }
        rows = rows_for(
            frames,
            n_rows=len(cameras),
            where=self.path,
            pts=[pts[row["clip_id"], row["frame"]] for row in cameras],
        )
        _check_complete(rows, frames, where=self.path)
        used = [cameras[row] for row in rows]
        if len({row["clip_id"] for row in used}) > 1:
            raise ModelFailed(
                f"{self.path}: the clip of {frames.source_id} spans several recorded clips, whose "
                "worlds differ; annotate the same spans"
            )
        values = np.array([[row[name] for name in ("fx", "fy", "cx", "cy")] for row in used])
        factor = np.divide([frames.width, frames.height] * 2, [clips.width, clips.height] * 2)
        poses = np.array([row["cam_from_world"] for row in used]).reshape(-1, 4, 4)
        return Cameras(
            intrinsics=values * factor,
            cam_from_world=_from_first(poses),
            intrinsics_origin=used[0]["intrinsics_origin"],
            pose_origin=used[0]["pose_origin"],
        )


def _read(where: Path) -> Mapping[str, NDArray[Any]]:
    if where.suffix != ".json":
        return load_arrays(where)
    try:
        content = json.loads(where.read_text(encoding="utf-8"))
        return {name: np.asarray(value) for name, value in content.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise UsageError(f"{where}: expected a JSON object of arrays: {error}") from error


def _intrinsics(arrays: Mapping[str, NDArray[Any]], frames: Frames, *, where: str) -> F64:
    """(1 or T, 4) fx fy cx cy in working pixels, corner-origin."""
    given = first_of(arrays, "intrinsics", "K")
    if given is None:
        raise UsageError(f"{where}: no intrinsics; found {sorted(arrays)}")
    values = np.asarray(given, np.float64)
    if values.shape[-2:] == (3, 3):
        values = values[..., [0, 1, 0, 1], [0, 1, 2, 2]]
    values = np.atleast_2d(values)
    if values.ndim != 2 or values.shape[1] != 4 or not np.all(values[:, :2] > 0):
        raise UsageError(
            f"{where}: intrinsics {given.shape}, expected positive fx fy cx cy as (4,), (T, 4), "
            "(3, 3) or (T, 3, 3)"
        )
    origin = str(arrays.get("origin", np.array("center")))
    if origin not in {"center", "corner"}:
        raise UsageError(f"{where}: origin {origin!r}, expected center or corner")
    if origin == "center":
        values = np.c_[values[:, :2], corner_from_center(values[:, 2:])]
    size = (frames.source_width, frames.source_height)
    if "size" in arrays:
        size = (int(arrays["size"][0]), int(arrays["size"][1]))
        check_shape(size, frames, where=where)
    return values * np.divide([frames.width, frames.height] * 2, [*size, *size])


def _has_poses(arrays: Mapping[str, NDArray[Any]]) -> bool:
    return "cam_from_world" in arrays or "world_from_cam" in arrays


def _poses(arrays: Mapping[str, NDArray[Any]], *, where: str) -> F64:
    """(1 or T, 4, 4) cam_from_world; the identity where none are given."""
    if not _has_poses(arrays):
        return np.eye(4)[None]
    given = np.asarray(first_of(arrays, "cam_from_world", "world_from_cam"), np.float64)
    if given.ndim != 3 or given.shape[1:] not in {(4, 4), (3, 4)}:
        raise UsageError(f"{where}: poses {given.shape}, expected (T, 4, 4) or (T, 3, 4)")
    poses = np.tile(np.eye(4), (len(given), 1, 1))
    poses[:, : given.shape[1]] = given
    return poses if "cam_from_world" in arrays else np.asarray(np.linalg.inv(poses), np.float64)


def _from_first(cam_from_world: F64) -> F64:
    """Poses with the first camera as the world, it being the identity exactly."""
    moved: F64 = cam_from_world @ np.linalg.inv(cam_from_world[0])
    moved[0] = np.eye(4)
    return moved


def _check_complete(rows: Rows, frames: Frames, *, where: str) -> None:
    if np.any(rows == NO_ROW):
        frame = int(np.argmax(rows == NO_ROW))
        raise ModelFailed(
            f"{where}: no camera for {frames.source_id} at {frames.t_s[frame]:.3f} s "
            f"(pts {frames.pts[frame]}); every frame needs one"
        )
