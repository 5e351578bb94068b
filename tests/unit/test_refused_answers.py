"""What no answer can be is refused by name: shares and millimetres, files of other kinds, values
that no camera and no box has. A sentence says what was found and what was expected."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from massannot.errors import UsageError
from massannot.models.recorded.camera_files import RecordedCameras
from massannot.models.recorded.cuboid_files import RecordedCuboids
from massannot.models.recorded.object_files import RecordedBoxes, RecordedMasks
from tests.unit.test_answers import HEIGHT, WIDTH, annotated, coco, frames_at, polygons, seen

CUBOIDS = {
    "size": [WIDTH, HEIGHT],
    "boxes_in": "camera",
    "calibrated_sensor": {
        "translation": [0, 0, 0],
        "rotation": [1, 0, 0, 0],
        "camera_intrinsic": [[90, 0, 47.5], [0, 90, 31.5], [0, 0, 1]],
    },
    "samples": [
        {
            "t_s": t / 10,
            "boxes": [
                {
                    "instance_token": "b",
                    "category_name": "box",
                    "translation": [0.1 * t, 0, 12.5],
                    "size": [0.3, 0.3, 0.3],
                    "rotation": [1, 0, 0, 0],
                }
            ],
        }
        for t in range(10)
    ],
}


def ready(model: Any) -> Any:
    model.setup(device="cpu")
    return model


def moved(change: Any) -> dict[str, Any]:
    """The film's masks as polygons, and no boxes."""
    content = polygons(coco())
    for annotation in content["annotations"]:
        del annotation["bbox"]
        xy = np.array(annotation["segmentation"][0], float).reshape(-1, 2)
        annotation["segmentation"] = [change(xy).ravel().tolist()]
    return content


def test_polygons_in_shares_of_the_picture_and_beside_it_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    for change, message in (
        (lambda xy: xy / [WIDTH, HEIGHT], r"annotations\[0\].*first pixel; expected pixels, not"),
        (lambda xy: xy - [-500, 0], r"annotations\[0\].*outside of the picture of 96x64"),
        (lambda xy: xy - [0, 300], r"annotations\[0\].*outside of the picture of 96x64"),
    ):
        path.write_text(json.dumps(moved(change)))
        with pytest.raises(UsageError, match=message):
            ready(RecordedMasks(str(path)))


def test_a_polygon_that_leaves_the_picture_is_kept(tmp_path: Path) -> None:
    clip = annotated(tmp_path, moved(lambda xy: xy - [20, 0]))
    assert seen(clip)[0][9] == 17.0
    assert sorted(seen(clip)[0]) == list(range(10))


def test_one_part_of_a_mask_may_lie_beside_the_picture(tmp_path: Path) -> None:
    content = moved(lambda xy: xy)
    for annotation in content["annotations"]:
        annotation["segmentation"].append([500, 0, 510, 0, 510, 9])
    assert sorted(seen(annotated(tmp_path, content))[0]) == list(range(10))


@pytest.mark.parametrize(("factor", "refused"), [(1, False), (30, False), (1000, True)])
def test_cuboids_in_millimetres_are_refused(tmp_path: Path, factor: int, refused: bool) -> None:
    content = json.loads(json.dumps(CUBOIDS))
    for sample in content["samples"]:
        for box in sample.get("boxes", ()):
            for key in ("translation", "size"):
                box[key] = [factor * value for value in box[key]]
    path = tmp_path / "c.json"
    path.write_text(json.dumps(content))
    if not refused:
        assert ready(RecordedCuboids(str(path))).cuboids(frames_at()).centre.size
        return
    with pytest.raises(UsageError, match=r"c\.json: the median distance .* m.*millimetres"):
        ready(RecordedCuboids(str(path)))


def test_whole_numbers_of_a_few_hundred_are_millimetres(tmp_path: Path) -> None:
    content = json.loads(json.dumps(CUBOIDS))
    for sample in content["samples"]:
        for box in sample.get("boxes", ()):
            box |= {"translation": [0, 0, 500], "size": [80, 80, 80], "rotation": [1, 0, 0, 0]}
    path = tmp_path / "c.json"
    path.write_text(json.dumps(content))
    with pytest.raises(
        UsageError, match="is 500 m, all of it whole numbers; are these millimetres"
    ):
        ready(RecordedCuboids(str(path)))


ROWS = "\n".join(f"{t + 1},1,{10 + 3 * t},20,16,16,1,-1,-1,-1" for t in range(10))
FORMATS = r"expected COCO .*, CVAT's XML for video \(\.xml\), Rerun's recordings \(\.rrd\)"
FILES: dict[str, tuple[bytes, str]] = {
    "mot.txt": (ROWS.encode(), rf"mot\.txt: not JSON: .*; {FORMATS}.* MOT's text"),
    "b.json.gz": (gzip.compress(b"{}"), rf"found a compressed file \(gunzip .*; {FORMATS}"),
    "b.json": (json.dumps(coco()).encode("utf-16"), rf"found UTF-16 \(iconv .*; {FORMATS}"),
    "latin.json": (b'{"images": "\xe9"}', rf"found no text in UTF-8; {FORMATS}"),
    "empty.json": (b"", rf"not JSON: .*; {FORMATS}"),
    "list.json": (b"[]", FORMATS),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_kind_names_the_kinds_that_are_read(tmp_path: Path, name: str) -> None:
    content, message = FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message):
        ready(RecordedBoxes(str(tmp_path / name)))


def test_cameras_say_what_was_found(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    for content, message in (
        ([{"intrinsics": [90, 90, 48, 32]}], r"c\.json: found a list, expected an object of"),
        (
            {"intrinsics": [[9, 9, 48, 32], [-90, 90, 48, 32]]},
            r"fx -90, fy 90 \(row 1\), expected",
        ),
        ({"intrinsics": [90, 90, 48]}, r"intrinsics \(3,\), expected fx fy cx cy as"),
        ({"intrinsics": [[90], [90, 4]]}, r"expected an object of arrays"),
    ):
        path.write_text(json.dumps(content))
        with pytest.raises(UsageError, match=message):
            ready(RecordedCameras(str(path))).estimate_cameras(frames_at())


def test_a_cuboids_size_is_shown_as_it_was_given(tmp_path: Path) -> None:
    content = json.loads(json.dumps(CUBOIDS))
    next(s for s in content["samples"])["boxes"][0]["size"] = [0.2, -0.5, 1]
    path = tmp_path / "c.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError, match=r"size \[0\.2, -0\.5, 1\], expected a positive width"):
        ready(RecordedCuboids(str(path)))
    for other in (b"\x1f\x8b\x08", b"{}"):
        path.write_bytes(other)
        with pytest.raises(UsageError, match="expected a JSON file whose object has samples"):
            ready(RecordedCuboids(str(path)))
