"""How sure: covariance, intervals and quality, in `positions`, `motions`, `entities` and `clips`.

With a calibration for these very models and options, intervals are calibrated: on clips whose truth
was known they held it as often as they say. Without one they are internal, a lower bound from what
the clip itself shows:

    frame     noise of the range from frame to frame, along the ray and across it (jitter)
    entity    the tracked points' centre against that under the mask, middle over the frames
    all three  by how far a second depth model is apart, where one was asked, if that is more
    clip      that of things of known size, where one is given; else unknown: a factor on all
              distances shows in nothing here
    motions   no less than what stands still seems to move meanwhile (_background_floor.py)

and quality is a rank, no probability. What cannot be said is null, and its ground none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from massannot.clip import Clip
from massannot.geometry.background_fit import SIGMA_FROM_MAD
from massannot.geometry.calibration import Calibration, PositionCalibration
from massannot.stages._background_floor import above_background
from massannot.stages._evidence import (
    MotionEvidence,
    PositionErrors,
    PositionEvidence,
    motion_evidence,
    position_evidence,
    quality_features,
)
from massannot.stages._stage import Stage
from massannot.stages._track_arrays import Tables, numbers, with_columns
from massannot.tables._matrices import upper_triangles
from massannot.tables._spec import FLOAT32, INTERVAL_LEVELS

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

_GAUSS = {level: NormalDist().inv_cdf(0.5 + level / 200) for level in INTERVAL_LEVELS}


@dataclass(frozen=True)
class ChosenCalibration:
    """The calibration that a run uses: its name and the hash of its file, both of which decide
    rows. Without a name: none is known for these models."""

    name: str | None = None
    sha256: str | None = None
    _content: Calibration | None = None

    @property
    def content(self) -> Calibration | None:
        return self._content


_TAKEN_OUT = 1e-6
"""A middle ratio of two depths below this was taken out, see compare_depth."""
_LENGTHS = ("length", "path", "speed")


def _names(form: str, of: Iterable[str]) -> tuple[str, ...]:
    """Columns of every level, `form` with each name of `of` in it."""
    return tuple(f"{form.format(name)}_{level}" for name in of for level in INTERVAL_LEVELS)


@dataclass(frozen=True)
class StateIntervals(Stage):
    """Fills the columns that say how sure."""

    calibration: ChosenCalibration = ChosenCalibration()

    reads: ClassVar[tuple[str, ...]] = (
        "frames",
        "clips",
        "segments",
        "entities",
        "masks",
        "cameras",
        "tracks_xyz",
        "positions",
        "motions",
    )
    writes: ClassVar[tuple[str, ...]] = ("positions", "motions", "entities", "clips")
    fills: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "positions": ("range_rel_sd", "cov", *_names("{}_half", "xyz"), "interval_basis"),
        "motions": (
            "cov",
            *_names("motion_{}_half", "xyz"),
            *(name for end in ("low", "high") for name in _names(f"{{}}_{end}", _LENGTHS)),
            "interval_basis",
            "quality",
        ),
        "entities": ("quality", "measured_share", "range_rel_sd", "quality_basis"),
        "clips": ("range_rel_sd",),
    }

    def process(self, clip: Clip) -> Clip:
        """`clip` with the columns filled."""
        for name, table in stated(clip, self.calibration.content).items():
            clip = clip.with_table(name, table)
        return clip


def stated(clip: Tables, calibration: Calibration | None) -> dict[str, pa.Table]:
    """The four tables of a clip, in work or read back, with their columns about certainty."""
    n_frames = clip.table("frames").num_rows
    given = {name: clip.table(name) for name in StateIntervals.writes}
    if given["positions"].num_rows == 0:
        return {**given, "entities": _judged(given["entities"], {})}
    evidence = position_evidence(clip, n_frames=n_frames)
    errors = (
        internal_errors(evidence, clip_rel_sd=_size_scale_rel_sd(given["clips"]))
        if calibration is None
        else calibrated_errors(evidence, calibration.position)
    )
    motion = motion_evidence(clip, evidence, errors, n_frames=n_frames)
    if calibration is None:
        motion = above_background(clip, motion, evidence, n_frames=n_frames)
    right = None if calibration is None else calibration.quality(quality_features(evidence, errors))
    return {
        "positions": _positions(given["positions"], evidence, errors, calibration),
        "motions": _motions(clip, given["motions"], motion, evidence, right, calibration),
        "entities": _entities(given["entities"], evidence, errors, right),
        "clips": _with(given["clips"], "range_rel_sd", [float(np.median(errors.clip))]),
    }


def _size_scale_rel_sd(clips: pa.Table) -> float:
    value = clips["size_scale_rel_sd"][0].as_py()
    return float("nan") if value is None else float(value)


def calibrated_errors(evidence: PositionEvidence, position: PositionCalibration) -> PositionErrors:
    """Standard deviations by the calibration's scales."""
    along, across = position.along(evidence.features), position.across(evidence.features)
    entity = _median_by_entity(along, evidence.entity)
    clip = np.full(len(along), float(np.median(along)))
    clip = np.minimum(clip * np.sqrt(position.clip_share), along)
    entity = np.minimum(
        entity * np.sqrt(position.entity_share), np.sqrt(np.maximum(along**2 - clip**2, 0))
    )
    frame = np.sqrt(np.maximum(along**2 - clip**2 - entity**2, 0))
    return PositionErrors(clip, entity, frame, across)


def internal_errors(evidence: PositionEvidence, *, clip_rel_sd: float = np.nan) -> PositionErrors:
    """Standard deviations by what the clip itself shows; NaN: nothing shows it. `clip_rel_sd`: of
    the scale, from things of known size."""
    apart = np.where(evidence.measured, evidence.disagreement, np.nan)
    entity = _median_by_entity(apart, evidence.entity)
    clip = np.full(len(apart), clip_rel_sd)
    frame = evidence.jitter
    if np.isfinite(evidence.second_depth).any():
        other = _by_second_depth(evidence)
        clip, entity, frame = (
            np.fmax(own, seen) for own, seen in zip((clip, entity, frame), other, strict=True)
        )
    return PositionErrors(clip, entity, frame, evidence.jitter_px)


def _by_second_depth(evidence: PositionEvidence) -> tuple[F64, F64, F64]:
    """Standard deviations of clip, entity and frame, (N,) each, by how far two depth models are
    apart; NaN: not told. Each has half the variance of what lies between them."""
    logs = evidence.second_depth
    of_clip = np.full(len(logs), np.nanmedian(logs))
    of_entity = _median_by_entity(logs - of_clip, evidence.entity)
    rest = np.abs(logs - of_clip - of_entity)
    per_entity = np.array([of_entity[evidence.entity == e][0] for e in np.unique(evidence.entity)])
    known = per_entity[np.isfinite(per_entity)]
    entity = np.sqrt(np.sum(known**2) / (len(known) - 1)) if len(known) > 1 else np.nan
    middle = np.where(np.abs(of_clip) > _TAKEN_OUT, np.abs(of_clip), np.nan)
    return (
        middle / np.sqrt(2),
        np.full(len(logs), entity / np.sqrt(2)),
        _median_by_entity(rest, evidence.entity) * SIGMA_FROM_MAD / np.sqrt(2),
    )


def _positions(
    table: pa.Table,
    evidence: PositionEvidence,
    errors: PositionErrors,
    calibration: Calibration | None,
) -> pa.Table:
    placed = evidence.placed
    cov = np.where(placed[:, None, None], errors.cov(evidence), np.nan)
    sd = np.sqrt(np.einsum("nii->ni", cov))
    table = _with(table, "range_rel_sd", np.where(placed, errors.frame, np.nan))
    table = with_columns(table, cov=upper_triangles(cov))
    for i, axis in enumerate("xyz"):
        for level in INTERVAL_LEVELS:
            factor = (
                _GAUSS[level]
                if calibration is None
                else calibration.position.factors[axis][str(level)]
            )
            table = _with(table, f"{axis}_half_{level}", factor * sd[:, i])
    known = np.isfinite(sd).all(axis=1)
    return _with_ground(table, known, placed, calibration)


def _motions(
    clip: Tables,
    table: pa.Table,
    evidence: MotionEvidence,
    positions: PositionEvidence,
    right: F64 | None,
    calibration: Calibration | None,
) -> pa.Table:
    cov, of_poses = evidence.cov, evidence.pose_cov
    along, total = evidence.length_sd(cov), np.sqrt(np.einsum("nii->n", cov))
    length, path, seconds = evidence.length, evidence.path, evidence.seconds
    if calibration is not None:
        motion = calibration.motion
        vector = motion.vector(evidence.features)
        cov = cov * (vector**2)[:, None, None]
        along = along * motion.length(evidence.features)
        total = total * motion.path(evidence.features)
    cov = cov + of_poses  # which nothing was learnt of: their error is stated with them
    along = np.hypot(along, evidence.length_sd(of_poses))
    total = np.hypot(total, np.sqrt(np.einsum("nii->n", of_poses)))
    sd = np.sqrt(np.einsum("nii->ni", cov))
    table = with_columns(table, cov=upper_triangles(cov))
    for level in INTERVAL_LEVELS:
        gauss = _GAUSS[level]
        for i, axis in enumerate("xyz"):
            factor = gauss if calibration is None else calibration.motion.factors[axis][str(level)]
            table = _with(table, f"motion_{axis}_half_{level}", factor * sd[:, i])
        bounds = (-gauss, gauss), (-gauss, gauss)
        if calibration is not None:
            motion = calibration.motion
            bounds = motion.length_bounds[str(level)], motion.path_bounds[str(level)]
        low, high = _interval(length, along, bounds[0])
        table = _with(_with(table, f"length_low_{level}", low), f"length_high_{level}", high)
        # A path is never shorter than the way between its ends.
        low, high = _interval(path, total, bounds[1])
        table = _with(_with(table, f"path_low_{level}", low), f"path_high_{level}", high)
        with np.errstate(invalid="ignore", divide="ignore"):
            for bound, value in (("low", low), ("high", high)):
                per_second = np.where(seconds > 0, value / seconds, np.nan)
                table = _with(table, f"speed_{bound}_{level}", per_second)
    if right is not None:
        table = _with(table, "quality", _of_motions(clip, table, positions, right))
    return _with_ground(table, np.isfinite(total), np.ones(len(total), np.bool_), calibration)


def _interval(value: F64, scale: F64, quantiles: tuple[float, float]) -> tuple[F64, F64]:
    """Bounds of the truth, from quantiles of (value - truth) / scale; no length is negative."""
    low, high = quantiles
    return np.maximum(value - high * scale, 0.0), np.maximum(value - low * scale, 0.0)


def _entities(
    table: pa.Table, evidence: PositionEvidence, errors: PositionErrors, right: F64 | None
) -> pa.Table:
    rows: dict[int, dict[str, float]] = {}
    for number in np.unique(evidence.entity):
        mine = evidence.entity == number
        seen = mine & evidence.mask_visible
        known = errors.entity[mine][np.isfinite(errors.entity[mine])]
        rows[int(number)] = {
            "measured_share": float(evidence.measured[seen].mean()) if seen.any() else 0.0,
            "range_rel_sd": float(np.median(known)) if known.size else np.nan,
            "quality": np.nan if right is None else _mean_right(seen, evidence, right),
        }
    return _judged(table, rows, calibrated=right is not None)


def _mean_right(seen: Bool, evidence: PositionEvidence, right: F64) -> float:
    """Over the frames in which the entity is seen; one without a position counts as wrong."""
    return float((right * evidence.placed)[seen].mean()) if seen.any() else 0.0


def _of_motions(
    clip: Tables, table: pa.Table, evidence: PositionEvidence, right: F64
) -> list[float]:
    spans = {r["segment"]: r for r in clip.table("segments").to_pylist()}
    qualities = []
    for entity, segment in zip(
        table["entity"].to_pylist(), table["segment"].to_pylist(), strict=True
    ):
        first, end = spans[segment]["first_frame"], spans[segment]["end_frame"]
        inside = (evidence.frame >= first) & (evidence.frame < end)
        seen = (evidence.entity == entity) & evidence.mask_visible & inside
        qualities.append(_mean_right(seen, evidence, right))
    return qualities


def _judged(
    table: pa.Table, rows: Mapping[int, Mapping[str, float]], *, calibrated: bool = False
) -> pa.Table:
    """`entities` with what `rows` say; quality stays where nothing better is known."""
    numbers_ = numbers(table, "entity").astype(np.int64).tolist()
    for name in ("measured_share", "range_rel_sd"):
        table = _with(table, name, [rows.get(e, {}).get(name, np.nan) for e in numbers_])
    if calibrated:
        table = _with(table, "quality", [rows[e]["quality"] for e in numbers_])
    ground = "calibrated" if calibrated else "internal"
    known = [value is not None for value in table["quality"].to_pylist()]
    return with_columns(table, quality_basis=[ground if k else "none" for k in known])


def _with_ground(
    table: pa.Table, known: Bool, placed: Bool, calibration: Calibration | None
) -> pa.Table:
    ground = "internal" if calibration is None else "calibrated"
    words_ = np.where(known, ground, np.where(placed, "none", "")).tolist()
    return with_columns(table, interval_basis=[word or None for word in words_])


def _median_by_entity(values: F64, entity: NDArray[np.int64]) -> F64:
    """(N,) the median over each row's entity of what is known; NaN where nothing is."""
    result = np.full(len(values), np.nan)
    for number in np.unique(entity):
        mine = entity == number
        known = values[mine][np.isfinite(values[mine])]
        if known.size:
            result[mine] = np.median(known)
    return result


def _with(table: pa.Table, name: str, values: Any) -> pa.Table:
    """Numbers; null where they are not finite."""
    numbers_ = np.asarray(values, np.float64)
    column = pa.array(numbers_.astype(np.float32), FLOAT32, mask=~np.isfinite(numbers_))
    return with_columns(table, **{name: column})
