"""What docs/threats.md promises and no other test shows: nothing handed in is run, nothing is asked
of a network unasked, and no name leads out of its folder or into a terminal."""

from __future__ import annotations

import ast
import io
import json
import re
import socket
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import massannot
from massannot.cli import _complain
from massannot.dataset import commits
from massannot.dataset.layout import Layout
from massannot.errors import UsageError
from massannot.jobs.console import Watcher
from massannot.models.recorded.camera_files import RecordedCameras
from massannot.models.recorded.depth_files import RecordedDepth
from massannot.models.recorded.track_files import RecordedTracks
from massannot.viewers import html
from tests.faults import tiny_run
from tests.unit.small_dataset import write_small_dataset
from tests.unit.test_answers import frames_at

PACKAGE = Path(massannot.__file__).parent
NEVER = {"eval", "exec", "compile", "pickle.load", "pickle.loads", "marshal.loads", "os.system",
         "os.popen", "yaml.load", "shelve.open", "__import__"}  # fmt: skip

ALL_WORDS = {*NEVER, "shell=", "trust_remote_code", "torch.load", "np.load"}
BETWEEN_OUR_PROCESSES = {"ray.py", "worker_process.py", "decoder_messages.py"}
"""Pickles that a worker or decoder of this very run has just sent."""


def calls() -> list[tuple[str, str, dict[str, object]]]:
    """(file, function, keywords whose value is a constant) of calls in files with such words."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text()
        if not any(word in text for word in ALL_WORDS):
            continue  # parsing four hundred files takes seconds
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call):
                known = {
                    k.arg: k.value.value
                    for k in node.keywords
                    if k.arg and isinstance(k.value, ast.Constant)
                }
                found.append((f"{path.name}:{node.lineno}", ast.unparse(node.func), known))
    return found


def test_no_line_of_ours_runs_what_it_reads():
    made = calls()
    never = [(where, name) for where, name, _ in made if name in NEVER]
    assert {where.partition(":")[0] for where, _ in never} == BETWEEN_OUR_PROCESSES
    assert {name for _, name in never} == {"pickle.loads"}
    assert [where for where, _, how in made if how.get("shell") is True] == []
    assert [where for where, _, how in made if how.get("trust_remote_code") is True] == []
    loads = [(where, how.get("weights_only")) for where, name, how in made if name == "torch.load"]
    assert loads
    assert [where for where, safely in loads if safely is not True] == []
    arrays = [(where, how.get("allow_pickle")) for where, name, how in made if name == "np.load"]
    assert arrays
    assert [where for where, pickles in arrays if pickles is not False] == []


class Ran(Exception):
    """Code from a file ran."""


class Bomb:
    def __reduce__(self):
        return exec, ("raise __import__('tests.unit.test_threats').unit.test_threats.Ran",)


@pytest.mark.parametrize("model", [RecordedTracks, RecordedDepth, RecordedCameras])
def test_python_objects_in_answers_are_refused_unrun(model, tmp_path):
    objects = np.empty(1, object)
    objects[0] = Bomb()
    content = io.BytesIO()
    np.save(content, objects, allow_pickle=True)
    names = {RecordedTracks: "tracks", RecordedDepth: "depth", RecordedCameras: "intrinsics"}
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as packed:
        packed.writestr(f"{names[model]}.npy", content.getvalue())
    answers = model(str(tmp_path / "a.npz"))
    with pytest.raises(UsageError, match="plain arrays"):
        answers.setup(device="cpu")
        getattr(answers, {"tracks": "track", "depth": "estimate_depth"}.get(
            names[model], "estimate_cameras"))(
            frames_at(), **({"queries_txy": np.zeros((1, 3))} if model is RecordedTracks else {})
        )  # fmt: skip


def test_annotating_local_files_asks_nothing_of_a_network(tmp_path, monkeypatch):
    connect = socket.socket.connect

    def refused(self, address):
        if self.family != socket.AF_UNIX:
            raise AssertionError(f"asked {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: pytest.fail(f"asked for {a}"))
    uris = tiny_run.write_videos(tmp_path / "v", 1)
    summary = tiny_run.run(tiny_run.plan_of(uris), tiny_run.Tiny(), out=tmp_path / "out", workers=0)
    assert summary.done == summary.planned > 0


@pytest.mark.parametrize("name", ["../../clips", "/tmp/clips", "", "a/b", ".."])
def test_a_commit_whose_tables_lie_elsewhere_is_refused(tmp_path, name):
    layout = write_small_dataset(tmp_path / "out")
    path = layout.commit("000000")
    values = json.loads(path.read_text())
    values["files"][0]["table"] = name
    path.write_text(json.dumps(values))
    with pytest.raises(UsageError, match=r"found names.*remove the file"):
        commits.read(Layout(layout.out), "000000")


TESTS = Path(__file__).parents[1]
PROMISES = re.findall(
    r"^\| .+ \| (`test_.+) \|$", (TESTS.parent / "docs" / "threats.md").read_text(), re.MULTILINE
)


@pytest.mark.parametrize("tests", PROMISES)
def test_the_tests_that_keep_a_promise_are_there(tests):
    for names in tests.split(";"):
        file, *functions = re.findall(r"`(test_\w+)(?:\.py)?`", names)
        (path,) = TESTS.rglob(f"{file}.py")
        quoted = re.findall(r'"(.+)"', names)
        text = path.read_text()
        assert all(f"def {name}(" in text for name in functions), functions
        assert all(words in text for words in quoted), quoted


NAME = "<img src=x onerror=alert(1)>\x1b]0;owned\x07\x1b[2J.mp4"


def test_a_name_is_text_in_pages_and_in_the_terminal(capsys, monkeypatch):
    assert "<img" not in html.text(NAME)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    Watcher().say(f"failed: {NAME} [not_a_video]")
    _complain(UsageError(f"{NAME}: no such file or folder"), 2)
    said = capsys.readouterr().err
    assert said.count("onerror") == 2
    assert "\x1b" not in said
    assert "\x07" not in said
