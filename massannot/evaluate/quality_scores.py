"""Stated quality against what happened: does it rank, and is it the probability that it says?

`entities.quality` promises the share of frames with a visible mask in which the position lies
within RIGHT_WITHIN of its distance from the visible surface's true centre. A frame without a
position, or in which the thing is truly hidden, counts as wrong, and so does everything about an
entity that is no true thing, or another one than its phrase says. Each entity counts once, however
little of it was found; intervals are over clips.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from massannot.evaluate.clip_truth import ClipTruth
from massannot.evaluate.position_scores import metric_positions, surface_centres
from massannot.geometry.calibration import RIGHT_WITHIN
from massannot.geometry.intervals import ConfidenceInterval, bootstrap, ratio_over_clips

F64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]

FAR_OFF = 2.0
"""An entity is far off when its error is above this many times the dataset's median."""
N_BINS = 5


@dataclass(frozen=True, eq=False)
class ClipQuality:
    """The M entities of one clip that have a quality."""

    stated: F64
    """(M,) quality."""
    observed: F64
    """(M,) share of its frames that are right."""
    error: F64
    """(M,) median error over frames with a position, share of the distance; inf: none has one."""


@dataclass(frozen=True)
class QualityBin:
    """A fifth of all entities, by stated quality."""

    stated: float
    """Mean quality."""
    observed: ConfidenceInterval
    n: int
    """Entities."""


@dataclass(frozen=True)
class QualityScores:
    auc: ConfidenceInterval
    """Probability that an entity that is far off has a lower quality than one that is not."""
    largest_gap: ConfidenceInterval
    """Of stated against observed over the bins, points of a hundred."""
    bins: tuple[QualityBin, ...]


def clip_quality(clip: ClipTruth) -> ClipQuality:
    table = clip.view.table("entities")
    quality = dict(zip(table["entity"].to_pylist(), table["quality"].to_pylist(), strict=True))
    seen = _frames_seen(clip)
    rows = []
    pairs = metric_positions(clip)
    right = {p.entity: (k, p) for k, p in pairs if clip.is_named(k, p.entity)}
    for entity, stated in quality.items():
        frames = seen.get(entity, [])
        if stated is None or not frames:
            continue
        if entity not in right:
            rows.append((stated, 0.0, math.inf))
            continue
        true, positions = right[entity]
        truth = surface_centres(clip, true)[frames]
        apart = np.linalg.norm(positions.xyz[frames] - truth, axis=1)
        error = apart / np.linalg.norm(truth, axis=1)
        known = error[np.isfinite(error)]
        rows.append(
            (stated, np.mean(error <= RIGHT_WITHIN), np.median(known) if len(known) else math.inf)
        )
    stated, observed, error = np.array(rows, np.float64).reshape(-1, 3).T
    return ClipQuality(stated, observed, error)


def quality_over_clips(clips: Sequence[ClipQuality], *, seed: int) -> QualityScores:
    """The scores of a whole dataset; NaN where it has no entity with a quality."""
    stated = np.concatenate([clip.stated for clip in clips])
    observed = np.concatenate([clip.observed for clip in clips])
    error = np.concatenate([clip.error for clip in clips])
    of_clip = np.repeat(np.arange(len(clips)), [len(clip.stated) for clip in clips])
    rows_of = [np.flatnonzero(of_clip == number) for number in range(len(clips))]
    far_off = error > FAR_OFF * np.median(error) if len(error) else np.zeros(0, np.bool_)
    order = np.argsort(stated, kind="stable")
    bins = [rows for rows in np.array_split(order, N_BINS) if len(rows)]
    # Sums by clip and bin, so that a resample of clips is a sum over clips.
    sums = np.array(
        [
            [_sums(rows, of_clip, v, len(clips)) for rows in bins]
            for v in (stated, observed, np.ones_like(stated))
        ]
    ).reshape(3, -1, len(clips))

    def auc(drawn: Indices) -> float:
        rows = np.concatenate([rows_of[number] for number in drawn])
        return area_under_roc(-stated[rows], far_off[rows])

    def largest_gap(drawn: Indices) -> float:
        said, right, n = sums[:, :, drawn].sum(axis=-1)
        gaps = np.abs(said - right)[n > 0] / n[n > 0]
        return float(100 * gaps.max()) if len(gaps) else math.nan

    def share_right(number: int) -> ConfidenceInterval:
        return ratio_over_clips(sums[1, number], sums[2, number], seed=seed)

    return QualityScores(
        auc=bootstrap(auc, n_clips=len(clips), seed=seed),
        largest_gap=bootstrap(largest_gap, n_clips=len(clips), seed=seed),
        bins=tuple(
            QualityBin(float(stated[rows].mean()), share_right(number), len(rows))
            for number, rows in enumerate(bins)
        ),
    )


def area_under_roc(score: F64, positive: Bool) -> float:
    """Probability that a positive's score (N,) is above a negative's, ties half; NaN without both
    of them."""
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return math.nan
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = np.cumsum(count) - (count - 1) / 2
    above = rank[place[positive]].sum() - n_positive * (n_positive + 1) / 2
    return float(above / (n_positive * n_negative))


def _sums(rows: Indices, of_clip: Indices, values: F64, n_clips: int) -> F64:
    sums = np.bincount(of_clip[rows], weights=values[rows], minlength=n_clips)
    return sums.astype(np.float64)


def _frames_seen(clip: ClipTruth) -> dict[int, list[int]]:
    """Entity to the frames with a visible mask."""
    masks = clip.view.table("masks").select(["entity", "frame", "state"])
    seen: dict[int, list[int]] = {}
    for row in masks.to_pylist():
        if row["state"] == "visible":
            seen.setdefault(row["entity"], []).append(row["frame"])
    return seen
