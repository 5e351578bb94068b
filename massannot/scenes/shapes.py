"""Shape: exact queries about the surface of a convex body; the ball and the box.

Unusual: rays come as three separate coordinate arrays, because a picture casts twenty thousand of
them and contiguous columns are three times faster than rows. Points come as rows (N,3). Every
shape lives in its own body frame: origin at the centre of MASS (a cone's lies a quarter of its
height above the base), z along the axis, metres. A `part` numbers a smooth piece of the surface:
0 is the curved one, the planar ones follow (a box has six planar parts, 1..6).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

SHAPE_NAMES = ("ball", "box", "cylinder", "cone")

NEVER_ZERO = 1e-300


class Shape(Protocol):
    """A convex body. `origin` and points in its own frame, metres."""

    @property
    def name(self) -> str: ...
    @property
    def bound_m(self) -> float:
        """Radius of the smallest sphere around the centre of mass that holds the body."""
        ...

    @property
    def volume_m3(self) -> float: ...
    @property
    def inertia_per_mass(self) -> Floats:
        """(3,) principal moments about the centre of mass of a body of 1 kg, m^2."""
        ...

    def intersect(self, origin: Floats, dx: Floats, dy: Floats, dz: Floats) -> Floats:
        """(N,) smallest positive t with origin + t * direction on the surface; inf for a miss."""
        ...

    def part(self, points: Floats) -> Ints:
        """(N,) which part of the surface each surface point (N,3) lies on."""
        ...

    def normal(self, points: Floats) -> Floats:
        """(N,3) outward unit normals at surface points (N,3)."""
        ...

    def curvature_per_m(self, points: Floats) -> Floats:
        """(N,) largest principal curvature at surface points (N,3): 0 on planes, 1/r on a ball."""
        ...

    def nearest(self, points: Floats) -> tuple[Floats, Floats]:
        """Signed distance (N,) of points (N,3), negative inside, and its gradient (N,3)."""
        ...

    def sample_surface(self, rng: np.random.Generator, count: int) -> Floats:
        """(count,3) points spread evenly over the area."""
        ...

    def edge_points(self) -> Floats:
        """(M,3) points along sharp edges and side lines, where contact with another body begins."""
        ...

    def lowest_points(self, up: Floats) -> Floats:
        """(K,3) surface points that can be the first to touch a plane with unit normal `up`."""
        ...


@dataclass(frozen=True)
class Ball:
    radius_m: float
    name: str = "ball"

    @property
    def bound_m(self) -> float:
        return self.radius_m

    @property
    def volume_m3(self) -> float:
        return 4 / 3 * np.pi * self.radius_m**3

    @property
    def inertia_per_mass(self) -> Floats:
        return np.full(3, 0.4 * self.radius_m**2)

    def intersect(self, origin: Floats, dx: Floats, dy: Floats, dz: Floats) -> Floats:
        a = dx * dx + dy * dy + dz * dz
        b = -(origin[0] * dx + origin[1] * dy + origin[2] * dz)
        c = float(origin @ origin) - self.radius_m**2
        return nearer_root(a, b, c)

    def part(self, points: Floats) -> Ints:
        return np.zeros(len(points), np.int64)

    def normal(self, points: Floats) -> Floats:
        return points / length(points)[:, None]

    def curvature_per_m(self, points: Floats) -> Floats:
        return np.full(len(points), 1 / self.radius_m)

    def nearest(self, points: Floats) -> tuple[Floats, Floats]:
        distance = length(points)
        return distance - self.radius_m, points / np.maximum(distance, NEVER_ZERO)[:, None]

    def sample_surface(self, rng: np.random.Generator, count: int) -> Floats:
        direction = rng.standard_normal((count, 3))
        return direction / length(direction)[:, None] * self.radius_m

    def edge_points(self) -> Floats:
        return np.zeros((0, 3))

    def lowest_points(self, up: Floats) -> Floats:
        return (-self.radius_m * up)[None]


@dataclass(frozen=True)
class Box:
    half_m: tuple[float, float, float]
    name: str = "box"

    @property
    def bound_m(self) -> float:
        return float(np.linalg.norm(self.half_m))

    @property
    def volume_m3(self) -> float:
        return float(8 * np.prod(self.half_m))

    @property
    def inertia_per_mass(self) -> Floats:
        square = np.asarray(self.half_m) ** 2
        return (square.sum() - square) / 3

    def intersect(self, origin: Floats, dx: Floats, dy: Floats, dz: Floats) -> Floats:
        enter = np.full(dx.shape, -np.inf)
        leave = np.full(dx.shape, np.inf)
        for o, d, half in zip(origin, (dx, dy, dz), self.half_m, strict=True):
            inverse = 1 / np.where(d == 0, NEVER_ZERO, d)
            one, two = (-half - o) * inverse, (half - o) * inverse
            np.maximum(enter, np.minimum(one, two), out=enter)
            np.minimum(leave, np.maximum(one, two), out=leave)
        return np.where((enter <= leave) & (enter > 0), enter, np.inf)

    def part(self, points: Floats) -> Ints:
        axis = np.abs(points / np.asarray(self.half_m)).argmax(axis=1)
        positive = points[np.arange(len(points)), axis] > 0
        return 1 + 2 * axis + positive

    def normal(self, points: Floats) -> Floats:
        part = self.part(points) - 1
        normals = np.zeros((len(points), 3))
        normals[np.arange(len(points)), part // 2] = 2.0 * (part % 2) - 1.0
        return normals

    def curvature_per_m(self, points: Floats) -> Floats:
        return np.zeros(len(points))

    def nearest(self, points: Floats) -> tuple[Floats, Floats]:
        beyond = np.abs(points) - np.asarray(self.half_m)
        outside = np.maximum(beyond, 0)
        distance = length(outside)
        deepest = beyond.argmax(axis=1)
        inside = distance == 0
        gradient = outside / np.maximum(distance, NEVER_ZERO)[:, None]
        gradient[inside, deepest[inside]] = 1.0
        sign = np.where(points < 0, -1.0, 1.0)
        return np.where(inside, beyond.max(axis=1), distance), gradient * sign

    def sample_surface(self, rng: np.random.Generator, count: int) -> Floats:
        half = np.asarray(self.half_m)
        area = np.array([half[1] * half[2], half[0] * half[2], half[0] * half[1]])
        axis = rng.choice(3, count, p=area / area.sum())
        points = rng.uniform(-1, 1, (count, 3)) * half
        side = np.where(rng.random(count) < 0.5, -1.0, 1.0)
        points[np.arange(count), axis] = side * half[axis]
        return points

    @lru_cache(maxsize=64)  # noqa: B019  (frozen: a few arrays, kept a little longer)
    def edge_points(self) -> Floats:
        along = np.linspace(-1, 1, 7)
        rows = []
        for axis in range(3):
            for one in (-1.0, 1.0):
                for two in (-1.0, 1.0):
                    edge = np.empty((len(along), 3))
                    edge[:, axis] = along
                    edge[:, (axis + 1) % 3] = one
                    edge[:, (axis + 2) % 3] = two
                    rows.append(edge)
        return np.unique(np.concatenate(rows), axis=0) * np.asarray(self.half_m)

    def lowest_points(self, up: Floats) -> Floats:
        return _CORNERS * np.asarray(self.half_m)


_CORNERS = np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])


def length(rows: Floats) -> Floats:
    """(N,) Euclidean lengths of rows (N,D)."""
    return np.sqrt((rows * rows).sum(axis=1))


def nearer_root(a: Floats, b: Floats, c: float) -> Floats:
    """Smaller root of a t^2 - 2 b t + c = 0 where c > 0, as c / (b + sqrt): nothing cancels."""
    discriminant = b * b - a * c
    denominator = b + np.sqrt(np.maximum(discriminant, 0))
    hit = (discriminant >= 0) & (denominator > 0)
    return np.where(hit, c / np.where(hit, denominator, 1.0), np.inf)
