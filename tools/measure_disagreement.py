"""Does disagreement find the clips that are wrong? On rendered scenes, whose truth is known.

    python -m tools.measure_disagreement OUT_A OUT_B --truth SCENES [--limit 40]

Spearman's correlation over clips between the score of `massannot compare`, which sees no truth, and
the true error of the two datasets, with a 95 % interval by bootstrap over clips. True error: the
mean of both datasets' shares not found, 1 - J, and path errors of positions.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from massannot.dataset.reading import Dataset, open_dataset
from massannot.evaluate.clip_scores import score_clip
from massannot.evaluate.clip_truth import ClipTruth
from massannot.evaluate.disagreement import compared
from massannot.geometry.intervals import bootstrap
from massannot.scenes.scene_record import SceneLibrary

F64 = NDArray[np.float64]


def true_error(dataset: Dataset, clip_id: str, scenes: SceneLibrary) -> float:
    """0 (right) to 1, of one clip."""
    view = dataset.clip(clip_id)
    truth = ClipTruth(view, scenes.scene(view.row["video_id"]), usual_depth_m=4.0)
    scores = {(s.stage, s.metric): s.value for s in score_clip(truth)}
    error_m = scores["positions", "median_error_m"]
    parts = [
        1 - scores["entities", "found"],
        1 - scores["masks", "J"],
        error_m / (error_m + 0.2),
    ]
    return float(np.nanmean(parts))


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
    wrong = np.array([[true_error(d, n, scenes) for d in datasets] for n in clip_ids])
    for label, error in (
        ("both", wrong.mean(axis=1)), ("the first", wrong[:, 0]), ("the second", wrong[:, 1])
    ):  # fmt: skip
        rho = bootstrap(lambda at, e=error: spearman(found[at], e[at]), n_clips=len(found), seed=0)
        print(f"{len(found)} clips, error of {label}: Spearman {rho}")


if __name__ == "__main__":
    main()
