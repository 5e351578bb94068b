"""A calibration learnt from annotated clips whose truth is known.

Each clip weighs once: its rows are not independent. The scales are fitted and the quantiles taken
on the same clips: with a few dozen numbers fitted to hundreds of clips, the optimism of that is
below a point (docs/calibration.md has the check on clips that no fit has seen).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from massannot.errors import UsageError
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


def calibrate(
    clips: Sequence[TrueClip], *, name: str, key: Mapping[str, Any], truth: str
) -> Calibration:
    """The calibration of these clips. Raises UsageError for fewer than LEAST_CLIPS with a
    position."""
    evidence = [position_evidence(clip.tables, n_frames=clip.n_frames) for clip in clips]
    usable = [
        bool((clip.matched & e.placed & np.isfinite(clip.surface[:, 0])).any())
        for clip, e in zip(clips, evidence, strict=True)
    ]
    if sum(usable) < LEAST_CLIPS:
        raise UsageError(
            f"calibration: found {sum(usable)} clips with a position whose truth is known (of a "
            f"thing found under its own name, its mask well placed), expected {LEAST_CLIPS} or "
            "more, hundreds for intervals of 90 %"
        )
    clips = [clip for clip, use in zip(clips, usable, strict=True) if use]
    evidence = [item for item, use in zip(evidence, usable, strict=True) if use]
    position = _of_positions(clips, evidence)
    bare = Calibration(
        name, key, truth, len(clips), position, _NO_MOTION, _of_quality(clips, evidence, position)
    )
    motion = _of_motions(clips, evidence, bare)
    return Calibration(name, key, truth, len(clips), position, motion, bare.quality)


def _of_positions(
    clips: Sequence[TrueClip], evidence: Sequence[PositionEvidence]
) -> PositionCalibration:
    rows = [
        clip.matched & e.placed & np.isfinite(clip.surface[:, 0])
        for clip, e in zip(clips, evidence, strict=True)
    ]
    number = np.repeat(np.arange(len(clips)), [r.sum() for r in rows])
    weights = clip_weights(number)
    features = np.concatenate([e.features[r] for e, r in zip(evidence, rows, strict=True)])
    parts = [
        _along_and_across(e.xyz[r], clip.surface[r], e.focal_px[r])
        for clip, e, r in zip(clips, evidence, rows, strict=True)
    ]
    along = np.concatenate([a for a, _ in parts])
    across = np.concatenate([b for _, b in parts])
    along_scale = fit_log_scale(features, along, weights, floor=_RELATIVE_FLOOR)
    across_scale = fit_log_scale(features, across, weights, floor=_PIXEL_FLOOR)
    entity = np.concatenate(
        [n * 10_000 + e.entity[r] for n, (e, r) in enumerate(zip(evidence, rows, strict=True))]
    )
    shares = _shares(along / along_scale(features), number, entity, weights)
    position = PositionCalibration(along_scale, across_scale, *shares, factors={})
    errors = [calibrated_errors(e, position) for e in evidence]
    sd = np.concatenate(
        [
            np.sqrt(np.einsum("nii->ni", item.cov(e)))[r]
            for item, e, r in zip(errors, evidence, rows, strict=True)
        ]
    )
    missed = np.concatenate(
        [
            np.abs(e.xyz[r] - clip.surface[r])
            for clip, e, r in zip(clips, evidence, rows, strict=True)
        ]
    )
    return PositionCalibration(
        along_scale, across_scale, *shares, factors=_factors(missed / sd, weights)
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


def _of_quality(
    clips: Sequence[TrueClip],
    evidence: Sequence[PositionEvidence],
    position: PositionCalibration,
) -> Logistic:
    """Each entity weighs once, and each clip's entities together once."""
    features, right, weights = [], [], []
    for clip, e in zip(clips, evidence, strict=True):
        rows = clip.known & e.placed & e.mask_visible
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
        np.concatenate(features), np.concatenate(right), weight * len(clips) / weight.sum()
    )


def _of_motions(
    clips: Sequence[TrueClip], evidence: Sequence[PositionEvidence], bare: Calibration
) -> MotionCalibration:
    motions, truths = [], []
    for clip, e in zip(clips, evidence, strict=True):
        errors = calibrated_errors(e, bare.position)
        motions.append(motion_evidence(clip.tables, e, errors, n_frames=clip.n_frames))
        truths.append(true_motions(clip, e))
    rows = [np.isfinite(t[:, 0]) & (m.seconds > 0) for m, t in zip(motions, truths, strict=True)]
    number = np.repeat(np.arange(len(clips)), [r.sum() for r in rows])
    if len(np.unique(number)) < LEAST_CLIPS:
        return _NO_MOTION
    weights = clip_weights(number)

    def joined(values: Sequence[F64]) -> F64:
        return np.concatenate([v[r] for v, r in zip(values, rows, strict=True)])

    features = joined([m.features for m in motions])
    truth = joined(truths)
    error = joined([m.motion for m in motions]) - truth[:, :3]
    sd = np.sqrt(np.einsum("nii->ni", joined([m.cov for m in motions])))
    size = np.sqrt((error**2 / sd**2).mean(axis=1))
    vector = fit_log_scale(features, size, weights, floor=0.05)
    length = joined([m.length for m in motions])
    of_length = (length - np.linalg.norm(truth[:, :3], axis=1)) / joined(
        [m.length_sd for m in motions]
    )
    length_scale = fit_log_scale(features, of_length, weights, floor=0.05)
    of_path = (joined([m.path for m in motions]) - truth[:, 3]) / np.linalg.norm(sd, axis=1)
    path_scale = fit_log_scale(features, of_path, weights, floor=0.05)
    return MotionCalibration(
        vector,
        length_scale,
        path_scale,
        factors=_factors(np.abs(error) / sd / vector(features)[:, None], weights),
        length_bounds=_bounds(of_length / length_scale(features), weights),
        path_bounds=_bounds(of_path / path_scale(features), weights),
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
            part = course[first : last + 1]
            part = part[np.isfinite(part[:, 0])]
            result[row, :3] = course[last] - course[first]
            result[row, 3] = np.linalg.norm(np.diff(part, axis=0), axis=1).sum()
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
