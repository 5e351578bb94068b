"""A dataset that version 0.1.0 wrote is read by this version: tests/data/README.md says how it was
made. Only the command line and the package's own names are used, as its readers do."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

import massannot
from tests.in_process import run_massannot

WRITTEN = Path(__file__).parents[1] / "data" / "v0_1_0"
ROWS = {
    "cameras": 16,
    "clips": 2,
    "depth_maps": 16,
    "detections": 11,
    "entities": 6,
    "failures": 1,
    "frames": 16,
    "masks": 48,
    "motions": 12,
    "phrases": 7,
    "positions": 48,
    "questions": 3,
    "segments": 2,
    "tracks_xy": 502,
    "tracks_xyz": 502,
    "videos": 2,
}
ANNOTATE = (
    "annotate questions.jsonl -o v0_1_0 --profile none --scenes scenes --fps all --no-films "
    "--oracle detect,masks,depth,tracks,cameras --max-failed 1"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a copy of the dataset, as v0_1_0."""
    shutil.copytree(WRITTEN, tmp_path / "v0_1_0")
    return tmp_path


def test_every_table_is_read_with_all_its_rows() -> None:
    dataset = massannot.open_dataset(WRITTEN)
    assert {name: dataset.table(name).num_rows for name in dataset.names} == ROWS


def test_what_was_asked_and_what_failed_is_still_said() -> None:
    dataset = massannot.open_dataset(WRITTEN)
    questions = {row["question_id"]: row for row in dataset.table("questions").to_pylist()}
    assert {name: (row["answer"], row["uri"]) for name, row in questions.items()} == {
        "moves": ("no", "videos/scene-0.mp4"),
        "count": ("3", "videos/scene-1.mp4"),
        "none": ("no", "videos/broken.mp4"),
    }
    (failure,) = dataset.table("failures").to_pylist()
    assert (failure["uri"], failure["class"]) == ("videos/broken.mp4", "no_frames")


def test_nothing_is_wrong_with_it(folder: Path) -> None:
    assert "16 tables, nothing wrong" in run_massannot("validate v0_1_0", folder)


def test_its_run_is_over(folder: Path) -> None:
    standing = run_massannot("status v0_1_0", folder)
    assert "3 clips planned = 2 done + 1 failed + 0 quarantined + 0 remaining" in standing


def test_a_report_shows_its_clips_without_their_films(folder: Path) -> None:
    run_massannot("report v0_1_0", folder)
    page = (folder / "v0_1_0" / "report" / "index.html").read_text()
    assert "scene-0" in page
    assert "scene-1" in page
    assert "no_frames" in page


def test_csv_has_a_row_for_every_position(folder: Path) -> None:
    run_massannot("export csv v0_1_0 written", folder)
    rows = [row for path in (folder / "written").glob("*.csv") for row in csv.reader(path.open())]
    files = len(massannot.open_dataset(WRITTEN).clip_ids)
    assert len(rows) - files == ROWS["positions"]


def test_coco_has_every_clip_and_entity(folder: Path) -> None:
    run_massannot("export coco v0_1_0 written", folder)
    written = json.loads((folder / "written" / "annotations.json").read_text())
    assert len(written["videos"]) == ROWS["clips"]
    assert len(written["annotations"]) == ROWS["entities"]


def test_it_is_published_row_for_row(folder: Path) -> None:
    run_massannot("publish v0_1_0 published", folder)
    published, written = (massannot.open_dataset(out) for out in (folder / "published", WRITTEN))
    assert published.names == written.names
    for name in written.names:
        found, known = published.table(name), written.table(name)
        if name == "videos":  # publishing alone says on which side a video is
            found, known = found.drop("split"), known.drop("split")
        assert found.equals(known), name


def test_continuing_it_is_refused_in_one_sentence(folder: Path) -> None:
    size = "--seed 0 --count 1 --frames 8 --width 64 --height 48"
    run_massannot(f"scenes render scenes {size}", folder)
    shutil.copytree(folder / "scenes" / "videos", folder / "videos")
    asked = {"id": "moves", "video": "videos/scene-0.mp4", "entities": ["a cyan box"]}
    (folder / "questions.jsonl").write_text(json.dumps(asked) + "\n")
    (sentence,) = run_massannot(ANNOTATE, folder, code=2).strip().splitlines()
    assert "0.1.0" in sentence
    assert "another output folder" in sentence
