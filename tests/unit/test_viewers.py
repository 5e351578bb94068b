"""Films, pages and profiles call the same thing by the same name, and leave out the same ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from massannot import tables
from massannot.questions.profile import entity_names
from massannot.viewers.clip_drawing import ClipDrawing
from massannot.viewers.clip_index import ClipIndex
from massannot.viewers.overlay import INK
from massannot.viewers.report import Heading, write_report
from massannot.viewers.summary import Facts, as_text
from massannot.viewers.top_view import TopView
from tests.unit.small_dataset import small_tables

CLIP = "clip-a"
QUALITIES = (0.9, 0.0, None)


@pytest.fixture
def table() -> Callable[[str], pa.Table]:
    """One clip with two balls and a hoop, of good, poor and unknown quality."""
    found = small_tables((CLIP,))
    (row,) = found["entities"].to_pylist()
    found["entities"] = tables.spec("entities").from_rows(
        [
            row | {"entity": n, "phrase": phrase, "quality": quality}
            for n, (phrase, quality) in enumerate(zip((0, 0, 1), QUALITIES, strict=True))
        ]
    )
    return lambda name: found.get(name, tables.spec(name).empty())


def test_a_film_names_things_as_the_profile_does(table: Callable[[str], pa.Table]) -> None:
    named = entity_names({name: table(name) for name in ("phrases", "entities")})
    assert named == {0: "ball 1", 1: "ball 2", 2: "hoop"}
    assert ClipDrawing(table).labels == named


@pytest.mark.parametrize(
    ("least", "shown"),
    [(None, ["ball 1", "ball 2", "hoop"]), (0.5, ["ball 1"]), (0.0, ["ball 1", "ball 2"])],
)
def test_a_page_leaves_out_what_is_of_lower_or_unknown_quality(
    table: Callable[[str], pa.Table], tmp_path: Path, least: float | None, shown: list[str]
) -> None:
    report_on(table, tmp_path, min_quality=least)
    page = data_of(tmp_path / "clips" / f"{CLIP}.html")
    assert [entity["name"] for entity in page["entities"]] == shown
    assert (page["left_out"] or "").startswith(f"{3 - len(shown)} below" * (len(shown) < 3))
    assert (page["left_out"] is None) == (len(shown) == 3)


def report_on(
    table: Callable[[str], pa.Table],
    folder: Path,
    *,
    of_clips: Callable[[str], pa.Table] | None = None,
    min_quality: float | None = None,
) -> Path:
    """Its index. `of_clips`: the rows of each clip, where they are others."""
    return write_report(
        ClipIndex.read(lambda name, columns: table(name).select(list(columns))),
        table("failures"),
        lambda _: lambda _: of_clips or table,
        folder,
        films=folder,
        heading=Heading("x"),
        min_quality=min_quality,
    )


def data_of(page: Path) -> dict[str, Any]:
    """What a page shows, as it stands in it."""
    text = page.read_text()
    start = text.index('id="data">') + len('id="data">')
    found: dict[str, Any] = json.loads(text[start : text.index("</script>", start)])
    return found


def page_of(
    table: Callable[[str], pa.Table], folder: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The data of the index and of the clip's page."""
    index = report_on(table, folder)
    return data_of(index), data_of(folder / "clips" / f"{CLIP}.html")


def with_rows(
    table: Callable[[str], pa.Table], name: str, rows: list[dict[str, Any]]
) -> Callable[[str], pa.Table]:
    changed = tables.spec(name).from_rows(rows) if rows else tables.spec(name).empty()
    return lambda wanted: changed if wanted == name else table(wanted)


def test_the_list_has_the_worst_known_quality_with_its_ground(
    table: Callable[[str], pa.Table], tmp_path: Path
) -> None:
    bases = ("calibrated", "internal", "none")
    rows = table("entities").to_pylist()
    rows = [row | {"quality_basis": basis} for row, basis in zip(rows, bases, strict=True)]
    index, page = page_of(with_rows(table, "entities", rows), tmp_path)
    known = [(0.9, "calibrated"), (0.0, "internal"), (None, "none")]
    assert [(e["quality"], e["basis"]) for e in page["entities"]] == known
    (card,) = index["clips"]
    assert (card["quality"], card["basis"], card["unknown"]) == (0.0, "internal", 1)


def test_clips_of_unknown_quality_come_before_the_worst_known(
    table: Callable[[str], pa.Table], tmp_path: Path
) -> None:
    clips, entities = (table(name).to_pylist() for name in ("clips", "entities"))
    clips = [row | {"clip_id": name} for row in clips for name in ("known", "unknown", "void")]
    entities = [
        entities[0] | {"clip_id": "known", "quality": 0.0, "quality_basis": "internal"},
        entities[0] | {"clip_id": "unknown", "quality": None, "quality_basis": "none"},
    ]
    whole = with_rows(with_rows(table, "clips", clips), "entities", entities)
    index = report_on(whole, tmp_path, of_clips=table)
    assert [card["id"] for card in data_of(index)["clips"]] == ["void", "unknown", "known"]


@pytest.mark.parametrize(
    ("basis", "bounds", "shown"),
    [
        ("calibrated", (0.5, 1.5), "0.50–1.50, calibrated"),
        ("internal", (0.5, 1.5), "0.50–1.50 or wider, internal"),
        ("none", (None, None), "unknown"),
    ],
)
def test_a_length_stands_beside_its_interval(
    table: Callable[[str], pa.Table],
    tmp_path: Path,
    basis: str,
    bounds: tuple[float | None, float | None],
    shown: str,
) -> None:
    ends = {f"{end}_{axis}": 1.0 for end in ("first", "last", "motion") for axis in "xyz"}
    low, high = bounds
    motion = {
        "clip_id": CLIP,
        "entity": 0,
        "segment": 0,
        "reference": "camera",
        "scale_type": "metric",
        **ends,
        "path": 1.0,
        "t0_s": 0.0,
        "t1_s": 1.0,
        "length": 1.0,
        "length_low_90": low,
        "length_high_90": high,
        "interval_basis": basis,
    }
    _, page = page_of(with_rows(table, "motions", [motion]), tmp_path)
    assert [(m["length"], m["interval"]) for m in page["motions"]] == [(1.0, shown)]


@pytest.mark.parametrize(
    ("world", "unknown"), [(None, True), (1.0, False)], ids=["no world", "a world"]
)
def test_a_page_and_a_film_say_where_the_world_is_unknown(
    table: Callable[[str], pa.Table], tmp_path: Path, world: float | None, unknown: bool
) -> None:
    rows = table("positions").to_pylist()
    places = dict.fromkeys(("x_world", "y_world", "z_world"), world)
    table = with_rows(table, "positions", [row | places for row in rows])
    _, page = page_of(table, tmp_path)
    assert any("The world is not known" in note for note in page["notes"]) is unknown
    view = ClipDrawing(table)._top
    assert ("world unknown" in view.title) is unknown
    assert np.isfinite(view.paths[0]).all()


def test_a_film_of_something_without_a_position_can_be_drawn(
    table: Callable[[str], pa.Table], tmp_path: Path
) -> None:
    nowhere = dict.fromkeys(("x_cam", "y_cam", "z_cam"))
    states = ("left", "lost", "hidden", "lost")
    rows = table("positions").to_pylist()
    rows = [row | nowhere | {"state": s} for row, s in zip(rows, states, strict=True)]
    table = with_rows(with_rows(table, "positions", rows), "masks", [])
    picture = np.zeros((6, 8, 3), np.uint8)
    drawing = ClipDrawing(table)
    assert drawing.frame(3, picture).shape[::-1][1:] == drawing.size
    _, page = page_of(table, tmp_path)
    assert page["entities"][0]["states"] == "1 hidden, 1 left, 2 lost"


@pytest.mark.parametrize(
    ("moving", "posed", "said"),
    [
        (0, 0, "camera: 3 clips still, 0 moving"),
        (2, 0, "3 clips still, 2 moving, motions are in the moving camera's frame where its"),
        (2, 2, "3 clips still, 2 moving, 2 moving clips with known poses, in the world's frame"),
    ],
)
def test_a_summary_says_in_whose_frame_motions_are(moving: int, posed: int, said: str) -> None:
    known = Facts(
        n_clips=3 + moving,
        n_frames=9,
        phrases=(),
        scale_types={"metric": 3 + moving},
        intrinsics_origins={},
        n_sized=0,
        n_static=3,
        n_moving=moving,
        n_moving_posed=posed,
        noise_floor=None,
        above_noise=0,
        n_motions=0,
        failures={},
    )
    text = as_text(known, out=Path("out"), models=(), notes=(), looks=())
    (line,) = (line for line in text.split("\n") if line.startswith("camera:"))
    assert said in line


def test_from_above_the_camera_is_drawn_where_it_went_and_looks() -> None:
    poses = np.tile(np.eye(4), (3, 1, 1))
    poses[:, 0, 3] = (0, 1, 2)
    poses[:, :3, :3] = [[0, 0, 1], [0, 1, 0], [-1, 0, 0]]  # it looks to the right
    things = {0: np.array([[2, 0, 4]] * 3, np.float32)}
    measured = {0: np.ones(3, np.bool_)}
    view = TopView(things, measured, "m", (200, 200), camera=poses)
    still = TopView(things, measured, "m", (200, 200), camera=poses[[0, 0, 0]])
    moved, stood = (np.argwhere((np.asarray(v.draw(2)) == INK).all(axis=-1)) for v in (view, still))
    scale, x_left, z_low = view._fit()
    x, y = (2 - x_left) * scale, 200 - (0 - z_low) * scale
    lens = moved[np.abs(moved - [y, x]).max(axis=1) <= 16]
    assert len(lens) > 10
    assert lens[:, 1].max() == pytest.approx(x + 14, abs=1)  # its picture lies at its right
    way = moved[(np.abs(moved[:, 0] - y) <= 1) & (moved[:, 1] < x - 3)]
    assert way[:, 1].min() == pytest.approx((0 - x_left) * scale, abs=1)
    assert len(stood) < len(moved)
