"""Position and motion of an entity: the centre of its visible surface, displacement, and the length
of a path seen through noise.

A centre is the component-wise median of the points measured in a frame: half the points may sit on
something else before it leaves the object. It is the centre of what is SEEN, not of the body, and
it shifts when other parts come into view.

A path's length is debiased. A sum of |p(t+1) - p(t)| counts jitter as travel: a step of true length
d, seen with noise of standard deviation s along each axis at both ends, has a mean length of about
d + 2 s^2 / d (47 % too long at s = d / 2), and something that stands still seems to walk. So the
noise is measured from the track itself (`jitter`), and each step is seen through the narrowest
window of 1, 5 or 15 steps in which it stands out. With m the mean step in the window and S the
covariance of m's noise:

    m stands out     where mean |m|^2 - tr S over a wider window exceeds (2)^2 tr S
    one step         |m| - (tr S - u' S u) / (2 d), with u the direction, d^2 = |m|^2 - tr S, both
                     averaged over five steps: every turn and bounce is kept
    five, fifteen    sqrt(|m|^2 - tr S): jitter cancels; what stands still stays
"""

from __future__ import annotations

from math import erf, exp, pi, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from massannot.geometry.background_fit import SIGMA_FROM_MAD, masked_median
from massannot.geometry.lifting import fill_linear

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
Indices = NDArray[np.int64]

WINDOWS = ((1, 13), (5, 15), (15, 25))
"""Steps in a window, and in the wider one that decides whether it stands out. Five and fifteen
steps are 0.5 and 1.5 s at 10 frames a second: a bounce that drowns in noise is lost anyway."""
CLEAR = 2.0
"""A mean step stands out when it is this many times longer than its noise. With 1.5, a walk of
0.3 m/s seen 24 times a second with 3 cm of noise along the view comes out 3 % too long, with 2 it
is 1 %; a circle of 0.3 m in 3 s at 10 a second loses 4 % instead of 3."""
_LOCAL = 5
_TRIM = 2.5
_TAILS = _TRIM * exp(-_TRIM * _TRIM / 2) * sqrt(2 / pi) / erf(_TRIM / sqrt(2))
_TRIMMED_SIGMA = sqrt(1 - _TAILS)
"""Standard deviation of what is left of a unit Gaussian cut off at _TRIM."""


class Centres(NamedTuple):
    """One entity in T frames."""

    xyz: F64
    """(T, 3) c = median of the points, each axis for itself; NaN where absent."""
    spread: F64
    """(T,) median of |p - c|."""
    n_measured: Indices
    """(T,) points measured."""
    measured: Bool
    """(T,) the centre is the median of measured points."""
    present: Bool
    """(T,) there is a centre, if only of other points."""


def surface_centre(xyz: F64, measured: Bool, *, min_points: int) -> Centres:
    """Centre in each frame of points xyz (T, N, 3), NaN where absent, `measured` (T, N).

    Frames with fewer than `min_points` measured points take the median of all that are present;
    with fewer than `min_points` present there is no centre.
    """
    known = np.isfinite(xyz).all(axis=-1)
    n_measured = (measured & known).sum(axis=1)
    enough = n_measured >= min_points
    present = known.sum(axis=1) >= min_points
    used = np.where(enough[:, None], measured & known, known & present[:, None])

    centre = masked_median(xyz, used[..., None], axis=1)
    offset = np.where(used[..., None], xyz - centre[:, None], 0.0)
    spread = masked_median(np.linalg.norm(offset, axis=-1), used, axis=1)
    return Centres(centre, spread, n_measured, enough, present)


def first_and_last(present: Bool, *, first: int, end: int) -> tuple[int, int] | None:
    """Frames of the first and last position of the segment first..end (exclusive); None: absent.

    The last position is the one at `end`, the next segment's first frame, where there is one, so
    that segments join without a gap; otherwise the segment's own last one.
    """
    inside = np.flatnonzero(present[first:end])
    if len(inside) == 0:
        return None
    joins = end < len(present) and bool(present[end])
    return first + int(inside[0]), end if joins else first + int(inside[-1])


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
    central = used & (difference <= _TRIM * sigma)
    n_used = central.sum(axis=0)
    sigma = np.sqrt((np.where(central, difference, 0.0) ** 2).sum(axis=0) / np.maximum(n_used, 1))
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
    length = np.zeros(exists.shape)
    decided = ~exists
    for window, wide in WINDOWS:
        mean, noise = _mean_step(step, exists, variance, window)
        square, total = (mean**2).sum(axis=-1), noise.sum(axis=-1)
        moving = _averaged(np.where(exists, square - total, 0.0), exists, wide)
        clear = moving > CLEAR**2 * total
        if window == 1:
            bias, sure = _single_step_bias(step, exists, variance)
            debiased = np.sqrt(square) - bias
            clear &= sure
        else:
            debiased = np.sqrt(np.maximum(square - total, 0))
        length = np.where(decided, length, debiased)
        decided = decided | clear
    return np.where(exists, length, 0.0)


def _single_step_bias(step: F64, exists: Bool, variance: F64) -> tuple[F64, Bool]:
    """The mean length that noise adds to |step|, and whether it is known: not near a stop."""
    total = variance.sum(axis=-1)
    mean, noise = _mean_step(step, exists, variance, _LOCAL)
    along_path = (mean**2).sum(axis=-1) - noise.sum(axis=-1)
    any_way = _averaged(np.where(exists, (step**2).sum(axis=-1) - total, 0.0), exists, _LOCAL)
    local_square = np.maximum(np.maximum(any_way, along_path), 0)
    norm = np.linalg.norm(mean, axis=-1, keepdims=True)
    direction = np.divide(mean, norm, out=np.zeros(step.shape), where=norm > 0)
    across = total - (direction**2 * variance).sum(axis=-1)
    local = 2 * np.sqrt(local_square)
    bias = np.divide(across, local, out=np.zeros(total.shape), where=local > 0)
    return bias, np.asarray(local_square >= 0.5 * CLEAR**2 * total)


def _mean_step(step: F64, exists: Bool, variance: F64, window: int) -> tuple[F64, F64]:
    """Mean (T - 1, N, 3) of the steps around each, and the variance of its noise. The noise of
    steps that follow each other cancels but for the two ends."""
    n_steps = np.maximum(_windowed(exists.astype(np.float64), window), 1)[..., None]
    return _windowed(step, window) / n_steps, _windowed(variance, window) / n_steps**3


def _averaged(values: F64, exists: Bool, window: int) -> F64:
    """Mean of values (T - 1, N) over the steps around each that exist."""
    n_steps = np.maximum(_windowed(exists.astype(np.float64), window), 1)
    return _windowed(values, window) / n_steps


def _ends_distance(joined: F64, present: Bool, noisy: F64, variance: F64) -> F64:
    """Debiased distance (N,) from each track's first to its last position."""
    first = present.argmax(axis=0)
    last = len(present) - 1 - present[::-1].argmax(axis=0)
    track = np.arange(joined.shape[1])
    distance = joined[last, track] - joined[first, track]
    noise = (noisy[first, track] + noisy[last, track]) * variance.sum(axis=-1)
    squared = (np.nan_to_num(distance) ** 2).sum(axis=-1) - noise
    return np.where(last > first, np.sqrt(np.maximum(squared, 0)), 0.0)


def _windowed(values: F64, window: int) -> F64:
    """Sum over the `window` items around each along the first axis, fewer at both ends."""
    if window == 1:
        return values
    half = window // 2
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
