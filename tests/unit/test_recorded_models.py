"""Models that answer from files: every kind of file, the right frame, and clear refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from massannot import tables
from massannot.clip import Clip, Frames
from massannot.errors import MassannotWarning, ModelFailed, NewerTable, UsageError
from massannot.geometry import rle
from massannot.models.recorded.camera_files import RecordedCameras
from massannot.models.recorded.depth_files import RecordedDepth
from massannot.models.recorded.object_files import RecordedBoxes, RecordedMasks, RecordedSession
from massannot.models.recorded.object_sources import ClipObjects
from massannot.models.recorded.recorded_videos import RecordedObject, RecordedVideo
from massannot.models.recorded.track_files import RecordedTracks
from tests.drawn_world import BLUE, RED, Thing, World, annotated, line

T = 12
WORLD = World(
    [
        Thing("a ball", RED, 30, line(T, (30, 40), (150, 40))),
        Thing("a box", BLUE, 24, line(T, (160, 90), (40, 90)), square=True),
    ]
)


def clip_frames(
    at: range = range(T), *, width: int = 200, height: int = 120, scale: int = 1
) -> Frames:
    """Frames `at` of a video called drawn, 10 frames a second, pts 100 apart."""
    return Frames(
        pixels_THWC=np.zeros((len(at), height, width, 3), np.uint8),
        video_id="0" * 32,
        source_id="drawn",
        pts=np.array(at, np.int64) * 100 + 700,
        t_s=np.array(at) / 10,
        time_base=Fraction(1, 1000),
        source_width=width * scale,
        source_height=height * scale,
    )


def written(path: Path, content: Any) -> str:
    path.write_text(json.dumps(content))
    return str(path)


def youtube_vis(form: str = "compressed", **video: Any) -> dict[str, Any]:
    def segmentation(t: int, k: int) -> Any:
        mask = WORLD.mask(t, k)
        if form == "compressed":
            return {"size": [120, 200], "counts": rle.encode(mask)}
        if form == "runs":
            flat = mask.T.ravel()
            edges = np.flatnonzero(np.diff(flat)) + 1
            runs = np.diff([0, *edges, flat.size]).tolist()
            return {"size": [120, 200], "counts": [0, *runs] if flat[0] else runs}
        x0, y0, x1, y1 = WORLD.box(t, k).tolist()
        return [[x0, y0, x1, y0, x1, y1, x0, y1]]

    return {
        "videos": [
            {
                "id": 7,
                "name": "drawn",
                "height": 120,
                "width": 200,
                "length": T,
                "file_names": [f"drawn/{t:05d}.jpg" for t in range(T)],
                **video,
            }
        ],
        "categories": [{"id": 1, "name": "Ball"}, {"id": 2, "name": "box"}],
        "annotations": [
            {
                "id": k,
                "video_id": 7,
                "category_id": k + 1,
                "score": 0.9 - 0.1 * k,
                "segmentations": [None if t == 3 else segmentation(t, k) for t in range(T)],
            }
            for k in range(2)
        ],
    }


def coco(*, tracks: bool = True) -> dict[str, Any]:
    annotations = []
    for t in range(T):
        for k in range(2):
            x0, y0, x1, y1 = WORLD.box(t, k).tolist()
            annotation = {
                "id": len(annotations),
                "image_id": t,
                "category_id": k,
                "bbox": [x0, y0, x1 - x0, y1 - y0],
            }
            annotations.append({**annotation, "track_id": k} if tracks else annotation)
    return {
        "images": [
            {"id": t, "file_name": f"drawn/{t:04d}.jpg", "height": 120, "width": 200}
            for t in range(T)
        ],
        "categories": [{"id": 0, "name": "ball"}, {"id": 1, "name": "a box"}],
        "annotations": annotations,
    }


def boxes(path: str, frames: Frames, at: list[int], **options: Any) -> list[tuple[int, int, Any]]:
    model = RecordedBoxes(path, **options)
    model.setup(device="cpu")
    found = model.detect(frames, at=at, phrases=["a ball", "the  Box"])
    return [
        (int(f), int(p), b.tolist()) for f, p, b in zip(found.frame, found.phrase, found.boxes_xyxy)
    ]


def truth(at: list[int], *, frames: list[int] | None = None) -> list[tuple[int, int, Any]]:
    of = frames or at
    return [(t, k, WORLD.box(f, k).tolist()) for t, f in zip(at, of) for k in range(2)]


@pytest.mark.parametrize("form", ["compressed", "runs", "polygon"])
def test_boxes_of_masks_in_every_form_are_exact(tmp_path: Path, form: str) -> None:
    path = written(tmp_path / "vis.json", youtube_vis(form))
    assert boxes(path, clip_frames(), [0, 5, 11]) == truth([0, 5, 11])


@pytest.mark.parametrize("tracks", [True, False])
def test_boxes_of_coco_images_are_exact(tmp_path: Path, tracks: bool) -> None:
    path = written(tmp_path / "coco.json", coco(tracks=tracks))
    assert boxes(path, clip_frames(), [0, 5, 11]) == truth([0, 5, 11])


def test_a_frame_in_which_a_thing_is_not_seen_has_no_box(tmp_path: Path) -> None:
    path = written(tmp_path / "vis.json", youtube_vis())
    assert boxes(path, clip_frames(), [3]) == []


ALIGNED: dict[str, tuple[dict[str, Any], range, dict[str, Any]]] = {
    "order": ({}, range(T), {}),
    "pts": ({"pts": [700 + 100 * t for t in range(T)]}, range(2, 9, 2), {}),
    "t_s": ({"t_s": [t / 10 for t in range(T)]}, range(2, 9, 2), {}),
    "fps in the file": ({"fps": 10}, range(2, 9, 2), {}),
    "fps as an option": ({}, range(2, 9, 2), {"fps": 10.0}),
}


@pytest.mark.parametrize("name", ALIGNED)
def test_the_right_frame_answers(tmp_path: Path, name: str) -> None:
    video, at, options = ALIGNED[name]
    path = written(tmp_path / "vis.json", youtube_vis(**video))
    found = boxes(path, clip_frames(at), [0, 1], **options)
    assert found == [row for row in truth([0, 1], frames=[at[0], at[1]]) if at[row[0]] != 3]


def test_every_fifth_frame_recorded_answers_for_those_frames_only(tmp_path: Path) -> None:
    content = youtube_vis(fps=10, file_names=[f"drawn/{5 * t:05d}.jpg" for t in range(T)])
    path = written(tmp_path / "vis.json", content)
    found = boxes(path, clip_frames(range(21)), [0, 5, 10])
    assert found == truth([0, 5, 10], frames=[0, 1, 2])


def shorter(content: dict[str, Any], n: int) -> dict[str, Any]:
    """The first `n` frames of a file."""
    (video,) = content["videos"]
    video |= {"length": n, "file_names": video["file_names"][:n]}
    for annotation in content["annotations"]:
        annotation["segmentations"] = annotation["segmentations"][:n]
    return content


REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "another length": (lambda: youtube_vis(length=9), UsageError, "length 9, but 12 file_names"),
    "fewer frames": (lambda: shorter(youtube_vis(), 9), ModelFailed, "found 9 frames for drawn"),
    "another video": (
        lambda: youtube_vis(name="x", file_names=[f"y/{t}.jpg" for t in range(T)]),
        ModelFailed,
        "it has",
    ),
    "another shape": (lambda: youtube_vis(width=120, height=120), UsageError, "mask of"),
    "another time": (lambda: youtube_vis(pts=list(range(T))), ModelFailed, "none of its 12 frames"),
    "other JSON": (lambda: {"hello": 1}, UsageError, "expected COCO"),
    "a missing key": (
        lambda: {**youtube_vis(), "categories": [{}]},
        UsageError,
        r"categories\[0\]: id is missing",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_does_not_fit_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    content, error, message = REFUSED[name]
    path = written(tmp_path / "vis.json", content())
    with pytest.raises(error, match=message):
        boxes(path, clip_frames(), [0])


def test_a_picture_of_another_shape_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "coco.json", coco())
    with pytest.raises(ModelFailed, match="another shape"):
        boxes(path, clip_frames(width=120, height=200), [0])


def test_phrases_that_are_no_category_are_warned_of(tmp_path: Path) -> None:
    model = RecordedBoxes(written(tmp_path / "coco.json", coco()))
    model.setup(device="cpu")
    with pytest.warns(MassannotWarning, match="none of the phrases"):
        assert not len(model.detect(clip_frames(), at=[0], phrases=["a dog"]).frame)


@pytest.mark.parametrize("scale", [1, 2])
def test_masks_from_a_file_are_those_of_the_world(tmp_path: Path, scale: int) -> None:
    """At a working size of half the recorded one, every second pixel."""
    content = youtube_vis(fps=10)
    frames = clip_frames(width=200 // scale, height=120 // scale, scale=scale)
    model = RecordedMasks(written(tmp_path / "vis.json", content))
    model.setup(device="cpu")
    session = model.session(frames)
    first = session.add_box(1, frame=5, box_xyxy=(WORLD.box(5, 1) / scale + 1).astype(np.float32))
    every = slice(scale // 2, None, scale)
    assert np.array_equal(first, WORLD.mask(5, 1)[every, every])
    for masks in session.propagate(first=11, end=-1):
        seen = masks.frame != 3
        expected = WORLD.mask(masks.frame, 1)[every, every] & seen
        assert np.array_equal(masks.masks[0], expected)
        assert masks.score.tolist() == [float(seen)]


def test_a_box_around_nothing_recorded_gives_an_empty_mask(tmp_path: Path) -> None:
    model = RecordedMasks(written(tmp_path / "vis.json", youtube_vis()))
    model.setup(device="cpu")
    session = model.session(clip_frames())
    assert not session.add_box(1, frame=0, box_xyxy=np.float32([180, 0, 199, 20])).any()


def test_each_of_many_prompts_means_the_box_that_it_overlaps_most() -> None:
    """Of a file that follows nothing: one thing a box, in two rows."""
    low = np.random.default_rng(0).integers(0, [150, 80], (80, 2))
    drawn = np.concatenate([low, low + np.random.default_rng(1).integers(5, 40, (80, 2))], axis=1)
    things = [
        RecordedObject("ball", False, boxes={n % 2: tuple(box)}, boxes_are_masks=True)
        for n, box in enumerate(drawn.astype(float).tolist())
    ]
    video = RecordedVideo(("drawn",), 200, 120, 2, things)
    session = RecordedSession(clip_frames(range(2)), ClipObjects(video, np.arange(2)))
    masks = np.zeros((80, 120, 200), bool)
    for mask, (x0, y0, x1, y1) in zip(masks, drawn):
        mask[y0:y1, x0:x1] = True
    for n, prompt in enumerate(drawn + np.random.default_rng(2).integers(-2, 3, drawn.shape)):
        x0, y0, x1, y1 = prompt
        sides = np.minimum(drawn[:, 2:], [x1, y1]) - np.maximum(drawn[:, :2], [x0, y0])
        both = sides.clip(0).prod(axis=1)
        sizes = (drawn[:, 2:] - drawn[:, :2]).prod(axis=1) + (x1 - x0) * (y1 - y0)
        shares = both / (sizes - both)
        shares[1 - n % 2 :: 2] = 0  # of the other row
        found = session.add_box(n, frame=n % 2, box_xyxy=prompt.astype(np.float32))
        assert np.array_equal(found, masks[shares.argmax()] & (shares.max() > 0.1))


def write_dataset(folder: Path, clip: Clip) -> None:
    """The tables of an annotated clip of WORLD, as a dataset of one shard."""
    frames = clip.frames
    clips = {
        "clip_id": clip.clip_id,
        "video_id": frames.video_id,
        "source_id": "drawn",
        "uri": "drawn.mp4",
        "clip_index": 0,
        "first_pts": 0,
        "end_pts": T,
        "time_base_num": 1,
        "time_base_den": 10,
        "t0_s": 0.0,
        "t1_s": 1.1,
        "sampling": "all",
        "n_frames": T,
        "source_width": 200,
        "source_height": 120,
        "working_width": 200,
        "working_height": 120,
        "micro_batch": 0,
        "damaged": False,
    }
    rows = [
        {
            "clip_id": clip.clip_id,
            "frame": t,
            "pts": t,
            "t_s": t / 10,
            "keyframe": True,
            "damaged": False,
        }
        for t in range(T)
    ]
    made = {
        "clips": tables.spec("clips").from_rows([clips]),
        "frames": tables.spec("frames").from_rows(rows),
        **{name: clip.table(name) for name in ("masks", "entities", "phrases")},
    }
    for name, table in made.items():
        (folder / "data" / name).mkdir(parents=True)
        pq.write_table(table, folder / "data" / name / "a.parquet")


def test_our_own_dataset_answers_with_its_masks_and_boxes(tmp_path: Path) -> None:
    clip = annotated(WORLD)
    write_dataset(tmp_path, clip)
    again = annotated(
        WORLD,
        detector=_ready(RecordedBoxes(str(tmp_path))),
        masks=_ready(RecordedMasks(str(tmp_path))),
    )
    assert again.table("masks").drop(["origin"]).equals(clip.table("masks").drop(["origin"]))
    assert set(again.table("masks")["origin"].to_pylist()) == {"given"}


def test_a_dataset_of_a_newer_massannot_is_refused_by_name(tmp_path: Path) -> None:
    write_dataset(tmp_path, annotated(WORLD))
    file = tmp_path / "data" / "masks" / "a.parquet"
    table = pq.read_table(file)
    newer = {**table.schema.metadata, b"massannot.version": b"99"}
    pq.write_table(table.replace_schema_metadata(newer), file)
    with pytest.raises(NewerTable, match="table masks has version 99"):
        _ready(RecordedMasks(str(tmp_path))).session(clip_frames())


def test_a_shard_that_is_not_finished_answers_nothing(tmp_path: Path) -> None:
    write_dataset(tmp_path, annotated(WORLD))
    (tmp_path / "_run").mkdir()
    (tmp_path / "data" / "clips" / "a.parquet").unlink()
    with pytest.raises(UsageError, match="its run has finished no shard yet"):
        _ready(RecordedMasks(str(tmp_path)))


def _ready(model: Any) -> Any:
    model.setup(device="cpu")
    return model


DEPTH = np.linspace(1, 9, T * 6 * 10).reshape(T, 6, 10).astype(np.float32)


def depth_file(folder: Path, form: str) -> str:
    if form == "npz":
        np.savez(folder / "drawn.npz", depth=DEPTH)
    elif form == "npy":
        np.save(folder / "drawn.npy", DEPTH)
    else:
        (folder / "drawn").mkdir()
        for t in range(T):
            if form == "folder of npy":
                np.save(folder / "drawn" / f"{t}.npy", DEPTH[t])
            else:
                steps = np.round(DEPTH[t] * 1000).astype(np.uint16)
                Image.fromarray(steps).save(folder / "drawn" / f"{t}.png")
    return str(folder)


@pytest.mark.parametrize("form", ["npz", "npy", "folder of npy", "folder of png"])
def test_depth_of_every_kind_of_file_is_exact(tmp_path: Path, form: str) -> None:
    found = _ready(RecordedDepth(depth_file(tmp_path, form))).estimate_depth(clip_frames())
    assert found.kind == "metric"
    assert np.abs(found.values - DEPTH).max() <= (0.0005 + 1e-6 if "png" in form else 0)


def test_depth_of_sampled_frames_is_that_of_their_times(tmp_path: Path) -> None:
    path = depth_file(tmp_path, "npz")
    found = _ready(RecordedDepth(path, fps=10)).estimate_depth(clip_frames(range(1, T, 3)))
    assert np.array_equal(found.values, DEPTH[1::3])


def test_unknown_depth_is_nan(tmp_path: Path) -> None:
    depth = DEPTH.copy()
    depth[0, 0, :3] = [0, -1, np.inf]
    np.savez(tmp_path / "any.npz", depth=depth, kind="relative")
    path = str(tmp_path / "any.npz")
    found = _ready(RecordedDepth(path)).estimate_depth(clip_frames())
    assert found.kind == "relative"
    assert np.isnan(found.values).sum() == 3


def test_an_8_bit_picture_of_depth_is_refused(tmp_path: Path) -> None:
    (tmp_path / "drawn").mkdir()
    Image.fromarray(np.zeros((6, 10), np.uint8)).save(tmp_path / "drawn" / "0.png")
    with pytest.raises(ModelFailed, match="16-bit"):
        _ready(RecordedDepth(str(tmp_path))).estimate_depth(clip_frames())


@pytest.mark.parametrize("model", [RecordedDepth, RecordedTracks, RecordedCameras])
def test_a_folder_without_the_video_says_what_it_looked_for(tmp_path: Path, model: Any) -> None:
    made = _ready(model(str(tmp_path)))
    ask = {
        RecordedDepth: lambda: made.estimate_depth(clip_frames()),
        RecordedTracks: lambda: made.track(clip_frames(), queries_txy=np.zeros((1, 3))),
        RecordedCameras: lambda: made.estimate_cameras(clip_frames()),
    }
    with pytest.raises(ModelFailed, match=r"expected drawn\.npz"):
        ask[model]()


@pytest.mark.parametrize(
    "model", [RecordedBoxes, RecordedMasks, RecordedDepth, RecordedTracks, RecordedCameras]
)
def test_a_missing_file_is_refused_before_any_video(model: Any) -> None:
    with pytest.raises(UsageError, match="no such file"):
        model("/nowhere/x.json").setup(device="cpu")


def test_recorded_tracks_answer_queries_once_and_nearby_only(tmp_path: Path) -> None:
    places = np.array([[10.0, 10.0], [50.0, 20.0], [90.0, 30.0]])
    tracks = places[None] + np.arange(T)[:, None, None]
    visible = np.ones((T, 3), bool)
    visible[5:, 2] = False
    np.savez(tmp_path / "t.npz", tracks=tracks, visible=visible)
    queries = np.array([[0, 10.5, 10.5], [0, 11.5, 10.5], [2, 52.5, 22.5], [6, 96.5, 36.5]])
    found = _ready(RecordedTracks(str(tmp_path / "t.npz"))).track(
        clip_frames(), queries_txy=queries
    )
    assert np.array_equal(found.xy[:, 0], tracks[:, 0] + 0.5)  # pixel centres become corners
    assert np.array_equal(found.xy[:, 2], tracks[:, 1] + 0.5)
    assert found.visible.all(axis=0).tolist() == [True, False, True, False]
    assert not found.visible[:, [1, 3]].any()
    assert np.array_equal(found.xy[:, 3], np.tile(queries[3, 1:], (T, 1)))


def test_recorded_tracks_of_another_size_are_stretched(tmp_path: Path) -> None:
    tracks = np.full((T, 1, 2), 20.0)
    np.savez(
        tmp_path / "t.npz", tracks=tracks, visible=np.ones((T, 1)), size=[400, 240], origin="corner"
    )
    found = _ready(RecordedTracks(str(tmp_path))).track
    with pytest.raises(ModelFailed):
        found(clip_frames(), queries_txy=np.array([[0, 10.0, 10.0]]))
    found = _ready(RecordedTracks(str(tmp_path / "t.npz"))).track
    assert found(clip_frames(), queries_txy=np.array([[0, 10.0, 10.0]])).xy[3, 0].tolist() == [
        10,
        10,
    ]


@pytest.mark.parametrize("form", ["npz", "json"])
@pytest.mark.parametrize("inverse", [False, True])
def test_recorded_cameras_are_restated_from_the_first(
    tmp_path: Path, form: str, inverse: bool
) -> None:
    poses = np.tile(np.eye(4), (T, 1, 1))
    poses[:, 0, 3] = 2 + np.arange(T)
    name = "world_from_cam" if inverse else "cam_from_world"
    given = {
        "intrinsics": np.array([[100.0, 0, 99.5], [0, 100, 59.5], [0, 0, 1]]),
        name: np.linalg.inv(poses) if inverse else poses,
    }
    path = tmp_path / f"drawn.{form}"
    if form == "npz":
        np.savez(path, **given)
    else:
        path.write_text(json.dumps({key: value.tolist() for key, value in given.items()}))
    found = _ready(RecordedCameras(str(path))).estimate_cameras(
        clip_frames(width=100, height=60, scale=2)
    )
    assert found.intrinsics.tolist() == [[50, 50, 50, 30]] * T
    assert found.pose_origin == found.intrinsics_origin == "given"
    assert np.allclose(found.cam_from_world[:, 0, 3], np.arange(T))
    assert np.array_equal(found.cam_from_world[0], np.eye(4))


def test_one_camera_for_all_frames_and_no_pose_is_static_and_assumed(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"intrinsics": [100, 100, 100, 60], "origin": "corner"}))
    found = _ready(RecordedCameras(str(path))).estimate_cameras(clip_frames())
    assert found.intrinsics.tolist() == [[100, 100, 100, 60]] * T
    assert np.array_equal(found.cam_from_world, np.tile(np.eye(4), (T, 1, 1)))
    assert found.pose_origin == "assumed"
