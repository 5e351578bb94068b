"""A path cut into stretches, each of which obeys a law of motion: an acceleration that is expected,
and how far a real one may be off.

The cheapest cutting is looked for, where a stretch costs what its best law leaves over, the law's
own misfit to it, and the law's price. Unlike a parabola (parabolas.py), which goes through any
three places, a law also says something of a stretch of two: so a bounce between two pictures is cut
where it is, and not before and after the three places around it.

Unusual: all sums over stretches are differences of running sums of weighted powers of time, so that
all stretches together cost no more than a few.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

_LONGEST = 48
"""Places of a stretch at most."""
_LOOSE = 1e-6
"""Precision of what is expected of place and velocity: next to nothing."""


@dataclass(frozen=True, eq=False)
class Law:
    """What acceleration is expected."""

    name: str
    acceleration: F64
    """(3,) axes of the path, units of the path a second squared."""
    covariance: F64
    """(3, 3) of what real ones differ by."""
    price: float
    """Of a stretch, in squared standard errors."""


@dataclass(frozen=True, eq=False)
class Stretch:
    """Places first..end, end exclusive, under one law."""

    first: int
    end: int
    law: Law
    t0_s: float
    """Time 0 of the coefficients."""
    coefficients: F64
    """(9,): place, velocity and half of the acceleration at time 0."""
    covariance: F64
    """(9, 9), for errors of size 1."""
    left_over: float
    """Squares of the places' errors, in standard errors."""


def weights_of(path: F64, noise: F64) -> F64:
    """(N, 3, 3) inverse covariances of places (N, 3), z forward, whose x/z and y/z err by noise[0]
    and ln z by noise[2]."""
    z = path[:, 2, None, None]
    ray = path / np.linalg.norm(path, axis=1, keepdims=True)
    along = ray[:, :, None] * ray[:, None, :]
    return np.asarray((np.eye(3) - along) / (noise[0] * z) ** 2 + along / (noise[2] * z) ** 2)


def cut_by_laws(path: F64, t_s: F64, weights: F64, laws: Sequence[Law]) -> list[Stretch]:
    """The stretches of N places (N, 3) at times (N,), in order; each has at least two places."""
    n = len(path)
    if n < 2:
        return []
    sums = _Sums.of(path, t_s, weights)
    first, length = (a.ravel() for a in np.mgrid[0:n, 2 : min(n, _LONGEST) + 1])
    fits = first + length <= n
    first, end = first[fits], first[fits] + length[fits]
    costs = np.stack([sums.costs(first, end, law) for law in laws])
    law_of, cost = costs.argmin(axis=0), costs.min(axis=0)
    best, last = np.full(n + 1, np.inf), np.full(n + 1, -1)
    best[0] = 0.0
    order = np.argsort(end, kind="stable")
    for at in np.split(order, np.flatnonzero(np.diff(end[order])) + 1):
        total = best[first[at]] + cost[at]
        choice = at[int(np.argmin(total))]
        best[end[choice]], last[end[choice]] = total.min(), choice
    chosen = []
    stop = n
    while stop:
        chosen.append(int(last[stop]))
        stop = int(first[last[stop]])
    return [
        sums.stretch(int(first[at]), int(end[at]), laws[int(law_of[at])]) for at in chosen[::-1]
    ]


@dataclass(frozen=True, eq=False)
class _Sums:
    """Running sums over N places."""

    path: F64
    t: F64
    """(N,) seconds after the middle."""
    middle_s: float
    weights: F64
    of_powers: F64
    """(5, N + 1, 3, 3) of t**k times the weights."""
    of_places: F64
    """(3, N + 1, 3) of t**k times the weighted places."""
    of_squares: F64
    """(N + 1,)."""
    origin: F64
    """(3,) that was taken off the places."""

    @classmethod
    def of(cls, path: F64, t_s: F64, weights: F64) -> _Sums:
        middle_s, origin = float((t_s[0] + t_s[-1]) / 2), np.median(path, axis=0)
        t, places = t_s - middle_s, path - origin
        weighted = np.einsum("nij,nj->ni", weights, places)
        powers = t[:, None] ** np.arange(5)

        def running(values: F64) -> F64:
            return np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])

        return cls(
            places,
            t,
            middle_s,
            weights,
            np.stack([running(powers[:, k, None, None] * weights) for k in range(5)]),
            np.stack([running(powers[:, k, None] * weighted) for k in range(3)]),
            running((weighted * places).sum(axis=1)),
            origin,
        )

    def costs(self, first: I64, end: I64, law: Law) -> F64:
        """(S,) of stretches."""
        information, right, squares = self._system(first, end, law)
        solved = np.linalg.solve(information, right[..., None])[..., 0]
        return np.asarray(np.maximum(squares - (right * solved).sum(axis=1), 0.0) + law.price)

    def stretch(self, first: int, end: int, law: Law) -> Stretch:
        """One, with its time 0 in the middle."""
        information, right, _ = self._system(np.array([first]), np.array([end]), law)
        covariance = np.linalg.inv(information[0])
        values = covariance @ right[0]
        t = self.t[first:end]
        fitted = (t[:, None] ** np.arange(3)) @ values.reshape(3, 3)
        off = self.path[first:end] - fitted
        left = float(np.einsum("ni,nij,nj->", off, self.weights[first:end], off))
        shift = float(t.mean())
        move = np.kron(
            np.array([[1.0, shift, shift**2], [0.0, 1.0, 2 * shift], [0.0, 0.0, 1.0]]), np.eye(3)
        )
        values = move @ values
        values[:3] += self.origin
        t0_s = self.middle_s + shift
        return Stretch(first, end, law, t0_s, values, move @ covariance @ move.T, left)

    def _system(self, first: I64, end: I64, law: Law) -> tuple[F64, F64, F64]:
        """Normal equations (S, 9, 9), right sides (S, 9) and squares (S,), the law's expectation
        of half of the acceleration among them."""
        powers = self.of_powers[:, end] - self.of_powers[:, first]
        places = self.of_places[:, end] - self.of_places[:, first]
        precision = np.linalg.inv(law.covariance / 4)
        expected = law.acceleration / 2
        information = np.empty((len(first), 9, 9))
        for row in range(3):
            for column in range(3):
                block = slice(3 * row, 3 * row + 3), slice(3 * column, 3 * column + 3)
                information[:, block[0], block[1]] = powers[row + column]
        information[:, np.arange(6), np.arange(6)] += _LOOSE
        information[:, 6:, 6:] += precision
        right = np.concatenate(places, axis=1)
        right[:, 6:] += precision @ expected
        squares = self.of_squares[end] - self.of_squares[first] + expected @ precision @ expected
        return information, right, squares
