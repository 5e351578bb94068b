"""The start of a scene: its bodies with their positions and velocities, for each kind of story.

Directions are the viewer's: `right` and `away` are horizontal unit vectors seen from the camera,
so that an occluder really stands between the lens and the path it hides.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from massannot.scenes.physics import Body, turned
from massannot.scenes.prisms import FRONTED_NAMES, draw_prism
from massannot.scenes.revolved import Cone, Cylinder
from massannot.scenes.shapes import Ball, Box, Floats, Shape

Scenario = Literal[
    "rolling", "sliding", "falling", "bouncing", "colliding", "occluding", "leaving", "mixed"
]
SCENARIOS: tuple[Scenario, ...] = get_args(Scenario)

Role = Literal["rest", "roll", "slide", "drop", "bounce", "toss", "rebound"]

_ROLES: tuple[Role, ...] = ("rest", "roll", "slide", "drop", "bounce")
_TRIES = 30


@dataclass(frozen=True)
class Arena:
    """The part of the room where bodies start, seen from the camera."""

    focus: Floats  # (3,) on the floor
    right: Floats  # (3,)
    away: Floats  # (3,)
    half_width_m: float
    half_depth_m: float

    def point(self, right_m: float, away_m: float, height_m: float) -> Floats:
        flat = self.focus + right_m * self.right + away_m * self.away
        return flat + np.array([0.0, 0.0, height_m])


def draw_shape(rng: np.random.Generator, name: str) -> Shape:
    """A body of one of SHAPE_NAMES, between 28 and 94 cm across, or of FRONTED_NAMES."""
    for fronted in FRONTED_NAMES:
        if name == fronted:
            return draw_prism(rng, fronted)
    if name == "ball":
        return Ball(rng.uniform(0.17, 0.4))
    if name == "box":
        a, b, c = rng.uniform(0.15, 0.36, 3)
        return Box((a, b, c))
    if name == "cylinder":
        return Cylinder(rng.uniform(0.14, 0.29), rng.uniform(0.17, 0.42))
    radius = rng.uniform(0.19, 0.36)
    return Cone(radius, radius * rng.uniform(1.7, 2.6))


def draw_bodies(
    rng: np.random.Generator, *, scenario: Scenario, names: list[str], arena: Arena
) -> list[Body]:
    """One body per shape name that finds a free place, the story's own bodies first."""
    bodies: list[Body] = []
    if scenario == "colliding" and len(names) > 1:
        bodies += _meeting(rng, names[:2], arena)
    if scenario == "occluding" and len(names) > 1:
        bodies += _hiding(rng, names[:2], arena)
    for name in names[len(bodies) :]:
        role = _role(rng, scenario, name, first=not bodies)
        body = _placed(rng, draw_shape(rng, name), role, arena, bodies)
        if body is not None:
            bodies.append(body)
    return bodies


def _role(rng: np.random.Generator, scenario: Scenario, name: str, *, first: bool) -> Role:
    story: dict[str, Role] = {
        "rolling": "roll",
        "sliding": "slide",
        "falling": "drop",
        "bouncing": "bounce",
    }
    if scenario == "leaving" and first:
        return "rebound" if name == "ball" and rng.random() < 0.5 else "toss"
    if scenario in story and (first or rng.random() < 0.6):
        return story[scenario]
    weights = [0.35, 0.2, 0.2, 0.15, 0.1]
    return _ROLES[rng.choice(len(_ROLES), p=weights)]


def _placed(
    rng: np.random.Generator, shape: Shape, role: Role, arena: Arena, others: list[Body]
) -> Body | None:
    for _ in range(_TRIES):
        body = _start(rng, shape, role, arena)
        gaps = [
            np.linalg.norm(body.position - o.position) - shape.bound_m - o.shape.bound_m
            for o in others
        ]
        if all(gap > 0.03 for gap in gaps):
            return body
    return None


def _start(rng: np.random.Generator, shape: Shape, role: Role, arena: Arena) -> Body:
    right_m = rng.uniform(-1, 1) * arena.half_width_m
    away_m = rng.uniform(-1, 1) * arena.half_depth_m
    inward = -np.sign(right_m) * rng.uniform(0.3, 1) * arena.right
    heading = inward + rng.uniform(-0.6, 0.6) * arena.away
    heading /= np.linalg.norm(heading)
    if role in ("rest", "roll", "slide"):
        fast = {"rest": 0.0, "roll": rng.uniform(0.5, 2.2), "slide": rng.uniform(1.0, 2.8)}[role]
        lying = role == "roll" or (role == "rest" and rng.random() < 0.25)
        return _on_floor(rng, shape, arena, (right_m, away_m), fast * heading, lying=lying)
    if role == "rebound":
        side = rng.choice([-1.0, 1.0])
        push = side * rng.uniform(3.5, 5.0) * arena.right + rng.uniform(-0.3, 0.3) * arena.away
        spot = (side * rng.uniform(0.0, 0.4), away_m)
        return _on_floor(rng, shape, arena, spot, push, lying=True, bouncy=True)
    height = shape.bound_m + rng.uniform(0.25, 1.2)
    velocity = rng.uniform(0, 0.5) * heading
    if role == "bounce":
        velocity = rng.uniform(0.3, 1.2) * heading
    if role == "toss":
        height = shape.bound_m + rng.uniform(0.05, 0.3)
        velocity = 0.3 * heading + np.array([0, 0, rng.uniform(4.8, 5.8)])
    return _body(
        rng,
        shape,
        arena.point(right_m, away_m, height),
        _any_rotation(rng),
        velocity,
        rng.normal(0, 2.0, 3),
        bouncy=role == "bounce",
    )


def _on_floor(
    rng: np.random.Generator,
    shape: Shape,
    arena: Arena,
    spot: tuple[float, float],
    velocity: Floats,
    *,
    lying: bool,
    bouncy: bool = False,
) -> Body:
    """A body that touches the floor: balls roll, cylinders roll when lying, others slide."""
    yaw = turned(np.eye(3), np.array([0, 0, rng.uniform(0, 2 * np.pi)]))
    spin = np.zeros(3)
    if isinstance(shape, Ball):
        rotation, height = _any_rotation(rng), shape.radius_m
        spin = np.cross([0, 0, 1.0], velocity) / height
    elif isinstance(shape, Cylinder) and lying:
        speed = float(np.linalg.norm(velocity))
        if speed > 0:
            yaw = turned(np.eye(3), np.array([0, 0, np.arctan2(velocity[1], velocity[0])]))
        rotation = yaw @ turned(np.eye(3), np.array([np.pi / 2, 0, 0]))
        height = shape.radius_m
        spin = np.cross([0, 0, 1.0], velocity) / height
    else:
        rotation = yaw
        height = float(-shape.lowest_points(np.array([0, 0, 1.0]))[:, 2].min())
    position = arena.point(spot[0], spot[1], height)
    return _body(rng, shape, position, rotation, velocity, spin, bouncy=bouncy)


def _meeting(rng: np.random.Generator, names: list[str], arena: Arena) -> list[Body]:
    """Two bodies on the floor whose paths cross near the middle at the same moment."""
    meet_away = rng.uniform(-0.5, 0.5) * arena.half_depth_m
    delay_s = rng.uniform(0.4, 0.8)
    bodies = []
    for name, side in zip(names, rng.permutation([-1.0, 1.0]), strict=True):
        shape = draw_shape(rng, name)
        speed = rng.uniform(1.2, 2.0)
        reach = min(speed * delay_s, arena.half_width_m) + 0.8 * shape.bound_m
        aside = rng.uniform(-0.1, 0.1)
        velocity = -side * speed * arena.right
        spot = (side * reach, meet_away + aside)
        bodies.append(_on_floor(rng, shape, arena, spot, velocity, lying=True))
    return bodies


def _hiding(rng: np.random.Generator, names: list[str], arena: Arena) -> list[Body]:
    """A large body in front, at rest, and one that moves behind it from side to side."""
    a, b, c = rng.uniform([0.2, 0.14, 0.3], [0.34, 0.22, 0.4])
    shapes: dict[str, Shape] = {
        "box": Box((a, b, c)),
        "ball": Ball(rng.uniform(0.3, 0.38)),
        "cylinder": Cylinder(rng.uniform(0.22, 0.3), rng.uniform(0.35, 0.42)),
        "cone": Cone(rng.uniform(0.3, 0.36), rng.uniform(0.7, 0.85)),
    }
    front = shapes[names[0]] if names[0] in shapes else draw_shape(rng, names[0])
    near = -rng.uniform(0.5, 0.7) * arena.half_depth_m
    spot = (rng.uniform(-0.3, 0.3), near)
    bodies = [_on_floor(rng, front, arena, spot, np.zeros(3), lying=False)]
    mover = draw_shape(rng, names[1])
    side = rng.choice([-1.0, 1.0])
    speed = rng.uniform(1.1, 1.9)
    spot = (side * rng.uniform(0.8, 1.0) * arena.half_width_m, near + rng.uniform(0.9, 1.2))
    bodies.append(_on_floor(rng, mover, arena, spot, -side * speed * arena.right, lying=True))
    return bodies


def _body(
    rng: np.random.Generator,
    shape: Shape,
    position: Floats,
    rotation: Floats,
    velocity: Floats,
    spin: Floats,
    *,
    bouncy: bool,
) -> Body:
    ball = isinstance(shape, Ball)
    restitution = rng.uniform(0.7, 0.88) if bouncy or ball else rng.uniform(0.15, 0.45)
    friction = rng.uniform(0.4, 0.7) if ball else rng.uniform(0.12, 0.4)
    density = rng.uniform(150, 500)
    velocity = np.asarray(velocity, float)
    return Body(shape, density, restitution, friction, position, rotation, velocity, spin)


def _any_rotation(rng: np.random.Generator) -> Floats:
    axis = rng.standard_normal(3)
    return turned(np.eye(3), axis / np.linalg.norm(axis) * rng.uniform(0, np.pi))
