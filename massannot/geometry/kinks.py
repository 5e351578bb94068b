"""Kinks of a path: moments at which the velocity changes at once, as contacts do to it.

A path is cut into stretches of one law each (laws.py): things lie, roll and slide with little
acceleration, fall with gravity's, or do something else. Two neighbouring parts meet at a moment
between the last place of the one and the first of the other, where they come nearest to one
another; what their velocities differ by there, above its error, is the kink.

Unusual: both parts have to be in one place at that moment, and that corrects their velocities: two
or three places alone say too little of the velocity of a part.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from massannot.geometry.laws import (
    Impossible,
    Law,
    Stretch,
    StretchSums,
    cut_by_laws,
    unlawful_stretches,
    weights_of,
)
from massannot.geometry.parabolas import path_noise

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

GRAVITY = 9.81
"""Metres a second squared."""
STEADY, FREE, RISING, OTHER = "steady", "free", "rising", "other"
_STEADY_SD, _FALL_SD, _OTHER_SD = 2.0, 1.0, 12.0
"""Metres a second squared by which things differ from rest, from a fall, and from neither."""
_PRICE = 10.0
"""Of a part, in squared standard errors: six numbers of it are free, of which two parts that meet
share some."""
RARE = 10.0
"""By how much dearer a part is that neither lies, rolls nor falls."""
_PRIOR_FREEDOM = 6.0
"""Degrees of freedom that the path's noise weighs against a part's own residuals."""
_LEAST_ACROSS_PX = 0.2
_LEAST_ALONG = 0.006
"""Errors that no path undercuts: of an outline's centre, and of ln z."""
_MOST_ACROSS = 0.003
_MOST_ALONG = 0.02
"""Errors of x/z and of ln z beyond which a path's restlessness is motion: what bounces every few
frames has no four of them without a bounce, so that its noise cannot be told from its motion."""
_MOMENTS = 33
_SHARED_ACROSS = 0.003
"""Error of x/z and y/z that exact places of neighbouring frames share: half a pixel, say, by which
an outline's centre is beside the body's."""
_BETWEEN = 0.26
"""Seconds without a place beyond which nothing is said of what happened."""


@dataclass(frozen=True, eq=False)
class PathPart:
    """A parabola through n places of a path, under a law."""

    law: str
    """FREE, STEADY, RISING or OTHER."""
    run: int
    """Parts with a pause or a jump between them are of different runs."""
    frames: I64
    """(n,) of the path."""
    t0_s: float
    """Time 0 of the coefficients."""
    first_s: float
    last_s: float
    coefficients: F64
    """(9,): place, velocity and half of the acceleration at time 0."""
    covariance: F64
    """(9, 9)."""
    lead: float
    """Of an unlawful one: by how much more the path costs if lawful laws have to explain these
    places; in squared standard errors."""

    def place(self, t_s: float | F64) -> F64:
        """(..., 3)."""
        return np.asarray(_powers(t_s - self.t0_s) @ self.coefficients)

    def velocity(self, t_s: float) -> F64:
        """(3,)."""
        return np.asarray(_slopes(t_s - self.t0_s) @ self.coefficients)

    def velocity_covariance(self, t_s: float) -> F64:
        """(3, 3)."""
        slopes = _slopes(t_s - self.t0_s)
        return np.asarray(slopes @ self.covariance @ slopes.swapaxes(-1, -2))

    @property
    def acceleration(self) -> F64:
        """(3,)."""
        return 2 * self.coefficients[6:]

    @property
    def acceleration_covariance(self) -> F64:
        """(3, 3)."""
        return 4 * self.covariance[6:, 6:]


@dataclass(frozen=True, eq=False)
class Kink:
    """The change of velocity from one part to the next."""

    before: PathPart
    after: PathPart
    t_s: float
    t_sd_s: float
    velocity_before: F64
    """(3,)."""
    velocity_after: F64
    """(3,)."""
    covariance: F64
    """(3, 3) of the change."""

    @property
    def change(self) -> F64:
        """(3,) of the velocity."""
        return self.velocity_after - self.velocity_before

    @property
    def size(self) -> float:
        """Length of the change."""
        return float(np.linalg.norm(self.change))

    @property
    def direction(self) -> F64:
        """(3,) of length 1."""
        return self.change / max(self.size, 1e-9)

    @property
    def sd(self) -> float:
        """Of the size."""
        return math.sqrt(float(self.direction @ self.covariance @ self.direction))


def laws_of(down: F64, tilt: float, *, unit: float, unit_error: float) -> tuple[Law, ...]:
    """What the accelerations of things are like where `down` (3,) may be off by `tilt` radians.

    `unit`: what a metre is in units of the path; `unit_error`: how wrong that may be, relatively.
    """
    across = np.eye(3) - np.outer(down, down)
    pull = GRAVITY * unit
    spread = (_FALL_SD * unit) ** 2 * np.eye(3) + (pull * tilt) ** 2 * across
    spread += (pull * unit_error) ** 2 * np.outer(down, down)
    still, other = ((sd * unit) ** 2 * np.eye(3) for sd in (_STEADY_SD, _OTHER_SD))
    return (
        Law(STEADY, np.zeros(3), still, _PRICE, is_level=True),
        Law(FREE, pull * down, spread, _PRICE),
        Law(RISING, -pull * down, spread, _PRICE + RARE, is_lawful=False),
        Law(OTHER, np.zeros(3), other, _PRICE + RARE, is_lawful=False),
    )


@dataclass(frozen=True, eq=False)
class Run:
    """The places of a path between two pauses or jumps, at least two, ready to be cut."""

    number: int
    frames: I64
    """(n,) of the path."""
    t_s: F64
    """(n,)."""
    sums: StretchSums


def runs_of(
    xyz: F64,
    t_s: F64,
    *,
    focal_px: float,
    range_rel_sd: float,
    cuts: Sequence[int],
    loose: F64 | None = None,
) -> list[Run]:
    """The runs of a path (T, 3) in a camera that stands still, NaN: no place, in order.

    `cuts`: frames before which the thing was elsewhere; no run holds both sides. `loose` (T, 2):
    errors of x/z and y/z beside the noise that the path shows.
    """
    known = np.flatnonzero(np.isfinite(xyz).all(axis=1) & (xyz[:, 2] > 0))
    if len(known) < 4:
        return []
    least = np.array([_LEAST_ACROSS_PX / focal_px] * 2 + [max(_LEAST_ALONG, range_rel_sd)])
    loose = np.zeros((len(xyz), 2)) if loose is None else loose
    exact = known[~loose[known].any(axis=1)]
    shows = exact if len(exact) >= 4 else known
    noise = path_noise(xyz[shows], t_s[shows], least=least)
    most = np.array([_MOST_ACROSS] * 2 + [_MOST_ALONG])
    noise = np.minimum(noise, np.maximum(least, most))
    pauses = 1 + np.flatnonzero(np.diff(t_s[known]) > _BETWEEN)
    ends = np.union1d(pauses, np.searchsorted(known, cuts)).astype(np.int64)
    return [
        Run(
            number,
            at,
            t_s[at],
            StretchSums.of(xyz[at], t_s[at], weights_of(xyz[at], noise, loose[at])),
        )
        for number, at in enumerate(np.split(known, ends))
        if len(at) >= 2
    ]


def parts_of(runs: Sequence[Run], laws: Sequence[Law]) -> list[PathPart]:
    """The stretches of runs, each under its best law, in order."""
    return [
        _part(stretch, run.number, run.frames, run.t_s)
        for run in runs
        for stretch in cut_by_laws(run.sums, laws)
    ]


def unlawful_parts(
    runs: Sequence[Run], laws: Sequence[Law], impossible: Impossible, *, least_s: float
) -> list[PathPart]:
    """What cannot be and explains most, of each run and law; see unlawful_stretches."""
    return [
        _part(stretch, run.number, run.frames, run.t_s)
        for run in runs
        for stretch in unlawful_stretches(run.sums, laws, impossible, least_s=least_s)
    ]


def kinks_of(parts: Sequence[PathPart], *, meet: bool = True) -> Iterator[Kink]:
    """Between neighbouring parts of one run. `meet`: whether places are so exact that both have to
    be in one place there; what a mask loses for some frames is no change of velocity."""
    for before, after in pairwise(parts):
        if before.run == after.run:
            yield _kink(before, after, meet=meet)


def _part(stretch: Stretch, run: int, frames: I64, t_s: F64) -> PathPart:
    first, end = stretch.first, stretch.end
    freedom = max(3 * (end - first) - 9, 0)
    variance = (stretch.left_over + _PRIOR_FREEDOM) / (freedom + _PRIOR_FREEDOM)
    return PathPart(
        stretch.law.name,
        run,
        frames[first:end],
        stretch.t0_s,
        float(t_s[first]),
        float(t_s[end - 1]),
        stretch.coefficients,
        stretch.covariance * max(variance, 0.5),
        (stretch.lead + RARE * (not stretch.law.is_lawful)) / max(variance, 1.0),
    )


def _kink(before: PathPart, after: PathPart, *, meet: bool) -> Kink:
    moments = np.linspace(before.last_s, after.first_s, _MOMENTS)
    one, two = _State.of(before, moments), _State.of(after, moments)
    gaps = two.place - one.place
    shared = (_SHARED_ACROSS * float(one.place[0, 2])) ** 2 * np.eye(3) if meet else 0.0
    precision = np.linalg.inv(one.of_place + two.of_place + shared)
    squares = np.einsum("ni,nij,nj->n", gaps, precision, gaps)
    weight = np.exp(-0.5 * (squares - squares.min()))
    weight /= weight.sum()
    t_s = float(weight @ moments)
    step = (after.first_s - before.last_s) / _MOMENTS
    t_sd_s = math.sqrt(float(weight @ (moments - t_s) ** 2) + step**2)
    if not meet:
        precision = np.zeros_like(precision)
    shift = np.einsum("nij,nj->ni", precision, gaps)
    met_before = one.velocity + np.einsum("nij,nj->ni", one.of_both, shift)
    met_after = two.velocity - np.einsum("nij,nj->ni", two.of_both, shift)
    both = one.of_both + two.of_both
    covariance = one.of_velocity + two.of_velocity - both @ precision @ both.swapaxes(-1, -2)
    off = met_after - met_before
    off = off - weight @ off
    covariance = np.einsum("n,nij->ij", weight, covariance + off[:, :, None] * off[:, None, :])
    return Kink(before, after, t_s, t_sd_s, weight @ met_before, weight @ met_after, covariance)


@dataclass(frozen=True, eq=False)
class _State:
    """Places and velocities (n, 3) of a part at n moments, and their covariances (n, 3, 3)."""

    place: F64
    velocity: F64
    of_place: F64
    of_velocity: F64
    of_both: F64
    """Velocity by place."""

    @classmethod
    def of(cls, part: PathPart, moments: F64) -> _State:
        powers, slopes = _powers(moments - part.t0_s), _slopes(moments - part.t0_s)
        of_slopes = slopes @ part.covariance
        return cls(
            powers @ part.coefficients,
            slopes @ part.coefficients,
            powers @ part.covariance @ powers.swapaxes(-1, -2),
            of_slopes @ slopes.swapaxes(-1, -2),
            of_slopes @ powers.swapaxes(-1, -2),
        )


def _powers(t: float | F64) -> F64:
    """(..., 3, 9): of coefficients, the place at times (...)."""
    return _weighted(np.stack([np.ones_like(t), t, t * t], axis=-1))


def _slopes(t: float | F64) -> F64:
    """(..., 3, 9): of coefficients, the velocity."""
    return _weighted(np.stack([np.zeros_like(t), np.ones_like(t), 2 * t], axis=-1))


def _weighted(weights: F64) -> F64:
    """(..., 3, 9): the sum of three vectors with weights (..., 3)."""
    blocks = weights[..., None, :, None] * np.eye(3)[:, None]
    return blocks.reshape(*weights.shape[:-1], 3, 9)
