"""The camera's own motion between two frames: how far it turned and went, and how sure that is.

Angles are those of a film crew. With R = the rotation of a frame's camera in level axes (right,
down, forward) and f = R (0, 0, 1), its line of sight:

    pan     atan2(f_x, f_z), to the right; counted on through full turns
    tilt    asin(-f_y), up
    roll    what is left about the line of sight, clockwise for who looks along it

so that R = Ry(pan) Rx(tilt) Rz(roll). Straight up or down, pan and roll are one and the same.

Unusual: no picture says where down is, but a camera on a tripod does that pans: its horizontal axis
stays level. Where there is such a down, close to the camera's own, angles are against it; else
against the axes of the first frame. A camera that looks down and pans would seem to roll in these.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from massannot.geometry.camera import compose, inverse

F64 = NDArray[np.float64]

_TOWARDS_OWN = 1e-3
"""Weight of the camera's own down among all those that keep its horizontal axis as level."""
_LEVEL = 0.1
"""Share of the camera's largest turn below which the tilt of its horizontal axis has to stay."""
_NEAR_OWN = 0.7
"""Cosine of the angle between a level down and the camera's own, at least."""
_STEP = 1e-5
"""Radians by which a pose is turned to see how its angles change."""


class EgoMotion(NamedTuple):
    """From the first of T frames to the last, in the axes of the first one's camera."""

    turn_deg: F64
    """(3,) pan to the right, tilt up, roll clockwise."""
    turn_sd_deg: F64
    """(3,) standard deviations; NaN: not known."""
    farthest_turn_deg: F64
    """(3,) the largest turn on the way, either side."""
    shift: F64
    """(3,) of the camera's centre, in the unit of the poses: right, down, forward."""
    shift_cov: F64
    """(3, 3); NaN: not known."""
    farthest: float
    """The largest distance from the first place on the way."""

    @property
    def length(self) -> float:
        return float(np.linalg.norm(self.shift))

    @property
    def length_sd(self) -> float:
        """Of the length, along the shift; NaN: not known."""
        if self.length == 0:
            return float(np.sqrt(np.diagonal(self.shift_cov).max()))
        along = self.shift / self.length
        return float(np.sqrt(along @ self.shift_cov @ along))


def level_down(cam_from_world: F64) -> F64:
    """(3,) the direction in the world, of length 1, against which the camera of poses (T, 4, 4)
    stays level; the first camera's own down where there is none."""
    world_from_cam = inverse(cam_from_world)[:, :3, :3]
    right, own = world_from_cam[:, :, 0], world_from_cam[0, :, 1]
    spread = right.T @ right / len(right) + _TOWARDS_OWN * (np.eye(3) - np.outer(own, own))
    down = np.linalg.eigh(spread)[1][:, 0]
    down *= np.sign(down @ own) or 1.0
    turn = np.linalg.norm(world_from_cam - world_from_cam[0], axis=(1, 2)).max() / np.sqrt(2)
    if down @ own < _NEAR_OWN or np.abs(right @ down).max() > _LEVEL * turn:
        return np.asarray(own)
    return np.asarray(down)


def ego_motion(cam_from_world: F64, pose_cov: F64, *, down: F64) -> EgoMotion:
    """The motion over poses (T, 4, 4), whose errors have the covariances (T, 6, 6) of the table
    `cameras`; NaN: not known. `down` (3,): of angles, in the world, as `level_down` gives it.

    The errors of the two ends are taken for independent, which overstates them: both have drifted
    together.
    """
    first_from_cam = compose(cam_from_world[0], inverse(cam_from_world))
    level = _level_from_first(cam_from_world[0, :3, :3] @ down)
    angles = _angles(level @ first_from_cam[:, :3, :3])
    turns = angles - angles[0]
    places = first_from_cam[:, :3, 3]
    distances = np.linalg.norm(places, axis=1)
    ends = [_cov_of_end(first_from_cam[k, :3, :3], pose_cov[k], level) for k in (-1, 0)]
    cov = ends[0] + ends[1]
    return EgoMotion(
        turn_deg=np.degrees(turns[-1]),
        turn_sd_deg=np.degrees(np.sqrt(np.diagonal(cov)[:3])),
        farthest_turn_deg=np.degrees(turns[np.abs(turns).argmax(axis=0), range(3)]),
        shift=places[-1],
        shift_cov=cov[3:, 3:],
        farthest=float(distances.max()),
    )


def _angles(turn: F64) -> F64:
    """(T, 3) pan, tilt and roll of rotations (T, 3, 3), radians."""
    right, sight = turn[:, :, 0], turn[:, :, 2]
    pan = np.arctan2(sight[:, 0], sight[:, 2])
    level = np.stack([np.cos(pan), np.zeros(len(pan)), -np.sin(pan)], axis=1)
    tilt = np.arcsin(np.clip(-sight[:, 1], -1, 1))
    down = np.cross(sight, level)
    roll = np.arctan2(_dot(right, down), _dot(right, level))
    return np.stack([np.unwrap(pan), tilt, np.unwrap(roll)], axis=1)


def _dot(a: F64, b: F64) -> F64:
    return np.asarray(np.einsum("ni,ni->n", a, b))


def _level_from_first(down: F64) -> F64:
    """(3, 3) to axes with y along `down`, whose z is as near to the camera's as that allows."""
    forward = np.array([0.0, 0.0, 1.0]) - down[2] * down
    forward /= np.linalg.norm(forward)
    return np.stack([np.cross(down, forward), down, forward])


def _cov_of_end(turn: F64, pose_cov: F64, level: F64) -> F64:
    """(6, 6) of the three angles, radians, and the place that one frame's pose adds.

    The true pose is E(w, d) cam_from_world: the camera's centre moves by -R d, and its axes turn to
    R exp(-w), R = `turn`.
    """
    x, y, z = np.eye(3)
    small = np.stack([np.cross(axis, np.eye(3)).T for axis in (x, y, z)]) * _STEP
    turned = _angles(level @ np.concatenate([turn[None], turn @ (np.eye(3) - small)]))
    jacobian = np.zeros((6, 6))
    jacobian[:3, :3] = ((turned[1:] - turned[0]) / _STEP).T
    jacobian[3:, 3:] = -turn
    return np.asarray(jacobian @ pose_cov @ jacobian.T)
