"""The scene's camera: a pinhole whose pose is a formula of time, so its trajectory is exact.

The room frame has z up; the camera's axes are OpenCV's (x right, y down, z forward). Image
coordinates start at the top-left CORNER: pixel (0, 0) has its centre at (0.5, 0.5), and so have
cx, cy. The lens stays between CAMERA_HEIGHT_M above the floor: together with the 0.5 m floor tiles
this makes metric scale observable in every picture.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from massannot.scenes.shapes import Floats

CAMERA_HEIGHT_M = (1.4, 1.6)
FIELD_OF_VIEW_DEG = (50.0, 65.0)  # across the longer side

CameraMove = Literal["static", "dolly", "orbit", "pan", "handheld"]
CAMERA_MOVES: tuple[CameraMove, ...] = get_args(CameraMove)


@dataclass(frozen=True)
class Lens:
    """Intrinsics in pixels, square pixels, corner convention."""

    width: int
    height: int
    focal_px: float

    @property
    def cx(self) -> float:
        return self.width / 2

    @property
    def cy(self) -> float:
        return self.height / 2


@dataclass(frozen=True)
class CameraPath:
    """The camera's pose over time: it looks from `eye` at `target`, in the room frame, metres."""

    lens: Lens
    move: CameraMove
    eye: Floats  # (3,) at t = 0
    target: Floats  # (3,) at t = 0
    sway: Floats  # (3,) how far the eye travels along `move`
    period_s: float

    def room_from_cam(self, t_s: float) -> Floats:
        """(4,4) float64."""
        eye, target = self._eye_and_target(t_s)
        x, y, z = (target - eye).tolist()
        flat = math.hypot(x, y)
        far = math.hypot(flat, z)
        pose = np.eye(4)
        pose[:3, 0] = y / flat, -x / flat, 0.0  # right is level: the camera never rolls
        pose[:3, 1] = x * z / (flat * far), y * z / (flat * far), -flat / far
        pose[:3, 2] = x / far, y / far, z / far
        pose[:3, 3] = eye
        return pose

    def cam_from_room(self, t_s: float) -> Floats:
        """(4,4) float64, the exact inverse of a rigid pose."""
        pose = self.room_from_cam(t_s)
        inverse = np.eye(4)
        inverse[:3, :3] = pose[:3, :3].T
        inverse[:3, 3] = -pose[:3, :3].T @ pose[:3, 3]
        return inverse

    def _eye_and_target(self, t_s: float) -> tuple[Floats, Floats]:
        phase = t_s / self.period_s
        if self.move == "static":
            return self.eye, self.target
        if self.move == "dolly":
            shift = self.sway * np.sin(0.5 * np.pi * min(phase, 1.0))
            return self.eye + shift, self.target
        if self.move == "orbit":
            return self.target + _about_z(self.eye - self.target, self.sway[0] * phase), self.target
        if self.move == "pan":
            angle = self.sway[0] * np.sin(np.pi * phase) ** 2
            return self.eye, self.eye + _about_z(self.target - self.eye, angle)
        wobble = np.sin(2 * np.pi * phase * np.array([1.0, 1.7, 2.3]))
        return self.eye + self.sway * wobble, self.target + 0.5 * self.sway * wobble[[2, 0, 1]]


def draw_camera(
    rng: np.random.Generator,
    *,
    lens: Lens,
    move: CameraMove,
    duration_s: float,
    focus: Floats,
    distance_m: float,
    azimuth: float,
) -> CameraPath:
    """A camera that looks at `focus` from `distance_m` away, at eye height."""
    lowest, highest = CAMERA_HEIGHT_M
    away = distance_m * np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
    eye = focus + away
    eye[2] = rng.uniform(lowest + 0.05, highest - 0.05)
    target = focus + rng.uniform([-0.15, -0.15, 0.0], [0.15, 0.15, 0.25])
    sway = rng.uniform(-0.35, 0.35, 3) * [1, 1, 0]
    if move == "orbit":
        sway = np.array([rng.choice([-1, 1]) * rng.uniform(0.15, 0.4), 0, 0])
    if move == "pan":
        sway = np.array([rng.choice([-1, 1]) * rng.uniform(0.25, 0.8), 0, 0])
    if move == "handheld":
        sway = rng.uniform(0.01, 0.04, 3)
    period_s = rng.uniform(1.5, 2.5) if move == "handheld" else max(duration_s, 0.5)
    return CameraPath(lens, move, eye, target, sway, period_s)


def pinhole(width: int, height: int, field_of_view_deg: float) -> Lens:
    """The lens whose longer side spans the given angle."""
    half = np.tan(np.deg2rad(field_of_view_deg) / 2)
    return Lens(width, height, 0.5 * max(width, height) / half)


def _about_z(vector: Floats, angle: float) -> Floats:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([c * vector[0] - s * vector[1], s * vector[0] + c * vector[1], vector[2]])
