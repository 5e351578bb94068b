"""Doors: the ways in which a user's files come in, each with a sound file and what opens it.

What opens a file is what a command calls, with the errors that a user would see. A door writes its
sound files into a folder; one of them is made wrong, and the folder is opened.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Door:
    sound: Callable[[Path], None]
    """Writes sound files into an empty folder."""
    damaged: str
    """Glob of those that are made wrong, one at a time."""
    open: Callable[[Path], object]
    """Opens the folder, whose damaged file is given."""
    neighbour: Callable[[Path], None] = lambda folder: None
    """Raises where what stands beside the damaged file is lost."""


def _film(name: str, **how: Any) -> Door:
    return Door(lambda folder: _write_film(folder, name, how), name, _read_film, _good_film)


def _write_film(folder: Path, name: str, how: dict[str, Any]) -> None:
    from tests.unit.make_videos import Film

    options = {} if how else {"options": {"g": "6", "bf": "0"}}
    Film(**{"n": 12, **options, **how}).write(folder / name)
    Film(n=4).write(folder / "good.mkv")


def _clips(path: Path) -> list[Any]:
    from massannot.clip import Clip
    from massannot.video.reader import read_clips, release
    from massannot.video.sampling import Sampling

    found = list(read_clips(str(path), sampling=Sampling(fps=None), silence_s=10.0))
    clips = [item for item in found if isinstance(item, Clip)]
    shapes = [clip.frames.pixels_THWC.shape for clip in clips]
    for clip in clips:
        release(clip)
    return shapes


def _read_film(path: Path) -> object:
    from massannot.errors import ClipError
    from massannot.video.reader import probe

    with contextlib.suppress(ClipError):
        probe(str(path))  # as planning does; what it refuses, reading refuses by itself
    return _clips(path)


def _good_film(folder: Path) -> None:
    assert _clips(folder / "good.mkv") == [(4, 96, 192, 3)], "the film beside it is lost"


def _manifest(name: str) -> Door:
    return Door(lambda folder: _write_manifest(folder / name), name, _read_manifest)


def _write_manifest(path: Path) -> None:
    rows = [
        {
            "video": f"v{n}.mp4",
            "id": f"q{n}",
            "start_s": n / 2,
            "end_s": n + 1.0,
            "caption": "a red ball rolls",
            "entities": "ball; box",
            "question": "How fast is the ball?",
            "answer": "1.5",
            "problem_type": "regression",
            "unit": "m/s",
            "license": "CC0",
        }
        for n in range(6)
    ]
    match path.suffix:
        case ".json":
            path.write_text(json.dumps(rows))
        case ".jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        case ".csv":
            lines = [rows[0].keys(), *(row.values() for row in rows)]
            path.write_text("".join(",".join(map(str, line)) + "\n" for line in lines))
        case ".parquet":
            import pyarrow as pa
            import pyarrow.parquet as pq

            pq.write_table(pa.Table.from_pylist(rows), path)


def _read_manifest(path: Path) -> object:
    from massannot.inputs.manifest import read_manifests
    from massannot.plan.join_questions import planned_videos
    from massannot.plan.planned_videos import PlannedVideos, with_file_states

    rows = read_manifests([str(path)], root=str(path.parent))
    return len(PlannedVideos(with_file_states(planned_videos([], rows, prompts=()))))


def _write_list(folder: Path) -> None:
    (folder / "list.txt").write_text("# films\n" + "".join(f"v{n}.mp4\n" for n in range(9)))


def _read_list(path: Path) -> object:
    from massannot.inputs.sources import find

    return len(find([f"@{path}"]).videos)


def _write_tar(folder: Path) -> None:
    import tarfile

    for n in range(3):
        (folder / f"s{n}.mp4").write_bytes(bytes(range(256)) * 4)
        (folder / f"s{n}.json").write_text(json.dumps({"caption": "a ball", "key": n}))
    with tarfile.open(folder / "a.tar", "w") as packed:
        for path in sorted(folder.glob("s*.*")):
            packed.add(path, path.name)
            path.unlink()


def _read_tar(path: Path) -> object:
    from massannot.inputs.sources import find

    return [row.caption for row in find([str(path)]).rows]


def _frames() -> Any:
    from tests.unit.test_answers import frames_at

    return replace(frames_at(), uri="ball.mp4")


def _write_objects(folder: Path) -> None:
    from tests.unit.test_answers import coco

    (folder / "b.json").write_text(json.dumps(coco(fps=10)))


def _read_objects(path: Path) -> object:
    from massannot.models.recorded.object_files import RecordedBoxes, RecordedMasks
    from massannot.stages.detect_phrases import DetectPhrases
    from massannot.stages.propagate_masks import PropagateMasks
    from tests.drawn_world import clip_of

    boxes, masks = RecordedBoxes(str(path)), RecordedMasks(str(path))
    for model in (boxes, masks):
        model.setup(device="cpu")
        assert model.names_videos in (True, False)
    clip = PropagateMasks(propagator=masks).process(
        DetectPhrases(boxes).process(clip_of(_frames(), ["box"]))
    )
    return clip.table("masks").num_rows


def _write_cvat(folder: Path) -> None:
    boxes = "".join(
        f'<box frame="{t}" keyframe="1" outside="{t // 9}" occluded="0" xtl="{10 + 3 * t}" '
        f'ytl="20.0" xbr="{26 + 3 * t}" ybr="36.0" z_order="0"><attribute name="entity">0'
        "</attribute></box>"
        for t in (0, 3, 6, 9)
    )
    mask = (
        '<mask frame="3" keyframe="1" outside="0" occluded="0" rle="0, 128, 4, 124" left="19" '
        'top="20" width="16" height="16" z_order="0"><attribute name="entity">0</attribute></mask>'
    )
    tracks = "".join(f'<track id="{n}" label="box">{each}</track>' for n, each in
                     enumerate((boxes, mask)))  # fmt: skip
    (folder / "c.xml").write_text(
        '<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version><meta><task>'
        "<size>10</size><original_size><width>96</width><height>64</height></original_size>"
        f"<source>ball.mp4</source></task></meta>{tracks}</annotations>"
    )


def _write_recording(folder: Path) -> None:
    import rerun as rr
    from rerun.chunk import Chunk, LazyChunkStream

    at = [rr.TimeColumn("time", duration=np.arange(10) / 10)]
    pinhole = rr.Pinhole.columns(image_from_camera=[np.eye(3)], resolution=[[96, 64]])
    centres = [[18 + 3 * t, 28] for t in range(10)]
    boxes = rr.Boxes2D.columns(half_sizes=[[8, 8]] * 10, centers=centres, labels=["box"] * 10)
    chunks = [Chunk.from_columns("/", [], pinhole), Chunk.from_columns("/box", at, boxes)]
    LazyChunkStream.from_iter(chunks).write_rrd(
        folder / "r.rrd", application_id="fuzz", recording_id="1"
    )


def _write_depth(folder: Path) -> None:
    np.savez(folder / "d.npz", depth=np.linspace(1, 2, 10 * 64 * 96).reshape(10, 64, 96), fps=10.0)


def _read_depth(path: Path) -> object:
    from massannot.models.recorded.depth_files import RecordedDepth

    model = RecordedDepth(str(path))
    model.setup(device="cpu")
    return model.estimate_depth(_frames()).values.shape


def _write_tracks(folder: Path) -> None:
    xy = np.stack([[[11 + 3 * t, 21.0], [14 + 3 * t, 30.0]] for t in range(10)])
    seen = np.ones((10, 2), bool)
    np.savez(folder / "t.npz", tracks=xy, visible=seen, t_s=np.arange(10) / 10, size=[96, 64])


def _read_tracks(path: Path) -> object:
    from massannot.models.recorded.track_files import RecordedTracks

    model = RecordedTracks(str(path))
    model.setup(device="cpu")
    return model.track(_frames(), queries_txy=np.array([[0, 12.0, 22.0]])).xy.shape


def _camera_values() -> dict[str, Any]:
    poses = np.tile(np.eye(4), (10, 1, 1))
    poses[:, 0, 3] = np.arange(10) / 10
    return {"intrinsics": np.tile([90.0, 90, 47.5, 31.5], (10, 1)), "cam_from_world": poses}


def _write_cameras(folder: Path) -> None:
    np.savez(folder / "c.npz", **_camera_values(), fps=10.0, origin="corner")


def _write_json_cameras(folder: Path) -> None:
    values = {name: value.tolist() for name, value in _camera_values().items()}
    (folder / "c.json").write_text(json.dumps({**values, "fps": 10}))


def _read_cameras(path: Path) -> object:
    from massannot.models.recorded.camera_files import RecordedCameras

    model = RecordedCameras(str(path))
    model.setup(device="cpu")
    assert model.names_videos in (True, False)
    return model.estimate_cameras(_frames()).intrinsics.shape


def _write_cuboids(folder: Path) -> None:
    turn, places = [0.5, -0.5, 0.5, -0.5], ([3.2, 0.1 * n, 1.5] for n in range(10))
    pose = {"translation": [1.7, 0, 1.5], "rotation": turn}
    values = {
        "size": [96, 64],
        "boxes_in": "world",
        "calibrated_sensor": pose | {"camera_intrinsic": [[90, 0, 48], [0, 90, 32], [0, 0, 1]]},
        "samples": [
            {"t_s": n / 10, "ego_pose": {"translation": [0, 0, 0], "rotation": [1, 0, 0, 0]},
             "boxes": [{"instance_token": "b", "category_name": "box", "translation": place,
                        "size": [0.2, 0.3, 0.4], "rotation": turn}]}
            for n, place in enumerate(places)
        ],
    }  # fmt: skip
    (folder / "cuboids.json").write_text(json.dumps(values))


def _read_cuboids(path: Path) -> object:
    from massannot.models.recorded.camera_files import RecordedCameras
    from massannot.models.recorded.cuboid_files import RecordedCuboids

    cuboids, cameras = RecordedCuboids(str(path)), RecordedCameras(str(path))
    for model in (cuboids, cameras):
        model.setup(device="cpu")
        assert model.names_videos in (True, False)
    return cuboids.cuboids(_frames()).centre.shape, cameras.estimate_cameras(_frames())


@cache
def _a_plan() -> Path:
    """Of files that are not there: planning says so, and goes on."""
    import tempfile

    from massannot.jobs.plan import make_plan
    from massannot.recipes.model_flags import ModelFlags, run_spec

    folder = Path(tempfile.mkdtemp(prefix="fuzz-plan-"))
    _write_manifest(folder / "m.jsonl")
    files = {"detect": "b.json", "masks": "m.json", "depth": "d.npz"}
    flags = ModelFlags(profile="none", files=files)
    make_plan(run_spec([str(folder / "m.jsonl")], ["a ball"], flags=flags), folder / "plan")
    return folder / "plan"


def _write_plan(folder: Path) -> None:
    shutil.copytree(_a_plan(), folder, dirs_exist_ok=True)


def _read_plan(path: Path) -> object:
    from massannot.jobs.plan import read_record
    from massannot.jobs.run import finished_plan
    from massannot.plan import folder as plan_folder
    from massannot.recipes.spec import RunSpec

    if path.suffix == ".json":
        finished_plan(path.parent)
        return RunSpec.from_json(read_record(path.parent).spec)
    shards = plan_folder.shard_table(path.parent)  # as it lies in an output folder, without digests
    return [plan_folder.read_shard(shard) for shard in shards], [
        *plan_folder.read_shards(path.parent)
    ]


def _write_dataset(folder: Path) -> None:
    from tests.unit.small_dataset import write_small_dataset

    write_small_dataset(folder)


def _read_dataset(path: Path) -> object:
    from massannot.dataset.reading import open_dataset
    from massannot.dataset.validate import problems

    folder = next(above for above in path.parents if (above / "_run").is_dir())
    dataset = open_dataset(folder)
    found = list(problems(dataset))
    for clip in dataset.clips():
        for name in (n for n in dataset.names if dataset.spec(n).of_clips):
            clip.table(name)
        _ = clip.tracks, clip.positions, clip.phrases
    return found


def _read_run(path: Path) -> object:
    from massannot.dataset import commits, plans
    from massannot.dataset.layout import Layout
    from massannot.dataset.record import required

    layout = Layout(next(above.parent for above in path.parents if above.name == "_run"))
    required(layout)
    plans.shard_table(layout)
    return list(commits.read_all(layout)), list(commits.damage(layout))


def _write_published(folder: Path) -> None:
    import tempfile

    from massannot.dataset.publish import publish
    from tests.unit.small_dataset import write_small_dataset

    with tempfile.TemporaryDirectory() as out:
        write_small_dataset(Path(out) / "out")
        publish(Path(out) / "out", folder / "published")


def _read_published(path: Path) -> object:
    from massannot.dataset.grounds import _calibration
    from massannot.dataset.reading import open_dataset
    from massannot.dataset.validate import problems

    dataset = open_dataset(path.parent)
    return list(problems(dataset)), _calibration(dataset.layout), dataset.clip_ids


def _write_reviews(folder: Path) -> None:
    from massannot.dataset.layout import Layout
    from massannot.dataset.reviews_of_run import ReviewFile

    (folder / "_run").mkdir()  # of a run; without it, of questions
    file = ReviewFile(Layout(folder), "ann")
    for n, decision in enumerate(("accept", "reject", "withdraw", "accept")):
        values = {"request": f"request-{n}", "clip_id": f"clip-{n}", "decision": decision}
        values |= {"reason": "wrong_thing"} if decision == "reject" else {}
        file.add(values, rows_hash="0" * 32, sample=None, stratum=None)


def _read_reviews(path: Path) -> object:
    from massannot.dataset.layout import Layout
    from massannot.dataset.reviews_of_run import all_decisions, standing

    return standing(all_decisions(Layout(path.parents[2])))


def _write_calibration(folder: Path) -> None:
    from massannot.recipes.calibrated import SHIPPED

    shutil.copy(SHIPPED / "oracle.json", folder)


def _read_calibration(path: Path) -> object:
    from massannot.recipes.calibrated import chosen_from

    return chosen_from(path, None).content.to_json()


def _write_weights(folder: Path) -> None:
    import torch
    from safetensors.torch import save_file

    state = {"a.weight": torch.zeros(3, 4), "b.bias": torch.ones(5, dtype=torch.float16)}
    save_file(state, folder / "w.safetensors")
    torch.save({"model": state}, folder / "w.pth")


def _read_weights(path: Path) -> object:
    from massannot.models.weights import read_state

    return {name: tensor.shape for name, tensor in read_state(path).items()}


def _write_questions(folder: Path) -> None:
    rows = [
        {
            "problem_id": n,
            "problem": f"Which ball is faster in film {n}?",
            "path": f"v{n}.mp4",
            "options": ["A. red", "B. blue"],
            "solution": "<answer>A</answer>",
            "problem_type": "multiple choice",
            "data_type": "video",
        }
        for n in range(4)
    ]
    (folder / "q.json").write_text(json.dumps(rows))


def _read_questions(path: Path) -> object:
    from massannot.questions.import_files import import_questions

    return len(import_questions([path], find_entities=True).reasons)


DOORS: dict[str, Door] = {
    "film mp4": _film("a.mp4"),
    "film hevc": _film("a.mkv", codec="libx265"),
    "film ts": _film("a.ts"),
    "film vp9": _film("a.webm", codec="libvpx-vp9"),
    "film mjpeg": _film("a.avi", codec="mjpeg", pixel_format="yuvj420p"),
    "manifest csv": _manifest("m.csv"),
    "manifest json": _manifest("m.json"),
    "manifest jsonl": _manifest("m.jsonl"),
    "manifest parquet": _manifest("m.parquet"),
    "list": Door(_write_list, "list.txt", _read_list),
    "tar": Door(_write_tar, "a.tar", _read_tar),
    "boxes and masks": Door(_write_objects, "b.json", _read_objects),
    "cvat": Door(_write_cvat, "c.xml", _read_objects),
    "rerun": Door(_write_recording, "r.rrd", _read_objects),
    "depth": Door(_write_depth, "d.npz", _read_depth),
    "tracks": Door(_write_tracks, "t.npz", _read_tracks),
    "cameras npz": Door(_write_cameras, "c.npz", _read_cameras),
    "cuboids": Door(_write_cuboids, "cuboids.json", _read_cuboids),
    "cameras json": Door(_write_json_cameras, "c.json", _read_cameras),
    "plan": Door(_write_plan, "*.*", _read_plan),
    "tables": Door(_write_dataset, "data/*/*.parquet", _read_dataset),
    "run folder": Door(_write_dataset, "_run/**/*.json", _read_run),
    "published": Door(_write_published, "published/massannot.json", _read_published),
    "reviews": Door(_write_reviews, "_run/reviews/*.jsonl", _read_reviews),
    "calibration": Door(_write_calibration, "*.json", _read_calibration),
    "weights": Door(_write_weights, "w.*", _read_weights),
    "questions": Door(_write_questions, "q.json", _read_questions),
}


def _raise(path: Path) -> None:
    raise KeyError("a bug")


def _lose_neighbour(folder: Path) -> None:
    raise AssertionError("gone")


TEETH: dict[str, Door] = {
    "hangs": Door(_write_list, "list.txt", lambda path: time.sleep(3600)),
    "crashes": Door(_write_list, "list.txt", lambda path: os.kill(os.getpid(), signal.SIGSEGV)),
    "raises": Door(_write_list, "list.txt", _raise),
    "is greedy": Door(_write_list, "list.txt", lambda path: np.ones(120 << 20)),
    "loses its neighbour": Door(_write_list, "list.txt", _read_list, _lose_neighbour),
}
"""What must be noticed: used by a test of the fuzzing alone."""
