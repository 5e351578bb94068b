"""Oracles tell the truth, and lie by exactly the amount they were told to."""

from pathlib import Path

import numpy as np
import pytest
from scene_clip import scene_clip, scene_frames, write_record

from massannot.clip import Frames
from massannot.errors import ModelFailed, UsageError
from massannot.models import protocols
from massannot.models.oracle import (
    OracleCameras,
    OracleDepth,
    OracleDetector,
    OracleMasks,
    OracleTracker,
)
from massannot.recipes.models import NEEDED
from massannot.scenes.render import render
from massannot.scenes.truth_tables import truth_tables
from massannot.scenes.world import Scene, SceneOptions, make_scene
from massannot.tables import _consistency as consistency
from massannot.video.video_id import video_row

OPTIONS = SceneOptions(width=96, height=72, n_frames=40, fps=24, n_bodies=4, camera="orbit")


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene(11, OPTIONS)


@pytest.fixture(scope="module")
def folder(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("scenes")
    write_record(scene, path)
    return str(path)


@pytest.fixture(scope="module")
def frames(scene: Scene) -> Frames:
    return scene_frames(scene)


def ready(oracle, folder: str, **options):  # type: ignore[no-untyped-def]
    made = oracle(folder, **options)
    made.setup(device="cpu")
    return made


def queries(scene: Scene) -> np.ndarray:
    ids = render(scene, 0).ids
    rows, columns = np.nonzero(ids)
    pick = np.random.default_rng(0).choice(len(rows), 30, replace=False)
    return np.column_stack([np.zeros(30), columns[pick] + 0.5, rows[pick] + 0.5])


PROTOCOLS = [
    (OracleDetector, protocols.PhraseDetector),
    (OracleMasks, protocols.MaskPropagator),
    (OracleTracker, protocols.PointTracker),
    (OracleDepth, protocols.DepthEstimator),
    (OracleCameras, protocols.CameraEstimator),
]


@pytest.mark.parametrize(("oracle", "protocol"), PROTOCOLS)
def test_every_protocol_has_its_oracle(oracle: type, protocol: type, folder: str) -> None:
    assert isinstance(ready(oracle, folder), protocol)


def test_boxes_are_those_of_the_pictures_own_ids(scene: Scene, folder: str, frames: Frames) -> None:
    phrases = [*scene.phrases(), "a hoop", scene.hard_negatives(1)[0]]
    found = ready(OracleDetector, folder, min_area_px=1).detect(frames, at=[0, 20], phrases=phrases)
    expected = []
    for frame in (0, 20):
        ids = render(scene, frame).ids
        for i in range(len(scene.entities)):
            rows, columns = np.nonzero(ids == i + 1)
            if len(rows):
                box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
                expected.append([frame, i, *box])
    assert np.column_stack([found.frame, found.phrase, found.boxes_xyxy]).tolist() == expected


def test_a_phrase_of_one_word_names_everything_it_fits(
    scene: Scene, folder: str, frames: Frames
) -> None:
    shape = scene.entities[0].shape_name
    n_same = sum(e.shape_name == shape for e in scene.entities)
    found = ready(OracleDetector, folder, min_area_px=1).detect(frames, at=[0], phrases=[shape])
    assert 1 <= len(found.frame) <= n_same


def test_masks_are_the_pictures_ids_and_say_who_is_hidden_or_gone(
    scene: Scene, folder: str, frames: Frames
) -> None:
    session = ready(OracleMasks, folder).session(frames)
    ids = render(scene, 0).ids
    for i in range(len(scene.entities)):
        session.add_mask(i, frame=0, mask=ids == i + 1)
    prompted = [i for i, entity in session.objects.items() if entity is not None]
    assert prompted == [i for i in range(len(scene.entities)) if (ids == i + 1).any()]
    for found in session.propagate(first=39, end=-1):
        truth = render(scene, found.frame).ids
        for object_id in prompted:
            assert np.array_equal(found.masks[object_id], truth == object_id + 1)
            if found.masks[object_id].any():
                assert found.score[object_id] == 1


def test_depth_is_the_pictures_own(scene: Scene, folder: str, frames: Frames) -> None:
    depth = ready(OracleDepth, folder).estimate_depth(frames)
    assert depth.kind == "metric"
    for frame in (0, 39):
        assert np.array_equal(depth.values[frame], render(scene, frame).depth_m)


def test_cameras_start_at_the_first_annotated_frame(scene: Scene, folder: str) -> None:
    cameras = ready(OracleCameras, folder).estimate_cameras(scene_frames(scene, first=10, step=5))
    assert np.allclose(cameras.cam_from_world[0], np.eye(4))
    expected = scene.cam_from_room(15) @ np.linalg.inv(scene.cam_from_room(10))
    assert np.allclose(cameras.cam_from_world[1], expected)


def test_a_smaller_working_size_scales_every_answer(scene: Scene, folder: str) -> None:
    small = scene_frames(scene, size=(48, 36))
    intrinsics = ready(OracleCameras, folder).estimate_cameras(small).intrinsics[0]
    assert intrinsics.tolist() == pytest.approx([scene.intrinsics[0, 0] / 2] * 2 + [24, 18])
    asked = queries(scene)
    whole = ready(OracleTracker, folder).track(scene_frames(scene), queries_txy=asked)
    half = ready(OracleTracker, folder).track(small, queries_txy=asked * [1, 0.5, 0.5])
    assert np.allclose(whole.xy, 2 * half.xy, atol=1e-4)


# What is wrong, which oracle is told so, what moves, and by how much.
def test_told_errors_are_exact(scene: Scene, folder: str, frames: Frames) -> None:
    phrases, asked = scene.phrases(), queries(scene)
    boxes = [
        ready(OracleDetector, folder, **o).detect(frames, at=[0], phrases=phrases).boxes_xyxy
        for o in ({}, {"shift_x_px": 3.0, "shift_y_px": -2.0})
    ]
    assert np.array_equal(boxes[1] - boxes[0], np.tile([3, -2, 3, -2], (len(boxes[0]), 1)))
    tracks = [
        ready(OracleTracker, folder, **o).track(frames, queries_txy=asked).xy
        for o in ({}, {"shift_x_px": 1.5})
    ]
    assert np.abs(tracks[1] - tracks[0] - [1.5, 0]).max() < 1e-4
    depth = [
        ready(OracleDepth, folder, **o).estimate_depth(frames).values
        for o in ({}, {"factor": 1.25, "offset_m": 0.5})
    ]
    assert np.abs(depth[1] - (1.25 * depth[0] + 0.5)).max() < 1e-5
    mask = []
    for options in ({}, {"shift_x_px": 4, "shift_y_px": -3}):
        session = ready(OracleMasks, folder, **options).session(frames)
        mask.append(session.add_box(0, frame=0, box_xyxy=boxes[0][0]))
    assert mask[0].any()
    assert np.array_equal(mask[1][:-3, 4:], mask[0][3:, :-4])


def test_seeded_errors_repeat_and_other_seeds_differ(folder: str, frames: Frames) -> None:
    def boxes(seed: int) -> list[list[float]]:
        oracle = ready(OracleDetector, folder, jitter_px=2.0, missed_share=0.3, seed=seed)
        found = oracle.detect(frames, at=range(0, 40, 4), phrases=["ball", "box", "cone"])
        return found.boxes_xyxy.tolist()

    assert boxes(1) == boxes(1)
    assert boxes(1) != boxes(2)


def test_another_video_and_another_folder_are_refused(
    scene: Scene, folder: str, frames: Frames, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"holds no scenes.*render FOLDER"):
        ready(OracleDepth, str(tmp_path))
    with pytest.raises(UsageError, match=f"give the folder above it, {Path(folder).resolve()}"):
        ready(OracleDepth, str(Path(folder) / "scenes"))
    stranger = Frames(
        frames.pixels_THWC, "f" * 32, "x", frames.pts, frames.t_s, frames.time_base, 96, 72
    )
    with pytest.raises(ModelFailed, match="is not among 1 scene"):
        ready(OracleDepth, folder).estimate_depth(stranger)
    late = Frames(
        frames.pixels_THWC,
        frames.video_id,
        "x",
        frames.pts,
        frames.t_s + 0.01,
        frames.time_base,
        96,
        72,
    )
    with pytest.raises(ModelFailed, match="found a picture at"):
        ready(OracleDepth, folder).estimate_depth(late)


def test_the_truth_obeys_the_annotators_tables(scene: Scene) -> None:
    clip = scene_clip(scene)
    truth = truth_tables(scene, clip)
    consistency.check({**truth, "videos": video_row(clip.video)})
    assert truth["masks"].num_rows == len(clip) * truth["entities"].num_rows


def test_true_positions_are_medians_of_visible_true_points(scene: Scene) -> None:
    truth = truth_tables(scene, scene_clip(scene))
    rows = truth["tracks_xyz"].to_pylist()
    n_checked = 0
    for position in truth["positions"].to_pylist():
        k = position["frame"]
        xyz = [
            [row["x"][k], row["y"][k], row["z"][k]]
            for row in rows
            if row["entity"] == position["entity"] and row["state"][k] == "measured"
        ]
        assert position["n_points"] == len(xyz)
        if xyz:
            here = [position["x_cam"], position["y_cam"], position["z_cam"]]
            assert np.allclose(here, np.median(xyz, axis=0), atol=1e-6)
            n_checked += 1
    assert n_checked > 50


def test_an_oracle_is_named_after_its_job(folder: str) -> None:
    names = [ready(oracle, folder).card().name for oracle, _ in PROTOCOLS]
    assert sorted(names) == [f"oracle_{job}" for job in sorted(NEEDED)]
