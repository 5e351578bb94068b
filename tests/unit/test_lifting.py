"""Point tracks in space, against points that are followed exactly."""

from __future__ import annotations

import numpy as np
import pytest

from massannot.geometry.camera import project
from massannot.geometry.lifting import LiftedPoints, lift_tracks

PICTURE = (160, 120)
SQUARE = np.array([150.0, 150.0, 80.0, 60.0])
ANAMORPHIC = np.array([150.0, 200.0, 79.0, 61.0])
PLANE = (np.array([0.3, -0.2, 1.0]), 3.0)
"""Points p with normal . p = offset."""


def plane_depth(intrinsics: np.ndarray, *, width: int, height: int) -> np.ndarray:
    """(h, w) z of PLANE at the centres of a map over the whole picture."""
    normal, offset = PLANE
    x = (np.arange(width) + 0.5) * PICTURE[0] / width
    y = (np.arange(height) + 0.5) * PICTURE[1] / height
    fx, fy, cx, cy = intrinsics
    ray = np.stack(np.broadcast_arrays((x - cx) / fx, (y[:, None] - cy) / fy, 1.0), axis=-1)
    return (offset / (ray @ normal)).astype(np.float32)


def on_plane(xy: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Points (..., 3) of PLANE that are seen at xy (..., 2)."""
    normal, offset = PLANE
    fx, fy, cx, cy = intrinsics
    ray = np.stack([(xy[..., 0] - cx) / fx, (xy[..., 1] - cy) / fy, np.ones(xy.shape[:-1])], -1)
    return ray * (offset / (ray @ normal))[..., None]


def lift(
    xy: np.ndarray, visible: np.ndarray, depth: np.ndarray, intrinsics: np.ndarray
) -> LiftedPoints:
    n_frames = len(xy)
    return lift_tracks(
        xy,
        visible,
        np.broadcast_to(depth, (n_frames, *depth.shape[-2:])),
        intrinsics=np.tile(intrinsics, (n_frames, 1)),
        t_s=np.arange(n_frames) / 10,
        picture_size=PICTURE,
    )


CASES = [
    # what, intrinsics, map width, map height
    ("square pixels", SQUARE, 160, 120),
    ("anamorphic pixels", ANAMORPHIC, 160, 120),
    ("a smaller map of another shape", SQUARE, 70, 41),
    ("a larger map, anamorphic", ANAMORPHIC, 333, 201),
]


@pytest.mark.parametrize(
    ("what", "intrinsics", "width", "height"), CASES, ids=[c[0] for c in CASES]
)
def test_points_on_a_tilted_plane_are_lifted_exactly(
    what: str, intrinsics: np.ndarray, width: int, height: int
) -> None:
    xy = np.random.default_rng(1).uniform((0, 0), PICTURE, (4, 100, 2))
    depth = plane_depth(intrinsics, width=width, height=height)
    lifted = lift(xy, np.ones((4, 100), bool), depth, intrinsics)
    assert lifted.measured.all()
    np.testing.assert_allclose(lifted.xyz, on_plane(xy, intrinsics), rtol=1e-5, atol=1e-6)


def test_lifting_undoes_projection() -> None:
    points = np.random.default_rng(2).uniform((-1, -0.7, 2), (1, 0.7, 4), (1, 50, 3))
    xy = project(points, ANAMORPHIC)
    for n in range(50):
        depth = np.full((40, 60), points[0, n, 2], np.float32)
        lifted = lift(xy[:, n : n + 1], np.ones((1, 1), bool), depth, ANAMORPHIC)
        np.testing.assert_allclose(lifted.xyz[0, 0], points[0, n], rtol=1e-6)


def test_a_hidden_point_is_interpolated_in_inverse_depth_and_says_so() -> None:
    depth = np.stack([np.full((20, 20), z, np.float32) for z in (2, 9, 9, 4)])
    xy = np.full((4, 1, 2), 60.0)
    lifted = lift(xy, np.array([[True], [False], [False], [True]]), depth, SQUARE)
    np.testing.assert_allclose(1 / lifted.xyz[:, 0, 2], [1 / 2, 5 / 12, 4 / 12, 1 / 4])
    assert lifted.measured[:, 0].tolist() == [True, False, False, True]
    assert lifted.interpolated[:, 0].tolist() == [False, True, True, False]


def test_interpolation_follows_time_not_frame_numbers() -> None:
    depth = np.stack([np.full((20, 20), z, np.float32) for z in (2, 9, 4)])
    lifted = lift_tracks(
        np.full((3, 1, 2), 60.0),
        np.array([[True], [False], [True]]),
        depth,
        intrinsics=np.tile(SQUARE, (3, 1)),
        t_s=np.array([0.0, 0.9, 1.0]),
        picture_size=PICTURE,
    )
    assert 1 / lifted.xyz[1, 0, 2] == pytest.approx(0.1 / 2 + 0.9 / 4)


ABSENT = [
    # what, visible, frames that are absent
    ("before the first measurement", [0, 0, 1, 1], [0, 1]),
    ("after the last measurement", [1, 0, 0, 0], [1, 2, 3]),
    ("never seen", [0, 0, 0, 0], [0, 1, 2, 3]),
    ("always seen", [1, 1, 1, 1], []),
]


@pytest.mark.parametrize(("what", "visible", "absent"), ABSENT, ids=[a[0] for a in ABSENT])
def test_nothing_is_made_up(what: str, visible: list[int], absent: list[int]) -> None:
    seen = np.array(visible, bool)[:, None]
    lifted = lift(np.full((4, 1, 2), 50.0), seen, np.full((20, 20), 2, np.float32), SQUARE)
    assert np.flatnonzero(np.isnan(lifted.xyz[:, 0, 2])).tolist() == absent
    assert np.flatnonzero(~lifted.measured[:, 0] & ~lifted.interpolated[:, 0]).tolist() == absent


def test_a_hidden_point_outside_the_picture_is_absent() -> None:
    xy = np.array([[[50, 50]], [[-5, 50]], [[50, 50]]], float)
    seen = np.array([[True], [False], [True]])
    lifted = lift(xy, seen, np.full((20, 20), 2, np.float32), SQUARE)
    assert np.isnan(lifted.xyz[1, 0]).all()


def test_a_visible_point_on_an_edge_takes_its_own_sides_depth_and_is_not_measured() -> None:
    depth = np.full((2, 120, 160), 5.0, np.float32)
    depth[:, :, :80] = 2.0
    xy = np.array([[[70.0, 60.0]], [[79.8, 60.0]]])
    lifted = lift(xy, np.ones((2, 1), bool), depth, SQUARE)
    assert lifted.measured[:, 0].tolist() == [True, False]
    assert lifted.interpolated[:, 0].tolist() == [False, True]
    assert lifted.xyz[1, 0, 2] == pytest.approx(2.0)


def test_a_visible_point_over_invalid_depth_is_bridged_in_time() -> None:
    depth = np.stack([np.full((20, 20), z, np.float32) for z in (2, np.nan, 4)])
    lifted = lift(np.full((3, 1, 2), 60.0), np.ones((3, 1), bool), depth, SQUARE)
    assert lifted.interpolated[:, 0].tolist() == [False, True, False]
    assert 1 / lifted.xyz[1, 0, 2] == pytest.approx(3 / 8)
