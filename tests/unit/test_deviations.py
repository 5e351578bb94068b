"""Runs in lower precision record how far it moves their answers, measured once a machine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from massannot.dataset import record as run_record
from massannot.dataset.card import precision_line
from massannot.dataset.layout import Layout
from massannot.dataset.record import Deviation
from massannot.models import runtime, weights_trial
from massannot.recipes.deviations import deviations, narrow_jobs
from massannot.recipes.model_flags import ModelFlags
from massannot.recipes.spec import RunSpec
from tests.in_process import run_massannot


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(runtime, "cpu_has_bfloat16", lambda: True)


def _spec(dtype: str) -> RunSpec:
    flags = ModelFlags(profile="embedded", dtype=dtype)
    return RunSpec(models=flags.answerers(), options=flags.options())


def test_each_network_in_bfloat16_lies_near_itself_in_float32() -> None:
    found = {one.job: one for one in deviations(_spec("bf16"), "cpu")}
    assert set(found) == {"detect", "masks", "depth"}
    assert 0 < found["detect"].value < 2
    assert 0 < found["masks"].value < 0.01
    assert 0 < found["depth"].value < 0.01
    assert {one.dtype for one in found.values()} == {"bf16"}
    assert {one.device for one in found.values()} == {runtime.device_name("cpu")}


def test_float32_is_beside_nothing() -> None:
    assert narrow_jobs(_spec("fp32")) == narrow_jobs(_spec("auto")) == {}


def test_what_was_measured_on_this_machine_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def moved(narrow: object, exact: object, job: str, *, device: str) -> dict[str, float]:
        calls.append(job)
        return {"moved_px": 0.5}

    monkeypatch.setattr(weights_trial, "moved", moved)
    first = deviations(_spec("bf16"), "cpu")
    assert deviations(_spec("bf16"), "cpu") == first
    assert sorted(calls) == ["depth", "detect", "masks"]
    monkeypatch.setattr("massannot.recipes.deviations.device_name", lambda device: "another")
    deviations(_spec("bf16"), "cpu")
    assert len(calls) == 6


def test_a_user_without_a_home_measures_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("massannot.recipes.deviations.cache_folder", no_home)
    monkeypatch.setattr(weights_trial, "moved", lambda *_, **__: {"moved_px": 0.5})
    assert {one.value for one in deviations(_spec("bf16"), "cpu")} == {0.5}


def test_a_network_that_cannot_answer_the_clip_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def moved(narrow: object, exact: object, job: str, *, device: str) -> dict[str, float]:
        if job == "masks":
            raise RuntimeError("no kernel image for this device")
        return {"moved_px": 0.5}

    monkeypatch.setattr(weights_trial, "moved", moved)
    assert {one.job for one in deviations(_spec("bf16"), "cpu")} == {"detect", "depth"}


def test_the_first_word_stands_in_the_record(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "out")
    layout.run.mkdir(parents=True)
    one = Deviation("masks", "bf16", "a processor", "changed_share", 0.0006)
    run_record.add_deviations(layout, [])
    assert not (layout.run / "deviations.json").exists()
    run_record.add_deviations(layout, [one])
    run_record.add_deviations(layout, [replace(one, device="another", value=0.5)])
    assert json.loads((layout.run / "deviations.json").read_text())[0]["device"] == "a processor"


def test_the_line_names_measures_in_their_units() -> None:
    found = [
        Deviation("detect", "bf16", "a processor", "moved_px", 0.2),
        Deviation("masks", "bf16", "a processor", "changed_share", 0.0006),
    ]
    assert precision_line(found) == (
        "in bf16, beside float32 on a rendered clip, medians: boxes by 0.2 pixels, "
        "0.06 % of the pixels of masks (a processor)"
    )
    assert precision_line([]) == ""


def test_a_run_in_bfloat16_records_and_says_it(tmp_path: Path) -> None:
    run_massannot("scenes render scenes --seed 4 --frames 2", tmp_path)
    command = "annotate scenes/videos -o out -p ball --profile embedded --device cpu --no-films"
    said = run_massannot(f"{command} --dtype bf16", tmp_path)
    record = run_record.required(Layout(tmp_path / "out"))
    assert {one.job for one in record.deviations} == {"detect", "masks", "depth"}
    line = precision_line(record.deviations)
    assert line in said
    assert line in (tmp_path / "out" / "README.md").read_text()
