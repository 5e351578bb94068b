"""Depth without flicker: a scale, or scale and shift, per frame from a background that stands
still.

With a camera that stands still a background point has one true depth r(n), so each frame's depth
z(t, n) must agree with it: scale(t) z(t, n) + shift(t) = r(n). Scales come from alternating medians
of log r - log z, which a third of wrong points does not move; the shift, where the rule allows one,
from robust least squares. The overall scale, which no single frame can say, is settled by the
middle of all frames: the scales' median is 1 and so, nearly, is the metre.

Unusual: a shift is only used where the points lie at different enough depths and where it explains
clearly more than a scale does; otherwise it would bend every depth beyond the background's. And
numpy's nanmedian walks small axes in Python: in `masked_median` the unknown sort to the end and the
middle of the known is picked, one sort for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
FitKind = Literal["auto", "scale", "scale_and_shift"]

SIGMA_FROM_MAD = 1.4826
"""Standard deviation of a Gaussian over its median absolute deviation."""
MEDIAN_OF_RAYLEIGH = 1.1774
"""Median length of a two-dimensional Gaussian of unit standard deviation."""
_ITERATIONS = 30
_CONVERGED = 1e-7
_NEGLIGIBLE = 1e-5
"""Relative deviation that nothing needs to explain: float32 depth rounds at 1e-7."""


def sigma_of(lengths: NDArray[np.float64]) -> float:
    """Standard deviation of one coordinate of errors in the picture, from their lengths (N,)."""
    return float(np.median(lengths)) / MEDIAN_OF_RAYLEIGH


@dataclass(frozen=True)
class BackgroundFitRule:
    """Options of the fit."""

    kind: FitKind = "auto"
    """auto: a shift where it is needed and can be told from a scale."""
    min_points: int = 8
    """Reliable background points that a frame needs; fewer: its depth stays as it is."""
    min_depth_ratio: float = 1.3
    """Far points (90th percentile) over near ones (10th) from which a shift can be told."""
    min_gain: float = 0.3
    """Share by which a shift must lower the median error to be used."""


DEFAULT_RULE = BackgroundFitRule()


class BackgroundFit(NamedTuple):
    """z(t) becomes scale(t) * z(t) + shift(t)."""

    scale: F64
    """(T,) 1 where nothing was fitted."""
    shift: F64
    """(T,) in units of z."""
    fitted: Bool
    """(T,)"""


def fit_background(z: F64, known: Bool, *, rule: BackgroundFitRule = DEFAULT_RULE) -> BackgroundFit:
    """Scale and shift of every frame from the depths z (T, N) of points that stand still."""
    known = known & np.isfinite(z)
    fitted = known.sum(axis=1) >= rule.min_points
    known = known & fitted[:, None]
    known = known & (known.sum(axis=0) >= 2)
    n_frames = len(z)
    plain = BackgroundFit(np.ones(n_frames), np.zeros(n_frames), fitted)
    if fitted.sum() < 2 or not known.any():
        return plain._replace(fitted=np.zeros(n_frames, np.bool_))

    scale, reference = _fit_scale(z, known)
    scale = np.where(fitted, scale, 1.0)
    by_scale = plain._replace(scale=scale)
    if rule.kind == "scale" or not _spans_depths(reference, rule):
        return by_scale
    shifted_scale, shift = _fit_scale_and_shift(z, known, scale, reference)
    by_both = plain._replace(scale=shifted_scale, shift=shift)
    left = _error(z, known, by_scale)
    gains = _error(z, known, by_both) <= (1 - rule.min_gain) * left and left > _NEGLIGIBLE
    return by_both if rule.kind == "scale_and_shift" or gains else by_scale


def masked_median(values: ArrayLike, known: ArrayLike, *, axis: int) -> F64:
    """Median along `axis` of the values where `known`; NaN where none is."""
    return masked_quantile(values, known, q=0.5, axis=axis)


def masked_quantile(values: ArrayLike, known: ArrayLike, *, q: float, axis: int) -> F64:
    """Quantile q along `axis` of the values where `known`, linear between ranks; NaN where none."""
    array = np.moveaxis(np.where(known, np.asarray(values, np.float64), np.inf), axis, 0)
    count = np.broadcast_to(np.moveaxis(np.asarray(known, np.bool_), axis, 0), array.shape)
    n = count.sum(axis=0)
    if array.shape[0] == 0:
        return np.full(array.shape[1:], np.nan)
    ranked = np.sort(array, axis=0)
    rank = q * np.maximum(n - 1, 0)
    below = np.floor(rank).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(n - 1, 0))
    low = np.take_along_axis(ranked, below[None], axis=0)[0]
    high = np.take_along_axis(ranked, above[None], axis=0)[0]
    some = n > 0
    low, high = np.where(some, low, np.nan), np.where(some, high, np.nan)
    return np.asarray(low + (rank - below) * (high - low))


def _fit_scale(z: F64, known: Bool) -> tuple[F64, F64]:
    """Scales (T,) with median 1 and reference depths (N,), by alternating medians of logs."""
    log_z = np.log(np.where(known, z, 1.0))
    log_scale = np.zeros(len(z))
    for _ in range(_ITERATIONS):
        log_reference = masked_median(log_z + log_scale[:, None], known, axis=0)
        refined = masked_median(np.nan_to_num(log_reference) - log_z, known, axis=1)
        refined = np.nan_to_num(refined - np.nanmedian(refined))
        change = np.abs(refined - log_scale).max()
        log_scale = refined
        if change < _CONVERGED:
            break
    reference = np.exp(masked_median(log_z + log_scale[:, None], known, axis=0))
    return np.exp(log_scale), reference


def _fit_scale_and_shift(z: F64, known: Bool, scale: F64, reference: F64) -> tuple[F64, F64]:
    """Scale and shift (T,) by iterated Cauchy-weighted lines from z to the reference, which starts
    as given and follows. Gauge: the median scale stays 1, the median shift 0."""
    depth = np.where(known, z, 0.0)
    shift = np.zeros(len(z))
    weight = known.astype(np.float64)
    for _ in range(_ITERATIONS):
        target = np.nan_to_num(reference)
        scale, shift = _weighted_lines(depth, target, weight)
        scale, shift = _in_gauge(scale, shift, np.asarray(known.any(axis=1)))
        placed = scale[:, None] * depth + shift[:, None]
        updated = masked_median(placed, known, axis=0)
        change = np.nanmax(np.abs(updated / reference - 1))
        reference = updated
        residual = np.abs(placed - np.nan_to_num(reference)) * known
        sigma = SIGMA_FROM_MAD * masked_median(residual, known, axis=1)
        weight = known / (1 + (residual / np.maximum(2.385 * sigma, 1e-9)[:, None]) ** 2)
        weight = np.nan_to_num(weight)
        if change < _CONVERGED:
            break
    return scale, shift


def _weighted_lines(z: F64, target: F64, weight: F64) -> tuple[F64, F64]:
    """Slope and offset (T,) of weighted least squares from z (T, N) to target (N,)."""
    total = np.maximum(weight.sum(axis=1), 1e-12)
    mean_z = (weight * z).sum(axis=1) / total
    mean_target = (weight * target).sum(axis=1) / total
    across = z - mean_z[:, None]
    variance = (weight * across**2).sum(axis=1)
    slope = np.divide(
        (weight * across * (target - mean_target[:, None])).sum(axis=1),
        variance,
        out=np.ones(len(z)),
        where=variance > 1e-12,
    )
    return slope, mean_target - slope * mean_z


def _in_gauge(scale: F64, shift: F64, fitted: Bool) -> tuple[F64, F64]:
    """The same agreement between frames, with the middle frame's depth left as it is."""
    middle_scale, middle_shift = np.median(scale[fitted]), np.median(shift[fitted])
    scale = scale / middle_scale
    shift = (shift - middle_shift) / middle_scale
    return np.where(fitted, scale, 1.0), np.where(fitted, shift, 0.0)


def _spans_depths(reference: F64, rule: BackgroundFitRule) -> bool:
    known = np.isfinite(reference)
    near, far = (float(masked_quantile(reference, known, q=q, axis=0)) for q in (0.1, 0.9))
    return known.sum() >= 2 * rule.min_points and far >= rule.min_depth_ratio * near


def _error(z: F64, known: Bool, fit: BackgroundFit) -> float:
    """Median relative deviation of a point from its middle over time, after the fit."""
    placed = fit.scale[:, None] * np.where(known, z, 1.0) + fit.shift[:, None]
    middle = masked_median(placed, known, axis=0)
    deviation = np.abs(placed / np.where(np.isfinite(middle), middle, 1.0) - 1)
    return float(np.median(deviation[known]))
