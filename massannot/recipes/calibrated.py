"""The calibration of a run: which one is true of its models and options, and the key that says so.

The key has everything that decides how large errors are: who answers for each job, with which
weights and dtype, and the options of all stages that find and place things. Phrases, sources and
code are not part of it. Of cameras it says whether the lens is known: what a file or a scene says
of a camera is taken as exact, and estimated poses state their own errors. Answers from files have
no calibration unless one was made for answers from files, and given by name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from massannot.errors import MissingWeights, UsageError
from massannot.geometry.calibration import Calibration, from_json
from massannot.models import weights
from massannot.models.profiles import Job
from massannot.models.weights import Weights
from massannot.recipes.models import JOBS, weights_of
from massannot.stages.state_intervals import ChosenCalibration, StateIntervals

if TYPE_CHECKING:
    from massannot.recipes.spec import RunSpec
    from massannot.stages._stage import Pipeline

AUTO, NONE = "auto", "none"
SHIPPED = Path(__file__).parent.parent / "calibrations"
_PLACES_NOTHING = (
    "split_segments",
    "estimate_poses",  # what it finds has a covariance of its own
    "store_depth",
    "compare_depth",
    "find_events",
    "score_quality",
)
_STAGE_OF: Mapping[str, Job] = {
    "detect_phrases": "detect",
    "propagate_masks": "masks",
    "track_points": "tracks",
    "estimate_cameras": "cameras",
    "estimate_depth": "depth",
}
_CHANGES_NO_ERROR = ("batch", "encode_batch", "object_batch", "kept_mib", "compile", "threads")
"""Options of models that decide how fast they answer, and the last bits."""


def with_calibration(pipeline: Pipeline, spec: RunSpec) -> Pipeline:
    """The pipeline whose StateIntervals has the calibration that the spec asks for.

    Raises UsageError for a file that is none, or is one of other models or options.
    """
    if all(not isinstance(stage, StateIntervals) for stage in pipeline.stages):
        return pipeline
    chosen = _chosen(pipeline, spec)
    stages = (
        replace(stage, calibration=chosen) if isinstance(stage, StateIntervals) else stage
        for stage in pipeline.stages
    )
    return replace(pipeline, stages=tuple(stages))


def chosen_from(path: Path, key: Mapping[str, Any] | None) -> ChosenCalibration:
    """The calibration in a file; `key`: of the run that it is for, None: not compared.

    Raises UsageError for a file that is not there, is no calibration, or is one of another key.
    """
    name, sha256, calibration = _read(path, where=f"--calibration {path}")
    differences = [] if key is None else list(_differences("", calibration.key, key))
    if differences:
        raise UsageError(
            f"--calibration {path}: made for other models or options than this run's:\n  "
            + "\n  ".join(differences)
            + "\nmake one with `massannot calibrate` from a run with these options on clips whose "
            "truth you have, or leave the flag out"
        )
    return ChosenCalibration(name, sha256, calibration)


def key_of(pipeline: Pipeline, spec: RunSpec) -> dict[str, Any] | None:
    """See the module's head. None: weights of the run are not on this machine."""
    stages: dict[str, Any] = {}
    try:
        for described in pipeline.describe()["stages"]:
            name = described["stage"]
            if name not in _PLACES_NOTHING and name != "state_intervals":
                stages[name] = dict(_options(described, spec, _STAGE_OF.get(name)))
    except MissingWeights:
        return None
    return {"recipe": pipeline.name, "stages": stages}


def _chosen(pipeline: Pipeline, spec: RunSpec) -> ChosenCalibration:
    if spec.calibration == NONE:
        return ChosenCalibration()
    key = key_of(pipeline, spec)
    if spec.calibration != AUTO:
        return chosen_from(Path(spec.calibration), key)
    if any(
        answerer.kind == "file" and job not in ("cameras", "second_depth")
        for job, answerer in spec.models.items()
    ):
        return ChosenCalibration()
    for name, sha256, calibration in _shipped():
        if calibration.key == key:
            return ChosenCalibration(name, sha256, calibration)
    return ChosenCalibration()


@cache
def _shipped() -> tuple[tuple[str, str, Calibration], ...]:
    return tuple(_read(file, where=str(file)) for file in sorted(SHIPPED.glob("*.json")))


def _read(path: Path, *, where: str) -> tuple[str, str, Calibration]:
    """Name, hash and content of a file. Raises UsageError, beginning with `where`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{where}: {error}") from error
    calibration = from_json(text, where=where)
    return calibration.name, hashlib.sha256(text.encode()).hexdigest(), calibration


def _options(
    described: Mapping[str, Any], spec: RunSpec, job: Job | None
) -> Iterator[tuple[str, Any]]:
    """A stage's options, its model replaced by who it is."""
    for name, value in described.items():
        is_model = isinstance(value, Mapping) and name in ("detector", "propagator", "tracker")
        if name == "stage":
            continue
        if job is not None and (is_model or name == "model"):
            yield "model", _model(value, spec, job)
        else:
            yield name, value


def _model(described: Mapping[str, Any], spec: RunSpec, job: Job) -> Any:
    answerer = spec.models[job]
    if job == "cameras":
        assumed = answerer.name == JOBS["cameras"].method
        known = not assumed or described.get("horizontal_fov_deg") is not None
        return {"lens": "given" if known else "assumed"}
    if answerer.kind == "file":
        return {"is": "answers from a file"}
    if answerer.kind == "scene":
        return {name: v for name, v in described.items() if name not in ("scenes", "seed")}
    loads = weights_of(answerer, job)
    options = {n: v for n, v in described.items() if n not in (*_CHANGES_NO_ERROR, "weights")}
    return options if loads is None else {**options, "weights": _weights(loads)}


def _weights(wanted: Weights) -> dict[str, str]:
    """A hub's id and commit; of local files the hash of the bytes. Raises MissingWeights."""
    if wanted.on_hub:
        return {"source": wanted.source, "revision": wanted.revision, "file": wanted.file}
    return {"sha256": weights.find(wanted, download=False).sha256}


def _differences(where: str, made_for: Any, found: Any) -> Iterator[str]:
    if isinstance(made_for, Mapping) and isinstance(found, Mapping):
        for name in sorted({*made_for, *found}):
            inner = f"{where}.{name}" if where else str(name)
            yield from _differences(inner, made_for.get(name), found.get(name))
    elif made_for != found:
        yield f"{where}: made for {made_for!r}, this run has {found!r}"
