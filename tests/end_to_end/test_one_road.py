"""`annotate` is `plan` and `run` in one command: the same road, a short one, and the same bytes."""

from __future__ import annotations

import inspect
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import massannot
from massannot import cli, recipes
from massannot.engine.driver import Driver
from massannot.scenes.world import SceneOptions
from massannot.scenes.write import write_scenes
from tests.faults.tiny_run import data_files

PACKAGE = Path(massannot.__file__).parent
FRAMES_TO_THE_DRIVER = 12
ON_CPU = "-q --device cpu --workers 1"
Command = Callable[..., int]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three rendered scenes, and their boxes and masks as a COCO file."""
    folder = tmp_path_factory.mktemp("road")
    size = SceneOptions(width=64, height=48, n_frames=6)
    write_scenes(folder / "scenes", seeds=range(3), options=size)
    return folder


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command in a working folder; returns its exit code."""

    def run(words: str, cwd: Path) -> int:
        cwd.mkdir(exist_ok=True)
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["massannot", *shlex.split(words)])
        try:
            cli.main()
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    return run


def asked(folder: Path, more: str = "") -> str:
    """What `annotate` and `plan` have in common, from any working folder."""
    scenes = folder / "scenes"
    return (
        f"{scenes / 'videos'} -p ball -p 'a red box' --profile none --scenes {scenes} "
        f"--oracle detect,masks,depth,tracks,cameras --fps all {more}"
    )


@pytest.mark.parametrize(
    ("more", "n_clips"),
    [
        pytest.param("", 3, id="all"),
        pytest.param("--limit 2 --sample random --seed 5", 2, id="any two"),
    ],
)
def test_a_plan_run_elsewhere_gives_the_bytes_of_annotate(
    folder: Path, tmp_path: Path, command: Command, more: str, n_clips: int
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    assert command(f"annotate {asked(folder, more)} -o out --no-films {ON_CPU}", here) == 0
    assert command(f"plan {asked(folder, more)} -o plan -q", here) == 0
    assert command(f"run {here / 'plan'} -o out {ON_CPU}", there) == 0
    files = data_files(here / "out")
    assert files == data_files(there / "out")
    assert sum(name.startswith("clips/") for name in files) == n_clips, "a shard a clip"
    specs = [json.loads((cwd / "out" / "_run" / "spec.json").read_text()) for cwd in (here, there)]
    assert specs[0]["spec"] == specs[1]["spec"]


@pytest.fixture
def road(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """How the driver was reached, and how often the recipe was called in this very process."""
    seen: dict[str, Any] = {"frames": [], "built": 0}
    drive, build = Driver.run, recipes.built

    def noted_run(self: Driver) -> None:
        files = [Path(frame.filename) for frame in inspect.stack()]
        seen["frames"].append([path.name for path in files if PACKAGE in path.parents])
        drive(self)

    def noted_build(spec: Any) -> Any:
        seen["built"] += 1
        return build(spec)

    monkeypatch.setattr(Driver, "run", noted_run)
    monkeypatch.setattr(recipes, "built", noted_build)
    return seen


@pytest.mark.parametrize(
    "words",
    [
        pytest.param("annotate {asked} -o out {on_cpu}", id="annotate, with films"),
        pytest.param("run plan -o out {on_cpu}", id="run"),
    ],
)
def test_the_road_from_the_command_to_the_driver_is_short(
    folder: Path, tmp_path: Path, command: Command, road: dict[str, Any], words: str
) -> None:
    assert command(f"plan {asked(folder, '--limit 1')} -o plan -q", tmp_path) == 0
    road["built"] = 0
    given = words.format(asked=asked(folder, "--limit 1"), on_cpu=ON_CPU)
    assert command(given, tmp_path) == 0
    (frames,) = road["frames"]
    assert len(frames) <= FRAMES_TO_THE_DRIVER, frames
    assert frames[-1] == "__init__.py", "from the command line's main on"
    assert road["built"] == 1


def test_a_failed_start_does_not_bind_the_folder(
    folder: Path, tmp_path: Path, command: Command, capfd: pytest.CaptureFixture[str]
) -> None:
    scenes, coco = folder / "scenes", tmp_path / "coco" / "annotations.json"
    assert command(f"export coco {scenes} coco", tmp_path) == 0

    def annotate(phrase: str, boxes: Path) -> int:
        return command(
            f"annotate {scenes / 'videos' / 'scene-1.mp4'} -p '{phrase}' -o out --profile none "
            f"--scenes {scenes} --oracle masks,depth,tracks,cameras --boxes {boxes} {ON_CPU}",
            tmp_path,
        )

    capfd.readouterr()
    assert annotate("a dog", tmp_path / "missing.json") != 0
    out, err = capfd.readouterr()
    assert "missing.json" in out + err
    assert (tmp_path / "out" / "_run" / "spec.json").exists(), "else this is no test"
    assert not data_files(tmp_path / "out")

    assert annotate("a ball", coco) == 0
    phrases = json.loads((tmp_path / "out" / "_run" / "spec.json").read_text())["spec"]["phrases"]
    assert phrases == ["a ball"]
