"""Films, pages and profiles call the same thing by the same name, and leave out the same ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from massannot import tables
from massannot.questions.profile import entity_names
from massannot.viewers.clip_drawing import ClipDrawing
from massannot.viewers.report import Heading, write_report
from massannot.viewers.summary import Facts, as_text
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
    write_report(
        table, lambda _: table, tmp_path, films=tmp_path, heading=Heading("x"), min_quality=least
    )
    page = (tmp_path / "clips" / f"{CLIP}.html").read_text()
    assert [name for name in ("ball 1", "ball 2", "hoop") if name in page] == shown
    assert (f"{3 - len(shown)} below quality" in page) == (len(shown) < 3)


@pytest.mark.parametrize(
    ("moving", "posed", "said"),
    [
        (0, 0, "camera: 3 clips still, 0 moving"),
        (2, 0, "3 clips still, 2 moving, motions are in the moving camera's frame (--cameras"),
        (2, 2, "3 clips still, 2 moving, 2 moving clips with given poses, in the world's frame"),
    ],
)
def test_a_summary_says_in_whose_frame_motions_are(moving: int, posed: int, said: str) -> None:
    known = Facts(
        n_clips=3 + moving,
        n_frames=9,
        phrases=(),
        scale_types={"metric": 3 + moving},
        intrinsics_origins={},
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
