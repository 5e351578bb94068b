"""What cvat writes is CVAT's to others, and an answer to `--boxes` and `--masks` to us."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest

from massannot import tables
from massannot.clip import Clip
from massannot.dataset.reading import open_dataset
from massannot.errors import UsageError
from massannot.exporters import cvat
from massannot.geometry import rle
from massannot.inputs.span import VideoSource
from massannot.models.recorded.cvat_files import read_cvat
from massannot.models.recorded.object_files import RecordedBoxes, RecordedMasks
from massannot.storage.parquet import write_parquet
from massannot.video.reader import read_clips
from massannot.video.sampling import Sampling
from tests.unit.make_videos import Film
from tests.unit.reader_films import VARIABLE, WITH_B

H, W = 96, 160
RATES = {
    "29.97": Film(n=24, options=WITH_B, rate=Fraction(30000, 1001), height=H, width=W),
    "23.976": Film(n=24, options=WITH_B, rate=Fraction(24000, 1001), height=H, width=W),
    "variable": Film(
        n=24, options=WITH_B, time_base=Fraction(1, 1000), pts=VARIABLE[:24], height=H, width=W
    ),
}


def box_at(frame: int) -> tuple[int, int, int, int]:
    return 10 + 7 * frame, 20 + frame, 34 + 7 * frame, 44 + frame


def mask_at(frame: int) -> np.ndarray:
    x0, y0, x1, y1 = box_at(frame)
    mask = np.zeros((H, W), np.bool_)
    mask[y0:y1, x0:x1] = True
    mask[y0 + 2, x0] = mask[y0 : y0 + 3, x1 - 1] = False
    return mask


def clips_table(clip: Clip) -> pa.Table:
    frames = clip.frames
    row = {
        "clip_id": clip.clip_id, "video_id": frames.video_id, "uri": clip.video.uri,
        "clip_index": 0, "first_pts": int(frames.pts[0]), "end_pts": int(frames.pts[-1]) + 1,
        "time_base_num": frames.time_base.numerator,
        "time_base_den": frames.time_base.denominator,
        "t0_s": float(frames.t_s[0]), "t1_s": float(frames.t_s[-1]), "sampling": "10",
        "n_frames": len(clip), "source_width": W, "source_height": H, "working_width": W,
        "working_height": H, "scale_type": "metric", "micro_batch": 0, "damaged": False,
    }  # fmt: skip
    return tables.spec("clips").from_rows([row])


STATES = ("visible", None, "occluded", "absent", "visible", "visible")
"""Of each annotated frame; None: nothing is said. Frames after these have the last."""


def state_at(frame: int) -> str | None:
    return STATES[min(frame, len(STATES) - 1)]


@pytest.fixture(params=sorted(RATES))
def annotated(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Clip, Path]:
    """A clip of a film, and a dataset that says what `box_at` and `state_at` say of it."""
    film = RATES[request.param].write(tmp_path / "film.mp4")
    clip = next(iter(read_clips(VideoSource(str(film)), sampling=Sampling(fps=10, shots=None))))
    assert isinstance(clip, Clip)
    n = len(clip)
    rows = []
    for frame in range(n):
        state = state_at(frame)
        if state is None:
            continue
        seen = state == "visible"
        box = box_at(frame) if seen else (None,) * 4
        mask = mask_at(frame) if seen else np.zeros((H, W), np.bool_)
        rows.append(
            {"clip_id": clip.clip_id, "entity": 0, "frame": frame, "height": H, "width": W,
             "counts": rle.encode(mask), "area": int(mask.sum()), "state": state,
             **dict(zip(("x0", "y0", "x1", "y1"), box)),
             "score": 0.125 if state == "absent" else 0.75, "origin": "propagated"}
        )  # fmt: skip
    key = {"clip_id": clip.clip_id}
    found = {
        "clips": clips_table(clip),
        "frames": clip.table("frames"),
        "phrases": tables.spec("phrases").from_rows(
            [{**key, "phrase": 0, "text": "a ball", "origin": "prompt", "n_entities": 1}]
        ),
        "entities": tables.spec("entities").from_rows(
            [{**key, "entity": 0, "phrase": 0, "first_frame": 0, "last_frame": n - 1, "score": 0.5}]
        ),
        "masks": tables.spec("masks").from_rows(rows),
    }
    for name, table in found.items():
        write_parquet(tmp_path / f"out/data/{name}/0.parquet", [table], spec=tables.spec(name))
    return clip, tmp_path / "out"


def test_boxes_masks_and_states_come_back_on_films_of_odd_rates(
    annotated: tuple[Clip, Path], tmp_path: Path
) -> None:
    clip, out = annotated
    written = cvat.export(open_dataset(out), tmp_path / "cvat")
    assert written.left_out == ()
    path = str(tmp_path / "cvat/film.xml")
    boxes, masks = RecordedBoxes(path), RecordedMasks(path)
    boxes.setup(device="cpu")
    masks.setup(device="cpu")
    seen = [f for f in range(len(clip)) if state_at(f) == "visible"]
    assert boxes.frames_named(clip.frames) == seen
    found = boxes.detect(clip.frames, at=range(len(clip)), phrases=("a ball",))
    assert found.frame.tolist() == seen
    assert np.abs(found.boxes_xyxy - [box_at(f) for f in seen]).max() < 1e-6
    assert (found.track == found.track[0]).all()
    session = masks.session(clip.frames)
    session.add_box(0, frame=0, box_xyxy=np.array(box_at(0), np.float32))
    for answer in session.propagate(first=0, end=len(clip)):
        state = state_at(answer.frame)
        expected = mask_at(answer.frame) if state == "visible" else np.zeros((H, W), np.bool_)
        assert np.array_equal(answer.masks[0], expected)
        assert session.is_known(0, frame=answer.frame) == (state is not None)
        belief = {"visible": 0.75, "occluded": 0.75, "absent": 0.0, None: 0.0}[state]
        assert answer.score[0] == belief


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
