"""Length of a path seen through noise: what summing step lengths overstates, taken back.

A sum of |p(t+1) - p(t)| counts jitter as travel: a step of true length d, seen with noise of
standard deviation s along each axis at both ends, has a mean length of about d + 2 s^2 / d (47 %
too long at s = d / 2), and something that stands still seems to walk. So the noise is measured
from the track itself (`jitter`), and each step counts as follows, with S the covariance of a step's
noise and d its local mean length, d^2 = mean |step|^2 - tr S over five steps:

    d^2 above (1.5)^2 tr S:  |step| - (tr S - u' S u) / (2 d), u the local direction
    otherwise:               |mean of five steps|, its own noise tr S / 25 taken off

The first keeps every turn and bounce, the second keeps slow drifts and lets jitter cancel.
"""

from __future__ import annotations

from math import erf, exp, pi, sqrt

import numpy as np
from numpy.typing import NDArray

from massannot.geometry.robust import SIGMA_FROM_MAD, masked_median
from massannot.geometry.time_gaps import fill_linear

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

WINDOW = 5
"""Steps that are taken together: long enough to average noise, short against a bounce."""
CLEAR_STEP = 1.5
"""A step is told from noise when it is this many times longer than the noise of a step."""
_TRIM = 2.5
_TAILS = _TRIM * exp(-_TRIM * _TRIM / 2) * sqrt(2 / pi) / erf(_TRIM / sqrt(2))
_TRIMMED_SIGMA = sqrt(1 - _TAILS)
"""Standard deviation of what is left of a unit Gaussian cut off at _TRIM."""


def jitter(xyz: F64, measured: Bool, *, t_s: F64) -> F64:
    """Standard deviation of the frame-to-frame noise along each axis: (N, 3) for tracks (T, N, 3).

    From third differences in time over four measured frames in a row, which any motion of constant
    acceleration leaves at zero, without the outliers that a bounce makes. Noise that lasts longer
    than a few frames is not seen. NaN with fewer than five such differences.
    """
    whole = measured[3:] & measured[2:-1] & measured[1:-2] & measured[:-3]
    if len(whole) == 0:
        return np.full(xyz.shape[1:], np.nan)
    weights = _third_difference_weights(t_s)[:, :, None, None]
    known = np.where(measured[..., None], xyz, 0.0)
    parts = (known[:-3], known[1:-2], known[2:-1], known[3:])
    difference = np.abs(sum(w * part for w, part in zip(weights, parts, strict=True)))
    used = np.broadcast_to(whole[..., None], difference.shape)
    sigma = SIGMA_FROM_MAD * masked_median(difference, used, axis=0)
    kept = used & (difference <= _TRIM * sigma)
    n_kept = kept.sum(axis=0)
    sigma = np.sqrt((np.where(kept, difference, 0.0) ** 2).sum(axis=0) / np.maximum(n_kept, 1))
    return np.where(whole.sum(axis=0)[:, None] >= 5, sigma / _TRIMMED_SIGMA, np.nan)


def path_length(xyz: F64, measured: Bool, *, jitter: F64, t_s: F64) -> F64:
    """Length (N,) of tracks xyz (T, N, 3), debiased for `jitter` (N, 3); NaN: taken as no noise.

    Only frames in `measured` (T, N) carry noise; others, NaN or not, are joined by straight lines
    in t_s (T,). A path is never shorter than the (debiased) distance of its ends. Zero for tracks
    with fewer than two positions.
    """
    present = np.asarray(np.isfinite(xyz).all(axis=-1))
    n_tracks = xyz.shape[1]
    if len(xyz) < 2 or n_tracks == 0:
        return np.zeros(n_tracks)
    joined = np.stack([fill_linear(xyz[..., i], present, t_s=t_s) for i in range(3)], axis=-1)
    step = np.diff(joined, axis=0)
    exists = np.asarray(np.isfinite(step).all(axis=-1))
    step = np.where(exists[..., None], step, 0.0)
    variance = np.nan_to_num(jitter) ** 2
    noisy = (measured & present).astype(np.float64)
    step_variance = (noisy[1:] + noisy[:-1])[..., None] * variance
    lengths = _step_lengths(step, exists, step_variance)
    ends = _ends_distance(joined, present, noisy, variance)
    return np.maximum(lengths.sum(axis=0), ends)


def _step_lengths(step: F64, exists: Bool, variance: F64) -> F64:
    """Debiased length (T - 1, N) of each step (T - 1, N, 3)."""
    total = variance.sum(axis=-1)
    n_steps = np.maximum(_windowed(exists.astype(np.float64)), 1)
    mean_step = _windowed(step) / n_steps[..., None]
    mean_total = _windowed(total) / n_steps
    smooth = np.sqrt(np.maximum((mean_step**2).sum(axis=-1) - mean_total / n_steps**2, 0))
    square = np.maximum(_windowed((step**2).sum(axis=-1)) / n_steps - mean_total, 0)
    local = np.sqrt(np.maximum(square, smooth**2))

    norm = np.linalg.norm(mean_step, axis=-1, keepdims=True)
    along = np.divide(mean_step, norm, out=np.zeros(step.shape), where=norm > 0)
    across = total - (along**2 * variance).sum(axis=-1)
    bias = np.divide(across, 2 * local, out=np.zeros(local.shape), where=local > 0)
    clear = local**2 > CLEAR_STEP**2 * mean_total
    length = np.where(clear, np.linalg.norm(step, axis=-1) - bias, smooth)
    return np.where(exists, length, 0.0)


def _ends_distance(joined: F64, present: Bool, noisy: F64, variance: F64) -> F64:
    """Debiased distance (N,) from each track's first to its last position."""
    first = present.argmax(axis=0)
    last = len(present) - 1 - present[::-1].argmax(axis=0)
    track = np.arange(joined.shape[1])
    distance = joined[last, track] - joined[first, track]
    noise = (noisy[first, track] + noisy[last, track]) * variance.sum(axis=-1)
    squared = (np.nan_to_num(distance) ** 2).sum(axis=-1) - noise
    return np.where(last > first, np.sqrt(np.maximum(squared, 0)), 0.0)


def _windowed(values: F64) -> F64:
    """Sum over the WINDOW items around each along the first axis, fewer at both ends."""
    half = WINDOW // 2
    padded = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])
    item = np.arange(len(values))
    return padded[np.minimum(item + half + 1, len(values))] - padded[np.maximum(item - half, 0)]


def _third_difference_weights(t_s: F64) -> F64:
    """Weights (4, T - 3) of four consecutive times: zero on parabolas, one in quadratic mean."""
    times = np.stack([t_s[:-3], t_s[1:-2], t_s[2:-1], t_s[3:]])
    gap = times[:, None] - times[None, :]
    gap[np.arange(4), np.arange(4)] = 1.0
    weights = 1.0 / gap.prod(axis=1)
    return weights / np.sqrt((weights**2).sum(axis=0))
