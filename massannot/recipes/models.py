"""The model that does each job of a recipe: `detector(spec)` and its like, for recipes to call.

Modules of models are imported only when a pipeline is built, and weights load later still.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from massannot.errors import MissingWeights, UsageError
from massannot.models import profiles
from massannot.models.profiles import Job, Profile
from massannot.models.protocols import (
    CameraEstimator,
    CuboidSource,
    DepthEstimator,
    MaskPropagator,
    PhraseDetector,
    PointTracker,
)
from massannot.models.text_prompts import vocabulary_of
from massannot.models.weights import Weights, pin, require
from massannot.recipes.spec import Answerer, RunSpec
from massannot.stages._stage import Pipeline, Stage, with_option


@dataclass(frozen=True)
class JobKind:
    """One job of a recipe: the flag of its recorded answers, and who answers without a profile."""

    flag: str
    recorded: str
    oracle: str | None
    """None: the truth of scenes does not do it."""
    method: str | None = None
    """The model that needs no weights; None: there is none."""


JOBS: Mapping[Job, JobKind] = {
    "detect": JobKind("--boxes", "recorded.object_files:RecordedBoxes", "oracle:OracleDetector"),
    "masks": JobKind("--masks", "recorded.object_files:RecordedMasks", "oracle:OracleMasks"),
    "depth": JobKind("--depth", "recorded.depth_files:RecordedDepth", "oracle:OracleDepth"),
    "second_depth": JobKind(
        "--second-depth", "recorded.depth_files:RecordedDepth", "oracle:OracleDepth"
    ),
    "tracks": JobKind(
        "--tracks",
        "recorded.track_files:RecordedTracks",
        "oracle:OracleTracker",
        "lucas_kanade:LucasKanade",
    ),
    "cameras": JobKind(
        "--cameras",
        "recorded.camera_files:RecordedCameras",
        "oracle:OracleCameras",
        "camera_pinhole:PinholeCamera",
    ),
    "cuboids": JobKind("--cuboids", "recorded.cuboid_files:RecordedCuboids", None),
}

NEEDED: tuple[Job, ...] = ("detect", "masks", "depth", "tracks", "cameras")
"""The jobs of the recipe annotate; a second depth and cuboids are asked by name alone."""


def pipeline_of(name: str, spec: RunSpec, *stages: Stage) -> Pipeline:
    """The stages as a recipe, with the profile and the notes of the spec's models."""
    return Pipeline(name=name, stages=stages, profile=spec.profile, notes=notes(spec))


def detector(spec: RunSpec) -> PhraseDetector:
    return cast(PhraseDetector, model(spec, "detect"))


def propagator(spec: RunSpec) -> MaskPropagator:
    return cast(MaskPropagator, model(spec, "masks"))


def depth(spec: RunSpec) -> DepthEstimator:
    return cast(DepthEstimator, model(spec, "depth"))


def second_depth(spec: RunSpec) -> DepthEstimator | None:
    """None: nobody was asked to do this job."""
    if "second_depth" not in spec.models:
        return None
    return cast(DepthEstimator, model(spec, "second_depth"))


def cuboids(spec: RunSpec) -> CuboidSource | None:
    """None: nobody gave any."""
    if "cuboids" not in spec.models:
        return None
    return cast(CuboidSource, model(spec, "cuboids"))


def tracker(spec: RunSpec) -> PointTracker:
    return cast(PointTracker, model(spec, "tracks"))


def cameras(spec: RunSpec) -> CameraEstimator:
    return cast(CameraEstimator, model(spec, "cameras"))


def model(spec: RunSpec, job: Job) -> Any:
    """The model that does the job, with the spec's "job.option" options. Loads no weights.

    Raises UsageError for a job without an answerer and for a model that does not exist, BadRecipe
    for an option that it does not have.
    """
    answerer = spec.models.get(job)
    if answerer is None:
        raise UsageError(
            f"no model for {job!r}: --profile none needs {JOBS[job].flag} FILE, --model "
            f"{job}=NAME (or --scenes FOLDER --oracle {job} on a rendered clip); or choose a "
            "profile, see `massannot models list`"
        )
    built = _built(answerer, job)
    for name, value in spec.options.items():
        target, _, option = name.partition(".")
        if target == job:
            built = with_option(built, option, value, where=job)
    return built


def _built(answerer: Answerer, job: Job) -> Any:
    if answerer.kind == "file":
        return profiles.adapter(JOBS[job].recorded)(answerer.name)
    oracle = JOBS[job].oracle
    if answerer.kind == "scene" and oracle is not None:
        return profiles.adapter(oracle)(answerer.name)
    weights = weights_of(answerer, job)
    profile = profile_of(answerer)
    if profile is not None:
        own = job_of_profiles(job)
        chosen = profile if weights is None else profile.using(own, weights)
        return chosen.model(own).build()
    adapter = profiles.adapter(answerer.name)
    return adapter() if weights is None else adapter(weights)


def job_of_profiles(job: Job) -> Job:
    return "depth" if job == "second_depth" else job


def profile_of(answerer: Answerer) -> Profile | None:
    """The profile that a model answerer names; None: it names a class."""
    if answerer.kind != "model" or ":" in answerer.name:
        return None
    return profiles.named(answerer.name)


def weights_of(answerer: Answerer, job: Job) -> Weights | None:
    """What the answerer loads: its own weights or the profile's, at the pinned revision."""
    profile = profile_of(answerer)
    weights = None if profile is None else profile.model(job_of_profiles(job)).weights
    if answerer.weights is not None:
        weights = Weights.named(answerer.weights)
    if weights is None or answerer.revision is None:
        return weights
    return replace(weights, revision=answerer.revision)


def vocabulary_of_detector(spec: RunSpec) -> frozenset[str] | None:
    """The words that the spec's detector knows; None: any, or no model with weights detects."""
    answerer = spec.models.get("detect")
    weights = None if answerer is None else weights_of(answerer, "detect")
    return None if weights is None else vocabulary_of(weights)


def needed_weights(spec: RunSpec) -> tuple[Weights, ...]:
    """What must lie on the machine: files, oracles and methods without weights need nothing."""
    found = (weights_of(answerer, job) for job, answerer in spec.models.items())
    return tuple(weights for weights in found if weights is not None)


def pinned(spec: RunSpec, *, known: Mapping[Job, Answerer] | None = None) -> RunSpec:
    """The spec with a commit for every branch or tag of a hub, so that it means the same files on
    every worker, and later too, and no worker asks the hub.

    `known`: the answerers that an earlier start pinned. Raises MissingWeights when the hub cannot
    say.
    """
    models: dict[Job, Answerer] = {}
    for job, answerer in spec.models.items():
        weights = weights_of(answerer, job)
        if weights is not None and weights.on_hub and not weights.is_pinned:
            earlier = (known or {}).get(job)
            same = earlier is not None and replace(earlier, revision=answerer.revision) == answerer
            revision = earlier.revision if earlier is not None and same else None
            answerer = replace(
                answerer, revision=revision or _pinned_or_all_missing(weights, spec).revision
            )
        models[job] = answerer
    return replace(spec, models=models)


def _pinned_or_all_missing(weights: Weights, spec: RunSpec) -> Weights:
    """`weights` pinned. A machine that misses one misses others: all are named at once."""
    try:
        return pin(weights)
    except MissingWeights:
        require(needed_weights(spec))
        raise


def suited(pipeline: Pipeline, spec: RunSpec) -> Pipeline:
    """The pipeline with the options that suit the weights of its profiles."""
    stages = {stage.name for stage in pipeline.stages}
    first = dict(spec.models)
    first.pop("second_depth", None)
    for name in replace(spec, models=first).profiles:
        for stage, option, value in profiles.named(name).options:
            if stage in stages:
                pipeline = pipeline.with_option(stage, option, value)
    return pipeline


def notes(spec: RunSpec) -> tuple[str, ...]:
    """Sentences that must stand wherever these results are shown."""
    true_jobs = [job for job, answerer in spec.models.items() if answerer.kind == "scene"]
    sentences = []
    if true_jobs:
        sentences.append(
            f"{', '.join(true_jobs)}: answered by the rendered scene's truth, not by a model"
        )
    for name in spec.profiles:
        if note := profiles.named(name).note:
            sentences.append(f"profile {name}: {note}")
    return tuple(sentences)
