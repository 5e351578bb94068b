"""Everything that CONTRIBUTING says can be added from one file is added, by its own lines alone."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from massannot.dataset.reading import open_dataset
from massannot.scenes.world import SceneOptions
from massannot.scenes.write import write_scenes
from tests.in_process import run_massannot

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PROGRAM = [sys.executable, "-c", "from massannot.cli import main; main()"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside the package with the page's files, a film, and what its commands made."""
    folder = tmp_path_factory.mktemp("plug-ins")
    named = re.findall(r"`(\w+\.py)`[^\n]*\n(?:[^\n`]+\n)*\n```python\n(.*?)```", PAGE, re.S)
    assert [name for name, _ in named] == ["zoe.py", "still.py", "lines.py"]
    for name, text in named:
        (folder / name).write_text(text)
    write_scenes(folder / "w", seeds=[3], options=SceneOptions(width=64, height=48, n_frames=24))
    os.rename(folder / "w" / "videos" / "scene-3.mp4", folder / "ball.mp4")
    (commands,) = re.findall(r"```bash\n(massannot annotate.*?)```", PAGE, re.S)
    for command in commands.strip().splitlines():
        run(folder, command.removeprefix("massannot "))
    return folder


def run(folder: Path, command: str, *, code: int = 0) -> str:
    """A command that reads code from outside, in a process of its own: each reads it once."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*PROGRAM, *shlex.split(command)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stderr if code else done.stdout


def test_a_model_from_outside_answers(folder: Path) -> None:
    ours = re.findall(r"from (massannot\S*) import", (folder / "zoe.py").read_text())
    assert ours == ["massannot.models.protocols"], "its author needs nothing else"
    dataset = open_dataset(folder / "flat")
    assert dataset.table("clips")["scale_type"].to_pylist() == ["metric"]
    assert dataset.table("depth_maps").num_rows == 10


def test_a_model_has_the_options_of_its_fields(folder: Path) -> None:
    flags = "--model depth=./zoe.py:Flat --profile none -q --no-films --device cpu"
    recipe = "--recipe depth_and_cameras --set depth.metres=7"
    run_massannot(f"annotate ball.mp4 {recipe} -o far {flags}", folder)
    near, far = (open_dataset(folder / name).table("depth_maps") for name in ("flat", "far"))
    assert near["offset"].to_pylist() != far["offset"].to_pylist()


def test_a_stage_writes_its_own_table_that_every_reader_can_open(folder: Path) -> None:
    rows = open_dataset(folder / "still").table("brightness").to_pylist()
    assert [row["frame"] for row in rows] == list(range(10))
    (path,) = (folder / "still" / "data" / "brightness").glob("*.parquet")
    assert pq.read_table(path).to_pylist() == rows
    assert "nothing wrong" in run_massannot("validate still", folder)
    run_massannot("publish still given -q", folder)
    assert open_dataset(folder / "given").table("brightness").to_pylist() == rows


def test_a_format_from_outside_writes(folder: Path) -> None:
    (line,) = (folder / "lines" / "clips.txt").read_text().splitlines()
    assert line.endswith(" ball.mp4")
    assert "One text file with a line a clip" in run_massannot("export ./lines.py -h", folder)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("--recipe ./gone.py", "gone.py"),
        ("--recipe ./zoe.py", "found no 'pipeline'"),
        ("--recipe depth_and_cameras --model depth=./zoe.py:Zoe", "found no 'Zoe'"),
        ("--recipe depth_and_cameras --model depth=nobody.zoe:Flat", "no module 'nobody'"),
        ("--recipe depth_and_cameras --model eyes=./zoe.py:Flat", "expected one of detect"),
    ],
)
def test_what_is_not_there_is_refused_by_name(folder: Path, command: str, words: str) -> None:
    annotate = f"annotate ball.mp4 {command} --profile none -o new"
    assert words in run_massannot(annotate, folder, code=2)
    assert not (folder / "new").exists()


def test_other_code_of_a_file_from_outside_is_refused(folder: Path) -> None:
    annotate = "annotate ball.mp4 --recipe ./still.py --profile none -o still"
    command = f"{annotate} -q --no-films --device cpu"
    file = folder / "still.py"
    before = file.read_text()
    file.write_text(before.replace("picture.mean()", "picture.max()"))
    try:
        assert "still.py" in run(folder, command, code=2)
    finally:
        file.write_text(before)
    run(folder, command)
