"""Does disagreement find the clips that are wrong? On rendered scenes, whose truth is known.

    python -m tools.measure_disagreement OUT_A OUT_B --truth SCENES [--limit 40]

Spearman's correlation over clips between the score of `massannot compare`, which sees no truth, and
the true error of the two datasets, with a 95 % interval by bootstrap over clips. True error: the
mean of both datasets' shares not found, 1 - J, and errors of places.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from massannot.dataset.reading import ClipView, open_dataset
from massannot.evaluate.clip_truth import ClipTruth
from massannot.evaluate.disagreement import compared
from massannot.evaluate.position_scores import position_scores
from massannot.geometry.intervals import bootstrap
from massannot.scenes.scene_record import SceneLibrary

F64 = NDArray[np.float64]

LEAST_FRAMES = 8
"""A thing that is seen in fewer need not be found."""
HALF_M = 0.2
"""The error of a place that counts as half of the worst."""


def errors(one: ClipView, two: ClipView, scenes: SceneLibrary) -> tuple[float, float]:
    """True errors of two annotations of a clip, whose truth is cast once."""
    scene = scenes.scene(one.row["video_id"])
    first = ClipTruth(one, scene, usual_depth_m=4.0)
    second = ClipTruth(two, scene, usual_depth_m=4.0, same_clip=first)
    return true_error(first), true_error(second)


def true_error(clip: ClipTruth) -> float:
    """0 (right) to 1, of one clip: what is missing, masks, and places."""
    seen = np.flatnonzero(clip.present.sum(axis=0) >= LEAST_FRAMES)
    missing = 1 - len({true for true, _ in clip.pairs} & set(seen.tolist())) / max(len(seen), 1)
    overlaps = [_overlap(clip, true, entity) for true, entity in clip.pairs]
    scores = {score.metric: score.value for score in position_scores(clip)}
    error_m = scores["median_error_m"]
    parts = [missing, 1 - float(np.mean(overlaps or [0.0])), error_m / (error_m + HALF_M)]
    return float(np.nanmean(parts))


def _overlap(clip: ClipTruth, true: int, entity: int) -> float:
    """J, mean over the frames in which either is seen."""
    found = []
    for frame in range(clip.n_frames):
        truth = clip.answers.mask(frame, true)
        mask = clip.found_masks.get((entity, frame), np.zeros_like(truth))
        if (union := np.count_nonzero(truth | mask)) > 0:
            found.append(np.count_nonzero(truth & mask) / union)
    return float(np.mean(found or [0.0]))


def ranks(values: F64) -> F64:
    """0.., ties at their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle: F64 = np.cumsum(counts) - (counts + 1) / 2
    return middle[inverse]


def spearman(a: F64, b: F64) -> float:
    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=40)
    given = parser.parse_args()
    scenes = SceneLibrary(given.truth)
    datasets = [open_dataset(given.first), open_dataset(given.second)]
    common = set(datasets[1].clip_ids)
    clip_ids = [clip_id for clip_id in datasets[0].clip_ids if clip_id in common][: given.limit]
    found = np.array([compared(*(d.clip(n) for d in datasets)).score for n in clip_ids])
    wrong = np.array([errors(*(d.clip(n) for d in datasets), scenes) for n in clip_ids])
    for label, error in (
        ("both", wrong.mean(axis=1)), ("the first", wrong[:, 0]), ("the second", wrong[:, 1])
    ):  # fmt: skip
        rho = bootstrap(lambda at, e=error: spearman(found[at], e[at]), n_clips=len(found), seed=0)
        print(f"{len(found)} clips, error of {label}: Spearman {rho}")


if __name__ == "__main__":
    main()
