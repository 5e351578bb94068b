"""Contacts of bodies with the room and with one another.

Against planes the lowest surface points are exact for every shape, so balls and lying cylinders
roll smoothly. Against a ball the nearest point of any shape is exact. Two edged bodies are tested
with points along the edges of each inside the other: exact for corners, within a few millimetres
for rims, within a centimetre or two where two edges cross in the middle.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from massannot.scenes.shapes import Ball, Floats, Shape

ContactKind = Literal["floor", "wall", "body"]

ROOM = -1  # stands for the room where a contact names its second body
_PER_PAIR = 4


@dataclass(frozen=True)
class Plane:
    """Half-space normal @ point >= offset_m that bodies may not leave; normals point inwards."""

    kind: ContactKind
    normal: Floats
    offset_m: float


@dataclass(frozen=True)
class Contact:
    """`point` and `normal` in the room frame; the normal points from `second` to `first`."""

    kind: ContactKind
    first: int
    second: int
    point: Floats
    normal: Floats
    depth_m: float


def touching_plane(shape: Shape, position: Floats, rotation: Floats, plane: Plane) -> list[Floats]:
    """Room-frame surface points of one body that are at or below a plane."""
    clearance = float(plane.normal @ position) - plane.offset_m
    if clearance > shape.bound_m:
        return []
    points = shape.lowest_points(rotation.T @ plane.normal) @ rotation.T + position
    below = points @ plane.normal <= plane.offset_m
    return list(points[below])


def touching_pair(
    one: tuple[Shape, Floats, Floats], two: tuple[Shape, Floats, Floats]
) -> list[tuple[Floats, Floats, float]]:
    """(point, normal from two to one, depth) of every contact between two placed bodies.

    A placed body is (shape, position (3,), rotation (3,3)) in the room frame.
    """
    if isinstance(one[0], Ball):
        return _ball_against(one[0], one[1], two)
    if isinstance(two[0], Ball):
        return [(p, -n, d) for p, n, d in _ball_against(two[0], two[1], one)]
    contacts = _edges_inside(one, two)
    contacts += [(p, -n, d) for p, n, d in _edges_inside(two, one)]
    return _spread(contacts)


def _ball_against(
    ball: Ball, centre: Floats, other: tuple[Shape, Floats, Floats]
) -> list[tuple[Floats, Floats, float]]:
    shape, position, rotation = other
    distance, gradient = shape.nearest(((centre - position) @ rotation)[None])
    depth = ball.radius_m - float(distance[0])
    if depth < 0:
        return []
    normal = rotation @ gradient[0]
    return [(centre - normal * float(distance[0]), normal, depth)]


def _edges_inside(
    edged: tuple[Shape, Floats, Floats], other: tuple[Shape, Floats, Floats]
) -> list[tuple[Floats, Floats, float]]:
    shape, position, rotation = edged
    points = shape.edge_points() @ rotation.T + position
    local = (points - other[1]) @ other[2]
    near = (np.abs(local) < other[0].bound_m).all(axis=1)
    if not near.any():
        return []
    points, local = points[near], local[near]
    distance, gradient = other[0].nearest(local)
    inside = np.flatnonzero(distance <= 0)
    return [(points[i], other[2] @ gradient[i], -float(distance[i])) for i in inside]


def _spread(contacts: list[tuple[Floats, Floats, float]]) -> list[tuple[Floats, Floats, float]]:
    """At most four contacts: the deepest, then whichever lies farthest from those kept."""
    if len(contacts) <= _PER_PAIR:
        return contacts
    points = np.stack([point for point, _, _ in contacts])
    chosen = [int(np.argmax([depth for _, _, depth in contacts]))]
    gap = np.linalg.norm(points - points[chosen[0]], axis=1)
    while len(chosen) < _PER_PAIR:
        chosen.append(int(gap.argmax()))
        gap = np.minimum(gap, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return [contacts[i] for i in chosen]
