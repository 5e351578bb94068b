"""What cvat writes is CVAT's to others, and an answer to `--boxes` and `--masks` to us."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from massannot.clip import Clip
from massannot.dataset.reading import open_dataset
from massannot.errors import UsageError
from massannot.exporters import cvat
from massannot.geometry import rle
from massannot.models.recorded.cvat_files import read_cvat
from tests.unit import odd_films
from tests.unit.odd_films import RATES


@pytest.fixture(params=sorted(RATES))
def annotated(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Clip, Path]:
    return odd_films.annotated(request.param, tmp_path)


def test_the_table_comes_back_equal(annotated: tuple[Clip, Path], tmp_path: Path) -> None:
    _, out = annotated
    dataset = open_dataset(out)
    cvat.export(dataset, tmp_path / "cvat")
    assert cvat.load(tmp_path / "cvat")["masks"].equals(dataset.table("masks"))


def test_a_track_ends_outside_one_frame_after_the_last_that_shows_it(
    annotated: tuple[Clip, Path], tmp_path: Path
) -> None:
    clip, out = annotated
    cvat.export(open_dataset(out), tmp_path / "cvat", options=cvat.CvatOptions(masks=False))
    root = ElementTree.parse(tmp_path / "cvat/film.xml").getroot()
    pts = json.loads((tmp_path / "cvat/film.frames.json").read_text())["pts"]
    assert int(root.findtext("meta/task/size") or 0) == len(pts) == 24
    (track,) = root.findall("track")
    flags = {int(s.get("frame", "")): s.get("outside") for s in track}
    numbers = [pts.index(t) for t in clip.frames.pts.tolist()]
    assert flags[numbers[0]] == "0"
    assert flags[numbers[0] + 1] == "1"
    assert all(shape.get("keyframe") == "1" for shape in track)


def test_boxes_between_key_frames_lie_on_the_straight_line(tmp_path: Path) -> None:
    path = written(tmp_path, boxes((0, 10, 0), (4, 18, 0), (6, 18, 1)))
    (thing,) = read_cvat(str(path)).video.objects
    assert {row: box[0] for row, box in thing.boxes.items()} == {
        0: 10, 1: 12, 2: 14, 3: 16, 4: 18, 5: 18
    }  # fmt: skip
    assert thing.is_known(8)
    assert thing.is_tracked


def boxes(*shapes: tuple[int, int, int]) -> str:
    return "".join(
        f'<box frame="{frame}" keyframe="1" outside="{outside}" occluded="0" xtl="{x}" ytl="5" '
        f'xbr="{x + 20}" ybr="25.5" z_order="0"/>'
        for frame, x, outside in shapes
    )


def mask(rle: str = "0, 3, 1, 4", width: str = "4") -> str:
    return (
        f'<mask frame="1" keyframe="1" outside="0" occluded="0" rle="{rle}" left="3" top="2" '
        f'width="{width}" height="2" z_order="0"/>'
    )


def written(folder: Path, shapes: str, *, meta: str = "") -> Path:
    path = folder / "annotations.xml"
    path.write_text(
        "<annotations><version>1.1</version><meta><task><size>10</size>"
        f"<original_size><width>64</width><height>48</height></original_size>{meta}"
        f'<source>ball.mp4</source></task></meta><track id="0" label="ball">{shapes}</track>'
        "</annotations>"
    )
    return path


def test_a_mask_runs_along_the_rows_of_its_own_box(tmp_path: Path) -> None:
    (thing,) = read_cvat(str(written(tmp_path, mask()))).video.objects
    expected = np.zeros((48, 64), np.bool_)
    expected[2, 3:6] = expected[3, 3:7] = True
    assert thing.masks == {1: rle.encode(expected)}
    assert not thing.is_tracked


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no XML": (lambda d: put(d, "no"), "not an XML file"),
    "another XML": (lambda d: put(d, "<annotation/>"), "found <annotation>, expected CVAT's"),
    "entities": (lambda d: put(d, "<!DOCTYPE a><annotations/>"), "document type"),
    "images": (
        lambda d: put(d, "<annotations><version>1.1</version><image/></annotations>"),
        "CVAT for video 1.1",
    ),
    "gone": (lambda d: d / "annotations.xml", "No such file or directory; expected an XML file"),
    "runs": (lambda d: written(d, mask("0, 9")), "rle of 9 pixels, expected 4 x 2 = 8"),
    "beyond": (lambda d: written(d, mask(width="70")), "beyond the picture of 64x48"),
    "empty": (lambda d: written(d, boxes((0, 9, 0)).replace('"25.5"', '"5"')), "is empty"),
    "late": (lambda d: written(d, boxes((10, 9, 0))), "frame 10 is not among the task's 0 to 9"),
    "twice": (lambda d: written(d, boxes((1, 9, 0), (1, 8, 0))), "frame 1 is there twice"),
    "turned": (
        lambda d: written(d, boxes((0, 9, 0)).replace("z_order", 'rotation="30" z_order')),
        "turned by 30 degrees",
    ),
    "nan": (lambda d: written(d, boxes((0, 9, 0)).replace('"9"', '"nan"')), "xtl 'nan'"),
}


def put(folder: Path, text: str) -> Path:
    (folder / "annotations.xml").write_text(text)
    return folder / "annotations.xml"


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_what_does_not_fit_is_refused_by_name(case: str, tmp_path: Path) -> None:
    make, message = REFUSED[case]
    path = make(tmp_path)
    with pytest.raises(UsageError, match=r"annotations\.xml") as caught:
        read_cvat(str(path))
    assert message in str(caught.value)
