"""Confidence intervals of scores, over clips: frames of one clip are not independent.

Means and any other statistic by the percentile bootstrap over clips (Efron, 1979). Seeds are
arguments: equal input gives equal bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

F64 = NDArray[np.float64]
Indices = NDArray[np.int64]

LEVEL = 0.95
N_RESAMPLES = 2000  # moves a bound by about 1.5 % of the interval from seed to seed


@dataclass(frozen=True)
class ConfidenceInterval:
    """A value and its bounds; NaN bounds for fewer than two clips."""

    value: float
    low: float
    high: float
    n: int
    """Clips."""


def bootstrap(
    statistic: Callable[[Indices], float],
    *,
    n_clips: int,
    seed: int,
    level: float = LEVEL,
    n_resamples: int = N_RESAMPLES,
) -> ConfidenceInterval:
    """Interval of `statistic(clips)`, which gets the numbers of the drawn clips (n_clips,).

    Draws on which the statistic is NaN are left out.
    """
    value = float(statistic(np.arange(n_clips)))
    if n_clips < 2:
        return ConfidenceInterval(value, float("nan"), float("nan"), n_clips)
    drawn = _draws(n_clips, seed=seed, n_resamples=n_resamples)
    low, high = _percentiles(np.array([statistic(clips) for clips in drawn]), level)
    return ConfidenceInterval(value, low, high, n_clips)


def mean_over_clips(
    values: ArrayLike, *, seed: int, level: float = LEVEL, n_resamples: int = N_RESAMPLES
) -> ConfidenceInterval:
    """Interval of the mean of one value per clip (C,). Clips with NaN are left out."""
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    value = float(known.mean()) if known.size else float("nan")
    if known.size < 2:
        return ConfidenceInterval(value, float("nan"), float("nan"), known.size)
    drawn = _draws(known.size, seed=seed, n_resamples=n_resamples)
    low, high = _percentiles(known[drawn].mean(axis=1), level)
    return ConfidenceInterval(value, low, high, known.size)


def median_over_clips(
    samples: Sequence[ArrayLike],
    *,
    seed: int,
    level: float = LEVEL,
    n_resamples: int = N_RESAMPLES,
) -> ConfidenceInterval:
    """Interval of the median of all clips' samples, `samples[c]` (N_c,), each clip weighing once
    however many it has. Clips without samples are left out."""
    clips = [np.asarray(x, np.float64) for x in samples]
    clips = [x for x in clips if x.size]
    if not clips:
        return ConfidenceInterval(float("nan"), float("nan"), float("nan"), 0)
    values = np.concatenate(clips)
    order = np.argsort(values, kind="stable")
    values = values[order]
    clip_of = np.repeat(np.arange(len(clips)), [x.size for x in clips])[order]
    share = 1.0 / np.array([x.size for x in clips])

    def median(drawn: Indices) -> float:
        """The first sample, or the middle of the two, that halves the weight."""
        weight = (np.bincount(drawn, minlength=len(clips)) * share)[clip_of]
        reached = np.cumsum(weight)
        half = reached[-1] / 2
        low = int(np.searchsorted(reached, half * (1 - 1e-9)))
        high = int(np.searchsorted(reached, half * (1 + 1e-9)))
        return float((values[low] + values[min(high, len(values) - 1)]) / 2)

    return bootstrap(median, n_clips=len(clips), seed=seed, level=level, n_resamples=n_resamples)


def mean_difference(
    values: ArrayLike,
    baseline: ArrayLike,
    *,
    seed: int,
    level: float = LEVEL,
    n_resamples: int = N_RESAMPLES,
) -> ConfidenceInterval:
    """Interval of the mean of values - baseline, paired: entry c of both (C,) is the same clip."""
    first, second = np.asarray(values, np.float64), np.asarray(baseline, np.float64)
    if first.shape != second.shape:
        raise ValueError(
            f"paired values: found shapes {first.shape} and {second.shape}, expected the same clips"
        )
    return mean_over_clips(first - second, seed=seed, level=level, n_resamples=n_resamples)


def ratio_over_clips(
    counted: ArrayLike,
    out_of: ArrayLike,
    *,
    seed: int,
    level: float = LEVEL,
    n_resamples: int = N_RESAMPLES,
) -> ConfidenceInterval:
    """Interval of sum(counted) / sum(out_of), each (C,): a share whose trials cluster in clips."""
    top, bottom = np.asarray(counted, np.float64), np.asarray(out_of, np.float64)
    if top.shape != bottom.shape:
        raise ValueError(f"ratio: found shapes {top.shape} and {bottom.shape}, expected the same")

    def share(clips: Indices) -> float:
        total = bottom[clips].sum()
        return float(top[clips].sum() / total) if total else float("nan")

    return bootstrap(share, n_clips=top.size, seed=seed, level=level, n_resamples=n_resamples)


def bootstrap_of_runs(
    statistic: Callable[[Indices, Indices], float],
    *,
    n_runs: int,
    n_clips: int,
    seed: int,
    level: float = LEVEL,
    n_resamples: int = N_RESAMPLES,
) -> ConfidenceInterval:
    """Interval of `statistic(runs, clips)` over runs that all answered the same clips: both are
    drawn, so that the interval is that of another run on other clips. Of one run, `bootstrap`.

    Source: Owen (2007), The pigeonhole bootstrap; it is never too narrow in the mean."""
    runs = np.arange(n_runs)
    if n_runs == 1:
        return bootstrap(
            lambda clips: statistic(runs, clips),
            n_clips=n_clips,
            seed=seed,
            level=level,
            n_resamples=n_resamples,
        )
    value = float(statistic(runs, np.arange(n_clips)))
    if n_clips < 2:
        return ConfidenceInterval(value, float("nan"), float("nan"), n_clips)
    clips = _draws(n_clips, seed=seed, n_resamples=n_resamples)
    of_runs = np.random.default_rng([seed, n_runs]).integers(0, n_runs, (n_resamples, n_runs))
    found = np.array([statistic(*drawn) for drawn in zip(of_runs, clips, strict=True)])
    return ConfidenceInterval(value, *_percentiles(found, level), n_clips)


def _draws(n_clips: int, *, seed: int, n_resamples: int) -> Indices:
    return np.random.default_rng(seed).integers(0, n_clips, (n_resamples, n_clips))


def _percentiles(values: F64, level: float) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    if known.size == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
