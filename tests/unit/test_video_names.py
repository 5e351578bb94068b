"""Which answer speaks of a video: by its name before its number in the file, by the user's id, and
by its path where names alone do not tell."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from massannot.clip import Frames
from massannot.errors import ModelFailed, UsageError
from massannot.jobs.plan import videos_of
from massannot.models.recorded.cuboid_files import RecordedCuboids
from massannot.models.recorded.depth_files import RecordedDepth
from massannot.models.recorded.object_files import RecordedMasks
from massannot.models.recorded.video_names import NamedAnswers, VideoName, file_for
from massannot.recipes.model_flags import ModelFlags, run_spec
from tests.faults.tiny_run import write_videos
from tests.unit.test_answers import HEIGHT, WIDTH, T, frames_at


def frames_of(uri: str, *, own_id: str | None = None) -> Frames:
    return replace(frames_at(source_id=own_id or Path(uri).stem), uri=uri)


def two_videos(*videos: dict[str, Any], path: Path) -> str:
    """A mask at y = 5 in the first, at y = 40 in the second."""
    content = {
        "videos": [{"width": WIDTH, "height": HEIGHT, "length": T, **video} for video in videos],
        "categories": [{"id": 1, "name": "box"}],
        "annotations": [
            {
                "id": number,
                "video_id": video["id"],
                "category_id": 1,
                "segmentations": [[[10, y, 26, y, 26, y + 16, 10, y + 16]]] * T,
            }
            for number, (video, y) in enumerate(zip(videos, (5, 40)))
        ],
    }
    path.write_text(json.dumps(content))
    return str(path)


def top_of(path: str, frames: Frames) -> int:
    model = RecordedMasks(path)
    model.setup(device="cpu")
    (thing,) = model.session(frames)._recorded.video.objects
    return int(thing.boxes[0][1])


@pytest.mark.parametrize("order", [1, -1])
def test_a_name_goes_before_the_number_of_another_entry(tmp_path: Path, order: int) -> None:
    videos = [{"id": 1, "name": "2"}, {"id": 2, "name": "1"}][::order]
    path = two_videos(*videos, path=tmp_path / "m.json")
    tops = {name: top_of(path, frames_of(f"{name}.mp4")) for name in "12"}
    assert tops == ({"2": 5, "1": 40} if order == 1 else {"1": 5, "2": 40})


def test_an_id_is_a_name_where_there_is_no_other(tmp_path: Path) -> None:
    path = two_videos({"id": 1}, {"id": "clip-17"}, path=tmp_path / "m.json")
    assert top_of(path, frames_of("1.mp4")) == 5
    assert top_of(path, frames_of("ball.mp4", own_id="clip-17")) == 40
    named = two_videos({"id": 1, "name": "2"}, {"id": 2, "name": "3"}, path=tmp_path / "n.json")
    with pytest.raises(ModelFailed, match="no video '1'; it has: 2, 3"):
        top_of(named, frames_of("1.mp4"))


def test_another_videos_number_is_no_name_of_this_one(tmp_path: Path) -> None:
    content = json.loads(
        Path(two_videos({"id": 1, "name": "0002"}, path=tmp_path / "m.json")).read_text()
    )
    content["annotations"] = content["annotations"][:1]
    path = tmp_path / "m.json"
    path.write_text(json.dumps(content))
    assert top_of(str(path), frames_of("cam/0002.mp4")) == 5
    with pytest.raises(ModelFailed, match="no video '0001'; it has: 0002"):
        top_of(str(path), frames_of("cam/0001.mp4"))


def test_videos_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    videos = {"id": 1, "name": "cam1/0001"}, {"id": 2, "file_name": "cam2/0001.mp4"}
    path = two_videos(*videos, path=tmp_path / "m.json")
    assert top_of(path, frames_of("/data/cam1/0001.mp4")) == 5
    assert top_of(path, frames_of("cam2/0001.mp4")) == 40
    with pytest.raises(ModelFailed, match=r"2 of its videos may be '0001' .*cam1/0001, cam2/0001"):
        top_of(path, frames_of("cam3/0001.mp4"))


def test_images_of_folders_of_one_name_are_two_videos(tmp_path: Path) -> None:
    images = [
        {"id": 10 * cam + t, "file_name": f"cam{cam}/0001/{t:06d}.jpg", "width": WIDTH,
         "height": HEIGHT}
        for cam in (1, 2) for t in range(T)
    ]  # fmt: skip
    content = {
        "images": images,
        "categories": [{"id": 1, "name": "box"}],
        "annotations": [
            {"id": i["id"], "image_id": i["id"], "category_id": 1, "track_id": 1,
             "bbox": [10, 5 if i["id"] < 20 else 40, 16, 16]}
            for i in images
        ],
    }  # fmt: skip
    (tmp_path / "b.json").write_text(json.dumps(content))
    assert top_of(str(tmp_path / "b.json"), frames_of("v/cam1/0001.mp4")) == 5
    assert top_of(str(tmp_path / "b.json"), frames_of("v/cam2/0001.mp4")) == 40


@pytest.mark.parametrize(
    ("uri", "own_id", "file"),
    [
        ("ball.mp4", "clip-17", "clip-17.npz"),
        ("ball.mp4", "clip-17", "ball.npz"),
        ("s3://bucket/cam2/0001.mp4", None, "cam2/0001.npz"),
        ("shards/a.tar#cam2/0001.mp4", "cam2/0001", "cam2/0001.npz"),
        ("../cam2/0001.mp4", None, "cam2/0001.npz"),
    ],
)
def test_a_folder_has_the_file_of_its_id_or_its_path(
    tmp_path: Path, uri: str, own_id: str | None, file: str
) -> None:
    (tmp_path / "cam2").mkdir()
    np.savez(tmp_path / file, depth=np.full((T, 8, 12), 2.0, np.float32))
    model = RecordedDepth(str(tmp_path))
    model.setup(device="cpu")
    assert model.estimate_depth(frames_of(uri, own_id=own_id)).values.max() == 2
    with pytest.raises(ModelFailed, match=r"nothing for video 'x'; expected x.npz or x.npy"):
        model.estimate_depth(frames_of("x.mp4"))


def test_the_longer_path_is_the_closer_one(tmp_path: Path) -> None:
    for name in ("0001", "cam1/0001"):
        (tmp_path / name).mkdir(parents=True)
    found = file_for(str(tmp_path), VideoName.at("/data/cam1/0001.mp4"), endings=(".npz",))
    assert found == tmp_path / "cam1/0001"
    other = file_for(str(tmp_path), VideoName.at("/data/cam2/0001.mp4"), endings=(".npz",))
    assert other == tmp_path / "0001"


def test_a_tar_is_a_folder_of_its_members() -> None:
    named = NamedAnswers([("a.tar/000",), ("b.tar/000",)])
    assert named.of(VideoName.at("s3://bucket/b.tar#000.mp4", own_id="000")) == [1]


def test_a_part_of_a_name_is_no_name() -> None:
    named = NamedAnswers([("0001",), ("10001", "x/0001.mp4"), ("clip", "cam1")])
    assert named.of(VideoName.at("x/0001.mp4")) == [1]
    assert named.of(VideoName.at("y/0001.mp4")) == [0, 1]
    assert named.of(VideoName.at("cam1/001.mp4", own_id="clip")) == [2]
    assert named.of(VideoName.at("cam1/01.mp4", own_id="lip")) == []


def test_cuboids_are_found_by_the_file_where_a_manifest_has_an_id(tmp_path: Path) -> None:
    sensor = {"translation": [0, 0, 0], "rotation": [1, 0, 0, 0],
              "camera_intrinsic": [[90, 0, 48], [0, 90, 32], [0, 0, 1]]}  # fmt: skip
    box = {"instance_token": "a", "category_name": "box", "translation": [0, 0, 5],
           "size": [1, 1, 1], "rotation": [1, 0, 0, 0]}  # fmt: skip
    video = {"name": "ball", "size": [WIDTH, HEIGHT], "boxes_in": "camera",
             "calibrated_sensor": sensor, "samples": [{"t_s": 0.3, "boxes": [box]}]}  # fmt: skip
    (tmp_path / "c.json").write_text(json.dumps(video))
    model = RecordedCuboids(str(tmp_path / "c.json"))
    model.setup(device="cpu")
    given = model.cuboids(frames_of("ball.mp4", own_id="clip-17"))
    assert np.isfinite(given.centre[0, :, 2]).nonzero()[0].tolist() == [3]


def named(folder: Path, kind: str, *names: str) -> str:
    """Answers of a kind, one under each of the names."""
    path = folder / f"{kind}.json"
    if kind == "masks":
        videos = [{"id": number, "name": name} for number, name in enumerate(names)]
        return two_videos(*videos, path=path)
    for name in names:
        (folder / kind / name).parent.mkdir(parents=True, exist_ok=True)
        np.savez(folder / kind / f"{name}.npz", depth=np.full((T, 8, 12), 2.0, np.float32))
    return str(folder / kind)


@pytest.mark.parametrize("kind", ["masks", "depth", "cameras", "tracks"])
def test_two_videos_do_not_share_an_answer_by_their_name(tmp_path: Path, kind: str) -> None:
    for camera in ("cam1", "cam2"):
        write_videos(tmp_path / "films" / camera, 1)

    def planned(*names: str) -> int:
        files = {kind: named(tmp_path, kind, *names)}
        flags = ModelFlags(profile="none", files=files)
        return len(videos_of(run_spec([str(tmp_path / "films")], ["box"], flags=flags)))

    assert planned("cam1/v000", "cam2/v000") == 2
    assert planned("cam3/v001", "v002") == 2  # of neither: their clips fail by name
    shutil.rmtree(tmp_path / kind, ignore_errors=True)
    with pytest.raises(
        UsageError,
        match=rf"--({kind}|boxes) .*cam1/v000.mp4 and .*cam2/v000.mp4 would both be answered by "
        ".*v000.*expected names with their folders, such as 'cam2/v000'",
    ):
        planned("v000")


def test_the_id_of_one_video_is_not_the_name_of_another(tmp_path: Path) -> None:
    write_videos(tmp_path / "films", 2)
    rows = tmp_path / "rows.csv"
    rows.write_text("video,id,entities\nfilms/v000.mp4,v001,box\n")
    flags = ModelFlags(profile="none", files={"depth": named(tmp_path, "depth", "v001")})
    spec = run_spec([str(rows), str(tmp_path / "films/v001.mp4")], ["box"], flags=flags)
    with pytest.raises(UsageError, match="would both be answered by"):
        videos_of(spec)
