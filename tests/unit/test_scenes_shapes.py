"""Every shape's answers agree with each other and with a search that knows only its inside."""

import numpy as np
import pytest

from massannot.scenes.revolved import Cone, Cylinder
from massannot.scenes.shapes import Ball, Box, Shape

SHAPES: dict[str, Shape] = {
    "ball": Ball(0.3),
    "box": Box((0.2, 0.3, 0.15)),
    "cylinder": Cylinder(0.2, 0.35),
    "cone": Cone(0.3, 0.7),
}
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())


def holds(shape: Shape, p: np.ndarray) -> np.ndarray:
    """Inside or not, from the definition of the shape alone."""
    radius = np.hypot(p[:, 0], p[:, 1])
    if isinstance(shape, Ball):
        return np.linalg.norm(p, axis=1) <= shape.radius_m
    if isinstance(shape, Box):
        return (np.abs(p) <= shape.half_m).all(axis=1)
    if isinstance(shape, Cylinder):
        return (radius <= shape.radius_m) & (np.abs(p[:, 2]) <= shape.half_height_m)
    share = (0.75 * shape.height_m - p[:, 2]) / shape.height_m
    return (share >= 0) & (share <= 1) & (radius <= share * shape.radius_m)


def rays(count: int) -> tuple[np.ndarray, np.ndarray]:
    """From one point towards the neighbourhood of the shape."""
    rng = np.random.default_rng(0)
    origin = np.array([1.3, -0.9, 0.8])
    return origin, rng.uniform(-0.5, 0.5, (count, 3)) - origin


@every_shape
def test_rays_meet_the_surface_where_a_slow_search_finds_it(shape: Shape) -> None:
    origin, directions = rays(400)
    exact = shape.intersect(origin, *directions.T)
    t = np.linspace(0, 2, 8001)
    for i, direction in enumerate(directions):
        inside = holds(shape, origin + t[:, None] * direction)
        if inside.sum() < 2:  # a miss, or a corner thinner than the search's step
            assert not np.isfinite(exact[i]) or holds(
                shape, (origin + (exact[i] + 1e-6) * direction)[None]
            )
            continue
        assert abs(exact[i] - t[inside.argmax()]) <= t[1]


@every_shape
def test_hit_points_lie_on_the_surface_and_normals_point_back(shape: Shape) -> None:
    origin, directions = rays(2000)
    t = shape.intersect(origin, *directions.T)
    hit = np.isfinite(t)
    points = origin + t[hit, None] * directions[hit]
    assert hit.sum() > 100
    assert np.abs(shape.nearest(points)[0]).max() < 1e-9
    assert ((shape.normal(points) * directions[hit]).sum(axis=1) < 1e-9).all()


@every_shape
def test_sampled_points_lie_on_the_surface_and_normals_point_out(shape: Shape) -> None:
    points = shape.sample_surface(np.random.default_rng(1), 500)
    normals = shape.normal(points)
    assert np.abs(shape.nearest(points)[0]).max() < 1e-9
    assert np.allclose(np.linalg.norm(normals, axis=1), 1)
    outside = shape.nearest(points + 1e-4 * normals)[0]
    assert np.abs(outside - 1e-4).max() < 1e-8


@every_shape
def test_distance_is_a_distance(shape: Shape) -> None:
    rng = np.random.default_rng(2)
    points = rng.uniform(-0.8, 0.8, (300, 3))
    distance, gradient = shape.nearest(points)
    assert ((distance <= 0) == holds(shape, points)).all()
    outside = distance > 1e-6
    touching = points[outside] - distance[outside, None] * gradient[outside]
    assert np.abs(shape.nearest(touching)[0]).max() < 1e-9
    surface = shape.sample_surface(rng, 4000)
    for point, d in zip(points[outside][:60], distance[outside][:60], strict=True):
        assert np.linalg.norm(surface - point, axis=1).min() >= d - 1e-9


@every_shape
def test_volume_and_inertia_are_those_of_a_solid_body(shape: Shape) -> None:
    rng = np.random.default_rng(3)
    side = 2 * shape.bound_m
    points = rng.uniform(-0.5, 0.5, (400_000, 3)) * side
    solid = points[holds(shape, points)]
    assert shape.volume_m3 == pytest.approx(len(solid) / len(points) * side**3, rel=0.02)
    assert np.abs(solid.mean(axis=0)).max() < 0.002  # the origin is the centre of mass
    square = (solid**2).mean(axis=0)
    assert shape.inertia_per_mass == pytest.approx(square.sum() - square, rel=0.02)


@every_shape
def test_nothing_sticks_out_of_the_bounding_sphere(shape: Shape) -> None:
    points = shape.sample_surface(np.random.default_rng(4), 3000)
    points = np.concatenate([points, shape.edge_points()])
    reach = np.linalg.norm(points, axis=1).max()
    assert 0.95 * shape.bound_m < reach <= shape.bound_m + 1e-9


@every_shape
def test_the_lowest_points_are_as_low_as_the_surface_gets(shape: Shape) -> None:
    rng = np.random.default_rng(5)
    surface = shape.sample_surface(rng, 20_000)
    for up in rng.standard_normal((40, 3)):
        up /= np.linalg.norm(up)
        lowest = (shape.lowest_points(up) @ up).min()
        assert -0.03 < lowest - (surface @ up).min() < 1e-9


CURVATURES = [
    ("ball", [[0.3, 0, 0]], 1 / 0.3),
    ("box", [[0.2, 0.1, 0]], 0),
    ("cylinder", [[0.2, 0, 0.1]], 1 / 0.2),
    ("cylinder", [[0.1, 0, 0.35]], 0),
    ("cone", [[0.15, 0, 0.525 - 0.35]], 0.7 / np.hypot(0.7, 0.3) / 0.15),
    ("cone", [[0.1, 0, -0.175]], 0),
]


@pytest.mark.parametrize(("name", "point", "expected"), CURVATURES)
def test_curvature_bounds_the_gap_between_surface_and_tangent(
    name: str, point: list[list[float]], expected: float
) -> None:
    at = np.array(point)
    shape = SHAPES[name]
    assert shape.curvature_per_m(at)[0] == pytest.approx(expected)
    normal = shape.normal(at)[0]
    step = 0.004
    for direction in np.random.default_rng(6).standard_normal((20, 3)):
        tangent = direction - (direction @ normal) * normal
        moved = at + step * tangent / np.linalg.norm(tangent)
        gap = shape.nearest(moved)[0][0]
        assert -1e-9 <= gap <= 0.5 * expected * step**2 * 1.05 + 1e-12
