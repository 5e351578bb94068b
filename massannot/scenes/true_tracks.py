"""Exact point tracks: a pixel of one frame is a point of a body, followed through every frame.

Visible means: in front of the camera, inside the picture, and the first surface along the exact ray
to the point is the point itself. No depth picture is looked up, so nothing depends on resolution.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from massannot.geometry.camera import apply, project
from massannot.scenes.rays import cast
from massannot.scenes.shapes import Floats, Ints
from massannot.scenes.world import Scene

Bools: TypeAlias = NDArray[np.bool_]

ROOM = -1

_SAME_SURFACE_M = 1e-4


@dataclass(frozen=True)
class SurfacePoints:
    """N points that belong to a body (or the room) for good."""

    entity: Ints  # (N,) ROOM for the room
    points: Floats  # (N,3) in the body's frame, or the room's, metres
    curvature_per_m: Floats  # (N,) of the surface there: 0 on planes


@dataclass(frozen=True)
class ExactTracks:
    """Positions of N points in T frames."""

    xy: Floats  # (T,N,2) pixels, corner convention; NaN behind the camera
    xyz_cam: Floats  # (T,N,3) metres, each in its own frame's camera
    visible: Bools  # (T,N)


def surface_points(scene: Scene, queries_txy: Floats) -> SurfacePoints:
    """The points seen at queries (N,3) of (frame, x, y)."""
    queries = np.asarray(queries_txy, np.float64)
    if queries.ndim != 2 or queries.shape[1] != 3:
        raise ValueError(f"queries: found shape {queries.shape}, expected (N, 3): frame, x, y")
    entity = np.full(len(queries), ROOM, np.int64)
    points = np.zeros((len(queries), 3))
    curvature = np.zeros(len(queries))
    for frame in np.unique(queries[:, 0]).astype(int):
        rows = np.flatnonzero(queries[:, 0] == frame)
        hits = cast(scene, frame, queries[rows, 1], queries[rows, 2])
        entity[rows] = hits.ids - 1
        points[rows] = hits.points.T
        for i in np.unique(hits.ids[hits.ids > 0]) - 1:
            mine = rows[hits.ids == i + 1]
            rotation = scene.motion.rotation[frame, i]
            points[mine] = (points[mine] - scene.motion.position[frame, i]) @ rotation
            curvature[mine] = scene.entities[i].body.shape.curvature_per_m(points[mine])
    return SurfacePoints(entity, points, curvature)


def follow(scene: Scene, points: SurfacePoints) -> ExactTracks:
    """Tracks of surface points through all frames of the scene."""
    shape = (scene.n_frames, len(points.entity))
    xy, xyz, visible = np.empty((*shape, 2)), np.empty((*shape, 3)), np.zeros(shape, bool)
    lens = scene.camera.lens
    intrinsics = np.array([lens.focal_px, lens.focal_px, lens.cx, lens.cy])
    for frame in range(scene.n_frames):
        xyz[frame] = apply(scene.cam_from_room(frame), _in_room(scene, frame, points))
        xy[frame] = project(xyz[frame], intrinsics)
        x, y = xy[frame].T
        inside = (x >= 0) & (x < lens.width) & (y >= 0) & (y < lens.height)
        rows = np.flatnonzero(inside)
        first = cast(scene, frame, x[rows], y[rows])
        visible[frame, rows] = first.depth_m >= xyz[frame, rows, 2] - _SAME_SURFACE_M
    return ExactTracks(xy, xyz, visible)


def exact_tracks(scene: Scene, queries_txy: Floats) -> ExactTracks:
    """Tracks of the points seen at queries (N,3) of (frame, x, y)."""
    return follow(scene, surface_points(scene, queries_txy))


def _in_room(scene: Scene, frame: int, points: SurfacePoints) -> Floats:
    placed = points.points.copy()
    for i in range(len(scene.entities)):
        rows = points.entity == i
        placed[rows] = apply(scene.room_from_body(frame, i), points.points[rows])
    return placed
