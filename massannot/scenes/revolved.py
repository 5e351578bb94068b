"""Cylinder and cone: bodies of revolution about their z axis. See shapes.py for the conventions."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from massannot.scenes.shapes import NEVER_ZERO, Floats, Ints, length, nearer_root


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
        a = np.maximum(dx * dx + dy * dy, NEVER_ZERO)
        b = -(ox * dx + oy * dy)
        side = nearer_root(a, b, ox * ox + oy * oy - self.radius_m**2)
        reach = np.minimum(side, 1e6)
        side = np.where(np.abs(oz + dz * reach) <= self.half_height_m, side, np.inf)
        cap = (-np.sign(dz) * self.half_height_m - oz) / np.where(dz == 0, NEVER_ZERO, dz)
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
        radius = np.maximum(np.hypot(points[:, 0], points[:, 1]), NEVER_ZERO)
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
            t = np.clip(up / np.where(down == 0, NEVER_ZERO, down), -1e6, 1e6)
            z = below + dz * t
            on_side = hit & (t > 0) & (z <= 0) & (z >= -self.height_m)
            best = np.where(on_side & (t < best), t, best)
        base = (-self.height_m - below) / np.where(dz == 0, NEVER_ZERO, dz)
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
        radius = np.maximum(np.hypot(points[:, 0], points[:, 1]), NEVER_ZERO)[:, None]
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
    edge = length(step)
    outward = np.stack([-step[:, 1], step[:, 0]], axis=1) / edge[:, None]
    offset = flat[:, None] - start  # (N,M,2)
    plane = (offset * outward).sum(-1)
    along = np.clip((offset * step).sum(-1) / edge**2, 0, 1)
    away = offset - along[..., None] * step
    square = (away * away).sum(-1)
    rows = np.arange(len(points))
    inside = (plane <= 0).all(axis=1)
    deepest, closest = plane.argmax(axis=1), square.argmin(axis=1)
    distance = np.where(inside, plane[rows, deepest], np.sqrt(square[rows, closest]))
    gradient = away[rows, closest] / np.maximum(np.sqrt(square[rows, closest]), NEVER_ZERO)[:, None]
    gradient = np.where(inside[:, None], outward[deepest], gradient)
    scale = gradient[:, :1] / np.maximum(radius, 1e-12)[:, None]
    return distance, np.concatenate([points[:, :2] * scale, gradient[:, 1:]], axis=1)
