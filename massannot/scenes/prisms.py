"""Bodies with a front: an arrow block and a toy car, convex outlines in x and z pulled along y.

See shapes.py for the conventions. The front is the body's +x, its top +z; both sides, across y, are
alike. The arrow block points forward; the car has a flat hood before its cabin, and is painted with
windows, lamps and wheels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np

from massannot.scenes.shapes import NEVER_ZERO, Floats, Ints, Shape, length

FrontedName = Literal["arrow block", "toy car"]
FRONTED_NAMES: tuple[FrontedName, ...] = ("arrow block", "toy car")
FRONT = np.array([1.0, 0.0, 0.0])
"""Body frame."""

_ARROW = ((1.0, 0.0), (0.25, 0.62), (-1.0, 0.62), (-1.0, -0.62), (0.25, -0.62))
_CAR = ((1.0, -0.36), (1.0, 0.02), (0.15, 0.46), (-1.0, 0.46), (-1.0, -0.36))
"""x forward and z up, of half a length; counted from the front, against the clock."""


@dataclass(frozen=True)
class Prism:
    """A convex pentagon, pulled along y."""

    half_length_m: float
    half_width_m: float
    name: FrontedName

    @cached_property
    def outline(self) -> Floats:
        """(5, 2) corners x, z, metres, around the centre of mass; an arrow's lie in x and y, so
        that it lies flat."""
        corners = np.array(_ARROW if self.name == "arrow block" else _CAR)
        return (corners - _area_and_centre(corners)[1]) * self.half_length_m

    @property
    def _flat(self) -> bool:
        """Whether the outline lies in x and y, pulled along z."""
        return self.name == "arrow block"

    @cached_property
    def _planes(self) -> tuple[Floats, Floats]:
        """(7, 3) outward normals and (7,) offsets."""
        side = np.roll(self.outline, -1, axis=0) - self.outline
        across = np.column_stack([side[:, 1], -side[:, 0]]) / length(side)[:, None]
        across *= np.sign((across * self.outline).sum(axis=1))[:, None]
        normals = np.vstack([np.column_stack([across, np.zeros(5)]), [[0, 0, 1.0], [0, 0, -1.0]]])
        offsets = np.r_[(across * self.outline).sum(axis=1), [self.half_width_m] * 2]
        return self._placed(normals), offsets

    def _placed(self, rows: Floats) -> Floats:
        """Rows (N, 3) of (outline's two axes, pulled one) in the body's axes."""
        return rows if self._flat else rows[:, [0, 2, 1]]

    @property
    def corners(self) -> Floats:
        """(10, 3)."""
        ends = [
            np.column_stack([self.outline, np.full(5, end)])
            for end in (-self.half_width_m, self.half_width_m)
        ]
        return self._placed(np.concatenate(ends))

    @property
    def bound_m(self) -> float:
        return float(length(self.corners).max())

    @property
    def volume_m3(self) -> float:
        return 2 * self.half_width_m * _area_and_centre(self.outline)[0]

    @cached_property
    def inertia_per_mass(self) -> Floats:
        """About the body's axes, which are principal ones but for a car's tilt of some degrees."""
        xx, zz = _second_moments(self.outline)
        yy = self.half_width_m**2 / 3
        moments = np.array([xx, zz, yy] if self._flat else [xx, yy, zz])
        return np.asarray(moments.sum() - moments)

    def intersect(self, origin: Floats, dx: Floats, dy: Floats, dz: Floats) -> Floats:
        enter, leave = np.full(dx.shape, -np.inf), np.full(dx.shape, np.inf)
        for normal, offset in zip(*self._planes, strict=True):
            speed = normal[0] * dx + normal[1] * dy + normal[2] * dz
            gap = offset - float(normal @ origin)
            t = gap / np.where(speed == 0, NEVER_ZERO, speed)
            leave = np.where(speed > 0, np.minimum(leave, t), leave)
            enter = np.where(speed < 0, np.maximum(enter, t), enter)
            enter = np.where((speed == 0) & (gap < 0), np.inf, enter)
        return np.where((enter <= leave) & (enter > 0), enter, np.inf)

    def part(self, points: Floats) -> Ints:
        normals, offsets = self._planes
        return np.asarray(1 + (points @ normals.T - offsets).argmax(axis=1))

    def normal(self, points: Floats) -> Floats:
        return np.asarray(self._planes[0][self.part(points) - 1])

    def curvature_per_m(self, points: Floats) -> Floats:
        return np.zeros(len(points))

    def nearest(self, points: Floats) -> tuple[Floats, Floats]:
        rows = self._placed(points)  # its own inverse
        flat_distance, flat_gradient = _nearest_on_polygon(rows[:, :2], self.outline)
        beyond = np.column_stack([flat_distance, np.abs(rows[:, 2]) - self.half_width_m])
        outside = np.maximum(beyond, 0)
        distance = length(outside)
        inside = distance == 0
        share = outside / np.maximum(distance, NEVER_ZERO)[:, None]
        share[inside, beyond[inside].argmax(axis=1)] = 1.0
        sign = np.where(rows[:, 2] < 0, -1.0, 1.0)
        gradient = np.column_stack([flat_gradient * share[:, :1], sign * share[:, 1]])
        return np.where(inside, beyond.max(axis=1), distance), self._placed(gradient)

    def sample_surface(self, rng: np.random.Generator, count: int) -> Floats:
        side = np.roll(self.outline, -1, axis=0) - self.outline
        walls = length(side) * 2 * self.half_width_m
        face = _area_and_centre(self.outline)[0]
        areas = np.r_[walls, face, face]
        part = rng.choice(7, count, p=areas / areas.sum())
        rows = np.empty((count, 3))
        for k in range(5):
            mine = np.flatnonzero(part == k)
            rows[mine, :2] = self.outline[k] + rng.random((len(mine), 1)) * side[k]
            rows[mine, 2] = rng.uniform(-1, 1, len(mine)) * self.half_width_m
        mine = np.flatnonzero(part >= 5)
        rows[mine, :2] = _in_polygon(rng, self.outline, len(mine))
        rows[mine, 2] = np.where(part[mine] == 5, 1.0, -1.0) * self.half_width_m
        return self._placed(rows)

    @lru_cache(maxsize=64)  # noqa: B019  (frozen: a few arrays, kept a little longer)
    def edge_points(self) -> Floats:
        along = np.linspace(0, 1, 7)[:, None]
        low, high = self.corners[:5], self.corners[5:]
        ends = [(low[k], low[(k + 1) % 5]) for k in range(5)]
        ends += [(high[k], high[(k + 1) % 5]) for k in range(5)]
        ends += list(zip(low, high, strict=True))
        return np.unique(np.concatenate([a + along * (b - a) for a, b in ends]), axis=0)

    def lowest_points(self, up: Floats) -> Floats:
        return self.corners

    def paint(self, points: Floats) -> Floats:
        """(N,) brightness that the skin is multiplied by at surface points (N, 3)."""
        p = points / self.half_length_m
        x, y, z = p.T
        shade = np.ones(len(p))
        if self.name == "arrow block":
            shade[(x > 0.45) & (np.abs(y) < 0.4)] = 1.5
            return shade
        part = self.part(points)
        on_side = part >= 6
        glass = (z > 0.1) & (z < 0.38) & (on_side & (x < 0.2) & (x > -0.85) | (part == 2))
        shade[glass] = 0.35
        for axle in (-0.6, 0.65):
            shade[on_side & (np.hypot(x - axle, z + 0.3) < 0.24)] = 0.15
        ahead = part == 1
        wide = self.half_width_m / self.half_length_m
        shade[ahead & (np.abs(np.abs(y) - 0.7 * wide) < 0.12) & (np.abs(z + 0.12) < 0.1)] = 2.2
        return shade


def front_of(shape: Shape) -> Floats | None:
    """(3,) the direction of a body's front in its own frame; None: it has none."""
    return FRONT if isinstance(shape, Prism) else None


def draw_prism(rng: np.random.Generator, name: FrontedName) -> Prism:
    """Between 40 and 80 cm long."""
    half = float(rng.uniform(0.22, 0.4))
    wide = rng.uniform(0.3, 0.45) if name == "arrow block" else rng.uniform(0.42, 0.55)
    return Prism(half, float(half * wide), name)


def _area_and_centre(corners: Floats) -> tuple[float, Floats]:
    """Of a polygon (K, 2), whichever way around it goes."""
    after = np.roll(corners, -1, axis=0)
    cross = corners[:, 0] * after[:, 1] - after[:, 0] * corners[:, 1]
    area = cross.sum() / 2
    return abs(float(area)), ((corners + after) * cross[:, None]).sum(axis=0) / (6 * area)


def _second_moments(corners: Floats) -> Floats:
    """(2,) mean squares of both coordinates over a polygon around its centre."""
    after = np.roll(corners, -1, axis=0)
    cross = corners[:, 0] * after[:, 1] - after[:, 0] * corners[:, 1]
    squares = corners**2 + corners * after + after**2
    return np.asarray((squares * cross[:, None]).sum(axis=0) / (6 * cross.sum()))


def _nearest_on_polygon(points: Floats, corners: Floats) -> tuple[Floats, Floats]:
    """Signed distance (N,) of points (N, 2) and its gradient (N, 2)."""
    best = np.full(len(points), np.inf)
    foot = np.zeros_like(points)
    inside = np.ones(len(points), bool)
    turn = np.sign(_winding(corners))
    for one, two in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        side = two - one
        along = np.clip((points - one) @ side / (side @ side), 0, 1)
        at = one + along[:, None] * side
        distance = length(points - at)
        nearer = distance < best
        best, foot = np.where(nearer, distance, best), np.where(nearer[:, None], at, foot)
        offset = points - one
        inside &= turn * (side[0] * offset[:, 1] - side[1] * offset[:, 0]) >= 0
    away = (points - foot) / np.maximum(best, NEVER_ZERO)[:, None]
    sign = np.where(inside, -1.0, 1.0)
    return sign * best, away * sign[:, None]


def _winding(corners: Floats) -> float:
    after = np.roll(corners, -1, axis=0)
    return float((corners[:, 0] * after[:, 1] - after[:, 0] * corners[:, 1]).sum())


def _in_polygon(rng: np.random.Generator, corners: Floats, count: int) -> Floats:
    """(count, 2) points spread evenly over a convex polygon."""
    fans = np.array([corners[[0, k, k + 1]] for k in range(1, len(corners) - 1)])
    areas = np.array([_area_and_centre(fan)[0] for fan in fans])
    chosen = fans[rng.choice(len(fans), count, p=areas / areas.sum())]
    u, v = np.sqrt(rng.random(count))[:, None], rng.random(count)[:, None]
    return np.asarray(
        chosen[:, 0] * (1 - u) + chosen[:, 1] * (u * (1 - v)) + chosen[:, 2] * (u * v)
    )
