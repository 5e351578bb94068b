"""Depth at positions: planes are exact, edges are told from slopes."""

from __future__ import annotations

import numpy as np
import pytest

from massannot.geometry.depth_sampling import EdgeRule, edge_depth, sample_depth

WIDTH, HEIGHT = 64, 48

PLANES = [
    # name, (a, b, c) of 1/z = a + b x + c y, in pixels of the 64x48 picture
    ("facing", (0.5, 0.0, 0.0)),
    ("tilted sideways", (0.4, 0.004, 0.0)),
    ("a floor", (0.1, 0.0, 0.01)),
    ("tilted both ways", (0.3, 0.003, -0.002)),
]
MAPS = [("the picture's size", 64, 48), ("half", 32, 24), ("larger", 91, 70), ("odd", 37, 19)]


def plane_map(plane: tuple[float, float, float], *, width: int, height: int) -> np.ndarray:
    """(1, h, w) of z, sampled at the centres of a map of another size than the picture."""
    x = (np.arange(width) + 0.5) * WIDTH / width
    y = (np.arange(height) + 0.5) * HEIGHT / height
    a, b, c = plane
    return (1 / (a + b * x + c * y[:, None])).astype(np.float32)[None]


def everywhere(seed: int = 0) -> np.ndarray:
    """(1, N, 2) positions over the whole picture, its very corners included."""
    rng = np.random.default_rng(seed)
    inside = rng.uniform((0, 0), (WIDTH, HEIGHT), (200, 2))
    corners = np.array([[0, 0], [WIDTH, 0], [0, HEIGHT], [WIDTH, HEIGHT], [0.5, 0.5]])
    return np.concatenate([inside, corners])[None]


@pytest.mark.parametrize(("name", "plane"), PLANES, ids=[n for n, _ in PLANES])
@pytest.mark.parametrize(("size", "width", "height"), MAPS, ids=[n for n, *_ in MAPS])
def test_a_tilted_plane_is_reproduced_exactly(
    name: str, plane: tuple[float, float, float], size: str, width: int, height: int
) -> None:
    xy = everywhere()
    found = sample_depth(
        plane_map(plane, width=width, height=height), xy, picture_size=(WIDTH, HEIGHT)
    )
    a, b, c = plane
    np.testing.assert_allclose(found.z, 1 / (a + b * xy[..., 0] + c * xy[..., 1]), rtol=3e-6)
    assert found.reliable.all()


def test_the_first_pixel_of_a_map_lies_under_its_centre_not_its_corner() -> None:
    maps = plane_map(PLANES[1][1], width=32, height=24)
    found = sample_depth(maps, np.array([[[1.0, 1.0]]]), picture_size=(WIDTH, HEIGHT))
    assert found.z[0, 0] == pytest.approx(maps[0, 0, 0], rel=1e-6)


def test_a_map_that_is_a_ramp_of_z_is_right_to_second_order() -> None:
    x = (np.arange(32) + 0.5) * 2
    maps = np.broadcast_to(2 + 0.01 * x, (1, 24, 32)).astype(np.float32)
    xy = everywhere()
    found = sample_depth(maps, xy, picture_size=(WIDTH, HEIGHT))
    step = 0.02  # of z between map pixels; 1/z bends by 2 step^2 / z^3 over one of them
    within = step**2 / 2 + 1e-6  # the outermost half pixel is extrapolated
    assert np.abs(found.z - (2 + 0.01 * xy[..., 0])).max() <= within


def two_surfaces() -> np.ndarray:
    """A wall at 4 m, and before it, in columns 10 to 19, something at 3 m."""
    maps = np.full((1, HEIGHT, WIDTH), 4.0, np.float32)
    maps[:, :, 10:20] = 3.0
    return maps


EDGES = [
    # x, on an edge
    (5.0, False),
    (9.4, True),
    (10.2, True),
    (15.0, False),
    (19.9, True),
    (20.4, True),
    (22.1, False),
]


@pytest.mark.parametrize(("x", "edge"), EDGES)
def test_a_step_of_depth_is_an_edge_within_a_pixel(x: float, edge: bool) -> None:
    found = sample_depth(two_surfaces(), np.array([[[x, 20.0]]]), picture_size=(WIDTH, HEIGHT))
    assert bool(found.edge[0, 0]) is edge
    assert bool(found.known[0, 0])


def test_a_smeared_edge_is_an_edge_though_it_has_no_bend() -> None:
    x = np.arange(WIDTH)
    maps = np.broadcast_to(1 / np.interp(x, [20, 24], [1.0, 0.2]), (1, HEIGHT, WIDTH))
    found = sample_depth(
        maps.astype(np.float32), np.array([[[23.0, 20.0]]]), picture_size=(WIDTH, HEIGHT)
    )
    assert found.edge[0, 0]


def test_rough_maps_are_not_all_edges() -> None:
    rng = np.random.default_rng(0)
    maps = (3 * (1 + 0.01 * rng.standard_normal((1, HEIGHT, WIDTH)))).astype(np.float32)
    assert sample_depth(maps, everywhere(), picture_size=(WIDTH, HEIGHT)).edge.mean() < 0.1


INVALID = [
    ("not a number", np.nan),
    ("infinite", np.inf),
    ("zero", 0.0),
    ("negative", -1.0),
]


@pytest.mark.parametrize(("name", "value"), INVALID, ids=[n for n, _ in INVALID])
def test_invalid_pixels_neither_count_nor_bleed(name: str, value: float) -> None:
    maps = np.full((1, HEIGHT, WIDTH), 2.0, np.float32)
    maps[0, 10, 10] = value
    xy = np.array([[[10.5, 10.5], [10.9, 10.5], [11.3, 10.5], [11.5, 10.5]]])
    found = sample_depth(maps, xy, picture_size=(WIDTH, HEIGHT))
    assert found.known[0].tolist() == [False, False, True, True]
    np.testing.assert_allclose(found.z[0, 2:], 2.0)


def test_positions_outside_the_picture_have_no_depth() -> None:
    maps = np.full((1, HEIGHT, WIDTH), 2.0, np.float32)
    xy = np.array([[[-0.1, 5], [WIDTH + 0.1, 5], [5, HEIGHT + 1], [np.nan, 3], [5, 5]]])
    found = sample_depth(maps, xy, picture_size=(WIDTH, HEIGHT))
    assert found.known[0].tolist() == [False, False, False, False, True]


def test_every_frame_is_read_from_its_own_map() -> None:
    maps = np.stack([np.full((HEIGHT, WIDTH), z, np.float32) for z in (1, 2, 3)])
    found = sample_depth(maps, np.full((3, 2, 2), 20.0), picture_size=(WIDTH, HEIGHT))
    np.testing.assert_allclose(found.z, [[1, 1], [2, 2], [3, 3]])


SHAPES = [
    ("maps too small", np.ones((1, 2, 5), np.float32), np.zeros((1, 1, 2)), "3x3"),
    ("another number of frames", np.ones((2, 5, 5), np.float32), np.zeros((1, 1, 2)), r"\(2, N, 2"),
    ("positions without frames", np.ones((1, 5, 5), np.float32), np.zeros((1, 2)), r"\(1, N, 2"),
]


@pytest.mark.parametrize(("name", "maps", "xy", "says"), SHAPES, ids=[s[0] for s in SHAPES])
def test_wrong_shapes_are_refused(name: str, maps: np.ndarray, xy: np.ndarray, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        sample_depth(maps, xy, picture_size=(WIDTH, HEIGHT))


def test_a_stricter_rule_calls_more_an_edge() -> None:
    maps = plane_map(PLANES[2][1], width=WIDTH, height=HEIGHT)
    rule = EdgeRule(max_spread=0.01)
    assert sample_depth(maps, everywhere(), picture_size=(WIDTH, HEIGHT), edge_rule=rule).edge.any()


SIDES = [
    # x, expected depth, the side's own depth
    (9.6, 3.1, 3.0),
    (9.6, 3.8, 4.0),
    (10.3, 3.0, 3.0),
    (19.8, 4.4, 4.0),
    (10.3, np.nan, 3.0),  # nothing known: the nearest pixel's
]


@pytest.mark.parametrize(("x", "expected", "own"), SIDES)
def test_at_an_edge_a_point_is_read_from_its_own_side(
    x: float, expected: float, own: float
) -> None:
    z = edge_depth(
        two_surfaces(),
        np.array([[[x, 20.0]]]),
        np.array([[True]]),
        expected_z=np.array([[expected]]),
        picture_size=(WIDTH, HEIGHT),
    )
    assert z[0, 0] == pytest.approx(own, rel=1e-6)


def test_a_tilted_side_is_read_exactly_up_to_its_edge() -> None:
    a, b, c = PLANES[3][1]
    maps = plane_map(PLANES[3][1], width=WIDTH, height=HEIGHT)
    maps[:, :, 20:] = 30.0
    xy = np.array([[[19.9, 7.3], [19.6, 30.2], [3.0, 3.0]]])
    asked = np.array([[True, True, False]])
    z = edge_depth(maps, xy, asked, expected_z=np.full((1, 3), 3.0), picture_size=(WIDTH, HEIGHT))
    exact = 1 / (a + b * xy[0, :2, 0] + c * xy[0, :2, 1])
    np.testing.assert_allclose(z[0, :2], exact, rtol=3e-6)
    assert np.isnan(z[0, 2])
