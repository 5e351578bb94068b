"""Measurements of the shipped weights on test clips, one JSON-able record a clip and question.

The films are read as a user's are. `whole` is the pipeline of `--profile embedded` from text, and
the same with single jobs done by the scene's truth; the others ask one model alone. What is true of
the lens is told (`cameras`), unless a record says "no truth at all". Records are what
`accuracy.py` makes tables of.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from massannot import tables
from massannot.clip import Clip, Frames, Phrase
from massannot.dataset.reading import ClipView
from massannot.evaluate import tapvid_scores
from massannot.evaluate.box_scores import true_box_of
from massannot.evaluate.clip_scores import score_clip
from massannot.evaluate.clip_truth import ClipTruth
from massannot.evaluate.position_scores import found_position_errors_m
from massannot.inputs.span import Span, VideoSource
from massannot.models.grounding_dino import GroundingDino
from massannot.models.lucas_kanade import LucasKanade
from massannot.models.profiles import named
from massannot.models.protocols import PointTracker
from massannot.models.sam2.propagator import Sam2Video
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.recipes.models import NEEDED
from massannot.scenes.render import render
from massannot.scenes.scene_record import SceneLibrary
from massannot.scenes.true_answers import Answers
from massannot.scenes.world import Scene
from massannot.stages._stage import Stage
from massannot.video.reader import read_clips, release
from massannot.video.sampling import Sampling
from tools.embedded.measured import CLIP_FRAMES, TrueClip, detected, mask_rows, phrases_of
from tools.embedded.shared_stages import SharedStages

Record: TypeAlias = dict[str, Any]

LOW_THRESHOLD = 0.03
"""Average precision wants the whole ranking, not what the profile would keep."""
POINTS_PER_ENTITY, POINTS_ELSEWHERE = 16, 32

STAGE_OF = {
    "detect": "detect_phrases",
    "masks": "propagate_masks",
    "tracks": "track_points",
    "cameras": "estimate_cameras",
    "depth": "estimate_depth",
}
LENS_TOLD = ("cameras",)
REPLACED: Mapping[str, tuple[str, ...]] = {
    "the lens alone": LENS_TOLD,
    "lens, boxes": ("cameras", "detect"),
    "lens, masks": ("cameras", "masks"),
    "lens, boxes and masks": ("cameras", "detect", "masks"),
    "lens, tracks": ("cameras", "tracks"),
    "lens, depth": ("cameras", "depth"),
    "everything": NEEDED,
    "nothing (60 degrees assumed)": (),
}
"""The jobs that the truth does, by the name in the table."""


class Ruler:
    """Models and pipelines over one folder of rendered test scenes."""

    def __init__(self, folder: Path, *, usual_depth_m: float):
        self.scenes = SceneLibrary(folder)
        self._folder = folder
        self._usual_depth_m = usual_depth_m
        self._case: _Case | None = None
        self._of_seed = {record.seed: record for record in self.scenes.records.values()}

    def scene(self, seed: int) -> Scene:
        return self.scenes.scene(self._of_seed[seed].video_id)

    def ask(self, seed: int, name: str) -> Record:
        """The record of one of MEASURES. Questions about one clip in a row share its pictures."""
        if self._case is None or self._case.scene.seed != seed:
            if self._case is not None:
                release(self._case.clip)
            self._case = self._read(seed)
        return MEASURES[name][0](self, self._case)

    def _read(self, seed: int) -> _Case:
        """The film's one clip, every frame, asked for six phrases."""
        scene = self.scene(seed)
        span = Span(phrases=tuple(Phrase(text) for text in phrases_of(scene)))
        film = self._folder / self._of_seed[seed].video
        clip = next(read_clips(VideoSource(str(film), (span,)), sampling=Sampling(fps=None)))
        assert isinstance(clip, Clip)
        return _Case(scene, clip)

    @cached_property
    def detector(self) -> GroundingDino:
        low = {"box_threshold": LOW_THRESHOLD, "text_threshold": LOW_THRESHOLD}
        return _ready(named("embedded").model("detect").build(**low))

    @cached_property
    def threshold(self) -> float:
        """From which score on the profile keeps a box."""
        return float(named("embedded").model("detect").build().box_threshold)

    @cached_property
    def propagator(self) -> Sam2Video:
        return _ready(named("embedded").model("masks").build())

    @cached_property
    def tracker(self) -> LucasKanade:
        return _ready(named("embedded").model("tracks").build())

    @cached_property
    def stages(self) -> dict[bool, dict[str, Stage]]:
        """The stages by name: of the profile, and (True) with every job done by the truth."""
        flags = {
            False: ModelFlags(profile="embedded"),
            True: ModelFlags(profile="none", scenes=str(self._folder), oracles=NEEDED),
        }
        built = {
            truth: run_spec(flags=chosen, depth_maps=True, calibration="none").pipeline()
            for truth, chosen in flags.items()
        }
        for pipeline in built.values():
            pipeline.setup(device="cpu")
        return {truth: {s.name: s for s in pipeline.stages} for truth, pipeline in built.items()}

    def detection(self, case: _Case) -> Record:
        """Boxes of six two-word phrases in four frames: which are right, and the true ones."""
        return detection_record(self.detector, case.truth, self.threshold)

    def masks(self, case: _Case) -> Record:
        """J of objects prompted by their true box in frame 0."""
        return mask_record(self.propagator, case.truth)

    def tracks(self, case: _Case) -> Record:
        """Points of frame 0, on things and elsewhere, followed through the clip."""
        return track_record(self.tracker, case.clip.frames, case.scene)

    def whole(self, case: _Case) -> Record:
        """From text to positions."""
        _ = self.stages
        started = time.process_time()
        done = self._annotated(case, LENS_TOLD, depth_maps=True)
        cpu_s = time.process_time() - started
        return {"cpu_s": round(cpu_s, 2), **self._scored(case, done, briefly=False)}

    def replaced(self, case: _Case) -> Record:
        """The same with each of REPLACED."""
        return {
            name: self._scored(case, self._annotated(case, truth_for))
            for name, truth_for in REPLACED.items()
        }

    def _annotated(
        self, case: _Case, truth_for: tuple[str, ...], *, depth_maps: bool = False
    ) -> Clip:
        """The clip after all stages. `depth_maps`: with them, which only `whole` is scored by."""
        by_truth = {STAGE_OF[job] for job in truth_for}
        names = [name for name in self.stages[False] if depth_maps or name != "store_depth"]
        return case.shared.process([self.stages[name in by_truth][name] for name in names])

    def _scored(self, case: _Case, clip: Clip, *, briefly: bool = True) -> Record:
        view = ClipView(
            clip.clip_id, lambda name, _: clip.tables.get(name, tables.spec(name).empty())
        )
        usual_depth_m = self._usual_depth_m
        truth = ClipTruth(view, case.scene, usual_depth_m=usual_depth_m, same_clip=case.scored)
        case.scored = case.scored or truth
        errors, flat = found_position_errors_m(truth)
        record: Record = {
            "js": _rounded(list(truth.requested_js.values())),
            "named": _named(truth),
            "position_errors_m": _rounded(errors),
            "position_errors_usual_depth_m": _rounded(flat),
            **_absent(truth),
        }
        if not briefly:
            record["scores"] = {
                f"{s.stage} {s.metric}": [_json(s.value), _json(s.baseline)]
                for s in score_clip(truth)
            }
        return record


@dataclass
class _Case:
    """A clip while it is asked about."""

    scene: Scene
    clip: Clip
    scored: ClipTruth | None = None

    @cached_property
    def shared(self) -> SharedStages:
        return SharedStages(self.clip)

    @cached_property
    def truth(self) -> TrueClip:
        """The film's frames and the truth of the first of them."""
        pictures = [render(self.scene, k) for k in range(CLIP_FRAMES)]
        return TrueClip(self.scene, self.clip.frames, pictures)


def detection_record(detector: GroundingDino, clip: TrueClip, threshold: float) -> Record:
    """Of one clip: `right` and `score` of every box found; `edge_offset_px`, the mean over the four
    edges of found minus true, of right boxes above the threshold; true boxes, phrases asked."""
    predicted, truth = detected(detector, [clip])
    true_box = true_box_of(predicted, truth)
    right = (true_box >= 0) & (predicted.score > threshold)
    offsets = (predicted.boxes_xyxy[right] - truth.boxes_xyxy[true_box[right]]).mean(axis=1)
    return {
        "right": (true_box >= 0).tolist(),
        "score": _rounded(predicted.score.tolist()),
        "edge_offset_px": _rounded(offsets.tolist()),
        "true": [
            [int(picture), text, _rounded(box.tolist())]
            for picture, text, box in zip(truth.picture, truth.text, truth.boxes_xyxy, strict=True)
        ],
        "asked": phrases_of(clip.scene),
    }


def mask_record(propagator: Sam2Video, clip: TrueClip) -> Record:
    """Of one clip: the scores of `mask_rows` by name, without those of the object score."""
    lists: dict[str, list[float]] = {}
    for row in mask_rows(propagator, clip):
        for name, value in row.items():
            if name.startswith("J"):
                lists.setdefault(name, []).append(round(value, 4))
    return lists


def track_record(tracker: PointTracker, frames: Frames, scene: Scene) -> Record:
    """Of one clip: TAP-Vid's scores, and those of points said to stand still and be visible."""
    answers = Answers.of(scene, frames)
    queries = _queries_txy(answers, scene.seed)
    predicted, truth = tracker.track(frames, queries_txy=queries), answers.tracks(queries)
    size = (frames.width, frames.height)
    queries_xyt = queries[:, [1, 2, 0]]
    still = np.broadcast_to(queries[None, :, 1:], predicted.xy.shape)
    always = np.ones_like(predicted.visible)
    moved = tapvid_scores.score(
        truth.xy, truth.visible, predicted.xy, predicted.visible, queries_xyt, size=size
    )
    static = tapvid_scores.score(truth.xy, truth.visible, still, always, queries_xyt, size=size)
    names = ("AJ", "delta_avg", "OA")
    return {n: round(moved[n], 4) for n in names} | {
        f"{n}_static": round(static[n], 4) for n in names
    }


def _queries_txy(answers: Answers, seed: int) -> np.ndarray:
    """(N, 3) centres of pixels of frame 0, drawn by the seed: some of every entity, some beside."""
    rng, ids = np.random.default_rng([seed, 31]), answers.ids(0)
    chosen = []
    for part in range(len(answers.scene.entities) + 1):
        at = np.argwhere(ids == part)
        count = min(len(at), POINTS_PER_ENTITY if part else POINTS_ELSEWHERE)
        chosen.append(rng.choice(at, count, replace=False, axis=0))
    rows, columns = np.concatenate(chosen).T
    return np.stack([np.zeros(len(rows)), columns + 0.5, rows + 0.5], axis=1)


def _named(truth: ClipTruth) -> list[bool]:
    """Of each asked entity, whether what was found for it bears its name."""
    names, texts = truth.scene.phrases(), truth.view.phrases
    entities = truth.view.table("entities")
    phrase = dict(zip(entities["entity"].to_pylist(), entities["phrase"].to_pylist(), strict=True))
    found_for = dict(truth.pairs)
    return [k in found_for and texts[phrase[found_for[k]]] == names[k] for k in truth.requested_js]


def _absent(truth: ClipTruth) -> Record:
    """Phrases that name nothing in the scene, and how many of them found something."""
    present = {text.lower() for text in truth.scene.phrases()}
    rows = truth.view.table("phrases").to_pylist()
    absent = [row for row in rows if row["text"].lower() not in present]
    return {"absent": len(absent), "absent_found": sum(row["n_entities"] > 0 for row in absent)}


def _ready(model: Any) -> Any:
    model.setup(device="cpu")
    return model


def _rounded(values: list[Any]) -> list[float]:
    return [round(float(value), 4) for value in values]


def _json(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 5)


Measure: TypeAlias = Callable[[Ruler, _Case], Record]
MEASURES: Mapping[str, tuple[Measure, tuple[str, ...]]] = {
    "tracks": (Ruler.tracks, ()),
    "detection": (Ruler.detection, ("grounding_dino",)),
    "masks": (Ruler.masks, ("sam2_video",)),
    "whole": (Ruler.whole, ("grounding_dino", "sam2_video", "depth_anything")),
    "replaced": (Ruler.replaced, ("grounding_dino", "sam2_video", "depth_anything")),
}
"""Each question, and the weights whose change makes its records old."""
