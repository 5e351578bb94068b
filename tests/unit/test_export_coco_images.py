"""What coco-images writes loads in pycocotools, and comes back by `--boxes` and `--masks`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from massannot.dataset.reading import Dataset, open_dataset
from massannot.errors import UsageError
from massannot.exporters import coco_images
from massannot.models.recorded.object_files import RecordedBoxes, RecordedMasks
from tests.asked_scenes import write_world
from tests.unit.test_export_coco import clip_of


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return open_dataset(write_world(tmp_path_factory.mktemp("world")).folder)


@pytest.fixture(scope="module")
def path(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return coco_images.export(dataset, tmp_path_factory.mktemp("coco")).files[0]


def test_pycocotools_reads_the_same_masks_and_boxes(dataset: Dataset, path: Path) -> None:
    pycocotools = pytest.importorskip("pycocotools.coco")
    coco = pycocotools.COCO(str(path))
    clip_of_video = {video["id"]: video["clip_id"] for video in coco.dataset["videos"]}
    entity_of = {thing["id"]: thing["entity"] for thing in coco.dataset["things"]}
    n_seen = 0
    for annotation in coco.loadAnns(coco.getAnnIds()):
        (image,) = coco.loadImgs(annotation["image_id"])
        view = dataset.clip(clip_of_video[image["video_id"]])
        entity, frame = entity_of[annotation["track_id"]], image["frame_index"]
        mask = view.mask(entity, frame=frame)
        assert np.array_equal(coco.annToMask(annotation).astype(bool), mask)
        y, x = np.nonzero(mask)
        box = [x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1]
        assert annotation["bbox"] == box
        (category,) = coco.loadCats(annotation["category_id"])
        phrase = view.table("entities").to_pylist()[entity]["phrase"]
        assert category["name"] == view.phrases[phrase]
        n_seen += 1
    rows = [row for view in dataset.clips() for row in view.table("masks").to_pylist()]
    assert n_seen == sum(row["area"] > 0 for row in rows)


@pytest.mark.parametrize("seed", [3, 4])
def test_given_answers_are_what_was_exported(dataset: Dataset, path: Path, seed: int) -> None:
    from massannot.scenes.scene_record import SceneLibrary

    clip = clip_of(SceneLibrary(dataset.layout.out), seed)
    view = dataset.clip(clip.clip_id)
    boxes, masks = RecordedBoxes(str(path)), RecordedMasks(str(path))
    boxes.setup(device="cpu")
    masks.setup(device="cpu")
    rows = {(r["entity"], r["frame"]): r for r in view.table("masks").to_pylist()}
    for entity in view.table("entities").to_pylist():
        number, frame = entity["entity"], entity["first_frame"]
        expected = [rows[number, frame][name] for name in ("x0", "y0", "x1", "y1")]
        found = boxes.detect(clip.frames, at=(frame,), phrases=(view.phrases[entity["phrase"]],))
        assert expected in found.boxes_xyxy.tolist()
        session = masks.session(clip.frames)
        session.add_box(number, frame=frame, box_xyxy=np.array(expected, np.float32))
        for answer in session.propagate(first=0, end=len(clip)):
            row = rows.get((number, answer.frame))
            assert session.is_known(number, frame=answer.frame) == (row is not None)
            assert np.array_equal(answer.masks[0], view.mask(number, frame=answer.frame))
            assert answer.score[0] == (row["score"] if row else 0)


def test_states_of_another_length_are_refused(path: Path, tmp_path: Path) -> None:
    content = json.loads(path.read_text())
    content["things"][0]["states"].pop()
    (tmp_path / "cut.json").write_text(json.dumps(content))
    model = RecordedMasks(str(tmp_path / "cut.json"))
    with pytest.raises(UsageError, match=r"things\[0\] \(id 1\): states has 11 items, expected 12"):
        model.setup(device="cpu")
