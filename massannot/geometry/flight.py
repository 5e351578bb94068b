"""Free flights in a path: stretches on which the acceleration is one and the same, and not nothing.

A path is cut into parabolas (parabolas.py). A part is then fitted in space, and is a flight where

    its acceleration is far above its error;
    a cubic term would not explain it much better: nothing pushed on the way;
    its velocity changes by more than the least speed on it, as in every throw that one would call
    one: a thing that rolls in a wide bend is none, in whatever unit and however slow the film;
    it is no straight line on which the thing slows down, as a thing that slides does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from massannot.geometry.parabolas import CutPath, Observations

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

_PRIOR_FREEDOM = 6.0
"""Degrees of freedom that the path's noise weighs against a part's own residuals."""
_ROUNDS = 4


@dataclass(frozen=True)
class FlightOptions:
    """What counts as a flight."""

    least_frames: int = 5
    """A parabola goes through any three places; two more can contradict it."""
    least_chi2: float = 40.0
    """Squared acceleration in its own standard errors."""
    most_cubic_chi2: float = 20.0
    """Gain of a cubic term, which has three numbers."""
    least_turn: float = 1.0
    """Change of velocity, in least speeds."""
    least_across_chi2: float = 30.0
    """Squared acceleration across the way, in its standard errors, from which on a thing that slows
    down does not do so on a straight line."""


@dataclass(frozen=True, eq=False)
class Flight:
    """A stretch of free flight."""

    frames: I64
    """(n,) of the path."""
    acceleration: F64
    """(3,) units a second squared, axes of the path."""
    covariance: F64
    """(3, 3) of the acceleration, from the noise of the path: independent from frame to frame."""

    @property
    def length(self) -> float:
        """Of the acceleration."""
        return float(np.linalg.norm(self.acceleration))

    def length_half(self, *, errors: float, range_rel_sd: float) -> float:
        """Half width of an interval of the length: so many standard `errors`, and the bias that
        errors across the acceleration give its length, which is always upward.

        `range_rel_sd`: relative error of all distances together, which is one of the length too.
        """
        along = self.acceleration / self.length
        variance = float(along @ self.covariance @ along)
        bias = (float(np.trace(self.covariance)) - variance) / (2 * self.length)
        shared = (self.length * range_rel_sd) ** 2
        return errors * float(np.sqrt(variance + shared)) + bias


def find_flights(
    xyz: F64,
    t_s: F64,
    *,
    focal_px: float,
    range_rel_sd: float = 0.0,
    options: FlightOptions | None = None,
) -> list[Flight]:
    """The flights on a path, in order of time.

    `xyz` (T, 3) in one camera that stands still, z forward; NaN: no place. `t_s` (T,) seconds.
    `range_rel_sd`: relative error of a frame's distance, where it is known: errors of neighbouring
    frames are alike, so that the path itself shows less of it.
    """
    options = options or FlightOptions()
    known = np.flatnonzero(np.isfinite(xyz).all(axis=1) & (xyz[:, 2] > 0))
    if len(known) < options.least_frames:
        return []
    path, t = xyz[known], t_s[known]
    cut = CutPath.of(path, t, focal_px=focal_px, range_rel_sd=range_rel_sd)
    flights = []
    for first, end in cut.parts:
        if end - first >= options.least_frames:
            fit = _Fit.of(path[first:end], t[first:end], cut.noise, options)
            if fit is not None and fit.is_flight(options):
                covariance = fit.covariance[3:, 3:]
                flights.append(Flight(known[first:end], fit.acceleration, covariance))
    return flights


@dataclass(frozen=True, eq=False)
class _Fit:
    """A parabola through n places."""

    t: F64
    """(n,) seconds after their mean."""
    velocity: F64
    """(3,) at time 0."""
    acceleration: F64
    covariance: F64
    """(6, 6) of the two."""
    cubic_chi2: float

    @classmethod
    def of(cls, path: F64, t: F64, noise: F64, options: FlightOptions) -> _Fit | None:
        """Robust: a place that lies far off loses weight. None where it is clear at first sight
        that nothing accelerates. `noise` as `CutPath` has it."""
        t = t - t.mean()
        system = Observations.of(path, t, noise)
        weight = np.ones(len(t))
        squares, values = system.solved(weight, degree=2)
        covariance = system.covariance(weight)
        if _chi2(2 * values[6:], 4 * covariance[6:, 6:]) < options.least_chi2 / 2:
            return None
        for _ in range(_ROUNDS):
            size = np.sqrt(squares / 3)
            weight = 1 / (1 + (size / max(2.5 * float(np.median(size)), 1.5)) ** 2)
            squares, values = system.solved(weight, degree=2)
        cubic_squares, _ = system.solved(weight, degree=3)
        left = float(weight @ squares)
        freedom = max(3 * len(t) - 9, 0)
        variance = (left + _PRIOR_FREEDOM) / (freedom + _PRIOR_FREEDOM)
        scale = np.repeat([1.0, 2.0], 3)
        covariance = system.covariance(weight)[3:, 3:] * np.outer(scale, scale) * variance
        gain = (left - float(weight @ cubic_squares)) / variance
        return cls(t, values[3:6], 2 * values[6:], covariance, gain)

    def is_flight(self, options: FlightOptions) -> bool:
        chi2 = _chi2(self.acceleration, self.covariance[3:, 3:])
        if chi2 < options.least_chi2 or self.cubic_chi2 > options.most_cubic_chi2:
            return False
        velocity = self.velocity + self.acceleration * self.t[:, None]
        least_speed = float(np.linalg.norm(velocity, axis=1).min())
        change = float(np.linalg.norm(velocity[-1] - velocity[0]))
        return change >= options.least_turn * least_speed and not self._slows_down_straight(options)

    def _slows_down_straight(self, options: FlightOptions) -> bool:
        way = self.velocity
        speed = float(np.linalg.norm(way))
        if way @ self.acceleration >= 0 or speed == 0:
            return False
        way = way / speed
        first, last = ((self.velocity + self.acceleration * t) @ way for t in self.t[[0, -1]])
        if last < -0.5 * first:
            return False  # it turns back, as nothing that slides does
        across = np.linalg.svd(way[None])[2][1:]
        sideways = across @ self.acceleration
        of_sideways = across @ self.covariance[3:, 3:] @ across.T
        return _chi2(sideways, of_sideways) < options.least_across_chi2


def _chi2(values: F64, covariance: F64) -> float:
    return float(values @ np.linalg.solve(covariance, values))
