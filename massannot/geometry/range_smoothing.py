"""Distances of entities through time, smoothed: what is left of a path when depth's noise goes.

Noise of estimated depth lasts for some frames, so that differences from frame to frame do not see
it, and the sum of a path's steps counts it as travel: on rendered scenes with estimated depth,
paths come out 0.67 m too long where the true ones are 1.26 m. Across the ray there is little noise.

    log distance(t) = a + b t + integrated Wiener process of MANOEUVRE + noise
    noise           exponential correlation over NOISE_LASTS_S, and some that lasts for one frame

The posterior mean is the smoothed distance (Rasmussen and Williams, "Gaussian processes for machine
learning", 2006, chapter 2; the integrated Wiener process: Wahba's cubic spline, chapter 6.3). The
noise's size is the one that makes the clip's own tracks most likely, one size for all of them: it
is the depth model's, and a bounce of one thing must not pass for noise. Where the background is
known to stand still, its own noise limits it: exact depth is not smoothed at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

MANOEUVRE = 0.1
"""Relative speed away from the camera, a second, that a thing picks up in a second of random
pushes, in the mean: 0.3 m/s at 3 m. With 0.2, exact depth gives paths less short (1.2 % instead of
1.7 %) and estimated depth longer ones (7 cm too long instead of 5)."""
NOISE_LASTS_S = 0.2
ONE_FRAME_SHARE = 0.2
"""Variance of the noise that lasts for one frame, over the variance of the lasting part."""
NOISE_SIZES = np.geomspace(0.0005, 0.2, 13)
"""Relative sizes that are tried: the estimate needs no more than the right factor of 1.6."""
MOST_OF_BACKGROUND = 15.0
"""Noise on things, at most, in the noise on the background: with the embedded weights it is ten
times that, since a network sees a moving thing anew in every frame."""
_DIFFUSE = 100.0
"""Standard deviation of a and b: nothing is known about them."""


def smoothed_log_distances(
    tracks: Sequence[tuple[F64, F64]], *, background_noise: float | None = None
) -> list[F64]:
    """For tracks of (t_s (n,), log distance (n,)) of one clip, the smoothed log distances.

    `background_noise`: relative standard deviation of the background's distances through time;
    None: not known.
    """
    models: dict[bytes, _Model] = {}
    parts = []
    for t_s, values in tracks:
        model = models.setdefault(t_s.tobytes(), _Model(t_s))
        parts.append((model, values))
    likelihood = np.zeros(len(NOISE_SIZES))
    for model, values in parts:
        likelihood += model.log_likelihood(values)
    if background_noise is not None:
        likelihood[1:][NOISE_SIZES[1:] > MOST_OF_BACKGROUND * background_noise] = -np.inf
    size = float(NOISE_SIZES[likelihood.argmax()])
    return [model.posterior_mean(values, size) for model, values in parts]


class _Model:
    """The process at n times, in the basis in which noise and signal are both diagonal."""

    def __init__(self, t_s: F64):
        self.t_s = t_s

    @cached_property
    def _whitened(self) -> tuple[F64, F64, F64]:
        """L of noise = L L', and eigenvalues and vectors of inv(L) signal inv(L)'."""
        t = self.t_s - self.t_s[0]
        earlier, later = np.minimum.outer(t, t), np.maximum.outer(t, t)
        wiener = MANOEUVRE**2 * (earlier**3 / 3 + (later - earlier) * earlier**2 / 2)
        line = np.stack([np.ones(len(t)), t], axis=1)
        signal = wiener + _DIFFUSE**2 * line @ line.T
        noise = np.exp(-np.abs(t[:, None] - t) / NOISE_LASTS_S) + ONE_FRAME_SHARE * np.eye(len(t))
        root = np.linalg.cholesky(noise)
        half = np.linalg.solve(root, signal)
        values, vectors = np.linalg.eigh(np.linalg.solve(root, half.T))
        return root, np.maximum(values, 0.0), vectors

    def _coordinates(self, values: F64) -> F64:
        root, _, vectors = self._whitened
        return np.asarray(vectors.T @ np.linalg.solve(root, values - values.mean()))

    def log_likelihood(self, values: F64) -> F64:
        """(K,) for each of NOISE_SIZES, but for a constant."""
        variance = self._whitened[1] + NOISE_SIZES[:, None] ** 2
        squares = self._coordinates(values) ** 2
        return np.asarray(-0.5 * (squares / variance + np.log(variance)).sum(axis=1))

    def posterior_mean(self, values: F64, size: float) -> F64:
        """(n,)."""
        root, eigenvalues, vectors = self._whitened
        kept = eigenvalues / (eigenvalues + size**2) * self._coordinates(values)
        return np.asarray(values.mean() + root @ (vectors @ kept))
