"""Pictures, depth, ids and tracks of a scene, against a search that never solves an equation."""

import hashlib
import os
import subprocess
import sys
from typing import get_type_hints

import numpy as np
import pytest

from massannot.cli.truth import scenes_render
from massannot.scenes.camera_path import CAMERA_MOVES
from massannot.scenes.rays import cast, pixel_centres
from massannot.scenes.render import render
from massannot.scenes.scenarios import SCENARIOS
from massannot.scenes.shapes import SHAPE_NAMES
from massannot.scenes.true_tracks import exact_tracks, surface_points
from massannot.scenes.violations import VIOLATIONS
from massannot.scenes.world import (
    COLOUR_NAMES,
    HELD_OUT_SEEDS,
    TEST_SEEDS,
    VALIDATION_SEEDS,
    Scene,
    SceneOptions,
    make_scene,
    refuse_held_out,
)

FRAME = 5
SMALL = SceneOptions(width=64, height=48, n_frames=12, fps=8)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    """Moving cameras, hidden bodies, all four shapes."""
    moves = ("orbit", "pan", "handheld", "dolly", "static")
    made = []
    for i, move in enumerate(moves):
        options = SceneOptions(64, 48, 12, 8, n_bodies=5, camera=move, scenario="occluding")
        made.append(make_scene(20 + i, options))
    assert {e.shape_name for s in made for e in s.entities} == set(SHAPE_NAMES)
    return made


def distance(scene: Scene, frame: int, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance (N,) to the nearest body or wall, in the room frame, and its id (N,)."""
    half_x, half_y = scene.room.half_m
    x, y, z = points.T
    walls = [half_x - x, half_x + x, half_y - y, half_y + y, z, scene.room.height_m - z]
    best, ids = np.min(walls, axis=0), np.zeros(len(points), int)
    for i, entity in enumerate(scene.entities):
        pose = scene.room_from_body(frame, i)
        near, _ = entity.body.shape.nearest((points - pose[:3, 3]) @ pose[:3, :3])
        ids = np.where(near < best, i + 1, ids)
        best = np.minimum(near, best)
    return best, ids


def march(scene: Scene, frame: int, xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """z-depth and id of rays through xy (N,2), by walking as far as nothing can be hit."""
    pose = scene.camera.room_from_cam(scene.t_s(frame))
    k = scene.intrinsics
    rays = np.concatenate([(xy - k[:2, 2]) / k[0, 0], np.ones((len(xy), 1))], axis=1)
    length = np.linalg.norm(rays, axis=1)
    travelled = np.zeros(len(xy))
    for _ in range(3000):
        points = pose[:3, 3] + (rays * (travelled / length)[:, None]) @ pose[:3, :3].T
        free, ids = distance(scene, frame, points)
        if free.max() < 1e-7:
            break
        travelled += np.maximum(free, 0)
    return travelled / length, ids


def test_depth_and_ids_are_those_of_a_slow_march(scenes: list[Scene]) -> None:
    rng = np.random.default_rng(0)
    for scene in scenes:
        xy = rng.uniform([0, 0], [64, 48], (400, 2))
        hits = cast(scene, FRAME, *xy.T)
        depth, ids = march(scene, FRAME, xy)
        assert np.abs(hits.depth_m - depth).max() < 1e-4
        assert (hits.ids == ids).mean() > 0.99  # along a contact line both answers are right


def test_a_picture_holds_the_depth_and_id_of_its_pixel_centres(scenes: list[Scene]) -> None:
    for scene in scenes:
        picture = render(scene, FRAME)
        hits = cast(scene, FRAME, *pixel_centres(scene))
        assert pixel_centres(scene)[0][0] == 0.5
        assert np.array_equal(picture.depth_m.ravel(), hits.depth_m.astype(np.float32))
        assert np.array_equal(picture.ids.ravel(), hits.ids)
        assert picture.rgb.shape == (48, 64, 3)


def test_equal_seeds_give_equal_bytes_and_any_frame_stands_alone() -> None:
    in_sequence = [render(make_scene(3, SMALL), k) for k in range(4)]
    alone = render(make_scene(3, SMALL), 3)
    for name in ("rgb", "depth_m", "ids"):
        assert getattr(alone, name).tobytes() == getattr(in_sequence[3], name).tobytes()
    other = render(make_scene(4, SMALL), 3)
    assert other.rgb.tobytes() != alone.rgb.tobytes()


def test_another_process_gives_the_same_bytes() -> None:
    code = (
        "import hashlib; from massannot.scenes.render import render; "
        "from massannot.scenes.world import SceneOptions, make_scene; "
        "scene = make_scene(3, SceneOptions(64, 48, 12, 8)); "
        "digest = hashlib.sha256(render(scene, 11).rgb.tobytes()).hexdigest(); "
        "print(digest, scene.hard_negatives(9))"
    )
    scene = make_scene(3, SMALL)
    here = hashlib.sha256(render(scene, 11).rgb.tobytes()).hexdigest()
    expected = f"{here} {scene.hard_negatives(9)}"
    for hash_seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        found = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
        )
        assert found.stdout.strip() == expected


def test_a_trainer_needs_numpy_alone() -> None:
    code = (
        "import sys; import massannot.scenes.render, massannot.scenes.true_tracks; "
        "print(sorted({'torch', 'cv2', 'pyarrow', 'av', 'scipy', 'PIL'} & set(sys.modules)))"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def test_the_cameras_axes_are_orthonormal_and_level(scenes: list[Scene]) -> None:
    for scene in scenes:
        for t_s in (0.0, 0.37, 1.4):
            pose = scene.camera.room_from_cam(t_s)
            assert np.allclose(pose[:3, :3].T @ pose[:3, :3], np.eye(3))
            assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)
            assert pose[2, 0] == 0  # x is level
            assert pose[2, 1] < 0  # y is down
            assert np.allclose(scene.camera.cam_from_room(t_s) @ pose, np.eye(4))


SIZES = [(1, 1), (7, 5), (33, 90), (160, 128), (641, 359)]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_any_size_shows_the_same_view(width: int, height: int) -> None:
    options = SceneOptions(width=width, height=height, n_frames=1)
    picture = render(make_scene(1, options), 0)
    assert picture.rgb.shape == (height, width, 3)
    assert np.isfinite(picture.depth_m).all()
    assert (picture.depth_m > 0.3).all()


def test_frames_outside_the_clip_are_refused() -> None:
    with pytest.raises(IndexError, match=r"found frame 12, expected 0\.\.11"):
        render(make_scene(3, SMALL), 12)


def queries(scene: Scene, count: int = 120) -> np.ndarray:
    rng = np.random.default_rng(1)
    low, high = [0, 0, 0], [scene.n_frames, 64, 48]
    drawn = rng.uniform(low, high, (6 * count, 3))
    drawn[:, 0] = np.floor(drawn[:, 0])
    on_body = surface_points(scene, drawn).entity >= 0
    return np.concatenate([drawn[on_body][:count], drawn[~on_body][: count // 4]])


def test_a_track_passes_through_its_query_and_is_visible_there(scenes: list[Scene]) -> None:
    for scene in scenes:
        asked = queries(scene)
        tracks = exact_tracks(scene, asked)
        frame, rows = asked[:, 0].astype(int), np.arange(len(asked))
        assert np.abs(tracks.xy[frame, rows] - asked[:, 1:]).max() < 1e-9
        assert tracks.visible[frame, rows].all()


def test_visible_track_points_reproject_to_the_same_body(scenes: list[Scene]) -> None:
    for scene in scenes:
        asked = queries(scene)
        entity = surface_points(scene, asked).entity
        tracks = exact_tracks(scene, asked)
        for frame in range(scene.n_frames):
            seen = tracks.visible[frame]
            hits = cast(scene, frame, *tracks.xy[frame, seen].T)
            assert np.abs(hits.depth_m - tracks.xyz_cam[frame, seen, 2]).max() < 1.1e-4
            assert (hits.ids - 1 == entity[seen]).mean() > 0.995


def test_visibility_is_that_of_a_brute_force_walk(scenes: list[Scene]) -> None:
    """Walk from lens to point in 4,000 steps: hidden if any step is inside a body."""
    hidden = 0
    for scene in scenes:
        tracks = exact_tracks(scene, queries(scene, 40))
        for frame in (2, 9):
            pose = scene.camera.room_from_cam(scene.t_s(frame))
            share = np.linspace(0, 0.999, 4000)
            for n, point in enumerate(tracks.xyz_cam[frame]):
                x, y = tracks.xy[frame, n]
                inside = 0 <= x < 64 and 0 <= y < 48 and point[2] > 0
                walk = (share[:, None] * point) @ pose[:3, :3].T + pose[:3, 3]
                blocked = distance(scene, frame, walk)[0].min()
                if abs(blocked) < 2e-3 and inside:
                    continue  # grazes a surface: 4,000 steps cannot tell
                assert tracks.visible[frame, n] == (inside and blocked > 0)
                hidden += inside and blocked <= 0
    assert hidden > 20


def test_room_points_stand_still_in_the_world(scenes: list[Scene]) -> None:
    scene = scenes[0]
    asked = queries(scene)
    room = surface_points(scene, asked).entity == -1
    xyz = exact_tracks(scene, asked).xyz_cam[:, room]
    for frame in range(scene.n_frames):
        world_from_cam = np.linalg.inv(scene.cam_from_world(frame))
        world = xyz[frame] @ world_from_cam[:3, :3].T + world_from_cam[:3, 3]
        assert np.abs(world - xyz[0]).max() < 1e-9
    assert np.array_equal(scene.cam_from_world(0).round(12), np.eye(4))


def test_eight_colours_and_four_shapes_all_appear_and_names_are_unique() -> None:
    seen = set()
    for seed in range(120):
        scene = make_scene(seed, SceneOptions(width=8, height=8, n_frames=1, n_bodies=6))
        names = scene.phrases()
        assert len(set(names)) == len(names)
        assert not set(scene.hard_negatives(20)) & set(names)
        seen |= {(e.colour, e.shape_name) for e in scene.entities}
    assert seen == {(c, s) for c in COLOUR_NAMES for s in SHAPE_NAMES}


def test_hard_negatives_share_the_colour_or_the_shape_of_an_entity() -> None:
    scene = make_scene(2, SMALL)
    near = {word for name in scene.phrases() for word in name.split()[1:]}
    for name in scene.hard_negatives(50):
        assert near & set(name.split()[1:])
    assert scene.hard_negatives(5) == make_scene(2, SMALL).hard_negatives(5)


def test_the_lens_stays_at_the_height_that_makes_scale_observable(scenes: list[Scene]) -> None:
    for scene in scenes:
        for frame in range(scene.n_frames):
            assert 1.4 <= scene.camera.room_from_cam(scene.t_s(frame))[2, 3] <= 1.6


def test_held_out_seeds_are_refused() -> None:
    assert len(TEST_SEEDS) >= 64
    assert set(TEST_SEEDS) | set(VALIDATION_SEEDS) <= set(HELD_OUT_SEEDS)
    assert not set(TEST_SEEDS) & set(VALIDATION_SEEDS)
    refuse_held_out([1_000_000])
    with pytest.raises(ValueError, match="900130"):
        refuse_held_out([1_000_000, 900_130])


@pytest.mark.parametrize(
    ("flag", "choices"),
    [("camera", CAMERA_MOVES), ("scenario", SCENARIOS), ("violate", VIOLATIONS)],
)
def test_the_help_of_a_choice_names_all_that_may_be_chosen(flag, choices):
    (option,) = get_type_hints(scenes_render, include_extras=True)[flag].__metadata__
    for choice in choices:
        assert choice in option.help
