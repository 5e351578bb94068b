"""Exports of clips of which much is unknown: quality, world, positions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from massannot import exporters, tables
from massannot.dataset import commits
from massannot.dataset import record as run_record
from massannot.dataset.arrays import good_entities, lifted_tracks
from massannot.dataset.layout import Layout
from massannot.dataset.reading import Dataset, open_dataset
from massannot.exporters import csv, tapvid3d
from tests.unit.small_dataset import N_FRAMES, RECORD, small_tables, stage

Row = dict[str, Any]
CLIPS = ("clip-a", "clip-b", "clip-c")
QUALITIES = {"clip-a": (0.9, "calibrated"), "clip-b": (0.3, "internal"), "clip-c": (None, "none")}
STATES = ("left", "lost", "hidden", "lost")
COV = [0.5, 0.25, 0.0, 1.0, 0.125, 2.0]


def changed(name: str, row: Row) -> Row:
    """clip-a: a covariance; clip-c: nothing has a position; all with boxes and a question."""
    if name == "entities":
        quality, basis = QUALITIES[row["clip_id"]]
        return {"quality": quality, "quality_basis": basis}
    if name == "masks":
        return {"x0": 0.0, "y0": 0.0, "x1": 2.0, "y1": 2.0}
    if name == "positions" and row["clip_id"] == "clip-a":
        return {"cov": COV, "interval_basis": "calibrated"}
    if name == "positions" and row["clip_id"] == "clip-c":
        nowhere = dict.fromkeys(("x_cam", "y_cam", "z_cam"))
        return {"state": STATES[row["frame"]], **nowhere}
    if name == "tracks_xyz" and row["clip_id"] == "clip-c":
        nothing: Row = dict.fromkeys("xyz", [None] * N_FRAMES)
        return {**nothing, "state": ["absent"] * N_FRAMES}
    if name == "clips":
        return {"camera_static": row["clip_id"] != "clip-b"}
    if name == "phrases":
        return {"question_id": "q"}
    return {}


def camera(clip_id: str, frame: int) -> Row:
    return {
        "clip_id": clip_id,
        "frame": frame,
        "fx": 8.0,
        "fy": 8.0,
        "cx": 4.0,
        "cy": 3.0,
        "cam_from_world": np.eye(4).ravel().tolist(),
        "intrinsics_origin": "assumed",
        "pose_origin": "assumed",
    }


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    layout = Layout(tmp_path_factory.mktemp("unknown") / "out")
    run_record.begin(layout, RECORD)
    found = {
        name: tables.spec(name).from_rows([row | changed(name, row) for row in table.to_pylist()])
        if table.num_rows
        else table
        for name, table in small_tables(CLIPS).items()
    }
    cameras = [camera(clip_id, frame) for clip_id in CLIPS for frame in range(N_FRAMES)]
    found["cameras"] = tables.spec("cameras").from_rows(cameras)
    segments = [
        {"clip_id": clip_id, "segment": 0, "first_frame": 0, "end_frame": N_FRAMES, "kind": "fixed"}
        for clip_id in CLIPS
    ]
    found["segments"] = tables.spec("segments").from_rows(segments)
    question = {"question_id": "q", "question": "What?", "clip_ids": list(CLIPS), "uri": "v.mp4"}
    found["questions"] = tables.spec("questions").from_rows([question])
    staged = stage(layout, "000000", layout.new_attempt("000000"), found)
    assert commits.put(layout, staged)
    commits.publish(layout, staged)
    return open_dataset(layout.out)


NAMES = ("csv", "coco", "mass-bench", "tapvid3d")


@pytest.mark.parametrize("name", NAMES)
def test_positions_that_are_nowhere_are_exported_as_unknown(
    name: str, dataset: Dataset, tmp_path: Path
) -> None:
    exporter = exporters.exporter(name)
    exporter.export(dataset, tmp_path)
    found = exporter.load(tmp_path)
    for table in ("positions", "entities"):
        if table in found:
            assert found[table].equals(dataset.table(table))


@pytest.mark.parametrize("name", NAMES)
def test_unknown_quality_is_not_good_and_the_export_says_so(
    name: str, dataset: Dataset, tmp_path: Path
) -> None:
    exporter = exporters.exporter(name)
    options = exporter.OPTIONS(min_quality=0.5)
    notes = exporter.export(dataset, tmp_path, options=options).notes
    assert notes[:2] == (
        "--min-quality 0.5: 2 of 3 entities left out, 1 of lower and 1 of unknown quality",
        (
            "--min-quality 0.5: the quality of 1 of 3 entities is not calibrated: it ranks, but is "
            "no probability"
        ),
    )
    rows = [t for t in exporter.load(tmp_path).values() if "entity" in t.column_names]
    assert {clip_id for t in rows for clip_id in t["clip_id"].to_pylist()} == {"clip-a"}


def test_without_a_least_quality_nothing_is_said_about_it(dataset: Dataset) -> None:
    assert exporters.quality_notes(dataset, csv.OPTIONS()) == ()


def test_a_spreadsheet_has_the_covariance_in_six_cells(dataset: Dataset, tmp_path: Path) -> None:
    files = csv.export(dataset, tmp_path).files
    head, first, *_ = files[0].read_text().splitlines()
    terms = ("xx", "xy", "xz", "yy", "yz", "zz")
    assert head.split(",")[-6:] == [f"cov_{term}" for term in terms]
    assert [float(cell) for cell in first.split(",")[-6:]] == COV
    assert files[2].read_text().splitlines()[1].split(",")[-6:] == [""] * 6


@pytest.mark.parametrize(("clip_id", "known"), [("clip-a", True), ("clip-b", False)])
def test_assumed_poses_of_a_camera_that_moves_are_no_extrinsics(
    clip_id: str, known: bool, dataset: Dataset, tmp_path: Path
) -> None:
    view = dataset.clip(clip_id)
    tracks = lifted_tracks(view, entities=good_entities(view, min_quality=None))
    assert tracks is not None
    assert tracks.world_known is known
    written = tapvid3d.export(dataset, tmp_path)
    assert (tapvid3d.read(tmp_path / f"{clip_id}.npz").extrinsics_w2c is not None) is known
    assert any(clip_id in note for note in written.notes) is not known
