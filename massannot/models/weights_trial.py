"""`massannot doctor --weights PROFILE`: each of a profile's models once, on a rendered clip.

Whether weights load, answer in the right shapes and ranges and know their job is told in minutes,
before hours are spent: the clip's truth is known, so every answer has an error. An answer of the
wrong form is a problem; a large error is none, since these are pictures that no official network
was trained for, except where the project has stored what the same weights answered (`EXPECTED`).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from massannot.clip import Frames
from massannot.errors import MassannotError
from massannot.models.profiles import Job, Profile, ProfileModel
from massannot.models.protocols import Model
from massannot.scenes.render import render
from massannot.scenes.true_answers import Answers
from massannot.scenes.world import Scene, SceneOptions, make_scene

SEED = 900_003
OPTIONS = SceneOptions(
    width=160, height=128, n_frames=6, camera="static", scenario="rolling", n_bodies=4
)
LEAST_PIXELS = 100
"""Things smaller than this in the first frame are not asked for."""

EXPECTED: Mapping[tuple[str, Job], tuple[str, float, float]] = {
    ("embedded/grounding_dino", "detect"): ("best_iou", 0.913, 0.03),
    ("embedded/sam2_video", "masks"): ("J_last", 0.868, 0.03),
    ("embedded/depth_anything", "depth"): ("ratio", 0.963, 0.02),
}
"""By weights and job: the measure, what it was here, and how far it may lie from that."""


@dataclass(frozen=True)
class Trial:
    """One model's answer. `measures`: counts and errors by name, see `_TRIALS`."""

    job: Job
    adapter: str
    weights: str
    license: str
    revision: str = ""
    sha256: str = ""
    n_parameters: int = 0
    setup_s: float = 0.0
    run_s: float = 0.0
    peak_memory_gb: float | None = None
    """Of the process on the CPU, which all models before it share; of the device on CUDA."""
    measures: Mapping[str, float] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    """What is wrong; empty: the model may be used."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def try_profile(profile: Profile, *, device: str, dtype: str = "auto") -> list[Trial]:
    """Every model of the profile, one after the other. Weights must lie on this machine. In another
    `dtype` than the model's own each is asked in float32 too, and its measures say how far apart
    the two answers lie."""
    tried = _try_all(profile.models, device=device, dtype=dtype)
    narrow = dtype not in ("auto", "fp32", "float32")
    networks = [model for model in profile.models if narrow and model.weights is not None]
    in_float32 = _try_all(networks, device=device, dtype="float32") if networks else []
    exact = {trial.job: (trial, answer) for trial, answer in in_float32}
    return [
        _beside(trial, answer, *exact[trial.job]) if trial.job in exact else trial
        for trial, answer in tried
    ]


def _beside(
    trial: Trial, answer: NDArray[Any] | None, exact: Trial, exact_answer: NDArray[Any] | None
) -> Trial:
    """With what the same network in float32 says of it."""
    return replace(
        trial,
        measures={**trial.measures, **_apart(trial.job, exact_answer, answer)},
        problems=(*trial.problems, *(f"in float32: {problem}" for problem in exact.problems)),
    )


def moved(narrow: Model, exact: Model, job: Job, *, device: str) -> dict[str, float]:
    """How far what one model answers on the rendered clip lies from the other's answer, by the name
    in APART; empty where the two cannot be laid beside each other. Loads one after the other.
    Raises what models raise."""
    answers = []
    for model in (exact, narrow):
        try:
            model.setup(device=device)
            with _clip() as (frames, truth):
                answers.append(_TRIALS[job](model, frames, truth)[2])
        finally:  # what did not fit leaves no memory behind
            model.destroy()
    return _apart(job, *answers)


def _try_all(
    models: Sequence[ProfileModel], *, device: str, dtype: str
) -> list[tuple[Trial, NDArray[Any] | None]]:
    with _clip() as (frames, truth):
        return [_try(one, frames, truth, device=device, dtype=dtype) for one in models]


@contextmanager
def _clip() -> Iterator[tuple[Frames, Answers]]:
    """The rendered clip; models that do two jobs keep with its frames what they found for both."""
    scene = make_scene(SEED, OPTIONS)
    frames = _frames(scene)
    try:
        yield frames, Answers.of(scene, frames)
    finally:
        frames.forget()


def _try(
    chosen: ProfileModel, frames: Frames, truth: Answers, *, device: str, dtype: str
) -> tuple[Trial, NDArray[Any] | None]:
    """The trial, and the answer where it had the right form."""
    weights = "" if chosen.weights is None else str(chosen.weights)
    trial = Trial(chosen.job, chosen.adapter, weights, chosen.license)
    options = {} if dtype == "auto" or chosen.weights is None else {"dtype": dtype}
    start = time.perf_counter()
    try:
        model = chosen.build(**options)
        model.setup(device=device)
        setup_s = time.perf_counter() - start
        card = model.card()
        start = time.perf_counter()
        measures, problems, answer = _TRIALS[chosen.job](model, frames, truth)
        run_s = time.perf_counter() - start
        model.destroy()
    except (MassannotError, RuntimeError, ValueError) as error:
        return replace(trial, problems=(f"{type(error).__name__}: {error}",)), None
    done = replace(
        trial,
        license=card.license or chosen.license,
        revision=card.revision,
        sha256=card.sha256,
        n_parameters=card.n_parameters,
        setup_s=round(setup_s, 2),
        run_s=round(run_s, 2),
        peak_memory_gb=_peak_memory_gb(device),
        measures={name: round(value, 4) for name, value in measures.items()},
        problems=(*problems, *_unexpected(weights, chosen.job, measures)),
    )
    return done, answer


def _apart(job: Job, exact: NDArray[Any] | None, narrow: NDArray[Any] | None) -> dict[str, float]:
    """How far an answer lies from the same model's in float32; nothing where they cannot be laid
    beside each other, as lists of boxes of which one is longer."""
    if exact is None or narrow is None or exact.shape != narrow.shape or not exact.size:
        return {}
    if job == "masks":
        apart = np.array(np.sum(exact != narrow) / max(1, int(np.sum(exact))))
    elif job in ("depth", "cameras"):
        known = np.isfinite(exact) & (exact != 0)
        apart = np.abs(narrow[known] / exact[known] - 1)
    else:
        apart = np.abs(narrow - exact)
    return {APART[job]: round(float(np.median(apart)), 5)} if apart.size else {}


def _unexpected(weights: str, job: Job, measures: Mapping[str, float]) -> list[str]:
    expected = EXPECTED.get((weights, job))
    if expected is None:
        return []
    name, value, margin = expected
    if abs(measures[name] - value) <= margin:
        return []
    return [f"{name}: found {measures[name]:.3f}, expected {value:.3f} within {margin:g}"]


Answer = tuple[dict[str, float], list[str], NDArray[Any] | None]
"""Measures, problems, and the numbers themselves."""
APART: Mapping[Job, str] = {
    "detect": "moved_px",
    "masks": "changed_share",
    "depth": "changed_rel",
    "cameras": "changed_rel",
    "tracks": "moved_px",
}
"""What a difference is called: of coordinates and of ratios the median, of mask pixels the share
that is another one."""


def _boxes(model: Any, frames: Frames, truth: Answers) -> Answer:
    """Boxes of the scene's names in the first frame."""
    names = sorted(set(truth.scene.phrases()))
    found = model.detect(frames, at=[0], phrases=names)
    boxes, scores = np.asarray(found.boxes_xyxy), np.asarray(found.score)
    problems = []
    inside = (boxes >= 0).all() and (boxes <= [frames.width, frames.height] * 2).all()
    if not inside or not (boxes[:, 2:] > boxes[:, :2]).all():
        problems.append("boxes: found some outside of the picture or empty")
    if not ((scores >= 0) & (scores <= 1)).all():
        problems.append(f"scores: found {scores.min():g} to {scores.max():g}, expected 0 to 1")
    overlaps = []
    for entity in _large(truth):
        mine = boxes[found.phrase == names.index(truth.scene.phrases()[entity])]
        true = truth.box_xyxy(0, entity)
        overlaps.append(max((_iou(box, true) for box in mine), default=0.0))
    measures = {"boxes": float(len(boxes)), "best_iou": float(np.mean(overlaps))}
    in_order = boxes[np.lexsort((*boxes.T.round(), found.phrase))]
    return measures, problems, in_order


def _masks(model: Any, frames: Frames, truth: Answers) -> Answer:
    """Things followed from their true box in the first frame to the last one."""
    session, entities = model.session(frames), _large(truth)
    for entity in entities:
        box = np.asarray(truth.box_xyxy(0, entity), np.float32)
        session.add_box(entity, frame=0, box_xyxy=box)
    found = list(session.propagate(first=0, end=len(frames)))
    problems = []
    if [one.frame for one in found] != list(range(len(frames))):
        problems.append(f"masks: found frames {[one.frame for one in found]}, expected each once")
    shape = (len(entities), frames.height, frames.width)
    if any(one.masks.shape != shape for one in found):
        problems.append(f"masks: found {found[0].masks.shape}, expected {shape}")
    if problems:
        return {}, problems, None
    measures = {
        name: float(
            np.mean([_j(mask, truth.mask(at, k)) for k, mask in zip(entities, found[at].masks)])
        )
        for name, at in (("J_first", 0), ("J_last", len(frames) - 1))
    }
    return measures, [], np.stack([one.masks for one in found])


def _depth(model: Any, frames: Frames, truth: Answers) -> Answer:
    """Depth of every frame, with the true lens."""
    maps = model.estimate_depth(frames, focal_px=float(truth.intrinsics()[0]))
    values = maps.values
    if len(values) != len(frames) or not np.isfinite(values).any():
        expected = f"expected {len(frames)} maps with finite values"
        return {}, [f"depth: found {values.shape}, {expected}"], None
    true = np.stack(
        [
            truth.depth_m(t, height=values.shape[1], width=values.shape[2])
            for t in range(len(values))
        ]
    )
    if maps.kind == "affine":
        together = np.corrcoef(values.ravel(), 1 / true.ravel())[0, 1]
        return {"correlation_with_inverse": float(together)}, [], values
    if not (values > 0).all():
        return {}, [f"depth: found {np.nanmin(values):g}, expected positive numbers"], None
    ratio = float(np.median(values / true))
    return {"ratio": ratio, "abs_rel": float(np.mean(np.abs(values / true - 1)))}, [], values


def _cameras(model: Any, frames: Frames, truth: Answers) -> Answer:
    """The lens, beside the true one."""
    found = model.estimate_cameras(frames)
    fx = float(np.median(found.intrinsics[:, 0]))
    if not np.isfinite(found.intrinsics).all() or fx <= 0:
        return {}, [f"cameras: found a focal length of {fx:g}, expected a positive number"], None
    measures = {"focal_ratio": fx / float(truth.intrinsics()[0])}
    if found.focal_rel_sd is not None:
        measures["focal_rel_sd"] = found.focal_rel_sd
    return measures, [], found.intrinsics[:, 0]


def _tracks(model: Any, frames: Frames, truth: Answers) -> Answer:
    """A point in the middle of each thing, chosen in the first frame."""
    queries = []
    for entity in _large(truth):
        y, x = np.nonzero(truth.mask(0, entity))
        queries.append([0, x[len(x) // 2] + 0.5, y[len(y) // 2] + 0.5])
    points = np.array(queries, np.float64)
    found = model.track(frames, queries_txy=points)
    if found.xy.shape != (len(frames), len(points), 2) or not np.isfinite(found.xy).all():
        expected = "expected one finite place a frame and point"
        return {}, [f"tracks: found {found.xy.shape}, {expected}"], None
    true = truth.tracks(points)
    error = np.linalg.norm(found.xy - true.xy, axis=-1)[true.visible]
    return {"median_error_px": float(np.median(error))}, [], found.xy


_TRIALS: Mapping[Job, Callable[[Any, Frames, Answers], Answer]] = {
    "detect": _boxes,
    "masks": _masks,
    "depth": _depth,
    "tracks": _tracks,
    "cameras": _cameras,
}


def _frames(scene: Scene) -> Frames:
    """The scene's pictures as a model gets them."""
    fps, options = scene.options.fps, scene.options
    return Frames(
        np.stack([render(scene, k).rgb for k in range(scene.n_frames)]),
        video_id=f"{scene.seed:032x}",
        source_id=f"scene-{scene.seed}",
        pts=np.arange(scene.n_frames, dtype=np.int64),
        t_s=np.arange(scene.n_frames) / fps,
        time_base=Fraction(1, fps),
        source_width=options.width,
        source_height=options.height,
    )


def _large(truth: Answers) -> list[int]:
    """Entities that are large enough in the first frame to be asked for."""
    n_entities = len(truth.scene.entities)
    return [k for k in range(n_entities) if np.count_nonzero(truth.mask(0, k)) >= LEAST_PIXELS]


def _iou(box: NDArray[Any], other: NDArray[Any] | None) -> float:
    assert other is not None, "only things that are seen are asked for"
    low, high = np.maximum(box[:2], other[:2]), np.minimum(box[2:], other[2:])
    shared = float(np.prod(np.clip(high - low, 0, None)))
    areas = float(np.prod(box[2:] - box[:2]) + np.prod(other[2:] - other[:2]))
    return shared / (areas - shared)


def _j(mask: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    union = np.count_nonzero(mask | true)
    return np.count_nonzero(mask & true) / union if union else 1.0


def _peak_memory_gb(device: str) -> float | None:
    """None where the system does not say."""
    if device.startswith("cuda"):
        import torch

        return round(torch.cuda.max_memory_allocated(device) / 1e9, 2)
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024
    return round(peak * unit / 1e9, 2)
