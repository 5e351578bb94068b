"""Summary and card say on which ground intervals and qualities stand."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from massannot import tables
from massannot.dataset import commits
from massannot.dataset import record as run_record
from massannot.dataset.card import write_card
from massannot.dataset.grounds import Grounds, grounds_of
from massannot.dataset.layout import Layout
from massannot.dataset.publish import publish
from massannot.dataset.reading import Dataset
from massannot.viewers import summary
from tests.unit.small_dataset import RECORD, small_tables, stage

Row = dict[str, Any]
CALIBRATED = {
    "recipe": "small",
    "stages": [
        {
            "stage": "state_intervals",
            "calibration": {"is": "ChosenCalibration", "name": "kitchen", "sha256": "ab" * 32},
        }
    ],
}
WIDE = {f"{axis}_half_90": half for axis, half in zip("xyz", (0.01, 0.02, 0.3), strict=True)}


def write(
    folder: Path,
    change: Callable[[str, Row], Row],
    recipe: Row = CALIBRATED,
    motions: Sequence[Row] = (),
) -> Dataset:
    """The small dataset of three clips, its positions and entities changed, with these motions."""
    layout = Layout(folder)
    run_record.begin(layout, replace(RECORD, recipe=recipe))
    found = small_tables(("clip-a", "clip-b", "clip-c"))
    for name in ("positions", "entities"):
        rows = [{**row, **change(name, row)} for row in found[name].to_pylist()]
        found[name] = tables.spec(name).from_rows(rows)
    found["motions"] = tables.spec("motions").from_rows(motions)
    staged = stage(layout, "000000", layout.new_attempt("000000"), found)
    assert commits.put(layout, staged)
    commits.publish(layout, staged)
    write_card(layout)
    return Dataset(layout)


def calibrated(name: str, row: Row) -> Row:
    if name == "entities":
        return {"quality": 0.75, "quality_basis": "calibrated"}
    return {**WIDE, "interval_basis": "calibrated", "x_world": 0.0, "y_world": 0.0, "z_world": 1.0}


def one_of_each(name: str, row: Row) -> Row:
    """clip-a calibrated, clip-b internal and without a world, clip-c not placed at all."""
    if row["clip_id"] == "clip-a":
        return calibrated(name, row)
    if name == "entities":
        internal = {"quality": 0.25, "quality_basis": "internal"}
        return internal if row["clip_id"] == "clip-b" else {"quality_basis": "none"}
    if row["clip_id"] == "clip-b":
        hidden = {"state": "hidden", **dict.fromkeys(("x_cam", "y_cam", "z_cam"))}
        return {"interval_basis": "internal"} if row["frame"] else hidden
    states = ("left", "lost", "hidden", "lost")
    nowhere = dict.fromkeys(("x_cam", "y_cam", "z_cam"))
    return {"state": states[row["frame"]], **nowhere}


def nothing_known(name: str, row: Row) -> Row:
    return {}


@pytest.fixture
def mixed(tmp_path: Path) -> Dataset:
    return write(tmp_path / "out", one_of_each)


def test_clips_and_entities_are_counted_by_their_ground(mixed: Dataset) -> None:
    found = grounds_of(mixed)
    assert (found.calibration, found.sha256) == ("kitchen", "ab" * 32)
    assert found.clips == {"calibrated": 1, "internal": 1}
    assert found.qualities == {"calibrated": 1, "internal": 1, "none": 1}
    assert found.unseen == {"hidden": 2, "left": 1, "lost": 1, "placed nowhere": 1}
    assert found.half_90 == pytest.approx((0.01, 0.02, 0.3))
    assert (found.n_entities, found.no_world, found.read) == (3, 1, (1, 1))


def test_the_lines_name_calibration_widths_and_what_is_unknown(mixed: Dataset) -> None:
    assert grounds_of(mixed).lines == (
        (
            "intervals: calibrated by kitchen (1 clip); internal: a lower bound, no probability "
            "(1 clip); 90 % of a position, median: ±0.01 ±0.02 ±0.3 m (x y z)"
        ),
        (
            "quality: calibrated: a probability (1 of 3); internal: a rank, no probability "
            "(1 of 3); unknown (1 of 3)"
        ),
        (
            "not seen in some frames: of 3 entities 2 hidden, 1 out of the picture, 1 lost; "
            "1 without a position in any frame"
        ),
        "world: not known for 1 clip, whose camera moved, or may have, and whose poses are assumed",
    )


def test_nothing_known_is_said_to_be_none_and_unknown(tmp_path: Path) -> None:
    lines = grounds_of(write(tmp_path / "out", nothing_known, {"recipe": "small"})).lines
    assert lines[:2] == ("intervals: none (3 clips)", "quality: unknown (3 of 3)")


def test_a_dataset_without_rows_says_nothing() -> None:
    assert Grounds().lines == ()


def test_the_summary_has_the_lines(mixed: Dataset) -> None:
    known = summary.facts(mixed)
    text = summary.as_text(known, out=Path("out"), models=(), notes=(), looks=())
    assert all(line in text.splitlines() for line in grounds_of(mixed).lines)
    assert json.loads(json.dumps(known.as_json()))["grounds"]["clips"]["internal"] == 1


def motion(clip_id: str, reference: str, above_noise: bool | None, half: float) -> Row:
    numbers = [f"{name}_{axis}" for name in ("first", "last", "motion") for axis in "xyz"]
    return {"clip_id": clip_id, "entity": 0, "segment": 0, "reference": reference,
            "scale_type": "metric", **dict.fromkeys(numbers, 0.0), "path": 1.0, "t0_s": 0.0,
            "t1_s": 1.0, "above_noise": above_noise, "length_low_90": 1.0 - half,
            "length_high_90": 1.0 + half}  # fmt: skip


def test_motions_of_a_moving_camera_are_counted_in_the_world(tmp_path: Path) -> None:
    """In such a camera's frame no noise is known, and everything moves."""
    motions = [
        motion("clip-a", "camera", None, 0.5),
        motion("clip-a", "world", True, 0.02),
        motion("clip-b", "camera", False, 0.06),
    ]
    known = summary.facts(write(tmp_path / "out", one_of_each, motions=motions))
    assert (known.above_noise, known.n_motions) == (1, 2)
    assert known.grounds.length_half_90 == pytest.approx(0.04, abs=1e-6)


def test_the_card_has_the_lines_and_the_calibrations_hash(mixed: Dataset) -> None:
    card = mixed.layout.card.read_text().splitlines()
    assert all(f"* {line}" in card for line in grounds_of(mixed).lines)
    assert f"* calibration: `kitchen`, sha256 {'ab' * 32}" in card


def test_a_published_card_says_the_same(mixed: Dataset, tmp_path: Path) -> None:
    dest = publish(mixed.layout.out, tmp_path / "published", partial=True).dest
    card = (dest / "README.md").read_text().splitlines()
    assert all(f"* {line}" in card for line in grounds_of(mixed).lines)
    assert grounds_of(Dataset(Layout(dest))) == grounds_of(mixed)


def test_a_file_that_cannot_be_read_does_not_stop_the_card(mixed: Dataset) -> None:
    (path,) = mixed.files("positions")
    path.unlink()
    path.write_bytes(b"no Parquet")
    assert grounds_of(mixed).clips == {}
