"""Which model does which job, from what the user chose: a file's answers, the scenes' truth, or
the profile's weights, in this order. Modules of models are imported only when they are chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from massannot.errors import MissingWeights, UsageError
from massannot.models.profiles import Job, Profile, named
from massannot.models.protocols import (
    CameraEstimator,
    DepthEstimator,
    MaskPropagator,
    PhraseDetector,
    PointTracker,
)
from massannot.models.weights import Weights, pin, require
from massannot.recipes.spec import Choice
from massannot.stages._stage import Pipeline


def detector(choice: Choice) -> PhraseDetector:
    if choice.boxes or (choice.masks and not choice.asks_truth("detect")):
        from massannot.models.recorded.object_files import RecordedBoxes

        return RecordedBoxes(choice.boxes or str(choice.masks))
    if choice.asks_truth("detect"):
        from massannot.models.oracle import OracleDetector

        return OracleDetector(str(choice.scenes))
    return _of_profile(choice, "detect")


def propagator(choice: Choice) -> MaskPropagator:
    if choice.masks:
        from massannot.models.recorded.object_files import RecordedMasks

        return RecordedMasks(choice.masks)
    if choice.asks_truth("masks"):
        from massannot.models.oracle import OracleMasks

        return OracleMasks(str(choice.scenes))
    return _of_profile(choice, "masks")


def tracker(choice: Choice) -> PointTracker:
    if choice.tracks:
        from massannot.models.recorded.track_files import RecordedTracks

        return RecordedTracks(choice.tracks)
    if choice.asks_truth("tracks"):
        from massannot.models.oracle import OracleTracker

        return OracleTracker(str(choice.scenes))
    if choice.profile == "none":
        from massannot.models.lucas_kanade import LucasKanade

        return LucasKanade()
    return _of_profile(choice, "tracks")


def depth(choice: Choice) -> DepthEstimator:
    if choice.depth:
        from massannot.models.recorded.depth_files import RecordedDepth

        return RecordedDepth(choice.depth)
    if choice.asks_truth("depth"):
        from massannot.models.oracle import OracleDepth

        return OracleDepth(str(choice.scenes))
    return _of_profile(choice, "depth")


def cameras(choice: Choice) -> CameraEstimator:
    if choice.cameras:
        from massannot.models.recorded.camera_files import RecordedCameras

        return RecordedCameras(choice.cameras)
    if choice.asks_truth("cameras"):
        from massannot.models.oracle import OracleCameras

        return OracleCameras(str(choice.scenes))
    from massannot.models.camera_pinhole import PinholeCamera

    return PinholeCamera(horizontal_fov_deg=choice.hfov_deg)


def suited(pipeline: Pipeline, choice: Choice) -> Pipeline:
    """The pipeline with the options that suit the profile's weights."""
    profile = _profile(choice)
    for stage, option, value in profile.options if profile is not None else ():
        pipeline = pipeline.with_option(stage, option, value)
    return pipeline


def notes(choice: Choice) -> tuple[str, ...]:
    """What must be said wherever these results are shown."""
    said = []
    if choice.oracles:
        said.append(
            f"{', '.join(choice.oracles)}: answered by the rendered scene's truth, not by a model"
        )
    profile = _profile(choice)
    if profile is not None and profile.note and _left_to(choice, profile):
        said.append(f"profile {profile.name}: {profile.note}")
    return tuple(said)


def without_effect(choice: Choice) -> tuple[str, ...]:
    """A sentence for each setting that changes nothing, because somebody else does that job."""
    profile = _profile(choice)
    left = _left_to(choice, profile) if profile is not None else ()
    said = [
        f"--weights {job}=... has no effect: the profile's model does not do that job here"
        for job, _ in choice.weights
        if job not in left
    ]
    if "detect" not in left:
        thresholds = {
            "--box-threshold": choice.box_threshold,
            "--text-threshold": choice.text_threshold,
        }
        said += [
            f"{flag} has no effect: no model of a profile detects here"
            for flag, value in thresholds.items()
            if value is not None
        ]
    if choice.dtype != "auto" and not left:
        said.append("--dtype has no effect: no model of a profile takes part")
    if choice.hfov_deg is not None and (choice.cameras or choice.asks_truth("cameras")):
        said.append("--hfov has no effect: cameras are given")
    return tuple(said)


def needed_weights(choice: Choice) -> tuple[Weights, ...]:
    """What must lie on the machine for this choice: files and oracles need none."""
    profile = _profile(choice)
    if profile is None:
        return ()
    found = (_weights(choice, profile, job) for job in _left_to(choice, profile))
    return tuple(weights for weights in found if weights is not None)


def pinned(choice: Choice, *, known: Mapping[str, str] | None = None) -> Choice:
    """The choice with a commit for every branch or tag of a hub, so that it means the same files on
    every worker, and later too, and no worker asks the hub. `known`: hub id to what an earlier
    start pinned. Raises MissingWeights when the hub cannot say."""
    revisions = dict(choice.revisions)
    for weights in needed_weights(choice):
        if weights.on_hub and not weights.is_pinned:
            earlier = (known or {}).get(weights.source)
            revisions[weights.source] = earlier or _pinned_or_all_missing(weights, choice).revision
    return choice.asking(revisions=tuple(sorted(revisions.items())))


def _pinned_or_all_missing(weights: Weights, choice: Choice) -> Weights:
    """`weights` pinned. Whoever misses one misses others: all are named at once."""
    try:
        return pin(weights)
    except MissingWeights:
        require(needed_weights(choice))
        raise


def pins_of(described: Any) -> dict[str, str]:
    """Hub id to revision in a Pipeline's description, as a run's record holds it."""
    if isinstance(described, Mapping):
        if described.get("is") == "Weights":
            return {described["source"]: described["revision"]}
        described = list(described.values())
    found: dict[str, str] = {}
    for value in described if isinstance(described, list | tuple) else ():
        found |= pins_of(value)
    return found


def _left_to(choice: Choice, profile: Profile) -> tuple[Job, ...]:
    """The jobs that the profile's weights do."""
    from_file = {
        "detect": choice.boxes or choice.masks,
        "masks": choice.masks,
        "depth": choice.depth,
        "tracks": choice.tracks,
    }
    return tuple(job for job in profile.jobs if not from_file[job] and not choice.asks_truth(job))


def _of_profile(choice: Choice, job: Job) -> Any:
    profile = _profile(choice)
    if profile is None:
        flag = {"detect": "--boxes", "masks": "--masks", "depth": "--depth", "tracks": "--tracks"}
        raise UsageError(
            f"no model for {job!r}: --profile none needs {flag[job]} FILE (or --scenes FOLDER "
            f"--oracle {job} on a rendered clip); or choose a profile, see `massannot models list`"
        )
    options: dict[str, Any] = {} if choice.dtype == "auto" else {"dtype": choice.dtype}
    if job == "tracks":
        options = {}
    if job == "detect":
        options |= {
            name: value
            for name in ("box_threshold", "text_threshold")
            if (value := getattr(choice, name)) is not None
        }
    weights = _weights(choice, profile, job)
    model = profile.model(job) if weights is None else profile.using(job, weights).model(job)
    return model.build(**options)


def _weights(choice: Choice, profile: Profile, job: Job) -> Weights | None:
    """The profile's or those that the user named instead, at the revision that was pinned."""
    weights = profile.model(job).weights
    for wanted, where in choice.weights:
        if wanted == job:
            weights = Weights.named(where)
    commit = None if weights is None else dict(choice.revisions).get(weights.source)
    return weights if weights is None or commit is None else replace(weights, revision=commit)


def _profile(choice: Choice) -> Profile | None:
    if choice.profile == "none":
        return None
    return named(default_profile() if choice.profile == "auto" else choice.profile)


def default_profile() -> str:
    """What `auto` means: the smallest official weights."""
    return "small"
