"""Calibrations from end to end: the commands of docs/calibration.md, and what they leave behind.

The scenes answer for themselves, with depth that flickers: errors are known and not zero.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from massannot.dataset.reading import open_dataset
from massannot.evaluate.known_truth import true_clips, truth_at

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "calibration.md").read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.S) for line in block.splitlines()
]
N_SCENES = 22
STATED = ("positions", "motions", "entities", "clips")
KEY = ("clip_id", "entity", "frame", "segment", "reference")


def run(folder: Path, command: str, *, code: int = 0) -> tuple[str, str]:
    """stdout and stderr of a line of bash."""
    # A function: the command as it is installed may be another version's.
    program = f'massannot() {{ "{sys.executable}" -m massannot "$@"; }}\n'
    done = subprocess.run(
        ["bash", "-c", program + command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout, done.stderr


def line(beginning: str) -> str:
    """The page's command that begins so."""
    (found,) = (command for command in COMMANDS if command.startswith(beginning))
    return found


ANNOTATE = line('massannot annotate scenes/videos -p "$(')


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's commands have run there, on fewer scenes."""
    folder = tmp_path_factory.mktemp("calibration")
    for command in COMMANDS:
        run(folder, command.replace("--count 44", f"--count {N_SCENES}"))
    run(folder, ANNOTATE.replace("-o out", "-o again --calibration mine.json"))
    return folder


def rows(dataset: Path, table: str) -> list[dict[str, Any]]:
    found = open_dataset(dataset).table(table)
    order = [(name, "ascending") for name in KEY if name in found.column_names]
    return list(found.sort_by(order).to_pylist())


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("mine", f"rendered scenes, seeds 0..{N_SCENES - 1}"),
        ("points", f"{N_SCENES} files of TAPVid-3D's layout"),
        ("tables", f"true positions of {N_SCENES} clips"),
    ],
)
def test_each_truth_makes_a_calibration(folder: Path, name: str, truth: str) -> None:
    content = json.loads((folder / f"{name}.json").read_text())
    assert (content["name"], content["truth"]) == (name, truth)
    assert 20 <= content["n_clips"] <= N_SCENES
    for axis in "xyz":
        factors = content["position"]["factors"][axis]
        assert 0 < factors["50"] < factors["68"] < factors["90"]


def test_all_truths_have_the_run_s_key(folder: Path) -> None:
    keys = [json.loads((folder / f"{n}.json").read_text())["key"] for n in ("mine", "points")]
    assert keys[0] == keys[1]
    assert keys[0]["stages"]["estimate_depth"]["model"]["flicker"] == 0.05
    assert "ball" not in json.dumps(keys)


def test_all_truths_agree_on_how_large_errors_are(folder: Path) -> None:
    sizes = []
    for name in ("mine", "points", "tables"):
        position = json.loads((folder / f"{name}.json").read_text())["position"]
        sizes.append(np.exp(position["along"]["intercept"]) * position["factors"]["z"]["90"])
    assert max(sizes) < 2 * min(sizes)
    assert 0.01 < min(sizes) < 0.3


@pytest.mark.parametrize("table", ["positions", "motions"])
def test_intervals_are_calibrated_only_with_a_calibration(folder: Path, table: str) -> None:
    with_it, without = (
        {row["interval_basis"] for row in rows(folder / name, table)} for name in ("again", "out")
    )
    assert with_it - {None} == {"calibrated"}
    assert without - {None} <= {"internal", "none"}
    assert {row["quality_basis"] for row in rows(folder / "again", "entities")} == {"calibrated"}


def test_calibrated_intervals_hold_the_clips_they_were_made_on(folder: Path) -> None:
    held: dict[str, list[float]] = {"50": [], "90": []}
    for clip in true_clips(open_dataset(folder / "again"), truth_at(folder / "scenes"), limit=None):
        table = clip.tables.table("positions")
        missed = np.abs(table["z_cam"].to_numpy() - clip.surface[:, 2])
        rows = clip.matched & np.isfinite(missed)
        for level, shares in held.items():
            shares.append((missed <= table[f"z_half_{level}"].to_numpy())[rows].mean())
    assert np.nanmean(held["90"]) > 0.85
    assert 0.4 < np.nanmean(held["50"]) < 0.75


def test_the_record_has_the_hash_of_the_file(folder: Path) -> None:
    sha256 = hashlib.sha256((folder / "mine.json").read_bytes()).hexdigest()
    assert sha256 in (folder / "again" / "_run" / "spec.json").read_text()
    published = json.loads((folder / "dataset" / "massannot.json").read_text())
    assert published["calibration"] == ["mine", sha256]
    assert sha256 not in (folder / "out" / "_run" / "spec.json").read_text()


@pytest.mark.parametrize("table", STATED)
def test_publishing_with_it_gives_what_annotating_with_it_gives(folder: Path, table: str) -> None:
    assert rows(folder / "dataset", table) == rows(folder / "again", table)
    assert rows(folder / "dataset", table) != rows(folder / "out", table)


def test_the_published_dataset_is_valid(folder: Path) -> None:
    assert "nothing wrong" in run(folder, "massannot validate dataset")[0]


def test_a_run_with_another_option_refuses_it(folder: Path) -> None:
    other = "-o other --calibration mine.json --set locate_entities.min_points=4"
    _, error = run(folder, ANNOTATE.replace("-o out", other), code=2)
    assert "stages.locate_entities.min_points: made for 3, this run has 4" in error
    assert not (folder / "other" / "data").exists()
    refusal = re.search(r"```\n(massannot: --calibration .*?)```", PAGE, re.S)
    assert refusal is not None
    assert refusal[1].strip() in error.replace(f"{folder}/", "")


def test_publishing_refuses_one_of_another_run(folder: Path, tmp_path: Path) -> None:
    content = json.loads((folder / "mine.json").read_text())
    content["key"]["stages"]["estimate_depth"]["model"]["flicker"] = 0.1
    (tmp_path / "other.json").write_text(json.dumps(content))
    command = f"massannot publish out refused --calibration {tmp_path}/other.json"
    _, error = run(folder, command, code=2)
    assert "estimate_depth.model.flicker: made for 0.1, this run has 0.05" in error
    assert not (folder / "refused").exists()


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        ("nowhere", "found nothing there; expected a folder of `massannot scenes render`"),
        ("strangers", f"none of {N_SCENES} clips of out is in it"),
        ("broken", "found no visibility; has ['tracks_XYZ']"),
        ("short", "found 3 frames, expected those of scenes/videos/"),
    ],
)
def test_a_truth_that_is_none_is_refused(
    folder: Path, tmp_path: Path, truth: str, message: str
) -> None:
    first = sorted((folder / "npz").glob("*.npz"))[0]
    for name in ("strangers", "broken", "short"):
        (tmp_path / name).mkdir()
    shutil.copy(first, tmp_path / "strangers" / "elsewhere.npz")
    points, visible = np.zeros((3, 4, 3)), np.ones((3, 4), bool)
    np.savez(tmp_path / "broken" / first.name, tracks_XYZ=points)
    np.savez(tmp_path / "short" / first.name, tracks_XYZ=points, visibility=visible)
    command = f"massannot calibrate out --truth {tmp_path}/{truth} -o {tmp_path}/refused.json"
    assert message in run(folder, command, code=2)[1]
    assert not (tmp_path / "refused.json").exists()


def test_too_few_clips_are_refused_and_json_has_no_nan(folder: Path) -> None:
    command = "massannot calibrate out --truth scenes --limit 19 -o few.json"
    assert "found 19 clips" in run(folder, command, code=2)[1]
    out, _ = run(folder, "massannot calibrate out --truth scenes -o mine-2.json --json")
    assert json.loads(out)["crossed"] == {}
    assert "NaN" not in out


def test_the_lens_of_the_file_places_the_true_points(folder: Path, tmp_path: Path) -> None:
    """With an assumed lens the clip's own intrinsics would put them beside the masks."""
    dataset = open_dataset(folder / "out")
    (exact,) = true_clips(dataset, truth_at(folder / "npz"), limit=1)
    assert exact.matched.any()
    for file in sorted((folder / "npz").glob("*.npz")):
        with np.load(file, allow_pickle=False) as arrays:
            kept = {name: arrays[name] for name in arrays.files if name != "images_jpeg_bytes"}
        np.savez(tmp_path / file.name, **{**kept, "fx_fy_cx_cy": kept["fx_fy_cx_cy"] + 1000})
    (beside,) = true_clips(dataset, truth_at(tmp_path), limit=1)
    assert not beside.matched.any()
