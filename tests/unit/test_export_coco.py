"""What coco writes is YouTube-VIS to others, and an answer to `--boxes` and `--masks` to us."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from massannot.clip import Clip
from massannot.dataset.reading import open_dataset
from massannot.exporters import coco
from massannot.inputs.span import Span, VideoSource
from massannot.models.recorded.object_files import RecordedBoxes, RecordedMasks, RecordedObjects
from massannot.scenes.scene_record import SceneLibrary
from massannot.video.reader import read_clips
from massannot.video.sampling import Sampling
from tests.asked_scenes import write_world
from tests.unit.small_dataset import HEIGHT, N_FRAMES, WIDTH, mask_of, write_small_dataset


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> SceneLibrary:
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def path(world: SceneLibrary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scenes' truth as coco."""
    folder = tmp_path_factory.mktemp("coco")
    return coco.export(open_dataset(world.folder), folder).files[0]


def clip_of(world: SceneLibrary, seed: int, *, spans: tuple[Span, ...] = ()) -> Clip:
    film = str(world.folder / f"videos/scene-{seed}.mp4")
    clip = next(iter(read_clips(VideoSource(film, spans), sampling=Sampling(fps=None))))
    assert isinstance(clip, Clip)
    return clip


@pytest.mark.parametrize("seed", [3, 4])
def test_recorded_boxes_and_masks_read_back_the_dataset(
    world: SceneLibrary, path: Path, seed: int
) -> None:
    clip = clip_of(world, seed)
    view = open_dataset(world.folder).clip(clip.clip_id)
    boxes, masks = RecordedBoxes(str(path)), RecordedMasks(str(path))
    boxes.setup(device="cpu")
    masks.setup(device="cpu")
    entities = view.table("entities").to_pylist()
    rows = {(r["entity"], r["frame"]): r for r in view.table("masks").to_pylist()}
    for entity in entities:
        number, text = entity["entity"], view.phrases[entity["phrase"]]
        frame = entity["first_frame"]
        expected = [rows[number, frame][name] for name in ("x0", "y0", "x1", "y1")]
        found = boxes.detect(clip.frames, at=(frame,), phrases=(text,))
        assert expected in found.boxes_xyxy.tolist()
        session = masks.session(clip.frames)
        session.add_box(number, frame=frame, box_xyxy=np.array(expected, np.float32))
        for answer in session.propagate(first=0, end=len(clip)):
            assert np.array_equal(answer.masks[0], view.mask(number, frame=answer.frame))


def test_of_two_clips_of_a_video_the_one_with_the_asked_frames_answers(
    world: SceneLibrary, tmp_path: Path
) -> None:
    late = clip_of(world, 3, spans=(Span(0.25, 0.5),))
    found = json.loads(coco.export(open_dataset(world.folder), tmp_path).files[0].read_text())
    video = found["videos"][0]
    early = {**video, "id": 99, "length": 1, "pts": [-1], "t_s": [-1.0], "file_names": ["x/0.jpg"]}
    (tmp_path / "two.json").write_text(json.dumps({**found, "videos": [early, *found["videos"]]}))
    objects = RecordedObjects(str(tmp_path / "two.json"))
    objects.load()
    assert objects.of(late.frames).video.n_rows == 12


def test_a_file_has_what_youtube_vis_has(tmp_path: Path) -> None:
    layout = write_small_dataset(tmp_path / "out")
    dataset = open_dataset(layout.out)
    found = json.loads(coco.export(dataset, tmp_path / "coco").files[0].read_text())
    assert {category["id"]: category["name"] for category in found["categories"]} == {
        1: "ball",
        2: "hoop",
    }
    assert [video["id"] for video in found["videos"]] == [1, 2, 3]
    assert [a["id"] for a in found["annotations"]] == [1, 2, 3]
    for video, annotation in zip(found["videos"], found["annotations"], strict=True):
        assert (video["height"], video["width"], video["length"]) == (HEIGHT, WIDTH, N_FRAMES)
        assert len(video["file_names"]) == N_FRAMES
        assert annotation["video_id"] == video["id"]
        assert annotation["category_id"] == 1
        for name in ("segmentations", "bboxes", "areas"):
            assert len(annotation[name]) == N_FRAMES
        assert annotation["areas"] == [int(mask_of(video["clip_id"], f).sum()) for f in range(4)]
        assert annotation["segmentations"][0]["size"] == [HEIGHT, WIDTH]
