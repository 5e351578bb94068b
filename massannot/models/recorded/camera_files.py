"""Cameras from a file as a CameraEstimator: calibration and poses a user already has.

`path` is an npz or a JSON object, a folder of them named by source id, one of our own datasets, or
a file of cuboids (cuboid_json.py), whose camera is taken.
Names: `intrinsics`, as fx fy cx cy (4,) or (T, 4), or matrices (3, 3) or (T, 3, 3);
`cam_from_world` or `world_from_cam` (T, 4, 4), optional; `size` (width, height) of the calibrated
picture, by default the video's; `pts`, `t_s` or `fps`; `origin` of cx and cy: "center" (whole
numbers are pixel centres, as OpenCV has it: the default) or "corner" (as COLMAP has it). Axes are
OpenCV's: x right, y down, z forward. Poses are restated with the clip's first camera as the world.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from massannot.clip import Frames
from massannot.counts import counted
from massannot.errors import ModelFailed, UsageError
from massannot.geometry.camera import corner_from_center
from massannot.models.protocols import F64, Cameras, ModelCard
from massannot.models.recorded.array_files import (
    TIMES,
    ArrayFile,
    a_clip_fails,
    check_names,
    one_origin,
)
from massannot.models.recorded.cuboid_files import named_videos, rows_of, video_for
from massannot.models.recorded.cuboid_json import CuboidVideo, cuboid_videos
from massannot.models.recorded.matching import (
    RecordedDataset,
    check_shape,
)
from massannot.models.recorded.row_times import NO_ROW, Rows, RowTimes, rows_for
from massannot.models.recorded.video_names import VideoName, file_for, named_file

KNOWN = ("intrinsics", "K", "cam_from_world", "world_from_cam", "size", "origin", *TIMES)

_ENDINGS = (".npz", ".json")
_FIELD_OF_VIEW_DEG = (1.0, 170.0)
"""A pinhole sees no more, a lens for video hardly less."""
_RIGID = 0.01
"""Deviation of a rotation from one: files are rounded."""


@dataclass
class RecordedCameras:
    """Cameras in `path`, see above."""

    path: str
    fps: float | None = None
    """Frames a second of the file's rows, where the file does not say."""
    _dataset: RecordedDataset | None = field(default=None, init=False, repr=False, compare=False)
    _of_cuboids: tuple[CuboidVideo, ...] | None = field(
        default=None, init=False, repr=False, compare=False
    )

    def setup(self, *, device: str) -> None:
        """Raises UsageError when there is nothing at `path`."""
        self._dataset = RecordedDataset.at(self.path, table="cameras")
        is_json = self.path.lower().endswith(".json")
        self._of_cuboids = cuboid_videos(self.path) if is_json else None
        if self._of_cuboids is None:
            check_names(self.path, known=KNOWN)

    def destroy(self) -> None:
        self._dataset, self._of_cuboids = None, None

    def card(self) -> ModelCard:
        return ModelCard("recorded_cameras", weights=self.path)

    @property
    def names_videos(self) -> bool:
        """Whether `path` says of which video it speaks, or need not: one camera for all of them."""
        path = Path(self.path)
        if not path.is_file():
            return True
        if self._of_cuboids is not None:
            return all(video.names for video in self._of_cuboids)
        file = ArrayFile.read(path, known=KNOWN)
        intrinsics = file.first("intrinsics", "K")
        one_set = intrinsics is not None and intrinsics.size in (4, 9)
        return one_set and file.first("cam_from_world", "world_from_cam") is None

    def answer_for(self, video: VideoName) -> str | None:
        """See GoesByName."""
        if self._of_cuboids is not None:
            return named_videos(self._of_cuboids).name_for(video)
        found = None if self._dataset else named_file(self.path, video, endings=_ENDINGS)
        return None if found is None else str(found)

    def estimate_cameras(self, frames: Frames) -> Cameras:
        """See protocols.CameraEstimator. Raises ModelFailed when a frame has no camera."""
        if self._of_cuboids is not None:
            return _of_cuboids(self._of_cuboids, frames, fps=self.fps, where=self.path)
        with a_clip_fails(self.path):
            return self._of_dataset(frames) if self._dataset else self._of_file(frames)

    def _of_file(self, frames: Frames) -> Cameras:
        where = file_for(self.path, VideoName.of(frames), endings=_ENDINGS)
        file = ArrayFile.read(where, known=KNOWN)
        intrinsics, poses = _intrinsics(file, frames), _poses(file)
        n_rows = {len(a) for a in (intrinsics, poses) if a is not None and len(a) > 1}
        if len(n_rows) > 1:
            raise UsageError(
                f"{where}: {len(intrinsics)} intrinsics, {0 if poses is None else len(poses)} poses"
            )
        times = file.times(max(n_rows, default=1), fps=self.fps)
        rows = np.zeros(len(frames), np.int64)  # one set of intrinsics is the whole video's
        if n_rows or poses is not None:
            rows = rows_for(frames, times, where=str(where))
        else:
            times.check(where=str(where))
        _check_complete(rows, frames, where=str(where))
        one_pose = np.eye(4)[None] if poses is None else poses
        return Cameras(
            intrinsics=intrinsics[np.minimum(rows, len(intrinsics) - 1)],
            cam_from_world=_from_first(one_pose[np.minimum(rows, len(one_pose) - 1)]),
            intrinsics_origin="given",
            pose_origin="assumed" if poses is None else "given",
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
        moments = [pts[row["clip_id"], row["frame"]] for row in cameras]
        rows = rows_for(frames, RowTimes(len(cameras), pts=moments, shared=True), where=self.path)
        _check_complete(rows, frames, where=self.path)
        used = [cameras[row] for row in rows]
        if len({row["clip_id"] for row in used}) > 1:
            raise ModelFailed(
                f"{self.path}: the clip of {frames.source_id} goes over several recorded clips, "
                "whose worlds differ; annotate the same spans"
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


def _of_cuboids(
    videos: tuple[CuboidVideo, ...], frames: Frames, *, fps: float | None, where: str
) -> Cameras:
    video = video_for(videos, frames, where=where)
    _check_possible(video.intrinsics, video.size, where=where)
    rows = rows_of(video, frames, fps=fps, where=where)
    if video.has_one_camera:
        rows = np.zeros(len(frames), np.int64)
    _check_complete(rows, frames, where=where)
    poses = video.cam_from_world
    factor = np.divide([frames.width, frames.height] * 2, [*video.size] * 2)
    return Cameras(
        intrinsics=video.intrinsics[rows] * factor,
        cam_from_world=_from_first(np.eye(4)[None].repeat(len(rows), 0) if poses is None
                                   else poses[rows]),
        intrinsics_origin="given",
        pose_origin="assumed" if poses is None else "given",
    )  # fmt: skip


def _intrinsics(file: ArrayFile, frames: Frames) -> F64:
    """(1 or T, 4) fx fy cx cy in working pixels, corner-origin."""
    where, given = file.path, file.first("intrinsics", "K")
    if given is None:
        raise UsageError(f"{where}: no intrinsics; found {sorted(file.arrays)}")
    if given.dtype.kind not in "fiu" or not np.isfinite(given).all():
        raise UsageError(f"{where}: intrinsics {given.dtype}, expected finite numbers")
    values = np.asarray(given, np.float64)
    if values.shape[-2:] == (3, 3):
        _check_matrices(values, where=str(where))
        values = values[..., [0, 1, 0, 1], [0, 1, 2, 2]]
    values = np.atleast_2d(values)
    if values.ndim != 2 or values.shape[1] != 4:
        raise UsageError(
            f"{where}: intrinsics {given.shape}, expected fx fy cx cy as (4,), (T, 4), "
            "(3, 3) or (T, 3, 3)"
        )
    if np.any(values[:, :2] <= 0):
        row = int(np.argmax(np.any(values[:, :2] <= 0, axis=1)))
        raise UsageError(
            f"{where}: intrinsics with fx {values[row, 0]:g}, fy {values[row, 1]:g} (row {row}), "
            "expected positive ones"
        )
    if one_origin(file) == "center":
        values = np.c_[values[:, :2], corner_from_center(values[:, 2:])]
    size = file.size()
    if size is not None:
        check_shape(size, frames, where=str(where))
    size = size or (frames.source_width, frames.source_height)
    _check_possible(values, size, where=str(where))
    return values * np.divide([frames.width, frames.height] * 2, [*size, *size])


def _check_matrices(matrices: F64, *, where: str) -> None:
    """Raises UsageError for what fx fy cx cy would not say: skew, a transposed matrix."""
    scale = np.abs(matrices).max()
    for row, column in ((0, 1), (1, 0), (2, 0), (2, 1)):
        found = matrices[..., row, column]
        if np.any(np.abs(found) > 1e-6 * scale):
            raise UsageError(
                f"{where}: intrinsics with {np.ravel(found)[0]:g} in row {row}, column {column}, "
                "expected [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]: no skew, not transposed"
            )
    if np.any(np.abs(matrices[..., 2, 2] - 1) > 1e-6):
        raise UsageError(f"{where}: intrinsics whose last element is not 1")


def _check_possible(values: F64, size: tuple[int, int], *, where: str) -> None:
    """Raises UsageError for intrinsics (T, 4) that no picture of this size has."""
    outside = np.any((values[:, 2:] <= 0) | (values[:, 2:] >= size), axis=1)
    angle = np.degrees(2 * np.arctan(np.array(size) / (2 * values[:, :2])))
    least, most = _FIELD_OF_VIEW_DEG
    impossible = np.any((angle < least) | (angle > most), axis=1)
    for row in np.flatnonzero(outside | impossible)[:1]:
        fx, fy, cx, cy = values[row]
        small = max(cx, cy) <= 2.0 and max(fx, fy) < 20
        reason = (
            f"a field of view of {angle[row, 0]:.1f} x {angle[row, 1]:.1f} degrees"
            if impossible[row]
            else "their centre outside of it"
        )
        raise UsageError(
            f"{where}: intrinsics fx {fx:g}, fy {fy:g}, cx {cx:g}, cy {cy:g} (row {row}) of a "
            f"picture of {size[0]}x{size[1]} have {reason}; "
            + (
                "are they shares of the picture? Multiply by its width and height"
                if small
                else "expected pixels of these pictures; for others give `size` [width, height]"
            )
        )


def _poses(file: ArrayFile) -> F64 | None:
    """(1 or T, 4, 4) cam_from_world; None: not given."""
    given = file.first("cam_from_world", "world_from_cam")
    if given is None:
        return None
    if given.dtype.kind not in "fiu":
        raise UsageError(f"{file.path}: poses {given.dtype}, expected numbers")
    given = np.asarray(given, np.float64)
    if given.ndim != 3 or given.shape[1:] not in {(4, 4), (3, 4)}:
        raise UsageError(f"{file.path}: poses {given.shape}, expected (T, 4, 4) or (T, 3, 4)")
    poses = np.tile(np.eye(4), (len(given), 1, 1))
    poses[:, : given.shape[1]] = given
    turn = poses[:, :3, :3]
    stray = np.abs(turn @ turn.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2))
    stray = np.maximum(stray, np.abs(poses[:, 3] - [0, 0, 0, 1]).max(axis=1))
    bad = ~(stray <= _RIGID) | ~(np.linalg.det(np.nan_to_num(turn)) > 0)
    bad |= ~np.isfinite(poses).all(axis=(1, 2))
    if bad.any():
        raise UsageError(
            f"{file.path}: the pose of row {int(np.argmax(bad))} is not rigid (a rotation without "
            "scale or mirror, a translation, 0 0 0 1), expected [R | t] in OpenCV's axes"
        )
    return (
        poses if "cam_from_world" in file.arrays else np.asarray(np.linalg.inv(poses), np.float64)
    )


def _from_first(cam_from_world: F64) -> F64:
    """Poses with the first camera as the world, it being the identity exactly."""
    moved: F64 = cam_from_world @ np.linalg.inv(cam_from_world[0])
    moved[0] = np.eye(4)
    return moved


def _check_complete(rows: Rows, frames: Frames, *, where: str) -> None:
    """Raises ModelFailed naming the frames without a camera."""
    missing = np.flatnonzero(rows == NO_ROW)
    if missing.size:
        shown = ", ".join(f"{frame} ({frames.t_s[frame]:.3f} s)" for frame in missing[:5])
        raise ModelFailed(
            f"{where}: no camera for {missing.size} of {counted(len(frames), 'frame')} of "
            f"{frames.source_id}: {shown}{', ..' * (missing.size > 5)}; every frame needs one, or "
            "give a single set of intrinsics for the whole video"
        )
