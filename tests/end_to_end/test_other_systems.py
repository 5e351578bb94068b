"""Commands on a system without Linux's own parts: no fcntl, no memfd_create, no SIGUSR1.

A `sitecustomize` takes them away in every process that a command starts, its decoders included.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from massannot.jobs.annotate import Annotated
from massannot.plan.folder import read_shards
from massannot.recipes.models import NEEDED
from massannot.scenes.scene_record import SceneLibrary
from tests.end_to_end.conftest import ONE

ROOT = Path(__file__).parents[2]

WITHOUT_LINUX = """
import os, signal, sys
sys.modules["fcntl"] = None
del os.memfd_create, os.O_DIRECTORY, signal.SIGUSR1, signal.SIGPIPE
"""
WITHOUT_DESCRIPTORS = """
import select, socket
del select.poll, socket.send_fds, socket.recv_fds
"""
"""What Windows lacks on top."""


COMMANDS = """
import json, sys
from massannot.cli import main
for command in json.loads(sys.argv[1]):
    sys.argv = ["massannot", *command]
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
"""


class System:
    """Commands of this checkout in an interpreter from which `taken` was taken away."""

    def __init__(self, folder: Path, taken: str) -> None:
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(taken)
        self._path = os.pathsep.join([str(folder), str(ROOT)])

    def run(self, *commands: list[str | Path], code: int = 0) -> subprocess.CompletedProcess[str]:
        """Commands one after the other in one process, until one fails."""
        done = subprocess.run(
            [sys.executable, "-c", COMMANDS, json.dumps([[*map(str, c)] for c in commands])],
            env={**os.environ, "PYTHONPATH": self._path, "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == code, f"{commands}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done


@pytest.fixture
def elsewhere(tmp_path: Path) -> System:
    return System(tmp_path / "elsewhere", WITHOUT_LINUX)


@pytest.fixture
def windows(tmp_path: Path) -> System:
    return System(tmp_path / "windows", WITHOUT_LINUX + WITHOUT_DESCRIPTORS)


def test_a_dataset_is_planned_drawn_and_exported_without_linux(
    plain: Annotated, world: SceneLibrary, elsewhere: System, tmp_path: Path
) -> None:
    plan, csv, given = tmp_path / "plan", tmp_path / "csv", tmp_path / "given-away"
    out = plain.out
    said = elsewhere.run(
        plan_of(world, plan),
        ["inspect", out],
        ["export", "csv", out, csv],
        ["render", out],
        ["report", out],
        ["publish", out, given, "-q"],
        ["validate", given],
    ).stdout
    (shard,) = read_shards(plan)
    assert [video.uri for video in shard.videos] == [str(world.folder / ONE)]
    assert "tracks_xyz" in said
    assert any(csv.rglob("*.csv"))
    films = [line for line in said.splitlines() if line.endswith(".mp4") and " " not in line]
    assert [Path(film).stat().st_size > 1000 for film in films] == [True]
    assert (out / "report" / "index.html").is_file()
    assert f"{given}: " in said
    assert "nothing wrong" in said


def plan_of(world: SceneLibrary, folder: Path) -> list[str | Path]:
    """The command that plans one of the world's videos."""
    truth = ("--profile", "none", "--scenes", world.folder, "--oracle", ",".join(NEEDED))
    return ["plan", world.folder / ONE, "-p", "a ball", "-o", folder, *truth, "-q"]


@pytest.mark.slow
def test_workers_annotate_without_linux(
    world: SceneLibrary, elsewhere: System, tmp_path: Path
) -> None:
    plan, out = tmp_path / "plan", tmp_path / "out"
    elsewhere.run(plan_of(world, plan), ["run", plan, "-o", out, "-q"])
    assert "nothing wrong" in elsewhere.run(["validate", out]).stdout


def test_without_descriptors_a_dataset_is_still_read_and_exported(
    plain: Annotated, windows: System, tmp_path: Path
) -> None:
    said = windows.run(
        ["inspect", plain.out], ["validate", plain.out], ["export", "csv", plain.out, tmp_path]
    ).stdout
    assert "tracks_xyz" in said
    assert "nothing wrong" in said
    assert any(tmp_path.rglob("*.csv"))


@pytest.mark.parametrize("command", ["plan", "render"])
def test_without_descriptors_a_video_is_refused_in_one_sentence(
    command: str, plain: Annotated, world: SceneLibrary, windows: System, tmp_path: Path
) -> None:
    asked = plan_of(world, tmp_path / "plan") if command == "plan" else ["render", plain.out]
    sentence = windows.run(asked, code=4).stderr.splitlines()[-1]
    assert "passes no open descriptors between processes" in sentence
    assert "run this command on Linux or macOS, or under WSL" in sentence
