"""A calibration learnt from annotated clips whose truth is known.

Each clip weighs once: its rows are not independent. Quantiles are taken of errors over scales that
were fitted without the clip, in N_FOLDS folds (cross-conformal prediction: Vovk, "Cross-conformal
predictors", 2015): scales fitted to a clip itself are too small for it, with 110 clips so much that
intervals of 90 % held the truth in 80 to 86 %. The scales that are kept are fitted to all clips.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from massannot.counts import counted
from massannot.errors import UsageError
from massannot.evaluate.position_scores import displacement_and_path
from massannot.geometry.calibration import (
    RIGHT_WITHIN,
    Calibration,
    MotionCalibration,
    PositionCalibration,
)
from massannot.geometry.camera import apply, inverse
from massannot.geometry.conformal import (
    Logistic,
    LogScale,
    clip_weights,
    conformal_quantile,
    fit_log_scale,
    fit_logistic,
)
from massannot.stages._evidence import (
    MotionEvidence,
    PositionEvidence,
    motion_evidence,
    position_evidence,
    quality_features,
)
from massannot.stages._track_arrays import Tables
from massannot.stages.state_intervals import calibrated_errors
from massannot.tables._spec import INTERVAL_LEVELS

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

LEAST_CLIPS = 20
"""Fewer clips than this say nothing about an interval of 90 %."""
N_FOLDS = 8
_MOTION_FLOOR = 0.05
_RELATIVE_FLOOR = 0.001
_PIXEL_FLOOR = 0.03
"""Errors below which it does not matter how small they are; also keeps the logarithm finite."""


@dataclass(frozen=True, eq=False)
class TrueClip:
    """A clip beside its truth; positions have N rows, T frames an entity."""

    tables: Tables
    n_frames: int
    surface: F64
    """(N, 3) true centre of the visible surface, camera frame; NaN: not seen, or no true thing."""
    matched: Bool
    """(N,) the row's entity is a true thing of that name whose mask overlaps well enough."""
    known: Bool
    """(N,) whether the truth says if the row is right at all."""
    cam_from_world: F64
    """(T, 4, 4) true poses."""
    n_own: int | None = None
    """Frames from the first on whose positions count, see dataset/touching.py; None: all."""

    def counts(self, evidence: PositionEvidence) -> Bool:
        """(N,) the rows of frames that count."""
        return evidence.frame < (self.n_frames if self.n_own is None else self.n_own)


@dataclass(frozen=True, eq=False)
class _Sample:
    """A clip with its evidence, and the positions whose error is known."""

    clip: TrueClip
    evidence: PositionEvidence
    rows: Bool
    motions: F64
    """(M, 4) see true_motions."""

    def motion_evidence(self, position: PositionCalibration) -> MotionEvidence:
        errors = calibrated_errors(self.evidence, position)
        return motion_evidence(self.clip.tables, self.evidence, errors, n_frames=self.clip.n_frames)


def calibrate(
    clips: Sequence[TrueClip], *, name: str, key: Mapping[str, Any], truth: str
) -> Calibration:
    """The calibration of these clips. Raises UsageError for fewer than LEAST_CLIPS with a
    position."""
    every = [_sample(clip) for clip in clips]
    samples = [sample for sample in every if sample.rows.any()]
    if len(samples) < LEAST_CLIPS:
        raise UsageError(
            f"calibration: found {counted(len(samples), 'clip')} with a position whose truth is "
            "known (of a "
            f"thing found under its own name, its mask well placed), expected {LEAST_CLIPS} or "
            "more, hundreds for intervals of 90 %"
        )
    position, motion = _fitted(samples)
    missed: list[F64] = []
    vectors: list[F64] = []
    lengths: list[F64] = []
    paths: list[F64] = []
    for fold in range(N_FOLDS):
        others = [sample for n, sample in enumerate(samples) if n % N_FOLDS != fold]
        without, motion_without = _fitted(others)
        for sample in samples[fold::N_FOLDS]:
            missed.append(_position_scores(sample, without))
            of_motion = _motion_errors(sample, without)
            vector, length, path = of_motion.over(motion_without)
            vectors.append(vector)
            lengths.append(length)
            paths.append(path)
    held = [sample for fold in range(N_FOLDS) for sample in samples[fold::N_FOLDS]]
    weights = _weights([sample.rows.sum() for sample in held])
    position = replace(position, factors=_factors(np.concatenate(missed), weights))
    if motion is not None:
        of_motions = _weights([len(v) for v in lengths])
        motion = replace(
            motion,
            factors=_factors(np.concatenate(vectors), of_motions),
            length_bounds=_bounds(np.concatenate(lengths), of_motions),
            path_bounds=_bounds(np.concatenate(paths), of_motions),
        )
    return Calibration(
        name, key, truth, len(samples), position, motion or _NO_MOTION, _of_quality(every, position)
    )


def _sample(clip: TrueClip) -> _Sample:
    evidence = position_evidence(clip.tables, n_frames=clip.n_frames)
    rows = clip.matched & evidence.placed & np.isfinite(clip.surface[:, 0])
    rows &= clip.counts(evidence)
    return _Sample(clip, evidence, rows, true_motions(clip, evidence))


def _weights(n_rows: Sequence[int]) -> F64:
    return clip_weights(np.repeat(np.arange(len(n_rows)), n_rows))


def _fitted(
    samples: Sequence[_Sample],
) -> tuple[PositionCalibration, MotionCalibration | None]:
    """The scales of positions and motions, without factors; None: too few motions."""
    number = np.repeat(np.arange(len(samples)), [s.rows.sum() for s in samples])
    weights = clip_weights(number)
    features = np.concatenate([s.evidence.features[s.rows] for s in samples])
    parts = [
        _along_and_across(
            s.evidence.xyz[s.rows], s.clip.surface[s.rows], s.evidence.focal_px[s.rows]
        )
        for s in samples
    ]
    along = np.concatenate([a for a, _ in parts])
    across = np.concatenate([b for _, b in parts])
    along_scale = fit_log_scale(features, along, weights, floor=_RELATIVE_FLOOR)
    across_scale = fit_log_scale(features, across, weights, floor=_PIXEL_FLOOR)
    entity = np.concatenate([n * 10_000 + s.evidence.entity[s.rows] for n, s in enumerate(samples)])
    shares = _shares(along / along_scale(features), number, entity, weights)
    position = PositionCalibration(along_scale, across_scale, *shares, factors={})
    return position, _fitted_motions(samples, position)


def _fitted_motions(
    samples: Sequence[_Sample], position: PositionCalibration
) -> MotionCalibration | None:
    errors = [_motion_errors(sample, position) for sample in samples]
    counts = [len(e.features) for e in errors]
    if np.count_nonzero(counts) < LEAST_CLIPS // 2:
        return None
    weights = _weights(counts)
    features = np.concatenate([e.features for e in errors])
    sizes = np.concatenate([np.sqrt((e.vector**2).mean(axis=1)) for e in errors])

    def scale(values: F64) -> LogScale:
        return fit_log_scale(features, values, weights, floor=_MOTION_FLOOR)

    return MotionCalibration(
        vector=scale(sizes),
        length=scale(np.concatenate([e.length for e in errors])),
        path=scale(np.concatenate([e.path for e in errors])),
        factors={},
        length_bounds={},
        path_bounds={},
    )


def _position_scores(sample: _Sample, position: PositionCalibration) -> F64:
    """(N, 3) |error| over its standard deviation, along the camera's axes."""
    cov = calibrated_errors(sample.evidence, position).cov(sample.evidence)[sample.rows]
    error = sample.evidence.xyz[sample.rows] - sample.clip.surface[sample.rows]
    return np.asarray(np.abs(error) / np.sqrt(np.einsum("nii->ni", cov)))


@dataclass(frozen=True, eq=False)
class _MotionErrors:
    """Errors of a clip's M motions over their propagated standard deviations."""

    vector: F64
    """(M, 3)."""
    length: F64
    path: F64
    features: F64

    def over(self, motion: MotionCalibration | None) -> tuple[F64, F64, F64]:
        """|vector|, length and path over their fitted scales too."""
        if motion is None:
            return np.abs(self.vector), self.length, self.path
        return (
            np.abs(self.vector) / motion.vector(self.features)[:, None],
            self.length / motion.length(self.features),
            self.path / motion.path(self.features),
        )


def _motion_errors(sample: _Sample, position: PositionCalibration) -> _MotionErrors:
    evidence = sample.motion_evidence(position)
    rows = np.isfinite(sample.motions[:, 0]) & (evidence.seconds > 0)
    truth = sample.motions[rows]
    sd = np.sqrt(np.einsum("nii->ni", evidence.cov[rows]))
    too_long = evidence.length[rows] - np.linalg.norm(truth[:, :3], axis=1)
    return _MotionErrors(
        vector=(evidence.motion[rows] - truth[:, :3]) / sd,
        length=too_long / evidence.length_sd(evidence.cov)[rows],
        path=(evidence.path[rows] - truth[:, 3]) / np.linalg.norm(sd, axis=1),
        features=evidence.features[rows],
    )


def _factors(scores: F64, weights: F64) -> dict[str, dict[str, float]]:
    """Axis and level to the quantile of scores (N, 3)."""
    return {
        axis: {
            str(level): conformal_quantile(scores[:, i], weights, level / 100)
            for level in INTERVAL_LEVELS
        }
        for i, axis in enumerate("xyz")
    }


def _along_and_across(xyz: F64, true: F64, focal: F64) -> tuple[F64, F64]:
    """Error along the ray, as a share of the distance, and across it, in pixels (root mean square
    over the two directions)."""
    distance = np.linalg.norm(xyz, axis=1)
    ray = xyz / distance[:, None]
    error = xyz - true
    along = (error * ray).sum(axis=1)
    across = np.linalg.norm(error - along[:, None] * ray, axis=1) / np.sqrt(2)
    return along / distance, across / xyz[:, 2] * focal


def _shares(
    standard: F64, clip: NDArray[np.int64], entity: NDArray[np.int64], weights: F64
) -> tuple[float, float]:
    """Shares of the variance of standardized errors (N,) that a clip's rows and, beyond that, an
    entity's rows have in common: products of the means of the two halves of what they share.

    The means of even and of odd entities of a clip, and of the first and second half of an entity's
    rows, have independent errors of their own, so their product is free of those.
    """
    total = float(np.average(standard**2, weights=weights))
    of_clip, of_entity = [], []
    for number in np.unique(clip):
        mine = clip == number
        means = [standard[mine & (entity == e)].mean() for e in np.unique(entity[mine])]
        if len(means) > 1:
            pairs = np.outer(means, means)
            of_clip.append((pairs.sum() - np.trace(pairs)) / (len(means) * (len(means) - 1)))
    for number in np.unique(entity):
        mine = standard[entity == number]
        half = len(mine) // 2
        if half:
            of_entity.append(mine[:half].mean() * mine[half:].mean())
    shared = float(np.clip(np.mean(of_entity) / total, 0, 1)) if of_entity else 0.0
    by_clip = float(np.clip(np.mean(of_clip) / total, 0, shared)) if of_clip else 0.0
    return by_clip, shared - by_clip


def _of_quality(samples: Sequence[_Sample], position: PositionCalibration) -> Logistic:
    """Each entity weighs once. A thing that is not what its phrase says is never right."""
    features, right, weights = [], [], []
    for sample in samples:
        clip, e = sample.clip, sample.evidence
        rows = clip.known & e.placed & e.mask_visible & clip.counts(e)
        errors = calibrated_errors(e, position)
        distance = np.linalg.norm(clip.surface, axis=1)
        error = np.linalg.norm(e.xyz - clip.surface, axis=1)
        with np.errstate(invalid="ignore"):
            good = (error <= RIGHT_WITHIN * distance) & np.isfinite(error)
        features.append(quality_features(e, errors)[rows])
        right.append(good[rows].astype(float))
        weights.append(clip_weights(e.entity[rows]))
    weight = np.concatenate(weights)
    return fit_logistic(
        np.concatenate(features), np.concatenate(right), weight * len(samples) / weight.sum()
    )


def true_motions(clip: TrueClip, evidence: PositionEvidence) -> F64:
    """(M, 4) of each row of `motions`: true displacement along its reference's axes, true path;
    NaN: unknown."""
    table = clip.tables.table("motions")
    t_s = np.asarray(clip.tables.table("frames")["t_s"].to_numpy())
    index = {int(e): n for n, e in enumerate(evidence.entity[:: clip.n_frames])}
    surface = np.where(clip.matched[:, None], clip.surface, np.nan)
    in_camera = surface.reshape(-1, clip.n_frames, 3)
    in_world = apply(inverse(clip.cam_from_world)[None], in_camera)
    result = np.full((table.num_rows, 4), np.nan)
    for row, motion in enumerate(table.select(["entity", "reference", "t0_s", "t1_s"]).to_pylist()):
        first, last = (int(np.abs(t_s - motion[name]).argmin()) for name in ("t0_s", "t1_s"))
        course = (in_world if motion["reference"] == "world" else in_camera)[
            index[motion["entity"]]
        ]
        if np.isfinite(course[[first, last], 0]).all():
            result[row, :3], result[row, 3] = displacement_and_path(course[first : last + 1])
    return result


def _bounds(scores: F64, weights: F64) -> dict[str, tuple[float, float]]:
    """Level to the lower and upper quantile of scores (N,), each side with its own tail."""
    result = {}
    for level in INTERVAL_LEVELS:
        one_side = 0.5 + level / 200
        low = -conformal_quantile(-scores, weights, one_side)
        result[str(level)] = (low, conformal_quantile(scores, weights, one_side))
    return result


_NONE = LogScale(0.0, (), (), (), (), ())
_NO_MOTION = MotionCalibration(
    _NONE,
    _NONE,
    _NONE,
    {axis: {str(level): float("inf") for level in INTERVAL_LEVELS} for axis in "xyz"},
    {str(level): (-float("inf"), float("inf")) for level in INTERVAL_LEVELS},
    {str(level): (-float("inf"), float("inf")) for level in INTERVAL_LEVELS},
)
"""Nothing is known about motions: all bounds infinite, which tables show as null."""
