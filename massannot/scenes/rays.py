"""Rays from the camera to the first surface, solved exactly in double precision.

Pictures, depth, masks and the visibility of tracks all come from these casts. Directions have z = 1
in the camera frame, so the ray parameter IS the z-depth.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from massannot.scenes.shapes import Floats, Ints
from massannot.scenes.world import Scene

Bools: TypeAlias = NDArray[np.bool_]

FLOOR, CEILING, WALL_X, WALL_Y = 0, 1, 2, 4  # walls: + 0 on the negative side, + 1 on the positive
PARTS_PER_ID = 8


@dataclass(frozen=True)
class Hits:
    """First surface along every ray: N rays, room frame, metres."""

    depth_m: Floats  # (N,) along the camera's z
    ids: Ints  # (N,) 0 for the room, entity i is i + 1
    parts: Ints  # (N,) of the room: FLOOR, CEILING, walls; of a body: see shapes.Shape.part
    points: Floats  # (3,N)
    normals: Floats  # (3,N) unit, towards the open side
    directions: Floats  # (3,N) of the rays, camera z component 1


def pixel_centres(scene: Scene) -> tuple[Floats, Floats]:
    """x, y (H*W,) of all pixel centres, row by row."""
    lens = scene.camera.lens
    x = np.tile(np.arange(lens.width) + 0.5, lens.height)
    return x, np.repeat(np.arange(lens.height) + 0.5, lens.width)


def cast(scene: Scene, frame: int, x: Floats, y: Floats) -> Hits:
    """The first surfaces that the camera of `frame` sees at image positions x, y (N,), pixels,
    corner convention."""
    eye, dirs, size = _rays(scene, frame, x, y)
    depth, parts = _room(scene, eye, dirs)
    ids = np.zeros(len(x), np.int64)
    for i, entity in enumerate(scene.entities):
        centre = scene.motion.position[frame, i] - eye
        near = _towards(dirs, size, centre, entity.body.shape.bound_m)
        if not len(near):
            continue
        rotation = scene.motion.rotation[frame, i]
        body_dirs = _turned_into(rotation, dirs[:, near])
        t = entity.body.shape.intersect(-(centre @ rotation), *body_dirs)
        closer = t < depth[near]
        depth[near[closer]] = t[closer]
        ids[near[closer]] = i + 1
    points = eye[:, None] + dirs * depth
    normals = _room_normals(parts)
    for i, entity in enumerate(scene.entities):
        mine = np.flatnonzero(ids == i + 1)
        if len(mine):
            rotation = scene.motion.rotation[frame, i]
            local = (points[:, mine].T - scene.motion.position[frame, i]) @ rotation
            parts[mine] = entity.body.shape.part(local)
            normals[:, mine] = rotation @ entity.body.shape.normal(local).T
    return Hits(depth, ids, parts, points, normals, dirs)


def silhouette(scene: Scene, frame: int, entity: int, x: Floats, y: Floats) -> Bools:
    """(N,) whether the ray through x, y would meet the entity if it were alone in the room."""
    eye, dirs, size = _rays(scene, frame, x, y)
    shape = scene.entities[entity].body.shape
    centre = scene.motion.position[frame, entity] - eye
    near = _towards(dirs, size, centre, shape.bound_m)
    rotation = scene.motion.rotation[frame, entity]
    met = np.zeros(len(x), bool)
    t = shape.intersect(-(centre @ rotation), *_turned_into(rotation, dirs[:, near]))
    met[near] = np.isfinite(t)
    return met


def in_shadow(scene: Scene, frame: int, points: Floats, light: Floats, *, skip: Ints) -> Ints:
    """Indices of points (3,N) that a body hides from `light` (3,).

    A convex body cannot shade itself where it faces the light; `skip` (N,) names the id that each
    point lies on, so that rounding cannot either.
    """
    away = points - light[:, None]
    size = (away * away).sum(axis=0)
    dark = np.zeros(points.shape[1], bool)
    for i, entity in enumerate(scene.entities):
        centre = scene.motion.position[frame, i] - light
        near = _towards(away, size, centre, entity.body.shape.bound_m)
        near = near[(skip[near] != i + 1) & ~dark[near]]
        if len(near):
            rotation = scene.motion.rotation[frame, i]
            body_dirs = _turned_into(rotation, away[:, near])
            t = entity.body.shape.intersect(-(centre @ rotation), *body_dirs)
            dark[near] = t < 1 - 1e-6
    return np.flatnonzero(dark)


def _rays(scene: Scene, frame: int, x: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
    """Lens (3,), directions (3,N) of camera z component 1, room frame; |direction|^2 (N,)."""
    lens = scene.camera.lens
    pose = scene.camera.room_from_cam(scene.t_s(frame))
    right, down = (x - lens.cx) / lens.focal_px, (y - lens.cy) / lens.focal_px
    # Column by column, not a matrix product: the bits must not depend on the number of rays.
    dirs = np.stack([pose[i, 0] * right + pose[i, 1] * down + pose[i, 2] for i in range(3)])
    return pose[:3, 3], dirs, right * right + down * down + 1.0


def _room(scene: Scene, eye: Floats, dirs: Floats) -> tuple[Floats, Ints]:
    """Depth and part where every ray leaves the room; the camera is inside, so every ray does."""
    half_x, half_y = scene.room.half_m
    low, high = (-half_x, -half_y, 0.0), (half_x, half_y, scene.room.height_m)
    depth = np.full(dirs.shape[1], np.inf)
    parts = np.zeros(dirs.shape[1], np.int64)
    for axis, first in ((2, FLOOR), (0, WALL_X), (1, WALL_Y)):
        d = dirs[axis]
        up = d > 0
        t = (np.where(up, high[axis], low[axis]) - eye[axis]) / np.where(d == 0, 1e-300, d)
        closer = t < depth
        depth = np.where(closer, t, depth)
        parts = np.where(closer, first + up, parts)
    return depth, parts


_ROOM_NORMALS = np.array(
    [[0, 0, 1], [0, 0, -1], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]], float
).T


def _room_normals(parts: Ints) -> Floats:
    return _ROOM_NORMALS[:, parts]


def _towards(dirs: Floats, size: Floats, centre: Floats, bound_m: float) -> Ints:
    """Indices of rays from the origin that meet the sphere around `centre`; size = |dir|^2."""
    along = centre[0] * dirs[0] + centre[1] * dirs[1] + centre[2] * dirs[2]
    beyond = float(centre @ centre) - bound_m * bound_m * 1.000001
    if beyond <= 0:
        return np.arange(dirs.shape[1])
    return np.flatnonzero((along > 0) & (along * along >= size * beyond))


def _turned_into(rotation: Floats, dirs: Floats) -> Floats:
    """rotation.T @ dirs, without the matrix product's freedom to reorder sums."""
    x, y, z = dirs
    return np.stack([r[0] * x + r[1] * y + r[2] * z for r in rotation.T])
