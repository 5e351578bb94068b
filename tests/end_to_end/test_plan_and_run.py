"""A builder's day: plan, run as a job array, look, explain, retry; and each refusal by name."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import sys
from pathlib import Path

import pytest

from massannot import cli
from massannot.engine import execution, local
from massannot.engine.progress import ClipDone
from massannot.engine.watchdog import Patience
from massannot.errors import UsageError
from massannot.models.runtime import TorchState
from massannot.scenes.world import SceneOptions
from massannot.scenes.write import write_scenes
from tests.faults.tiny_run import data_files

TRUTH = "--profile none --scenes scenes --oracle detect,masks,depth,tracks,cameras"
PLAN = f"plan scenes/videos -p ball -o plan {TRUTH} --fps all"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with three rendered videos, one of them put away after a finished plan was made."""
    folder = tmp_path_factory.mktemp("day")
    size = SceneOptions(width=64, height=48, n_frames=6)
    write_scenes(folder / "scenes", seeds=range(3), options=size)
    return folder


@pytest.fixture
def massannot(folder, monkeypatch, capfd):
    """Runs a command there: (exit code, stdout, stderr)."""

    def run(command: str) -> tuple[int, str, str]:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["massannot", *shlex.split(command)])
        try:
            cli.main()
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = capfd.readouterr()
        return code, out, err

    return run


@pytest.mark.seen("plan and run", "oracle")
def test_plan_run_status_explain_retry(folder, massannot):
    code, out, err = massannot(PLAN)
    assert code == 0, err
    assert "3 videos, 3 planned spans: about 3 clips, 18 frames; 3 shards in plan" in out
    assert out.endswith("next: massannot run plan -o OUT\n")

    code, out, err = massannot("run plan -o whole -q --device cpu")
    assert (code, err) == (0, "")
    assert "3 clips planned = 3 done + 0 failed + 0 quarantined + 0 remaining" in out

    away = shutil.move(folder / "scenes" / "videos" / "scene-1.mp4", folder / "away.mp4")
    code, out, err = massannot("run plan -o out -q --shard 0/2 --device cpu --max-failed 0.5")
    assert code == 0, err
    code, out, err = massannot("status out --json")
    half = json.loads(out)
    assert half["planned"] == half["done"] + half["failed"] + half["remaining"] == 3
    assert half["committed"] == 2

    code, out, err = massannot("run plan/plan.json -o out -q --shard 1/2 --device cpu --json")
    last = json.loads(out)
    assert last["exit_code"] == code
    code, out, err = massannot("status out")
    assert "3 clips planned = 2 done + 1 failed + 0 quarantined + 0 remaining" in out
    assert "3 of 3 shards committed" in out
    assert "failed: 1 x not_found" in out

    code, out, err = massannot("explain out scene-1.mp4")
    assert code == 0, err
    assert "put the video back under this name, then retry" in out

    shutil.move(away, folder / "scenes" / "videos" / "scene-1.mp4")
    code, out, err = massannot("retry out -q --device cpu")
    assert code == 0, err
    assert "3 clips planned = 3 done + 0 failed" in out
    assert data_files(folder / "out") == data_files(folder / "whole")

    code, out, err = massannot("run plan -o out -q --device cpu")
    assert (code, "3 done" in out) == (0, True), "and the same command finds nothing left"


@pytest.fixture
def planned(folder, massannot) -> None:
    if not (folder / "plan" / "plan.json").exists():
        massannot(PLAN)


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("plan -o new", 2, "Missing argument"),
        (f"plan scenes/videos -o new {TRUTH}", 2, "nothing to look for"),
        (f"plan scenes/videos -p ball -o s3://bucket/plan {TRUTH}", 2, "found a bucket"),
        (f"plan scenes/videos -p box -o plan {TRUTH} --fps all", 2, "holds a plan for something"),
        ("run nosuch -o new", 2, "found nothing, expected a plan"),
        ("run scenes -o new", 2, "found an unfinished plan, expected a plan"),
        ("run scenes/videos/scene-0.mp4 -o new", 2, "found a file, expected the folder of a plan"),
        ("run plan -o new --shard 3/3", 2, "expected I/N with I from 0 to N-1"),
        ("run plan -o new --actors-per-gpu 2", 2, "only with --executor ray"),
        ("run plan -o new --executor ray --actors 2 --actors-per-gpu 2", 2, "expected one of them"),
        ("run plan -o new --device cuda:77", 4, "use --device cpu"),
        ("run plan -o new --executor ray --device gpu", 2, "expected auto, cpu, cuda or cuda:N"),
        ("run plan -o new --reuse scenes", 2, "found no run in it"),
        ("retry scenes", 2, "found no run in it"),
        ("retry scenes --status done", 2, "expected some of failed, quarantined"),
        ("status scenes", 2, "found no run in it"),
        ("explain scenes zzz", 2, "found no clip 'zzz'"),
    ],
)
def test_a_refusal_says_why_and_leaves_nothing(folder, massannot, planned, command, code, words):
    found, out, err = massannot(command)
    assert (found, words in out + err) == (code, True), out + err
    assert "Traceback" not in err
    assert not (folder / "new").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_estimate_gives_no_bill(folder, massannot, planned, monkeypatch, number):
    run = execution.run

    def stopped(*asked, progress, **how):
        def heard(event):
            progress(event)
            if isinstance(event, ClipDone):
                signal.raise_signal(number)

        return run(*asked, **how, progress=heard)

    monkeypatch.setattr(execution, "run", stopped)
    code, out, err = massannot(f"{PLAN} --estimate --device cpu")
    assert (code, out) == (75, "")
    assert "nothing was estimated; the plan in plan is finished" in err


@pytest.mark.parametrize(
    ("flags", "patience", "device"),
    [
        ("", Patience(first_frame_on_cpu_s=3 * 0.1), "auto"),
        (
            "--hung-after 7 --grace 2.5 --first-clip 9 --device cpu",
            Patience(hung_after_s=7.0, first_clip_s=9.0, grace_s=2.5),
            "cpu",
        ),
    ],
)
@pytest.mark.parametrize("command", ["run plan -o patient", "retry patient"])
def test_a_run_waits_as_long_and_works_where_it_was_told(
    folder, massannot, planned, monkeypatch, command, flags, patience, device
):
    run, heard = execution.run, []

    def listening(*asked, settings, **how):
        heard.append((settings.patience, settings.device))
        return run(*asked, **how, settings=settings)

    monkeypatch.setattr(execution, "run", listening)
    assert massannot("run plan -o patient -q --device cpu")[0] == 0
    heard.clear()
    assert massannot(f"{command} -q {flags}")[0] == 0
    assert heard == [(patience, device)]


def test_every_gpu_that_will_be_used_is_named(folder, massannot, planned, monkeypatch):
    def no_run(*asked, **how):
        raise UsageError("not here")

    monkeypatch.setattr(local, "torch_state", lambda: TorchState(None, None, ("A", "B"), ()))
    monkeypatch.setattr(local, "may_have_gpu", lambda: True)
    monkeypatch.setattr(execution, "run", no_run)
    code, _, err = massannot("run plan -o new")
    assert (code, "on cuda:0, cuda:1 with local" in err) == (2, True), err


@pytest.mark.parametrize(
    ("most", "code"), [pytest.param(0.4, 3, id="too many"), pytest.param(0.5, 0, id="allowed")]
)
def test_rows_that_cannot_be_asked_count_as_failed(folder, massannot, most, code):
    """`annotate` and `run` end alike, and both say how many."""
    video = "scenes/videos/scene-0.mp4"
    rows = [
        {"video": video, "question": "Where is the ball?", "entities": ["ball"]},
        {"video": video, "question": "When?", "start_s": "noon"},
    ]
    (folder / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert massannot(f"plan m.jsonl -o asking {TRUTH} --fps all")[0] == 0
    for command in ("run asking -o asked", f"annotate m.jsonl -o directly --no-films {TRUTH}"):
        found, out, err = massannot(f"{command} -q --device cpu --max-failed {most}")
        assert found == code, err
        assert "2 questions, 1 with a clip to answer them" in out
        assert "cannot be asked: 1 x bad_question" in out
    assert "cannot be asked: 1 x bad_question" in massannot("status asked")[1]
