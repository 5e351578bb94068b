"""Cuboids from a file are given positions: exact where the file names the frame, refused by name
where it contradicts itself."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from massannot.clip import Clip
from massannot.errors import ModelFailed, UsageError
from massannot.geometry.camera import apply, inverse, project, rotation_from_quaternion
from massannot.models.recorded.camera_files import RecordedCameras
from massannot.models.recorded.cuboid_files import RecordedCuboids
from massannot.models.recorded.cuboid_json import cuboid_videos
from massannot.models.recorded.object_files import RecordedBoxes
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.recipes.spec import Answerer
from massannot.scenes.world import Scene, SceneOptions, make_scene
from tests.unit.scene_clip import scene_clip
from tests.unit.test_answers import frames_at

Content = dict[str, Any]
F64 = NDArray[np.float64]
T = 8
LABELLED = (0, 1, 2, 5, 6, 7)
"""Frames with boxes; in 3 and 4 the file gives the camera alone."""
SCENE = make_scene(
    5, SceneOptions(width=96, height=72, n_frames=T, n_bodies=3, n_fronts=1, camera="pan")
)


def quaternion_of(turn: F64) -> list[float]:
    """w x y z of a rotation (3, 3), by the eigenvector: other code than the one under test."""
    m = np.array(turn)
    k = np.array([
        [m[0, 0] - m[1, 1] - m[2, 2], 0, 0, 0],
        [m[0, 1] + m[1, 0], m[1, 1] - m[0, 0] - m[2, 2], 0, 0],
        [m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], m[2, 2] - m[0, 0] - m[1, 1], 0],
        [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], np.trace(m)],
    ])  # fmt: skip
    values, vectors = np.linalg.eigh(k / 3)
    x, y, z, w = vectors[:, np.argmax(values)]
    return [float(part) for part in (w, x, y, z)]


def pose_of(matrix: F64) -> Content:
    return {
        "translation": matrix[:3, 3].tolist(),
        "rotation": quaternion_of(matrix[:3, :3]),
    }


def written(scene: Scene, boxes_in: str) -> Content:
    """The truth of a scene in the file's form: the ego frame is a body a metre off the camera."""
    ego_from_cam = np.eye(4)
    ego_from_cam[:3, :3] = rotation_from_quaternion([0.5, -0.5, 0.5, -0.5])
    ego_from_cam[:3, 3] = 1.7, 0.0, 1.5
    samples = []
    for frame in range(T):
        room_from_cam = inverse(scene.cam_from_room(frame))
        room_from_ego = room_from_cam @ inverse(ego_from_cam)
        base = {"world": np.eye(4), "ego": room_from_ego, "camera": room_from_cam}[boxes_in]
        boxes = [
            {
                "instance_token": f"thing-{number}",
                "category_name": name.removeprefix("a ").removeprefix("an "),
                "size": [0.2, 0.3 + number, 0.1],
                **pose_of(inverse(base) @ scene.room_from_body(frame, number)),
            }
            for number, name in enumerate(scene.phrases())
        ]
        sample: Content = {"t_s": scene.t_s(frame), "ego_pose": pose_of(room_from_ego)}
        samples.append(sample | ({"boxes": boxes} if frame in LABELLED else {}))
    return {
        "size": [96, 72],
        "origin": "corner",
        "boxes_in": boxes_in,
        "calibrated_sensor": pose_of(ego_from_cam)
        | {"camera_intrinsic": scene.intrinsics.tolist()},
        "samples": samples,
    }


def annotated(path: Path, content: Content, recipe: str = "lift_recorded") -> Clip:
    path.write_text(json.dumps(content))
    flags = ModelFlags(profile="none", files={"cuboids": str(path)}, poses="assume")
    pipeline = run_spec((), SCENE.phrases(), flags=flags, recipe=recipe).pipeline()
    pipeline.setup(device="cpu")
    return pipeline.process(scene_clip(SCENE))


CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / 2


def true_box(frame: int, body: int) -> tuple[F64, F64, F64]:
    """(3,) centre and extent along the camera's axes, and (4,) the box in the picture, uncut."""
    pose = SCENE.cam_from_body(frame, body)
    corners = apply(pose, np.array([0.3 + body, 0.2, 0.1]) * CORNERS)
    xy = project(corners, SCENE.intrinsics[[0, 1, 0, 1], [0, 1, 2, 2]])
    return pose[:3, 3], np.ptp(corners, axis=0), np.r_[xy.min(axis=0), xy.max(axis=0)]


@pytest.mark.parametrize("boxes_in", ["world", "ego", "camera"])
def test_the_truth_of_a_scene_comes_back(tmp_path: Path, boxes_in: str) -> None:
    """Positions, extents, boxes and poses, for the frames that the file names and for no other."""
    clip = annotated(tmp_path / "cuboids.json", written(SCENE, boxes_in))
    texts = [row["text"] for row in clip.table("phrases").to_pylist()]
    things = clip.table("entities").to_pylist()
    body_of = {row["entity"]: SCENE.phrases().index(texts[row["phrase"]]) for row in things}
    assert sorted(body_of.values()) == [0, 1, 2]
    boxes = {
        (row["entity"], row["frame"]): [row[name] for name in ("x0", "y0", "x1", "y1")]
        for row in clip.table("detections").to_pylist()
    }
    measured = set()
    for row in clip.table("positions").to_pylist():
        key = row["entity"], row["frame"]
        assert (row["state"] == "measured") == (row["basis"] == "cuboid") == (key in boxes)
        assert row["interval_basis"] in ("none", None)
        assert row["cov"] is None
        if row["state"] != "measured":
            assert row["body_x"] is None
            continue
        measured.add(key)
        centre, extent, box = true_box(row["frame"], body_of[row["entity"]])
        np.testing.assert_allclose([row[f"{axis}_cam"] for axis in "xyz"], centre, atol=1e-6)
        np.testing.assert_allclose([row[f"body_{axis}"] for axis in "xyz"], centre, atol=1e-6)
        np.testing.assert_allclose([row[f"size_{axis}"] for axis in "xyz"], extent, atol=1e-6)
        np.testing.assert_allclose(boxes[key], np.clip(box, 0, [96, 72, 96, 72]), atol=1e-4)
        world = apply(SCENE.cam_from_world(row["frame"]), [row[f"{a}_world"] for a in "xyz"])
        np.testing.assert_allclose(world, centre, atol=1e-5)
    assert {frame for _, frame in measured} == set(LABELLED)
    assert len(measured) >= 2 * len(LABELLED)


def test_a_path_of_cuboids_is_not_smoothed_and_a_front_is_their_x_axis(tmp_path: Path) -> None:
    content = written(SCENE, "world")
    fronts = [
        name.partition(" ")[2] for name in SCENE.phrases() if "car" in name or "block" in name
    ]
    clip = annotated(tmp_path / "cuboids.json", content | {"fronts": fronts})
    for entity in {row["entity"] for row in clip.table("entities").to_pylist()}:
        rows = [r for r in clip.table("positions").to_pylist() if r["entity"] == entity]
        steps = np.array([[r[f"{a}_world"] for a in "xyz"] for r in rows if r["basis"]])
        way = np.linalg.norm(np.diff(steps, axis=0), axis=1).sum()
        motions = clip.table("motions").to_pylist()
        (path,) = (m["path"] for m in motions
                   if m["entity"] == entity and m["reference"] == "world")  # fmt: skip
        assert path == pytest.approx(way, abs=1e-5)
    with_front = [r for r in clip.table("positions").to_pylist() if r["front_x"] is not None]
    assert fronts
    assert with_front
    for row in with_front:
        front = SCENE.cam_from_body(row["frame"], 0)[:3, 0]
        np.testing.assert_allclose([row[f"front_{axis}"] for axis in "xyz"], front, atol=1e-6)


def small() -> Content:
    """One ball in one frame of the film of ten, a metre and a half before the camera."""
    return {
        "size": [96, 64],
        "boxes_in": "camera",
        "calibrated_sensor": {
            "translation": [0, 0, 0],
            "rotation": [1, 0, 0, 0],
            "camera_intrinsic": [[90, 0, 47.5], [0, 90, 31.5], [0, 0, 1]],
        },
        "samples": [
            {
                "t_s": 0.3,
                "boxes": [
                    {
                        "instance_token": "b1",
                        "category_name": "ball",
                        "translation": [-0.35, -0.07, 1.5],
                        "size": [0.2, 0.2, 0.2],
                        "rotation": [1, 0, 0, 0],
                    }
                ],
            }
        ],
    }


def box(content: Content) -> Content:
    return content["samples"][0]["boxes"][0]


# fmt: off
REFUSED: dict[str, tuple[Callable[[Content], Any], str]] = {
    "no frame of reference": (lambda c: c.pop("boxes_in"), "boxes_in is missing"),
    "an unknown one": (lambda c: c.update(boxes_in="lidar"), "'lidar', expected world or ego or c"),
    "no camera": (lambda c: c.pop("calibrated_sensor"), r"samples\[0\]: no calibrated_sensor"),
    "no intrinsics": (lambda c: c["calibrated_sensor"].pop("camera_intrinsic"), "is missing"),
    "skew": (lambda c: c["calibrated_sensor"]["camera_intrinsic"][0].__setitem__(1, 3), "0, cx"),
    "two cameras": (lambda c: c["samples"][0].update(calibrated_sensor={}), "expected one of them"),
    "a turn that is none": (lambda c: box(c).update(rotation=[1, 1, 0, 0]), "length 1.41421, exp"),
    "x y z w of no length": (lambda c: box(c).update(rotation=[0, 0, 0, 0]), "has length 0, exp"),
    "three numbers of a turn": (lambda c: box(c).update(rotation=[1, 0, 0]), "expected 4 numbers"),
    "a negative size": (lambda c: box(c).update(size=[0.2, -0.2, 0.2]), "expected a positive"),
    "an infinite place": (lambda c: box(c).update(translation=[0, 0, np.inf]), "finite number"),
    "an unknown key": (lambda c: box(c).update(velocity=[0, 0]), "nobody reads 'velocity'; known"),
    "an unknown key above": (lambda c: c["samples"][0].update(token="a"), "nobody reads 'token'"),
    "twice at one moment": (lambda c: c["samples"][0]["boxes"].append(box(c)), "is there twice"),
    "two kinds": (lambda c: c["samples"].append({"t_s": 0.4, "boxes": [
        box(c) | {"category_name": "hoop"}]}), "instance 'b1' is 'hoop', and was 'ball'"),
    "an ego pose for some": (lambda c: c["samples"].append({"t_s": 0.4, "ego_pose": {
        "translation": [0, 0, 0], "rotation": [1, 0, 0, 0]}}), r"samples\[0\]: no ego_pose"),
    "times of some": (lambda c: c["samples"].append({"boxes": []}), "1 of 2 have t_s"),
    "no samples": (lambda c: c.update(samples=[]), "expected a list of objects"),
    "a front of nothing": (lambda c: c.update(fronts=["car"]), "expected some of ..ball"),
}
# fmt: on


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_contradicts_itself_is_refused_by_name(tmp_path: Path, name: str) -> None:
    change, message = REFUSED[name]
    content = copy.deepcopy(small())
    change(content)
    path = tmp_path / "cuboids.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError, match=message) as found:
        cuboid_videos(str(path))
    assert str(path) in str(found.value)


def test_a_cuboid_answers_for_its_moment_alone(tmp_path: Path) -> None:
    path = tmp_path / "cuboids.json"
    path.write_text(json.dumps(small()))
    models = [kind(str(path)) for kind in (RecordedBoxes, RecordedCuboids, RecordedCameras)]
    for model in models:
        model.setup(device="cpu")
    boxes, cuboids, cameras = models
    assert list(boxes.frames_named(frames_at())) == [3]
    given = cuboids.cuboids(frames_at())
    assert np.flatnonzero(np.isfinite(given.centre[0, :, 0])).tolist() == [3]
    assert cuboids.card().note == "1 cuboid read, 1 used"
    answer = cameras.estimate_cameras(frames_at())
    assert answer.intrinsics[9].tolist() == [90, 90, 48, 32]
    assert answer.pose_origin == "assumed"
    with pytest.raises(ModelFailed, match="another shape"):
        path.write_text(json.dumps(small() | {"size": [64, 64]}))
        cuboids.setup(device="cpu")
        cuboids.cuboids(frames_at())


def test_what_reaches_behind_the_camera_is_cut_and_what_lies_there_says_nothing(
    tmp_path: Path,
) -> None:
    content = small()
    wide = box(content) | {"size": [4.0, 0.2, 0.2], "rotation": [0.5**0.5, 0.5**0.5, 0, 0],
                           "translation": [0.1, 0.0, 0.5]}  # fmt: skip
    behind = box(content) | {"instance_token": "b2", "translation": [0, 0, -2]}
    content["samples"][0]["boxes"] = [wide, behind]
    path = tmp_path / "cuboids.json"
    path.write_text(json.dumps(content))
    model = RecordedBoxes(str(path))
    model.setup(device="cpu")
    found = model.detect(frames_at(), at=range(10), phrases=["ball"])
    (xyxy,) = found.boxes_xyxy.tolist()
    assert xyxy[2:] == [96, 64]
    assert xyxy[0] == pytest.approx(48)
    assert xyxy[1] == 0
    assert model.card().note == "2 cuboids read, 1 used, left out: 1 outside of the picture"


def test_cuboids_answer_for_boxes_and_cameras_and_for_nothing_that_others_do() -> None:
    given = Answerer("file", "c.json")
    alone = ModelFlags(profile="none", files={"cuboids": "c.json"}).answerers()
    assert [alone[job] for job in ("detect", "masks", "cameras", "cuboids")] == [given] * 4
    assert "depth" not in alone
    beside = ModelFlags(profile="embedded", files={"cuboids": "c.json"}).answerers()
    assert [beside[job].kind for job in ("detect", "masks", "depth")] == ["file", "model", "model"]
    others: list[dict[str, Any]] = [
        {"files": {"cuboids": "c.json", "detect": "b.json"}},
        {"models": {"cameras": "mine:Camera"}},
        {"oracles": ("detect",), "scenes": "world"},
        {"boxes_by_hand": ["1s:0,0,9,9"]},
    ]
    for other in others:
        with pytest.raises(UsageError, match="--cuboids and another answer for"):
            ModelFlags(**{"profile": "none", "files": {"cuboids": "c.json"}, **other})
    with pytest.raises(UsageError, match="expected a JSON file whose object has samples"):
        RecordedCuboids("c.json").setup(device="cpu")
    with pytest.raises(UsageError, match="--oracle cuboids"):
        ModelFlags(profile="none", scenes="world", oracles=("cuboids",))
