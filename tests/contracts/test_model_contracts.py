"""Every model of massannot/models keeps its protocol: shapes, types, ranges, and, where it answers
from truth or from a file, the corner-origin convention to the pixel. A model without a row here
fails the first test."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import massannot.models
from massannot.geometry import rle
from massannot.models.camera_pinhole import PinholeCamera
from massannot.models.cotracker3.conventions import Conventions
from massannot.models.cotracker3.tracker import CoTracker3Tracker
from massannot.models.depth_anything import DepthAnything
from massannot.models.depth_pro import DepthPro
from massannot.models.edgetam_video import EdgeTamVideo
from massannot.models.grounding_dino import GroundingDino
from massannot.models.lucas_kanade import LucasKanade
from massannot.models.mm_grounding_dino import MMGroundingDino
from massannot.models.oracle import (
    OracleCameras,
    OracleDepth,
    OracleDetector,
    OracleMasks,
    OracleTracker,
)
from massannot.models.prompts_by_hand import PromptsByHand
from massannot.models.protocols import (
    CameraEstimator,
    CuboidSource,
    DepthEstimator,
    MaskPropagator,
    MaskSession,
    Model,
    ModelCard,
    PhraseDetector,
    PointTracker,
)
from massannot.models.recorded.camera_files import RecordedCameras
from massannot.models.recorded.cuboid_files import RecordedCuboids
from massannot.models.recorded.depth_files import RecordedDepth
from massannot.models.recorded.object_files import RecordedBoxes, RecordedMasks
from massannot.models.recorded.track_files import RecordedTracks
from massannot.models.sam2.propagator import Sam2Video
from massannot.models.sam3.video import Sam3Video
from massannot.models.weights import Weights
from massannot.scenes.true_answers import Answers, body_centres
from massannot.scenes.world import SceneOptions, make_scene
from massannot.stages.detect_phrases import DetectPhrases
from massannot.stages.propagate_masks import PropagateMasks
from tests.drawn_world import clip_of
from tests.timm_here import why_not
from tests.tiny_models import (
    tiny_depth,
    tiny_depth_pro,
    tiny_detector,
    tiny_edgetam,
    tiny_mm_detector,
    tiny_sam2,
    tiny_sam3,
    tiny_tracker,
)
from tests.unit.scene_clip import scene_frames, write_record

T = 6
SCENE = make_scene(3, SceneOptions(width=96, height=72, n_frames=T, camera="orbit"))
FRAMES = scene_frames(SCENE)
TRUTH = Answers.of(SCENE, FRAMES)
PHRASES = SCENE.phrases()
CENTRES = body_centres(TRUTH)

Made = Callable[[Path], Any]


def oracle(kind: Callable[..., Any]) -> Made:
    def make(folder: Path) -> Any:
        write_record(SCENE, folder)
        return kind(str(folder))

    return make


def objects_file(folder: Path) -> str:
    """The scene's masks as YouTube-VIS JSON."""
    annotations = [
        {
            "video_id": 1,
            "category_id": k,
            "segmentations": [
                {"size": [72, 96], "counts": rle.encode(TRUTH.mask(t, k))} for t in range(T)
            ],
        }
        for k in range(len(SCENE.entities))
    ]
    content = {
        "videos": [{"id": 1, "name": "scene", "width": 96, "height": 72, "length": T}],
        "categories": [{"id": k, "name": name} for k, name in enumerate(PHRASES)],
        "annotations": annotations,
    }
    (folder / "objects.json").write_text(json.dumps(content))
    return str(folder / "objects.json")


def depth_file(folder: Path) -> str:
    maps = np.stack([TRUTH.depth_m(t, height=36, width=48) for t in range(T)])
    np.savez(folder / "scene.npz", depth=maps)
    return str(folder)


def tracks_file(folder: Path) -> str:
    found = TRUTH.tracks(queries())
    np.savez(
        folder / "scene.npz", tracks=found.xy, visible=found.visible, origin="corner", size=[96, 72]
    )
    return str(folder)


def cameras_file(folder: Path) -> str:
    np.savez(
        folder / "scene.npz",
        intrinsics=TRUTH.intrinsics(),
        cam_from_world=TRUTH.cam_from_world(),
        origin="corner",
    )
    return str(folder)


def cuboids_file(folder: Path) -> str:
    """A box of a decimetre around every body's centre, in the camera's frame, its front forward."""
    straight = {"translation": [0, 0, 0], "rotation": [1, 0, 0, 0]}
    forward = {"rotation": [0.5, 0.5, -0.5, 0.5], "size": [0.1, 0.1, 0.1]}
    samples = [
        {
            "t_s": SCENE.t_s(t),
            "boxes": [
                {"instance_token": f"{k}", "category_name": name, "translation": centre.tolist()}
                | forward
                for k, (name, centre) in enumerate(zip(PHRASES, CENTRES[t], strict=True))
            ],
        }
        for t in range(T)
    ]
    content = {
        "size": [96, 72],
        "origin": "corner",
        "boxes_in": "camera",
        "calibrated_sensor": straight | {"camera_intrinsic": SCENE.intrinsics.tolist()},
        "samples": samples,
        "fronts": PHRASES,
    }
    (folder / "cuboids.json").write_text(json.dumps(content))
    return str(folder / "cuboids.json")


def cotracker3(folder: Path) -> Any:
    conventions = Conventions(resize_to=(72, 96), iters=1, support_grid=0)
    weights = Weights(str(tiny_tracker(folder / "weights")))
    return CoTracker3Tracker(weights, conventions=conventions)


def edgetam(folder: Path) -> Any:
    if why_not():
        pytest.skip(why_not())
    return EdgeTamVideo(Weights(str(tiny_edgetam(folder))))


MODELS: dict[type, Made] = {
    GroundingDino: lambda folder: GroundingDino(
        Weights(str(tiny_detector(folder))), box_threshold=0.0, text_threshold=0.0
    ),
    MMGroundingDino: lambda folder: MMGroundingDino(
        Weights(str(tiny_mm_detector(folder))), box_threshold=0.0, text_threshold=0.0
    ),
    OracleDetector: oracle(OracleDetector),
    PromptsByHand: lambda folder: PromptsByHand("0s:10,8,30,20"),
    RecordedBoxes: lambda folder: RecordedBoxes(objects_file(folder)),
    Sam2Video: lambda folder: Sam2Video(Weights(str(tiny_sam2(folder)))),
    EdgeTamVideo: edgetam,
    Sam3Video: lambda folder: Sam3Video(Weights(str(tiny_sam3(folder)))),
    OracleMasks: oracle(OracleMasks),
    RecordedMasks: lambda folder: RecordedMasks(objects_file(folder)),
    DepthAnything: lambda folder: DepthAnything(Weights(str(tiny_depth(folder)))),
    DepthPro: lambda folder: DepthPro(Weights(str(tiny_depth_pro(folder)))),
    OracleDepth: oracle(OracleDepth),
    RecordedDepth: lambda folder: RecordedDepth(depth_file(folder)),
    CoTracker3Tracker: cotracker3,
    LucasKanade: lambda folder: LucasKanade(),
    OracleTracker: oracle(OracleTracker),
    RecordedTracks: lambda folder: RecordedTracks(tracks_file(folder)),
    PinholeCamera: lambda folder: PinholeCamera(),
    OracleCameras: oracle(OracleCameras),
    RecordedCameras: lambda folder: RecordedCameras(cameras_file(folder)),
    RecordedCuboids: lambda folder: RecordedCuboids(cuboids_file(folder)),
}
JOBS = {
    "detect": PhraseDetector,
    "session": MaskPropagator,
    "estimate_depth": DepthEstimator,
    "track": PointTracker,
    "estimate_cameras": CameraEstimator,
    "cuboids": CuboidSource,
}
ANSWER_FROM_TRUTH = {
    OracleDetector,
    RecordedBoxes,
    OracleMasks,
    RecordedMasks,
    OracleDepth,
    RecordedDepth,
    OracleTracker,
    RecordedTracks,
    OracleCameras,
    RecordedCameras,
    RecordedCuboids,
}


TWO_JOBS = {DepthPro, Sam3Video}


def of_job(method: str) -> list[type]:
    return [kind for kind in MODELS if hasattr(kind, method)]


def of_masks() -> list[type]:
    """Those that follow what somebody else found; SAM 3 follows what it found itself."""
    return [kind for kind in of_job("session") if kind is not Sam3Video]


def ready(kind: type, folder: Path) -> Any:
    model = MODELS[kind](folder)
    model.setup(device="cpu")
    return model


def queries() -> np.ndarray:
    """A point in the middle of every entity's mask in every second frame."""
    rows = []
    for t in range(0, T, 2):
        for k in range(len(SCENE.entities)):
            y, x = np.nonzero(TRUTH.mask(t, k))
            if len(x):
                rows.append([t, x[len(x) // 2] + 0.5, y[len(y) // 2] + 0.5])
    return np.array(rows)


def test_every_model_is_in_the_table() -> None:
    found = set()
    for module in pkgutil.walk_packages(massannot.models.__path__, "massannot.models."):
        members = vars(importlib.import_module(module.name)).values()
        for kind in members:
            if (
                inspect.isclass(kind)
                and kind.__module__.startswith("massannot.models.")
                and not getattr(kind, "_is_protocol", False)
                and hasattr(kind, "setup")
                and any(hasattr(kind, method) for method in JOBS)
            ):
                found.add(kind)
    assert found == set(MODELS)


@pytest.mark.parametrize("kind", MODELS)
def test_a_model_has_the_protocols_life_and_its_job(kind: type, tmp_path: Path) -> None:
    model = MODELS[kind](tmp_path)
    jobs = [protocol for method, protocol in JOBS.items() if hasattr(kind, method)]
    assert len(jobs) == (2 if kind in TWO_JOBS else 1)
    assert all(isinstance(model, job) for job in jobs)
    assert all(callable(getattr(model, name)) for name in ("setup", "destroy", "card"))
    model.setup(device="cpu")
    assert isinstance(model.card(), ModelCard)
    assert model.card().name
    model.destroy()


@pytest.mark.parametrize("kind", of_job("detect"))
def test_detections_are_boxes_of_the_frames_and_phrases_asked(kind: type, tmp_path: Path) -> None:
    at = [4, 0]
    found = ready(kind, tmp_path).detect(FRAMES, at=at, phrases=PHRASES)
    D = len(found.frame)
    assert (found.frame.dtype, found.phrase.dtype) == (np.int32, np.int32)
    assert found.boxes_xyxy.dtype in (np.float32, np.float64)
    assert found.score.dtype == np.float32
    assert found.phrase.shape == found.score.shape == (D,)
    assert found.boxes_xyxy.shape == (D, 4)
    assert set(found.frame.tolist()) <= set(at)
    assert ((found.phrase >= 0) & (found.phrase < len(PHRASES))).all()
    assert ((found.score >= 0) & (found.score <= 1)).all()
    assert (found.boxes_xyxy[:, 2:] > found.boxes_xyxy[:, :2]).all()
    for frame in at:
        for phrase in range(len(PHRASES)):
            best_first = found.score[(found.frame == frame) & (found.phrase == phrase)]
            assert (np.diff(best_first) <= 0).all()
    if kind in ANSWER_FROM_TRUTH:
        boxes = [TRUTH.box_xyxy(f, p) for f, p in zip(found.frame, found.phrase)]
        assert D > 0
        assert np.array_equal(found.boxes_xyxy, np.array(boxes, np.float32))


@pytest.mark.parametrize("kind", of_masks())
def test_masks_are_given_for_every_frame_and_object_asked(kind: type, tmp_path: Path) -> None:
    session = ready(kind, tmp_path).session(FRAMES)
    assert isinstance(session, MaskSession)
    shape = (FRAMES.height, FRAMES.width)
    boxes = {k + 1: TRUTH.box_xyxy(2, k) for k in range(len(SCENE.entities))}
    boxes = {number: box for number, box in boxes.items() if box is not None}
    for number, box in boxes.items():
        mask = session.add_box(number, frame=2, box_xyxy=box.astype(np.float32))
        assert (mask.shape, mask.dtype) == (shape, np.bool_)
        if kind in ANSWER_FROM_TRUTH:
            assert np.array_equal(mask, TRUTH.mask(2, number - 1))
    for first, end in ((3, T), (1, -1)):
        at = list(range(first, end, 1 if end > first else -1))
        answers = list(session.propagate(first=first, end=end))
        assert [a.frame for a in answers] == at
        for answer in answers:
            assert sorted(answer.objects.tolist()) == sorted(boxes)
            assert (answer.objects.dtype, answer.score.dtype) == (np.int32, np.float32)
            assert (answer.masks.shape, answer.masks.dtype) == ((len(boxes), *shape), np.bool_)
            assert ((answer.score >= 0) & (answer.score <= 1)).all()
            if kind in ANSWER_FROM_TRUTH:
                for number, mask in zip(answer.objects, answer.masks):
                    assert np.array_equal(mask, TRUTH.mask(answer.frame, number - 1))


@pytest.mark.parametrize("kind", of_masks())
def test_objects_come_and_go_while_others_are_followed(kind: type, tmp_path: Path) -> None:
    session = ready(kind, tmp_path).session(FRAMES)
    box = np.float32([20, 20, 60, 60])
    session.add_box(1, frame=0, box_xyxy=box)
    list(session.propagate(first=1, end=3))
    session.add_box(2, frame=2, box_xyxy=box)
    session.add_box(3, frame=2, box_xyxy=box)
    session.remove(3)
    [answer] = session.propagate(first=3, end=4, objects=[2])
    assert answer.objects.tolist() == [2]
    [answer] = session.propagate(first=4, end=5)
    assert sorted(answer.objects.tolist()) == [1, 2]
    mask = np.zeros((FRAMES.height, FRAMES.width), np.bool_)
    mask[20:40, 20:40] = True
    session.add_mask(4, frame=4, mask=mask)
    [answer] = session.propagate(first=5, end=6, objects=[4])
    assert answer.objects.tolist() == [4]


@pytest.mark.parametrize("kind", of_job("estimate_depth"))
def test_depth_is_one_map_a_frame(kind: type, tmp_path: Path) -> None:
    found = ready(kind, tmp_path).estimate_depth(FRAMES)
    assert len(found) == T
    assert (found.values.dtype, found.values.ndim) == (np.float32, 3)
    assert found.kind in ("metric", "relative", "affine")
    known = found.values[np.isfinite(found.values)]
    assert known.size
    if found.kind != "affine":
        assert (known > 0).all()
    if kind in ANSWER_FROM_TRUTH:
        height, width = found.values.shape[1:]
        exact = [TRUTH.depth_m(t, height=height, width=width) for t in range(T)]
        assert np.array_equal(found.values, np.stack(exact))


@pytest.mark.parametrize("kind", of_job("track"))
def test_tracks_are_of_every_frame_and_query(kind: type, tmp_path: Path) -> None:
    asked = queries()
    found = ready(kind, tmp_path).track(FRAMES, queries_txy=asked)
    N = len(asked)
    assert (found.xy.shape, found.xy.dtype) == ((T, N, 2), np.float32)
    assert (found.visible.shape, found.visible.dtype) == ((T, N), np.bool_)
    for values in (found.visibility, found.confidence, found.fb_error_px):
        assert (values.shape, values.dtype) == ((T, N), np.float32)
    assert np.isfinite(found.xy).all()
    for values in (found.visibility, found.confidence):
        assert ((values >= 0) & (values <= 1)).all()
    if kind in ANSWER_FROM_TRUTH | {LucasKanade}:
        start = asked[:, 0].astype(int)
        assert np.array_equal(found.xy[start, np.arange(N)], asked[:, 1:].astype(np.float32))
    if kind in ANSWER_FROM_TRUTH:
        exact = TRUTH.tracks(asked)
        seen = exact.visible
        assert np.array_equal(found.visible, seen)
        assert np.abs(found.xy[seen] - exact.xy[seen]).max() < 1e-4


@pytest.mark.parametrize("kind", of_job("track"))
def test_no_query_gives_no_track(kind: type, tmp_path: Path) -> None:
    found = ready(kind, tmp_path).track(FRAMES, queries_txy=np.zeros((0, 3)))
    assert found.xy.shape == (T, 0, 2)
    assert found.visible.shape == (T, 0)


@pytest.mark.parametrize("kind", of_job("estimate_cameras"))
def test_cameras_are_rigid_and_start_at_the_world(kind: type, tmp_path: Path) -> None:
    found = ready(kind, tmp_path).estimate_cameras(FRAMES)
    assert (found.intrinsics.shape, found.intrinsics.dtype) == ((T, 4), np.float64)
    assert (found.cam_from_world.shape, found.cam_from_world.dtype) == ((T, 4, 4), np.float64)
    assert np.allclose(found.cam_from_world[0], np.eye(4), atol=1e-12)
    rotation = found.cam_from_world[:, :3, :3]
    assert np.allclose(rotation @ rotation.transpose(0, 2, 1), np.eye(3), atol=1e-9)
    assert (found.intrinsics[:, :2] > 0).all()
    assert np.allclose(found.intrinsics[:, 2:], [FRAMES.width / 2, FRAMES.height / 2])
    for origin in (found.intrinsics_origin, found.pose_origin):
        assert origin in ("given", "assumed", "estimated")


@pytest.mark.parametrize("kind", of_job("cuboids"))
def test_cuboids_are_where_the_things_are(kind: type, tmp_path: Path) -> None:
    found = ready(kind, tmp_path).cuboids(FRAMES)
    for values in (found.centre, found.extent, found.front):
        assert (values.shape, values.dtype) == ((len(PHRASES), T, 3), np.float64)
    given = np.isfinite(found.centre).all(axis=2)
    assert given.any()
    np.testing.assert_allclose(found.centre[given], CENTRES.swapaxes(0, 1)[given], atol=1e-9)
    np.testing.assert_allclose(found.extent[given], 0.1, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(found.front[given], axis=-1), 1)
    np.testing.assert_allclose(np.abs(found.front[given]).max(axis=-1), 1)


def test_the_protocols_name_all_jobs() -> None:
    """A protocol added to protocols.py needs a row in JOBS."""
    import massannot.models.protocols as protocols

    kinds = [k for k in vars(protocols).values() if inspect.isclass(k) and Model in k.__mro__]
    assert set(kinds) - {Model} == set(JOBS.values())


@pytest.mark.parametrize("kind", of_masks())
def test_given_boxes_are_kept_whoever_makes_their_masks(kind: type, tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    boxes = ready(RecordedBoxes, tmp_path / "given")
    clip = DetectPhrases(boxes).process(clip_of(FRAMES, PHRASES))
    clip = PropagateMasks(propagator=ready(kind, tmp_path)).process(clip)
    rows = clip.table("detections").to_pylist()
    given = boxes.detect(FRAMES, at=range(len(FRAMES)), phrases=PHRASES)
    assert len(rows) == len(given.frame) > 0
    assert {row["origin"] for row in rows} == {"given"}
    assert {row["rejected"] for row in rows} <= {None, "empty_mask"}
    of_track = {row["track"]: row["entity"] for row in rows if row["entity"] is not None}
    assert len(set(of_track.values())) == len(of_track)  # a number, a thing
    origin = "given" if kind is RecordedMasks else "propagated"
    assert set(clip.table("masks")["origin"].to_pylist()) <= {origin}
