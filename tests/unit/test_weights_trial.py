"""doctor --weights: the shipped models pass with the numbers of here, and a bad answer is named."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from massannot.models import runtime, weights_trial
from massannot.models.profiles import Job, Profile, ProfileModel, named
from massannot.models.protocols import Cameras, DepthMaps, Detections, ModelCard, PointTracks
from massannot.models.weights_trial import APART, EXPECTED, Trial, try_profile
from tests.in_process import run_massannot


def test_the_shipped_weights_answer_as_they_did_here(tmp_path: Path) -> None:
    said = run_massannot("doctor --weights embedded --device cpu -o report", tmp_path)
    report = json.loads((tmp_path / "report" / "doctor-embedded.json").read_text())
    trials = {trial["job"]: trial for trial in report["trials"]}
    assert set(trials) == {"detect", "masks", "depth", "tracks"}
    assert all(trial["problems"] == [] for trial in trials.values()), trials
    assert {job for _, job in EXPECTED} == {"detect", "masks", "depth"}
    assert len(trials["masks"]["sha256"]) == 64
    assert trials["masks"]["n_parameters"] > 100_000
    assert "embedded/grounding_dino: boxes" in said
    assert {finding["what"] for finding in report["machine"]} >= {"python", "memory"}


class Wrong:
    """A model whose every answer has one thing wrong with it."""

    def setup(self, *, device: str) -> None:
        """Nothing is loaded."""

    def destroy(self) -> None:
        """Nothing is held."""

    def card(self) -> ModelCard:
        return ModelCard("wrong")

    def detect(self, frames: Any, *, at: Any, phrases: Any) -> Detections:
        one = np.zeros(1, np.int32)
        return Detections(one, one, np.float32([[-5, 0, 9, 9]]), np.float32([0.5]))

    def estimate_depth(self, frames: Any, *, focal_px: float | None = None) -> DepthMaps:
        return DepthMaps(np.full((len(frames), 4, 5), -1, np.float32), "metric")

    def track(self, frames: Any, *, queries_txy: Any) -> PointTracks:
        flat = np.zeros((1, 1), np.float32)
        return PointTracks(np.zeros((1, 1, 2), np.float32), flat > 0, flat, flat, flat)

    def estimate_cameras(self, frames: Any) -> Cameras:
        n = len(frames)
        still = np.tile(np.eye(4), (n, 1, 1))
        return Cameras(np.full((n, 4), -1.0), still, "estimated", "assumed")

    def session(self, frames: Any) -> Any:
        raise RuntimeError("no kernel image for this device")


@pytest.fixture(scope="module")
def trials() -> dict[Job, Trial]:
    jobs: tuple[Job, ...] = ("detect", "masks", "depth", "tracks", "cameras")
    sys.modules.setdefault("wrong.model", sys.modules[__name__])
    models = tuple(ProfileModel(job, "wrong.model:Wrong", None) for job in jobs)
    return {trial.job: trial for trial in try_profile(Profile("bad", "", models), device="cpu")}


@pytest.mark.parametrize(
    ("job", "problem"),
    [
        ("detect", "outside of the picture"),
        ("masks", "RuntimeError: no kernel image for this device"),
        ("depth", "expected positive numbers"),
        ("tracks", "expected one finite place a frame and point"),
        ("cameras", "found a focal length of -1"),
    ],
)
def test_what_is_wrong_with_an_answer_is_said(
    trials: dict[Job, Trial], job: Job, problem: str
) -> None:
    assert problem in "".join(trials[job].problems)


def test_other_numbers_than_those_of_here_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    tracks = replace(named("embedded"), models=(named("embedded").model("tracks"),))
    monkeypatch.setattr(weights_trial, "EXPECTED", {("", "tracks"): ("median_error_px", 50.0, 1.0)})
    (trial,) = try_profile(tracks, device="cpu")
    assert "expected 50.000 within 1" in trial.problems[0]


def test_in_another_dtype_each_answer_lies_beside_that_in_float32(tmp_path, monkeypatch):
    monkeypatch.setattr(runtime, "cpu_has_bfloat16", lambda: True)
    run_massannot("doctor --weights embedded --device cpu --dtype bf16 -o report", tmp_path)
    report = json.loads((tmp_path / "report" / "doctor-embedded-bf16.json").read_text())
    assert report["dtype"] == "bf16"
    trials = {trial["job"]: trial for trial in report["trials"]}
    apart = {job: trials[job]["measures"][APART[job]] for job in ("detect", "masks", "depth")}
    assert 0 < apart["detect"] < 2
    assert 0 < apart["masks"] < 0.01
    assert 0 < apart["depth"] < 0.01
    assert all(trial["problems"] == [] for trial in trials.values())


def test_a_dtype_that_does_not_exist_is_refused(tmp_path):
    said = run_massannot("doctor --weights embedded --dtype int8", tmp_path, code=2)
    assert "--dtype int8: expected one of auto, fp32, bf16, fp16" in said


def test_a_dtype_without_a_profile_is_refused(tmp_path):
    assert "found no profile" in run_massannot("doctor --dtype bf16", tmp_path, code=2)
