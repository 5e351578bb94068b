"""The background floor: motions of things are no surer than the stillness of what stands still.

Between the first and the last frame of a motion, points of the background that ought to stand still
in the world seem to move, by errors of depth, tracks and poses which things have as well. How far,
as a share of their distance, along the ray and across it, is the least standard deviation of a
motion whose interval rests on the clip alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from massannot.geometry.background_fit import SIGMA_FROM_MAD
from massannot.geometry.camera import apply, inverse
from massannot.stages._evidence import MotionEvidence, PositionEvidence
from massannot.stages._track_arrays import (
    BACKGROUND,
    Tables,
    camera_arrays,
    space_tracks,
    world_known,
)

F64 = NDArray[np.float64]

LEAST_POINTS = 8
_SIGMA_FROM_MIDDLE_RADIUS = 1 / np.sqrt(2 * np.log(2))
"""Of a length in two dimensions, whose parts have one standard deviation."""


def above_background(
    clip: Tables, motions: MotionEvidence, positions: PositionEvidence, *, n_frames: int
) -> MotionEvidence:
    """`motions` with covariances of at least the background's floor; unchanged where the camera
    moves, or may move, by unknown poses, and between frames without LEAST_POINTS in both."""
    if not world_known(clip):
        return motions
    points = space_tracks(clip, n_frames=n_frames).of(BACKGROUND)
    xyz = np.where(points.measured[..., None], points.xyz, np.nan)
    world_from_cam = inverse(camera_arrays(clip)[1])
    cov = motions.cov.copy()
    floors: dict[tuple[int, int], tuple[float, float] | None] = {}
    for row, (a, b) in enumerate(motions.ends):
        between = int(positions.frame[a]), int(positions.frame[b])
        if between not in floors:
            floors[between] = _floor(xyz, world_from_cam, *between)
        if (floor := floors[between]) is None:
            continue
        distance = float(np.linalg.norm(positions.xyz[a]))
        ray = positions.xyz[a] / distance
        if motions.in_world[row]:
            ray = world_from_cam[between[0], :3, :3] @ ray
        along = np.outer(ray, ray)
        least_along, least_across = ((share * distance) ** 2 for share in floor)
        seen_along = ray @ cov[row] @ ray
        seen_across = (np.trace(cov[row]) - seen_along) / 2
        cov[row] += max(least_along - seen_along, 0.0) * along
        cov[row] += max(least_across - seen_across, 0.0) * (np.eye(3) - along)
    return replace(motions, cov=cov)


def _floor(xyz: F64, world_from_cam: F64, first: int, last: int) -> tuple[float, float] | None:
    """Standard deviations of the displacement between two frames, along the ray and across it, as
    shares of the distance; None: too few points."""
    both = np.isfinite(xyz[[first, last]]).all(axis=(0, 2))
    if np.count_nonzero(both) < LEAST_POINTS:
        return None
    before = apply(world_from_cam[first], xyz[first, both])
    moved = apply(world_from_cam[last], xyz[last, both]) - before
    sight = before - world_from_cam[first, :3, 3]
    distance = np.linalg.norm(sight, axis=1)
    ray = sight / distance[:, None]
    along = np.einsum("ni,ni->n", moved, ray)
    across = np.linalg.norm(moved - along[:, None] * ray, axis=1)
    return (
        float(np.median(np.abs(along) / distance)) * SIGMA_FROM_MAD,
        float(np.median(across / distance)) * _SIGMA_FROM_MIDDLE_RADIUS,
    )
