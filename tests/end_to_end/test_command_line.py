"""What the command line answers: a row a case, with its exit code and words of its message."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from massannot import cli
from massannot.cli.app import app
from massannot.dataset.reading import open_dataset
from massannot.scenes.world import SceneOptions
from massannot.scenes.write import write_scenes
from tests.in_process import run_massannot

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-c", "from massannot.cli import main; main()"]
TRUTH = "--profile none --scenes scenes --oracle detect,masks,depth,tracks,cameras --no-films"
NOWHERE = "expected a place that may be read and written"
BALL = f"annotate ball.mp4 -p ball -o new {TRUTH}"

COMMANDS = [
    ("-h", 0, "One video:     massannot annotate"),
    ("--version", 0, "0."),
    ("annotate -h", 0, "--oracle detect,masks,depth,cameras"),
    ("frobnicate", 2, "No such command 'frobnicate'"),
    ("annotate", 2, "found no videos, expected files"),
    (f"annotate nosuch.mp4 -p ball -o new {TRUTH}", 2, "nosuch.mp4: no such file"),
    (f"annotate empty -p ball -o new {TRUTH}", 2, "no video in this folder"),
    (f"annotate ball.mp4 -o new {TRUTH}", 2, "nothing to look for"),
    (f"annotate ball.mp4 -p '' -o new {TRUTH}", 2, "an empty phrase"),
    (f"annotate ball.mp4 -p ball -o a_file {TRUTH}", 2, "a_file: found a file, expected a folder"),
    (f"annotate ball.mp4 -p ball -o {'a' * 300} {TRUTH}", 2, "File name too long"),
    (f"annotate ball.mp4 -p ball -o has_readme {TRUTH}", 2, "README.md: found a file that no"),
    ("scenes render has_readme", 2, "README.md: found a file that no"),
    ("questions scenes has_readme --count 9", 2, "README.md: found a file that no"),
    ("questions ask out has_readme", 2, "README.md: found a file that no"),
    (f"annotate ball.mp4 -p box -o out {TRUTH}", 2, "another recipe"),
    ("annotate ball.mp4 -p ball -o new --profile nope", 2, "profiles: mass"),
    ("annotate ball.mp4 -p ball -o new --profile none", 2, "--boxes FILE"),
    ("annotate ball.mp4 -p ball -o new --oracle detect", 2, "--scenes FOLDER"),
    ("annotate ball.mp4 -p ball -o new --scenes scenes --oracle eyes", 2, "expected some of"),
    (f"{BALL} --box 100,80,140,120", 2, "such as 2.4s:100,80,140,120"),
    (f"{BALL} --box 0s:30,8,10,20", 2, "found an empty box"),
    (f"{BALL} --point 0s:30,8,10,20", 2, "such as 2.4s:120,95"),
    (f"{BALL} --box hoop@0s:3,8,10,20", 2, "found hoop, expected one of ['ball']"),
    (f"{BALL} --box 0s:3,8,10,20 --boxes b.json", 2, "--box and --boxes"),
    (f"{BALL} --fps fast", 2, "--fps fast: expected"),
    (f"{BALL} --fps -3", 2, "--fps -3: expected"),
    (f"{BALL} --limit 0", 2, "--limit"),
    (f"{BALL} --start 2 --end 1", 2, "--end 1: found no stretch after 2 s"),
    (f"annotate ball.mp4 -p ball -o beyond {TRUTH} --start 100", 3, "span_outside_video"),
    (f"{BALL} --max-failed 7", 2, "--max-failed"),
    (f"{BALL} --hfov 400", 2, "--hfov"),
    (f"{BALL} --device banana", 2, "expected auto, cpu, cuda or cuda:N"),
    (f"{BALL} --device cuda:77", 4, "use --device cpu"),
    (f"{BALL} --dtype fp7", 2, "expected one of auto, fp32"),
    (f"{BALL} --weights eyes=big", 2, "expected one of detect"),
    (f"{BALL} --set length", 2, "STAGE.OPTION=VALUE"),
    (f"{BALL} --set nobody.length=3", 2, "no stage 'nobody'"),
    (f"{BALL} --set lift_tracks.nothing=3", 2, "no option 'nothing'"),
    (f"{BALL} --set split_segments.length=long", 2, "split_segments"),
    ("annotate ball.mp4 -p ball -o new --profile small", 4, "massannot models download"),
    (f"annotate text.mp4 -p ball -o failed {TRUTH}", 3, "not_a_video"),
    ("inspect nosuch", 2, "holds no dataset"),
    ("cite out", 0, "% oracle_detect: no weights"),
    ("cite empty", 2, "found no record of a run"),
    ("inspect out", 0, "frames  1 entity  scale metric"),
    ("inspect out --clip zzz", 2, "expected one"),
    ("validate out", 0, "nothing wrong"),
    ("evaluate out --truth empty", 2, "holds no scenes"),
    ("evaluate out --truth other", 2, "expected the folder whose videos were annotated"),
    ("evaluate out --truth scenes --picture p.png", 2, "expected a name that ends in .svg"),
    ("evaluate out --truth scenes", 0, "more scores not shown: nothing in these clips to measure"),
    ("compare out out", 0, "1 clip; score 0 alike, 1 worst: median 0.00"),
    ("compare out empty", 2, "holds no dataset"),
    ("scenes render new --width 97", 2, "expected even sizes"),
    ("scenes render new --count -1", 2, "--count"),
    ("scenes render new --seed -1", 2, "--seed"),
    ("scenes render new --camera banana", 2, "static"),
    ("scenes render a_file", 2, "a_file: found a file, expected a folder"),
    ("scenes render /proc/new", 2, NOWHERE),
    ("schemas /proc/new", 2, NOWHERE),
    (f"annotate ball.mp4 -p ball -o /proc/new/deep {TRUTH}", 2, NOWHERE),
    ("export csv out /proc/new", 2, NOWHERE),
    ("evaluate out --truth scenes --picture /proc/new.svg", 2, NOWHERE),
    ("export", 2, "expected FORMAT OUT DEST"),
    ("export nope out new", 2, "formats: coco"),
    (
        "export coco out new --frames 3",
        2,
        "--frames with coco: expected one of dsr-bench, geometry, lmms-eval, ms-swift, ply",
    ),
    ("export csv out new --profile-template mass-v1", 2, "--profile-template with csv"),
    ("export -h", 0, "tapvid3d     point tracks"),
    ("export trl -h", 0, "--model-family"),
    ("export ply out new", 4, "annotate with --depth-maps"),
    ("export ./absent.py out new", 2, "format ./absent.py: found no such file"),
    ("export verl out new", 2, "holds no question"),
    ("export verl out new --val 2", 2, "--val: found 2.0"),
    ("export csv out new --min-quality 3", 2, "--min-quality"),
    ("inspect out --clip x --min-quality -1", 2, "--min-quality"),
    ("report out --min-quality 3", 2, "--min-quality"),
    ("rft show out q1 --min-quality 3", 2, "--min-quality"),
    ("questions audit out", 2, "expected what `massannot questions ask OUT out` writes"),
    ("questions explain empty --all", 2, "expected what `massannot questions ask OUT empty`"),
    ("questions check absent.jsonl", 2, "absent.jsonl: no such file"),
    ("questions check empty", 2, "found no questions in this folder, expected questions.jsonl or"),
    ("questions import refused.jsonl -o new", 2, "ends in .jsonl or .parquet"),
    ("questions import half.jsonl -o half-new.jsonl", 3, "refused"),
    ("questions import refused.jsonl -o new.jsonl", 2, "none of which can be used (1 no_answer)"),
    ("rft show out q1", 2, "no question 'q1'"),
    ("rft show out q1 --max-tokens 9", 2, "--processor"),
    ("questions import text.mp4 -o new", 2, "expected a name that ends in one of .csv"),
    ("questions import nosuch.csv -o new", 2, "nosuch.csv: no such file"),
    ("questions import nosuch.csv -o new --format nope", 2, "expected one of auto"),
    ("questions import nosuch.jsonl -o ./nosuch.jsonl", 2, "and lose what is refused"),
    ("recipes show nope", 2, "recipes: annotate"),
    ("recipes show annotate", 0, "--set split_segments.length=32"),
    ("models check nope", 2, "profiles: mass"),
]

AS_JSON = [
    "annotate text.mp4 ball.mp4 -p ball -o mixed --max-failed 1 " + TRUTH,
    "inspect out",
    "validate out",
    "report out",
    "evaluate out --truth scenes",
    "compare out out",
    "doctor",
    "recipes list",
    "rft recipes",
    "recipes show annotate",
    "models list",
    "export csv out csv",
    "schemas schemas",
    "schemas --check schemas",
]


def started(command: str, folder: Path) -> subprocess.Popen[str]:
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    env["HF_HOME"] = str(folder / "no-weights-here")
    return subprocess.Popen(
        [*PROGRAM, *shlex.split(command)],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(
    command: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a command, in this very process: no second spent on starts."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HF_HOME", str(folder / "no-weights-here"))
    monkeypatch.setenv("HF_HUB_CACHE", str(folder / "no-weights-here"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(sys, "argv", ["massannot", *shlex.split(command)])
    capfd.readouterr()
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capfd.readouterr()
    return int(end.value.code or 0), out, err


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ball.mp4 with its scene, the dataset `out` of it, and things that are no videos."""
    folder = tmp_path_factory.mktemp("words")
    tiny = SceneOptions(width=64, height=48, n_frames=4)
    (record,) = write_scenes(folder / "scenes", seeds=[3], options=tiny)
    write_scenes(folder / "other", seeds=[4], options=tiny)
    (folder / "ball.mp4").write_bytes((folder / "scenes" / record.video).read_bytes())
    (folder / "text.mp4").write_text("hello")
    (folder / "a_file").write_text("hello")
    (folder / "empty").mkdir()
    (folder / "has_readme").mkdir()
    (folder / "has_readme" / "README.md").write_text("# Mine\n")
    refused = '{"video": "ball.mp4", "question": "Why?"}\n'
    (folder / "refused.jsonl").write_text(refused)
    (folder / "half.jsonl").write_text(refused + refused.replace("}", ', "answer": "it is"}'))
    process = started(f"annotate ball.mp4 -p ball -o out {TRUTH} -q --device cpu", folder)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "'ball': 1 in 1 of 1 clip" in out
    assert err == "", "with -q nothing but the result"
    return folder


@pytest.mark.parametrize(("command", "code", "words"), COMMANDS, ids=[c[0] for c in COMMANDS])
def test_a_command_ends_with_its_code_and_says_why(
    command: str,
    code: int,
    words: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    found, out, err = said(command, folder, monkeypatch, capfd)
    assert (found, words in out + err) == (code, True), out + err
    assert "Traceback" not in err
    assert not (folder / "new").exists(), "what is refused leaves nothing behind"


@pytest.mark.parametrize("command", AS_JSON)
def test_with_json_stdout_is_one_json_document(
    command: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    code, out, err = said(f"{command} --json", folder, monkeypatch, capfd)
    assert code == 0, err
    assert json.loads(out)


def leaves(command: Any, name: str = "") -> Iterator[tuple[str, set[str]]]:
    """The name of every command with its flags."""
    if not hasattr(command, "commands"):
        yield name.strip(), {flag for parameter in command.params for flag in parameter.opts}
        return
    for word, below in command.commands.items():
        yield from leaves(below, f"{name} {word}")


def test_every_command_that_ends_by_itself_prints_json() -> None:
    without = {name for name, flags in leaves(get_command(app)) if "--json" not in flags}
    assert without == {"view"}


def test_rendered_scenes_are_listed_as_json(folder: Path) -> None:
    out = run_massannot("scenes render again --width 64 --height 48 --frames 2 --json", folder)
    assert json.loads(out) == [{"video": "again/videos/scene-0.mp4", "seed": 0}]


OWN_FORMAT = '''"""names: the clips of a dataset, a line each."""

from dataclasses import dataclass
from typing import Annotated

from massannot.exporters import Exported, Options


@dataclass(frozen=True, kw_only=True)
class NamesOptions(Options):
    end: Annotated[str, "Ends every line."] = "."


OPTIONS = NamesOptions


def export(dataset, folder, *, options=NamesOptions()):
    folder.mkdir(parents=True, exist_ok=True)
    lines = [clip.clip_id + options.end for clip in dataset.clips()]
    (folder / "names.txt").write_text("\\n".join(lines))
    return Exported((folder / "names.txt",), notes=("that is all",))
'''


def test_a_format_of_one_file_outside_of_the_package_has_its_own_help_and_flags(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "my_format.py").write_text(OWN_FORMAT)
    code, out, err = said("export ./my_format.py -h", folder, monkeypatch, capfd)
    assert code == 0, err
    assert "names: the clips of a dataset, a line each." in out
    assert "Ends every line." in out
    assert "--min-quality" in out
    assert "--model-family" not in out
    command = "export ./my_format.py out names --end ! --json"
    code, out, err = said(command, folder, monkeypatch, capfd)
    assert code == 0, err
    assert json.loads(out)["notes"] == ["that is all"]
    (clip,) = open_dataset(folder / "out").clip_ids
    assert (folder / "names" / "names.txt").read_text() == f"{clip}!"
    code, out, err = said("export ./my_format.py out new --media video", folder, monkeypatch, capfd)
    assert (code, "--media with ./my_format.py: expected one of ms-swift" in err) == (2, True), err


LIGHT = """
import sys
from massannot import cli
try:
    cli.main()
except SystemExit as end:
    heavy = {"av", "cv2", "numpy", "pandas", "PIL", "pyarrow", "ray", "rich", "torch"}
    print(end.code, *sorted(heavy & set(sys.modules)), sep="\\n")
"""


@pytest.mark.parametrize("command", ["--version", "--help", BALL.replace("new", "light")])
def test_a_command_with_nothing_to_do_imports_none_of_the_libraries_of_work(
    command: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    code, first, err = said(command, folder, monkeypatch, capfd)
    assert code == 0, err
    again = subprocess.run(
        [sys.executable, "-c", LIGHT, *shlex.split(command)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert again.stdout == first.partition("; 1 now in ")[0].rstrip("\n") + "\n0\n"


def test_a_damaged_dataset_is_not_called_valid(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder / "out", folder / "damaged")
    (masks,) = (folder / "damaged" / "data" / "masks").glob("*.parquet")
    masks.write_bytes(b"junk")
    code, out, _ = said("validate damaged", folder, monkeypatch, capfd)
    assert code == 1
    assert "data/masks/" in out


def test_an_asked_end_is_75_and_the_same_command_continues(folder: Path) -> None:
    command = f"annotate ball.mp4 -p ball -o stopped {TRUTH} --device cpu"
    process = started(command, folder)
    while not (folder / "stopped" / "_run" / "spec.json").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 75, err
    assert "the same command continues" in out + err
    again = started(command, folder)
    out, err = again.communicate(timeout=300)
    assert again.returncode == 0, err
    assert "1 clip planned = 1 done" in out
