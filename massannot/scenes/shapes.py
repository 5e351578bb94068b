"""Ball, box, cylinder and cone: everything that is known exactly about a convex body's surface.

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

_NEVER_ZERO = 1e-300


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
        return _nearer_root(a, b, c)

    def part(self, points: Floats) -> Ints:
        return np.zeros(len(points), np.int64)

    def normal(self, points: Floats) -> Floats:
        return points / _length(points)[:, None]

    def curvature_per_m(self, points: Floats) -> Floats:
        return np.full(len(points), 1 / self.radius_m)

    def nearest(self, points: Floats) -> tuple[Floats, Floats]:
        distance = _length(points)
        return distance - self.radius_m, points / np.maximum(distance, _NEVER_ZERO)[:, None]

    def sample_surface(self, rng: np.random.Generator, count: int) -> Floats:
        direction = rng.standard_normal((count, 3))
        return direction / _length(direction)[:, None] * self.radius_m

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
            inverse = 1 / np.where(d == 0, _NEVER_ZERO, d)
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
        distance = _length(outside)
        deepest = beyond.argmax(axis=1)
        inside = distance == 0
        gradient = outside / np.maximum(distance, _NEVER_ZERO)[:, None]
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


@dataclass(frozen=True)
class Cylinder:
    radius_m: float
    half_height_m: float
    name: str = "cylinder"

    @property
    def bound_m(self) -> float:
        return float(np.hypot(self.radius_m, self.half_height_m))

    @property
    def volume_m3(self) -> float:
        return 2 * np.pi * self.radius_m**2 * self.half_height_m

    @property
    def inertia_per_mass(self) -> Floats:
        across = self.radius_m**2 / 4 + self.half_height_m**2 / 3
        return np.array([across, across, self.radius_m**2 / 2])

    def intersect(self, origin: Floats, dx: Floats, dy: Floats, dz: Floats) -> Floats:
        ox, oy, oz = (float(v) for v in origin)
        a = np.maximum(dx * dx + dy * dy, _NEVER_ZERO)
        b = -(ox * dx + oy * dy)
        side = _nearer_root(a, b, ox * ox + oy * oy - self.radius_m**2)
        reach = np.minimum(side, 1e6)
        side = np.where(np.abs(oz + dz * reach) <= self.half_height_m, side, np.inf)
        cap = (-np.sign(dz) * self.half_height_m - oz) / np.where(dz == 0, _NEVER_ZERO, dz)
        cap = np.clip(cap, -1e6, 1e6)
        x, y = ox + dx * cap, oy + dy * cap
        on_cap = (x * x + y * y <= self.radius_m**2) & (cap > 0) & (dz != 0)
        return np.minimum(side, np.where(on_cap, cap, np.inf))

    def part(self, points: Floats) -> Ints:
        to_side = np.abs(np.hypot(points[:, 0], points[:, 1]) - self.radius_m)
        to_cap = np.abs(np.abs(points[:, 2]) - self.half_height_m)
        return np.where(to_side <= to_cap, 0, np.where(points[:, 2] > 0, 1, 2))

    def normal(self, points: Floats) -> Floats:
        part = self.part(points)
        normals = np.zeros((len(points), 3))
        radius = np.maximum(np.hypot(points[:, 0], points[:, 1]), _NEVER_ZERO)
        normals[:, :2] = np.where((part == 0)[:, None], points[:, :2] / radius[:, None], 0)
        normals[:, 2] = np.where(part == 0, 0, np.where(part == 1, 1.0, -1.0))
        return normals

    def curvature_per_m(self, points: Floats) -> Floats:
        return np.where(self.part(points) == 0, 1 / self.radius_m, 0.0)

    def nearest(self, points: Floats) -> tuple[Floats, Floats]:
        r, h = self.radius_m, self.half_height_m
        return _nearest_revolved(points, np.array([[0, h], [r, h], [r, -h], [0, -h]]))

    def sample_surface(self, rng: np.random.Generator, count: int) -> Floats:
        r, h = self.radius_m, self.half_height_m
        angle = rng.uniform(0, 2 * np.pi, count)
        on_side = rng.random(count) < 2 * h / (2 * h + r)
        radius = np.where(on_side, r, r * np.sqrt(rng.random(count)))
        cap = np.where(rng.random(count) < 0.5, -h, h)
        z = np.where(on_side, rng.uniform(-h, h, count), cap)
        return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)

    @lru_cache(maxsize=64)  # noqa: B019  (frozen: a few arrays, kept a little longer)
    def edge_points(self) -> Floats:
        heights = np.linspace(-self.half_height_m, self.half_height_m, 5)
        return np.concatenate([_circle(self.radius_m, z, 24) for z in heights])

    def lowest_points(self, up: Floats) -> Floats:
        rims = [_rim_below(up, self.radius_m, z) for z in (-self.half_height_m, self.half_height_m)]
        return np.concatenate(rims)


@dataclass(frozen=True)
class Cone:
    radius_m: float
    height_m: float
    name: str = "cone"

    @property
    def apex_z_m(self) -> float:
        return 0.75 * self.height_m

    @property
    def base_z_m(self) -> float:
        return -0.25 * self.height_m

    @property
    def bound_m(self) -> float:
        return float(max(self.apex_z_m, np.hypot(self.radius_m, self.base_z_m)))

    @property
    def volume_m3(self) -> float:
        return np.pi * self.radius_m**2 * self.height_m / 3

    @property
    def inertia_per_mass(self) -> Floats:
        across = 3 / 20 * self.radius_m**2 + 3 / 80 * self.height_m**2
        return np.array([across, across, 3 / 10 * self.radius_m**2])

    def intersect(self, origin: Floats, dx: Floats, dy: Floats, dz: Floats) -> Floats:
        ox, oy, below = float(origin[0]), float(origin[1]), float(origin[2]) - self.apex_z_m
        slope = (self.radius_m / self.height_m) ** 2
        a = dx * dx + dy * dy - slope * dz * dz
        b = ox * dx + oy * dy - slope * below * dz
        c = ox * ox + oy * oy - slope * below * below
        root = np.sqrt(np.maximum(b * b - a * c, 0))
        q = -(b + np.where(b < 0, -root, root))
        best = np.full(dx.shape, np.inf)
        hit = b * b - a * c >= 0
        for up, down in ((q, a), (np.full(dx.shape, c), q)):
            t = np.clip(up / np.where(down == 0, _NEVER_ZERO, down), -1e6, 1e6)
            z = below + dz * t
            on_side = hit & (t > 0) & (z <= 0) & (z >= -self.height_m)
            best = np.where(on_side & (t < best), t, best)
        base = (-self.height_m - below) / np.where(dz == 0, _NEVER_ZERO, dz)
        base = np.clip(base, -1e6, 1e6)
        x, y = ox + dx * base, oy + dy * base
        on_base = (x * x + y * y <= self.radius_m**2) & (base > 0) & (dz > 0)
        return np.minimum(best, np.where(on_base, base, np.inf))

    def part(self, points: Floats) -> Ints:
        radius = np.hypot(points[:, 0], points[:, 1])
        slope = self.radius_m / self.height_m
        to_side = np.abs(radius - slope * (self.apex_z_m - points[:, 2])) / np.hypot(1, slope)
        return np.where(to_side <= np.abs(points[:, 2] - self.base_z_m), 0, 1)

    def normal(self, points: Floats) -> Floats:
        slope = self.radius_m / self.height_m
        radius = np.maximum(np.hypot(points[:, 0], points[:, 1]), _NEVER_ZERO)[:, None]
        side = np.concatenate([points[:, :2] / radius, np.full((len(points), 1), slope)], axis=1)
        base = np.broadcast_to([0.0, 0.0, -1.0], side.shape)
        return np.where((self.part(points) == 0)[:, None], side / np.hypot(1, slope), base)

    def curvature_per_m(self, points: Floats) -> Floats:
        """cos(half opening angle) / distance from the axis: without bound towards the apex."""
        radius = np.maximum(np.hypot(points[:, 0], points[:, 1]), 1e-9)
        cosine = self.height_m / np.hypot(self.height_m, self.radius_m)
        return np.where(self.part(points) == 0, cosine / radius, 0.0)

    def nearest(self, points: Floats) -> tuple[Floats, Floats]:
        profile = np.array([[0, self.apex_z_m], [self.radius_m, self.base_z_m], [0, self.base_z_m]])
        return _nearest_revolved(points, profile)

    def sample_surface(self, rng: np.random.Generator, count: int) -> Floats:
        r, slant = self.radius_m, np.hypot(self.radius_m, self.height_m)
        angle = rng.uniform(0, 2 * np.pi, count)
        share = np.sqrt(rng.random(count))
        on_side = rng.random(count) < slant / (slant + r)
        z = np.where(on_side, self.apex_z_m - share * self.height_m, self.base_z_m)
        return np.stack([share * r * np.cos(angle), share * r * np.sin(angle), z], axis=1)

    @lru_cache(maxsize=64)  # noqa: B019  (frozen: a few arrays, kept a little longer)
    def edge_points(self) -> Floats:
        shares = np.linspace(0.2, 1, 5)
        rings = [_circle(s * self.radius_m, self.apex_z_m - s * self.height_m, 20) for s in shares]
        return np.concatenate([*rings, np.array([[0, 0, self.apex_z_m]])])

    def lowest_points(self, up: Floats) -> Floats:
        rim = _rim_below(up, self.radius_m, self.base_z_m)
        return np.concatenate([rim, np.array([[0, 0, self.apex_z_m]])])


_CORNERS = np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])


def _length(rows: Floats) -> Floats:
    return np.sqrt((rows * rows).sum(axis=1))


def _nearer_root(a: Floats, b: Floats, c: float) -> Floats:
    """Smaller root of a t^2 - 2 b t + c = 0 where c > 0, as c / (b + sqrt): nothing cancels."""
    discriminant = b * b - a * c
    denominator = b + np.sqrt(np.maximum(discriminant, 0))
    hit = (discriminant >= 0) & (denominator > 0)
    return np.where(hit, c / np.where(hit, denominator, 1.0), np.inf)


def _circle(radius_m: float, z_m: float, count: int) -> Floats:
    angle = np.arange(count) * (2 * np.pi / count)
    columns = [radius_m * np.cos(angle), radius_m * np.sin(angle), np.full(count, z_m)]
    return np.stack(columns, axis=1)


def _rim_below(up: Floats, radius_m: float, z_m: float) -> Floats:
    """The rim's exact lowest point and the three at right angles, so that a flat base stands."""
    x, y = -float(up[0]), -float(up[1])
    length = float(np.hypot(x, y))
    x, y = (x / length, y / length) if length > 1e-12 else (1.0, 0.0)
    ring = np.array([[x, y, 0], [-y, x, 0], [-x, -y, 0], [y, -x, 0]]) * radius_m
    ring[:, 2] = z_m
    return ring


def _nearest_revolved(points: Floats, profile: Floats) -> tuple[Floats, Floats]:
    """Signed distance to a convex profile (M,2) of (radius, z), turned about z; clockwise, closed
    by the axis."""
    radius = np.hypot(points[:, 0], points[:, 1])
    flat = np.stack([radius, points[:, 2]], axis=1)
    start, step = profile[:-1], np.diff(profile, axis=0)
    length = _length(step)
    outward = np.stack([-step[:, 1], step[:, 0]], axis=1) / length[:, None]
    offset = flat[:, None] - start  # (N,M,2)
    plane = (offset * outward).sum(-1)
    along = np.clip((offset * step).sum(-1) / length**2, 0, 1)
    away = offset - along[..., None] * step
    square = (away * away).sum(-1)
    rows = np.arange(len(points))
    inside = (plane <= 0).all(axis=1)
    deepest, closest = plane.argmax(axis=1), square.argmin(axis=1)
    distance = np.where(inside, plane[rows, deepest], np.sqrt(square[rows, closest]))
    gradient = (
        away[rows, closest] / np.maximum(np.sqrt(square[rows, closest]), _NEVER_ZERO)[:, None]
    )
    gradient = np.where(inside[:, None], outward[deepest], gradient)
    scale = gradient[:, :1] / np.maximum(radius, 1e-12)[:, None]
    return distance, np.concatenate([points[:, :2] * scale, gradient[:, 1:]], axis=1)
