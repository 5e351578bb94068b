"""The weights of geometry/quality.py, fitted on rendered scenes with oracles made wrong.

    python -m tests.bench.calibrate_quality [SCENES]

Each scene is annotated once by oracles that are right, and several times by oracles that are not:
tracks jitter or are shifted, hidden points are called visible, depth flickers, masks are shifted.
An entity counts as right where the median distance of its positions from the right run's is at most
GOOD_ERROR of its distance from the camera. Even seeds are fitted, odd ones judge. Four seconds of
CPU a scene.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from massannot.clip import Clip
from massannot.geometry.quality import features, quality
from massannot.models.oracle import (
    OracleCameras,
    OracleDepth,
    OracleDetector,
    OracleMasks,
    OracleTracker,
)
from massannot.scenes.world import SceneOptions, make_scene
from massannot.stages._stage import Pipeline
from massannot.stages._track_arrays import numbers
from massannot.stages.detect_phrases import DetectPhrases
from massannot.stages.estimate_cameras import EstimateCameras
from massannot.stages.estimate_depth import EstimateDepth
from massannot.stages.lift_tracks import LiftTracks
from massannot.stages.locate_entities import LocateEntities
from massannot.stages.measure_motions import MeasureMotions
from massannot.stages.propagate_masks import PropagateMasks
from massannot.stages.score_quality import ScoreQuality, evidence_of_all
from massannot.stages.split_segments import SplitSegments
from massannot.stages.stabilize_depth import StabilizeDepth
from massannot.stages.summarize_clip import SummarizeClip
from massannot.stages.track_points import TrackPoints
from tests.unit.scene_clip import scene_clip, write_record

RUNS_A_SCENE = 5
SIZE = {"width": 160, "height": 128, "n_frames": 40}
GOOD_ERROR = 0.02
"""Error, as a share of the distance from the camera, up to which a position counts as right."""


@dataclass(frozen=True)
class Wrongs:
    """How the oracles of one run err."""

    jitter_px: float = 0.0
    shift_px: float = 0.0
    always_visible: bool = False
    flicker: float = 0.0
    mask_shift_px: int = 0

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Wrongs:
        return cls(
            jitter_px=float(rng.choice([0.0, 0.3, 1.0, 3.0])),
            shift_px=float(rng.choice([0.0, 0.0, 2.0, 5.0])),
            always_visible=bool(rng.random() < 0.25),
            flicker=float(rng.choice([0.0, 0.0, 0.02, 0.1])),
            mask_shift_px=int(rng.choice([0, 0, 0, 4])),
        )


@dataclass(frozen=True)
class Sample:
    """One entity of one run."""

    seed: int
    run: int
    features: tuple[float | None, ...]
    quality: float
    error: float
    """Median distance from the right positions, as a share of the distance from the camera."""


def main(n_scenes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        samples = [s for seed in range(n_scenes) for s in samples_of(seed, Path(folder))]
    fitted = [s for s in samples if s.seed % 2 == 0]
    judged = [s for s in samples if s.seed % 2 == 1]
    bias, weights = fit(fitted)
    print(
        f"samples: {len(fitted)} fitted, {len(judged)} judged; right: {_right(judged).mean():.2f}"
    )
    print("bias, weights:", round(bias, 2), [round(float(w), 2) for w in weights])
    for name, scores in (
        ("these weights", _scores(judged, bias, weights)),
        ("quality.py as it is", np.array([s.quality for s in judged])),
    ):
        print(f"{name}: Spearman over clips {clip_spearman(judged, scores):.2f}")
        for low in (0.0, 0.2, 0.4, 0.6, 0.8):
            inside = (scores >= low) & (scores <= low + 0.2)
            if inside.any():
                right = _right(judged)[inside].mean()
                print(f"  quality {low:.1f}..{low + 0.2:.1f}: {right:.2f} right of {inside.sum()}")


def samples_of(seed: int, folder: Path) -> list[Sample]:
    scene = make_scene(seed, SceneOptions(**SIZE))
    write_record(scene, folder)
    clip = scene_clip(scene)
    rng = np.random.default_rng(seed)
    right = pipeline(str(folder), Wrongs()).process(clip)
    found = []
    for run in range(RUNS_A_SCENE):
        wrongs = Wrongs.drawn(rng)
        wrong = pipeline(str(folder), wrongs).process(clip)
        evidence = evidence_of_all(wrong)
        for entity in numbers(wrong.table("entities"), "entity").astype(int):
            error = position_error(right, wrong, entity)
            if error is not None:
                parts = evidence[int(entity)].parts(0, len(clip))
                found.append(Sample(seed, run, features(parts), quality(parts), error))
    return found


def pipeline(folder: str, wrongs: Wrongs) -> Pipeline:
    """The annotation with oracles that err so."""
    stages = (
        SplitSegments(),
        DetectPhrases(OracleDetector(folder)),
        PropagateMasks(propagator=OracleMasks(folder, shift_x_px=wrongs.mask_shift_px)),
        TrackPoints(
            _ErringTracker(
                folder,
                jitter_px=wrongs.jitter_px,
                shift_x_px=wrongs.shift_px,
                always_visible=wrongs.always_visible,
            )
        ),
        EstimateCameras(OracleCameras(folder)),
        EstimateDepth(OracleDepth(folder, flicker=wrongs.flicker)),
        StabilizeDepth(),
        LiftTracks(),
        SummarizeClip(),
        LocateEntities(),
        MeasureMotions(),
        ScoreQuality(),
    )
    built = Pipeline("calibrate", stages)
    built.setup(device="cpu")
    return built


@dataclass
class _ErringTracker(OracleTracker):
    """An oracle whose forward-backward error is that of its jitter, there and back."""

    def track(self, frames, *, queries_txy):  # type: ignore[no-untyped-def]
        found = super().track(frames, queries_txy=queries_txy)
        rng = self._rng(frames, 1)
        found.fb_error_px[:] = self.jitter_px * np.hypot(
            *rng.normal(size=(2, *found.visible.shape))
        )
        return found


def position_error(right: Clip, wrong: Clip, entity: int) -> float | None:
    a, b = _positions(right, entity), _positions(wrong, entity)
    both = np.isfinite(a[:, 0]) & np.isfinite(b[:, 0])
    if both.sum() < 5:
        return None
    distance = np.linalg.norm(a[both], axis=1)
    return float(np.median(np.linalg.norm(a[both] - b[both], axis=1) / distance))


def _positions(clip: Clip, entity: int) -> np.ndarray:
    """(T, 3)."""
    table = clip.table("positions")
    mine = table.filter(numbers(table, "entity") == entity)
    if mine.num_rows == 0:
        return np.full((len(clip), 3), np.nan)
    return np.stack([numbers(mine, f"{axis}_cam") for axis in "xyz"], axis=-1)


def fit(samples: list[Sample]) -> tuple[float, np.ndarray]:
    """Logistic regression by projected gradient: no part may speak for a track by being bad."""
    x, y = _matrix(samples), _right(samples).astype(float)
    scale = np.maximum(x.std(axis=0), 0.05)
    weights, bias = np.full(x.shape[1], -0.3), 0.0
    for _ in range(20_000):
        wrong = 1 / (1 + np.exp(-(bias + x / scale @ weights))) - y
        bias -= 0.3 * float(wrong.mean())
        step = (wrong[:, None] * x / scale).mean(axis=0) + 1e-3 * weights
        weights = np.minimum(weights - 0.3 * step, 0.0)
    return bias, weights / scale


def clip_spearman(samples: list[Sample], scores: np.ndarray) -> float:
    """Rank correlation of a clip's mean quality with its median position error, turned round."""
    runs = sorted({(s.seed, s.run) for s in samples})
    of_run = [[i for i, s in enumerate(samples) if (s.seed, s.run) == run] for run in runs]
    good = np.array([scores[i].mean() for i in of_run])
    bad = np.array([np.median([samples[k].error for k in i]) for i in of_run])
    ranks = [np.argsort(np.argsort(values)) for values in (good, -bad)]
    return float(np.corrcoef(*ranks)[0, 1])


def _scores(samples: list[Sample], bias: float, weights: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-(bias + _matrix(samples) @ weights)))


def _matrix(samples: list[Sample]) -> np.ndarray:
    return np.array([[0.0 if v is None else v for v in s.features] for s in samples])


def _right(samples: list[Sample]) -> np.ndarray:
    return np.array([s.error <= GOOD_ERROR for s in samples])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
