"""The pinhole: hand-computed pixels, and back again."""

from __future__ import annotations

import numpy as np
import pytest

from massannot.geometry.camera import (
    Pinhole,
    horizontal_fov_deg,
    pinhole_from_horizontal_fov,
    project,
    resized_intrinsics,
    unproject,
)

CAMERA = Pinhole(fx=100.0, fy=50.0, cx=64.0, cy=32.0)

PROJECTED = {
    "on the axis: the principal point": ((0, 0, 5), (64, 32)),
    "one to the right at depth one": ((1, 0, 1), (164, 32)),
    "one down at depth two": ((0, 1, 2), (64, 57)),
    "up and left": ((-2, -4, 8), (39, 7)),
    "in the camera's plane": ((1, 1, 0), (np.nan, np.nan)),
    "behind the camera": ((1, 1, -1), (np.nan, np.nan)),
}


@pytest.mark.parametrize(("point", "pixel"), PROJECTED.values(), ids=PROJECTED.keys())
def test_a_point_falls_on_its_pixel(
    point: tuple[float, float, float], pixel: tuple[float, float]
) -> None:
    np.testing.assert_array_equal(project(point, CAMERA), pixel)


def test_unprojecting_a_projected_point_gives_the_point() -> None:
    points = np.random.default_rng(0).uniform([-5, -5, 0.1], [5, 5, 9], (7, 11, 3))
    back = unproject(project(points, CAMERA), points[..., 2], CAMERA)
    np.testing.assert_allclose(back, points, rtol=0, atol=1e-12)


def test_each_frame_may_have_its_own_intrinsics() -> None:
    points = np.full((2, 3, 3), [1.0, 1.0, 2.0])
    intrinsics = np.array([CAMERA, (10, 20, 0, 0)])
    pixels = project(points, intrinsics[:, None])
    np.testing.assert_array_equal(pixels[0], [[114, 57]] * 3)
    np.testing.assert_array_equal(pixels[1], [[5, 10]] * 3)
    back = unproject(pixels, np.float32(2), intrinsics[:, None])
    np.testing.assert_array_equal(back, points)


def test_the_edges_of_the_picture_span_the_field_of_view() -> None:
    camera = pinhole_from_horizontal_fov(90, width=640, height=480)
    np.testing.assert_allclose(camera, (320, 320, 320, 240))
    left, right = unproject([[0, 240], [640, 240]], 1.0, camera)
    np.testing.assert_allclose([left, right], [(-1, 0, 1), (1, 0, 1)])
    assert horizontal_fov_deg(camera, width=640) == pytest.approx(90)


def test_wide_pixels_have_a_smaller_focal_length_across() -> None:
    camera = pinhole_from_horizontal_fov(60, width=720, height=576, sample_aspect=16 / 11)
    square = pinhole_from_horizontal_fov(60, width=720 * 16 // 11, height=576)
    assert camera.fy / camera.fx == pytest.approx(16 / 11)
    assert camera.fy == pytest.approx(square.fy, rel=1e-3)


def test_a_resized_picture_shows_the_same_rays() -> None:
    small = resized_intrinsics(CAMERA, from_size=(128, 64), to_size=(64, 16))
    np.testing.assert_array_equal(small, (50, 12.5, 32, 8))
    point = (0.5, -0.25, 2)
    np.testing.assert_allclose(project(point, small), project(point, CAMERA) * [0.5, 0.25])


REFUSED = {
    "three intrinsics": (lambda: project((0, 0, 1), (1, 2, 3)), r"expected \(..., 4\)"),
    "no angle": (lambda: pinhole_from_horizontal_fov(0, width=1, height=1), "field of view"),
    "half a turn": (lambda: pinhole_from_horizontal_fov(180, width=1, height=1), "field of view"),
    "no aspect": (
        lambda: pinhole_from_horizontal_fov(60, width=1, height=1, sample_aspect=0),
        "sample aspect",
    ),
}


@pytest.mark.parametrize(("call", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_pinhole_is_refused(call, said) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=said):
        call()
