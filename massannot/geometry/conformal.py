"""Intervals that hold the truth as often as they say, learnt from errors that are known.

The size of an error is predicted from evidence (`LogScale`), and the errors over their predicted
sizes are ranked: the level-th quantile is the factor that makes an interval (split conformal
prediction: Lei, G'Sell, Rinaldo, Tibshirani, Wasserman, "Distribution-free predictive inference for
regression", JASA 2018, with locally weighted residuals). Rows of one clip are not independent, so
each clip weighs once, and the quantile leaves room for one clip more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

F64 = NDArray[np.float64]

_RIDGE = 3.0
"""Penalty of a standardized weight, in clips."""
_MEAN_LOG_ABS_GAUSS = -0.635
"""Mean of log |e| of a unit Gaussian: what the logarithm of an error falls short of its scale."""


@dataclass(frozen=True)
class LogScale:
    """log scale = intercept + sum of weight * (feature - mean) / sd, feature by feature.

    Features outside of what was seen in fitting count as its bounds: nothing is extrapolated.
    """

    intercept: float
    weights: tuple[float, ...]
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def log(self, features: F64) -> F64:
        """(N,) of features (N, F); an unknown (NaN) feature counts as the mean."""
        seen = np.clip(features, self.low, self.high)
        standard = np.nan_to_num((seen - np.array(self.mean)) / np.array(self.sd))
        return np.asarray(self.intercept + standard @ np.array(self.weights))

    def __call__(self, features: F64) -> F64:
        """(N,) the scale."""
        return np.exp(self.log(features))


def fit_log_scale(features: F64, errors: F64, weights: F64, *, floor: float) -> LogScale:
    """The scale of errors (N,) by ridge regression of log(|error| + floor) on features (N, F).

    `weights` (N,) of the rows; they sum to the number of clips.
    """
    target = np.log(np.abs(errors) + floor) - _MEAN_LOG_ABS_GAUSS
    mean, sd = _moments(features, weights)
    standard = np.nan_to_num((features - mean) / sd)
    centre = float(np.average(target, weights=weights))
    normal = (standard * weights[:, None]).T @ standard + _RIDGE * np.eye(len(mean))
    fitted = np.linalg.solve(normal, (standard * weights[:, None]).T @ (target - centre))
    return _log_scale(centre, np.asarray(fitted), features, mean, sd)


@dataclass(frozen=True)
class Logistic:
    """The probability 1 / (1 + exp(-score)), with score a LogScale's logarithm."""

    score: LogScale

    def __call__(self, features: F64) -> F64:
        """(N,) of features (N, F)."""
        return 1.0 / (1.0 + np.exp(-self.score.log(features)))


def fit_logistic(features: F64, share: F64, weights: F64) -> Logistic:
    """The probability whose expectation is share (N,) in 0..1, by penalized maximum likelihood
    (Newton's iteration). `weights` (N,) sum to the number of clips."""
    mean, sd = _moments(features, weights)
    design = np.column_stack([np.ones(len(features)), np.nan_to_num((features - mean) / sd)])
    penalty = np.diag([0.0] + [1.0] * features.shape[1])
    theta = np.zeros(design.shape[1])
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-np.clip(design @ theta, -30, 30)))
        slope = design.T @ (weights * (share - p)) - penalty @ theta
        curve = (design * (weights * p * (1 - p))[:, None]).T @ design + penalty
        step = np.linalg.solve(curve + 1e-9 * np.eye(len(theta)), slope)
        theta = theta + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-8:
            break
    return Logistic(_log_scale(float(theta[0]), theta[1:], features, mean, sd))


def clip_weights(clip: ArrayLike) -> F64:
    """(N,) weights of rows that belong to `clip` (N,): each clip's sum to 1."""
    _, index, counts = np.unique(np.asarray(clip), return_inverse=True, return_counts=True)
    return np.asarray(1.0 / counts[index])


def conformal_quantile(scores: F64, weights: F64, level: float) -> float:
    """The factor below which `level` of new scores lie: the weighted quantile of scores (N,), with
    one clip more of infinite score. Infinite where the clips are too few for the level."""
    order = np.argsort(scores)
    reached = np.cumsum(weights[order]) / (weights.sum() + 1.0)
    index = int(np.searchsorted(reached, level))
    return float(scores[order[index]]) if index < len(scores) else float("inf")


def _log_scale(intercept: float, weights: F64, features: F64, mean: F64, sd: F64) -> LogScale:
    """With the bounds of the features seen; a feature that was never known has no weight."""
    seen = [column[np.isfinite(column)] for column in features.T]
    low, high = (
        np.array([np.quantile(v, q) if v.size else 0.0 for v in seen]) for q in (0.002, 0.998)
    )
    columns = (tuple(map(float, values)) for values in (weights, mean, sd, low, high))
    return LogScale(intercept, *columns)


def _moments(features: F64, weights: F64) -> tuple[F64, F64]:
    """Weighted mean and standard deviation (F,) of the known values; of a constant 0 and 1."""
    known = np.isfinite(features)
    total = np.maximum((known * weights[:, None]).sum(axis=0), 1e-12)
    value = np.where(known, features, 0.0)
    mean = (value * weights[:, None]).sum(axis=0) / total
    offset = np.where(known, features - mean, 0.0)
    sd = np.sqrt((offset**2 * weights[:, None]).sum(axis=0) / total)
    return mean, np.where(sd > 1e-9, sd, 1.0)
