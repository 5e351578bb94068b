"""A folder remembers what made it, refuses anything else, and keeps no secret."""

import dataclasses
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from massannot.dataset import record as run_record
from massannot.dataset.differences import differences
from massannot.dataset.layout import Layout
from massannot.dataset.record import (
    LoadedWeights,
    RunRecord,
    Start,
    without_credentials,
)
from massannot.errors import OtherRecipe
from massannot.storage import durable

RECIPE = {
    "recipe": "annotate",
    "profile": "small",
    "stages": [
        {"stage": "detect", "box_threshold": 0.35, "detector": {"is": "Dino", "size": "tiny"}},
        {"stage": "track", "points": 64},
    ],
}
SPEC = {
    "phrases": ["ball"],
    "sampling": {"fps": 10.0},
    "recipe": "annotate",
    "models": {"detect": {"kind": "model", "name": "small"}},
    "options": {"detect.box_threshold": "0.35"},
}
RECORD = RunRecord(SPEC, RECIPE, "digest", code={"models": "c0de"})
TRACKER = LoadedWeights("CoTracker3", "hub/id", "abc", "0" * 64, "CC-BY-NC", 25)


def other_spec(**changes) -> RunRecord:
    return dataclasses.replace(RECORD, spec={**SPEC, **changes})


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        pytest.param(
            other_spec(phrases=["ball", "hoop"]), r'phrases +\["ball"\] +\["ball", "ho', id="p"
        ),
        pytest.param(other_spec(sampling={"fps": None}), r"fps +10.0 +null", id="sampling"),
        pytest.param(
            other_spec(options={"detect.box_threshold": "0.5"}),
            r"options\.detect\.box_threshold +0\.35 +0\.5",
            id="an option",
        ),
        pytest.param(other_spec(models={}), r"models\.detect +\{.*\} +\(none\)", id="a model less"),
        pytest.param(
            dataclasses.replace(RECORD, answers={"masks": "d1"}),
            r"answers\.masks +\(none\) +d1",
            id="another file of answers",
        ),
        pytest.param(
            dataclasses.replace(RECORD, code={"models": "new"}), r"models +c0de +new", id="code"
        ),
    ],
)
def test_another_recipe_is_refused_with_the_difference(tmp_path, wanted, line):
    layout = Layout(tmp_path)
    run_record.begin(layout, RECORD)
    run_record.add_weights(layout, RECORD, [])
    before = layout.record.read_bytes()
    with pytest.raises(OtherRecipe, match=line):
        run_record.begin(layout, wanted)
    assert layout.record.read_bytes() == before


def test_the_same_recipe_is_welcome_again_and_each_other_start_is_kept(tmp_path, monkeypatch):
    layout, commands = Layout(tmp_path), ["run", "run", "run -v", "run", "retry"]
    first = (run_record.begin(layout, RECORD), layout.record.read_bytes())[1]
    for command in commands:
        monkeypatch.setattr(run_record, "this_start", lambda command=command: Start(command, {}))
        run_record.begin(layout, RECORD)
    found = run_record.read(layout)
    assert (found.spec, found.digest) == (SPEC, "digest")
    assert [start.command for start in found.starts[1:]] == ["run", "run -v", "retry"]
    assert layout.record.read_bytes() == first


def test_of_many_jobs_that_start_at_once_no_start_is_lost(tmp_path, monkeypatch):
    jobs = 16
    together, own = threading.Barrier(jobs), threading.local()
    monkeypatch.setattr(run_record, "this_start", lambda: Start(f"job {own.number}", {}))

    def start(number: int) -> None:
        own.number = number
        together.wait()
        run_record.begin(Layout(tmp_path), RECORD)
        run_record.add_weights(Layout(tmp_path), RECORD, [TRACKER])

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(start, range(jobs)))
    found = run_record.read(Layout(tmp_path))
    assert {start.command for start in found.starts} == {f"job {n}" for n in range(jobs)}
    assert len(found.starts) == jobs
    assert found.weights == (TRACKER,)


def test_other_weights_are_refused(tmp_path):
    layout = Layout(tmp_path)
    run_record.begin(layout, RECORD)
    run_record.add_weights(layout, RECORD, [TRACKER])
    run_record.add_weights(layout, RECORD, [TRACKER])
    with pytest.raises(OtherRecipe, match=r"other weights:\n.*\n  CoTracker3\.sha256 +0000.*1111"):
        run_record.add_weights(layout, RECORD, [dataclasses.replace(TRACKER, sha256="1" * 64)])
    assert run_record.read(layout).weights == (TRACKER,)


def test_a_folder_whose_models_were_never_loaded_is_the_next_command_s(tmp_path):
    layout = Layout(tmp_path)
    run_record.begin(layout, RECORD)
    (layout.plans / "000000").mkdir(parents=True)
    corrected = other_spec(phrases=["hoop"])
    assert run_record.begin(layout, corrected).spec == corrected.spec
    assert not layout.plans.exists(), "its plan was for another spec"
    with pytest.raises(OtherRecipe, match="phrases"):  # it was still loading its models
        run_record.add_weights(layout, RECORD, [TRACKER])
    run_record.add_weights(layout, corrected, [TRACKER])
    with pytest.raises(OtherRecipe, match="phrases"):
        run_record.begin(layout, RECORD)


def test_starts_of_one_spec_leave_each_other_s_plan_alone(tmp_path):
    layout = Layout(tmp_path)
    run_record.begin(layout, RECORD)
    (layout.plans / "000000").mkdir(parents=True)
    run_record.begin(layout, RECORD)
    assert (layout.plans / "000000").is_dir()


def test_a_start_may_name_other_videos(tmp_path):
    layout = Layout(tmp_path)
    run_record.begin(layout, other_spec(sources=["a.mp4"]))
    run_record.add_weights(layout, other_spec(sources=["a.mp4"]), [])
    run_record.begin(layout, other_spec(sources=["a.mp4", "b.mp4"], select={"limit": 3}))


def test_other_code_goes_on_where_it_is_allowed_and_is_recorded(tmp_path):
    layout = Layout(tmp_path)
    run_record.begin(layout, RECORD)
    run_record.add_weights(layout, RECORD, [])
    changed = dataclasses.replace(RECORD, code={"models": "new"})
    with pytest.raises(OtherRecipe, match="--allow-code"):
        run_record.begin(layout, changed)
    found = run_record.begin(layout, changed, allow_code=True)
    assert [start.other_code for start in found.starts] == [{}, {"models": "new"}]


def test_a_start_whose_number_was_just_taken_reads_no_start_twice(tmp_path, monkeypatch):
    layout = Layout(tmp_path)
    monkeypatch.setattr(run_record, "this_start", lambda: Start("first", {}))
    run_record.begin(layout, RECORD)
    known = run_record.read(layout)
    for number in range(1, 9):  # written between this start's look and its own file
        command = json.dumps({"command": f"job {number}", "versions": {}}).encode()
        durable.write_once(layout.run / "starts" / f"{number:06d}.json", command)
    looks = iter([known])
    read, n_reads = run_record._read, []
    monkeypatch.setattr(
        run_record, "_read", lambda layout: n_reads.append(1) or next(looks, None) or read(layout)
    )
    monkeypatch.setattr(run_record, "this_start", lambda: Start("late", {}))
    monkeypatch.setattr(run_record, "is_bound", lambda layout: True)
    found = run_record.begin(layout, RECORD)
    assert [start.command for start in found.starts[-2:]] == ["job 8", "late"]
    assert len(n_reads) == 2
    monkeypatch.setattr(run_record, "this_start", lambda: Start("job 5", {}))
    looks = iter([known])
    assert run_record.begin(layout, RECORD).starts == found.starts


def test_a_folder_without_a_run_has_no_record(tmp_path):
    assert run_record.read(Layout(tmp_path)) is None


def test_equal_values_do_not_differ():
    assert list(differences(RECIPE, RECIPE)) == []


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["massannot", "a.mp4", "-p", "ball"], "massannot a.mp4 -p ball"),
        (["run", "--token", "s3cret", "x"], "run --token *** x"),
        (["run", "--hf-token=s3cret"], "run --hf-token=***"),
        (["HF_TOKEN=s3cret"], "HF_TOKEN=***"),
        (["https://user:pw@host/x"], "https://***@host/x"),
        (["https://b/x?X-Amz-Signature=abc&y=1"], "https://b/x?X-Amz-Signature=***&y=1"),
        (["hf_abcdefghij0123456789"], "***"),
        (["AKIAABCDEFGHIJKLMNOP"], "***"),
        (["ASIAABCDEFGHIJKLMNOP"], "***"),
        (["https://b/x?sv=1&sig=abc&se=2"], "https://b/x?sv=1&sig=***&se=2"),
        (["https://b/x?passwd=abc"], "https://b/x?passwd=***"),
        (["AWS_SECRET_ACCESS_KEY=a&b"], "AWS_SECRET_ACCESS_KEY=***"),
    ],
)
def test_credentials_do_not_reach_the_record(argv, shown):
    assert without_credentials(argv) == shown
