"""Every command and every line of Python in the README runs, as printed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from massannot.scenes.world import SceneOptions
from massannot.scenes.write import write_scenes

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
ORACLES = "--profile none --scenes {scenes} --oracle detect,masks,depth,tracks,cameras"


def blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, flags=re.DOTALL | re.MULTILINE)
    return [text for named, text in fenced if named == language]


def commands() -> list[str]:
    """The README's massannot commands in order, continuation lines joined."""
    lines = "".join(blocks("")).replace("\\\n", " ").splitlines()
    found = [line.split("#")[0].strip() for line in lines]
    return [line for line in found if line.startswith("massannot ")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a video named ball.mp4 that shows a red ball."""
    folder = tmp_path_factory.mktemp("readme")
    options = SceneOptions(width=96, height=80, n_frames=12)
    (record,) = write_scenes(folder / "world", seeds=[3], options=options)
    (folder / "ball.mp4").write_bytes((folder / "world" / record.video).read_bytes())
    (folder / "questions.jsonl").write_text(blocks("json")[0])
    return folder


def shell(command: str, folder: Path) -> str:
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    program = [sys.executable, "-c", "from massannot.cli import main; main()"]
    done = subprocess.run(
        [*program, *shlex.split(command)[1:]],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_commands_run_in_the_order_in_which_they_stand(folder: Path) -> None:
    """One change: the first annotations are answered by the truth: weights are not here."""
    ran = commands()
    assert len(ran) >= 7
    for command in ran:
        if "ball.mp4" in command or "annotate questions.jsonl" in command:
            command += " " + ORACLES.format(scenes="world")
        shell(command, folder)
    assert (folder / "out" / "report" / "index.html").exists()
    assert list((folder / "out" / "films").glob("*.mp4"))


def test_the_python_example_runs(folder: Path) -> None:
    (code,) = blocks("python")
    chosen = (
        "from massannot.engine.settings import ExecutorSettings\n"
        "from massannot.recipes.model_flags import ModelFlags, run_spec\n"
        "from massannot.recipes.models import JOBS\n"
        "flags = ModelFlags(profile='none', scenes='world', oracles=tuple(JOBS))\n"
        "more = {'spec': run_spec(flags=flags), 'settings': ExecutorSettings(workers=0)}\n"
    )
    assert 'out="out")' in code
    code = chosen + code.replace('out="out")', 'out="py", **more)')
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "(5, " in done.stdout  # half a second at ten frames a second
    assert "metric" in done.stdout
