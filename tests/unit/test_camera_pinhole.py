"""The pinhole that is given or assumed, and poses from a file."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from massannot.clip import Frames
from massannot.errors import BadRecipe, MissingWeights, ModelFailed
from massannot.geometry.camera import compose, inverse, resized_intrinsics, rigid
from massannot.models.camera_pinhole import PinholeCamera

N_FRAMES = 5


def frames(aspect: Fraction = Fraction(1)) -> Frames:
    """Pictures of 640x480, worked on at 320x120."""
    return Frames(
        np.zeros((N_FRAMES, 120, 320, 3), np.uint8),
        video_id="ab" * 16,
        source_id="clip-7",
        pts=np.arange(N_FRAMES) * 10 + 30,
        t_s=np.arange(N_FRAMES) / 10,
        time_base=Fraction(1, 100),
        source_width=640,
        source_height=480,
        sample_aspect=aspect,
    )


def in_source(camera: PinholeCamera, given: Frames) -> np.ndarray:
    """(4,) intrinsics in source pixels, the same in every frame."""
    found = camera.estimate_cameras(given).intrinsics
    assert (found == found[0]).all()
    return resized_intrinsics(found[0], from_size=(given.width, given.height), to_size=(640, 480))


F60 = 320 / np.tan(np.radians(30))
CAMERAS = [
    # what, camera, sample aspect, fx fy cx cy in source pixels, origin
    ("nothing known", PinholeCamera(), Fraction(1), (F60, F60, 320, 240), "assumed"),
    (
        "a field of view",
        PinholeCamera(horizontal_fov_deg=90.0),
        Fraction(1),
        (320, 320, 320, 240),
        "given",
    ),
    (
        "wide pixels",
        PinholeCamera(horizontal_fov_deg=90.0),
        Fraction(4, 3),
        (320, 320 * 4 / 3, 320, 240),
        "given",
    ),
    (
        "intrinsics",
        PinholeCamera(intrinsics=(500.0, 510.0, 333.5, 222.5)),
        Fraction(4, 3),
        (500, 510, 333.5, 222.5),
        "given",
    ),
]


@pytest.mark.parametrize(
    ("what", "camera", "aspect", "expected", "origin"), CAMERAS, ids=[c[0] for c in CAMERAS]
)
def test_intrinsics_are_said_in_source_pixels_and_answered_in_working_pixels(
    what: str,
    camera: PinholeCamera,
    aspect: Fraction,
    expected: tuple[float, float, float, float],
    origin: str,
) -> None:
    given = frames(aspect)
    np.testing.assert_allclose(in_source(camera, given), expected)
    found = camera.estimate_cameras(given)
    assert found.intrinsics[0, 2] == pytest.approx(expected[2] / 2)
    assert found.intrinsics[0, 3] == pytest.approx(expected[3] / 4)
    assert found.intrinsics_origin == origin


def test_without_poses_the_camera_is_assumed_to_stand_still() -> None:
    found = PinholeCamera().estimate_cameras(frames())
    np.testing.assert_array_equal(found.cam_from_world, np.tile(np.eye(4), (N_FRAMES, 1, 1)))
    assert found.pose_origin == "assumed"


def poses() -> np.ndarray:
    """(T, 4, 4) a camera that turns and rises, in a world of its own."""
    angle = 0.3 + 0.1 * np.arange(N_FRAMES)
    c, s, o, i = np.cos(angle), np.sin(angle), 0 * angle, 0 * angle + 1
    turn = np.moveaxis(np.array([[c, -s, o], [s, c, o], [o, o, i]]), -1, 0)
    return rigid(turn, np.column_stack([angle, 2 * angle, 3 + o]))


@pytest.mark.parametrize("name", ["cam_from_world", "extrinsics"])
def test_poses_from_a_file_start_at_the_clips_first_camera(tmp_path: Path, name: str) -> None:
    np.savez(tmp_path / "poses.npz", **{name: poses()})
    camera = PinholeCamera(poses=str(tmp_path / "poses.npz"))
    camera.setup(device="cpu")
    found = camera.estimate_cameras(frames())
    np.testing.assert_allclose(found.cam_from_world, compose(poses(), inverse(poses()[0])))
    np.testing.assert_allclose(found.cam_from_world[0], np.eye(4), atol=1e-12)
    assert found.pose_origin == "given"


def test_poses_are_found_by_pts_in_any_order(tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(12)
    every = rigid(np.eye(3), np.column_stack([np.arange(12), np.zeros(12), np.zeros(12)]))
    np.savez(tmp_path / "clip-7.npz", cam_from_world=every[order], pts=10 * order)
    found = PinholeCamera(poses=str(tmp_path / "{source_id}.npz")).estimate_cameras(frames())
    np.testing.assert_allclose(found.cam_from_world[:, 0, 3], [0, 1, 2, 3, 4])


BAD_FILES = [
    ("no file", None, "there is no file"),
    ("another array", {"matrices": np.eye(4)}, "expected cam_from_world"),
    ("another number", {"cam_from_world": np.tile(np.eye(4), (3, 1, 1))}, "one each, or pts"),
    (
        "a missing pts",
        {"cam_from_world": np.tile(np.eye(4), (5, 1, 1)), "pts": np.arange(5) * 10},
        "no pose for pts 50",
    ),
    ("no rotation", {"cam_from_world": np.tile(2 * np.eye(4), (5, 1, 1))}, "rotation"),
]


@pytest.mark.parametrize(("what", "arrays", "says"), BAD_FILES, ids=[b[0] for b in BAD_FILES])
def test_a_poses_file_that_does_not_fit_fails_its_clip(
    tmp_path: Path, what: str, arrays: dict[str, np.ndarray] | None, says: str
) -> None:
    if arrays is not None:
        np.savez(tmp_path / "clip-7.npz", **arrays)
    with pytest.raises(ModelFailed, match=says):
        PinholeCamera(poses=str(tmp_path / "{source_id}.npz")).estimate_cameras(frames())


def test_one_missing_poses_file_for_all_videos_is_said_before_the_first() -> None:
    with pytest.raises(MissingWeights, match="nowhere"):
        PinholeCamera(poses="nowhere.npz").setup(device="cpu")


BAD_OPTIONS = [
    ("both", {"intrinsics": (1.0, 1.0, 0.0, 0.0), "horizontal_fov_deg": 60.0}, "one of the two"),
    ("a flat field of view", {"horizontal_fov_deg": 180.0}, "180"),
    ("a field of view below zero", {"horizontal_fov_deg": -5.0}, "-5"),
    ("no focal length", {"intrinsics": (0.0, 1.0, 0.0, 0.0)}, "intrinsics"),
]


@pytest.mark.parametrize(("what", "options", "says"), BAD_OPTIONS, ids=[b[0] for b in BAD_OPTIONS])
def test_impossible_cameras_are_refused_when_the_recipe_is_made(
    what: str, options: dict[str, object], says: str
) -> None:
    with pytest.raises(BadRecipe, match=says):
        PinholeCamera(**options)  # type: ignore[arg-type]
