"""A path cut into stretches, each of which obeys a law of motion: an acceleration that is expected,
and how far a real one may be off.

The cheapest cutting is looked for, where a stretch costs what its best law leaves over, the law's
own misfit to it, and the law's price. Unlike a parabola (parabolas.py), which goes through any
three places, a law also says something of a stretch of two: so a bounce between two pictures is cut
where it is, and not before and after the three places around it.

Unusual: all sums over stretches are differences of running sums of weighted powers of time, and
place and velocity, of which no law says anything, are eliminated from the normal equations of all
stretches at once, so that all stretches under all laws together cost no more than a few.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

_LONGEST = 48
"""Places of a stretch at most."""
_LOOSE = 1e-6
"""Precision of what is expected of place and velocity: next to nothing."""
_SHARED = 3
"""Places of which a law says something whatever the velocity: of two, any law fits."""
_AT_ONCE = 512
"""Stretches eliminated together: their systems stay in the cache."""


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
    is_lawful: bool = True
    """Whether things that obey physics move so for long."""
    is_level: bool = False
    """Whether they do so only where they neither rise nor sink."""


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
    lead: float = 0.0
    """By how much more the path costs if other lawful laws have to explain these places."""


def weights_of(path: F64, noise: F64, loose: F64) -> F64:
    """(N, 3, 3) inverse covariances of places (N, 3), z forward, whose x/z and y/z err by noise[0]
    and ln z by noise[2]; x/z and y/z of each by `loose` (N, 2) too."""
    z = path[:, 2, None, None]
    ray = path / np.linalg.norm(path, axis=1, keepdims=True)
    along = ray[:, :, None] * ray[:, None, :]
    weights = (np.eye(3) - along) / (noise[0] * z) ** 2 + along / (noise[2] * z) ** 2
    is_loose = loose.any(axis=1)
    if is_loose.any():
        beside = np.zeros((int(is_loose.sum()), 3, 3))
        beside[:, [0, 1], [0, 1]] = (loose * path[:, 2:])[is_loose] ** 2
        weights[is_loose] = np.linalg.inv(np.linalg.inv(weights[is_loose]) + beside)
    return np.asarray(weights)


def cut_by_laws(sums: StretchSums, laws: Sequence[Law]) -> list[Stretch]:
    """The stretches of N places, in order; each has at least two places."""
    first, end = sums.first, sums.end
    if not len(first):
        return []
    costs = np.stack([sums.costs(law) for law in laws])
    law_of = costs.argmin(axis=0)
    last = _cheapest(sums, costs.min(axis=0))
    chosen = []
    stop = len(sums.path)
    while stop:
        chosen.append(int(last[stop]))
        stop = int(first[last[stop]])
    return [
        sums.stretch(int(first[at]), int(end[at]), laws[int(law_of[at])]) for at in chosen[::-1]
    ]


@dataclass(frozen=True, eq=False)
class Impossible:
    """What things that obey physics do not do: rise or sink as steeply without an acceleration, as
    nothing that rolls or slides does; and gain speed upward at once where they rise already, for
    what they lay on is below them."""

    down: F64
    """(3,) of length 1."""
    tilt: float
    """By which down may be off, radians."""
    speed: float
    way: float
    """Up or down, beyond what the tilt explains: both."""
    rising: float
    """Speed upward from which on a thing rises."""
    push: float
    """What it gains of it."""
    price: float
    """Of such a push, in squared standard errors: another thing may come from below."""

    def is_steep(self, sums: StretchSums) -> NDArray[np.bool_]:
        """(S,) by the ends of each stretch of three places and more: two may be a fall's. Half of
        the way is enough, so that no long way is level in two halves."""
        step = sums.path[sums.end - 1] - sums.path[sums.first]
        lasts_s = sums.t[sums.end - 1] - sums.t[sums.first]
        way = np.abs(step @ self.down) - np.linalg.norm(step, axis=1) * math.sin(self.tilt)
        long = sums.end - sums.first >= _SHARED
        return np.asarray(long & (way >= np.maximum(self.way / 2, self.speed * lasts_s)))

    def price_of(self, before: F64, after: F64) -> F64:
        """(A, B) of coming from each of (A,) downward speeds to each of (B,)."""
        gain = before[:, None] - after
        return np.where((before[:, None] < -self.rising) & (gain > self.push), self.price, 0.0)


def unlawful_stretches(
    sums: StretchSums, laws: Sequence[Law], impossible: Impossible, *, least_s: float
) -> Iterator[Stretch]:
    """Under each law that is not lawful, or not lawful where it is steep, the stretch of `least_s`
    and more that explains most: by how much more lawful laws cost for the whole path, if they have
    to explain these places too, is its lead."""
    lasts_s = sums.t[sums.end - 1] - sums.t[sums.first]
    long = (sums.end - sums.first > _SHARED) & (lasts_s >= least_s - 1e-6)
    if not long.any():
        return
    is_steep = impossible.is_steep(sums)
    costs = [sums.costs(law) for law in laws]
    unlawful = [law.is_level & is_steep if law.is_lawful else np.ones_like(long) for law in laws]
    can = [n for n, law in enumerate(laws) if law.is_lawful]
    lawful_costs = np.where([unlawful[n] for n in can], np.inf, [costs[n] for n in can])
    speeds = sums.speeds([laws[n] for n in can], impossible.down)
    until, after = _cheapest_around(sums, lawful_costs, speeds, impossible)
    around = until[sums.first] + after[sums.end]
    for law, no, own in zip(laws, unlawful, costs, strict=True):
        lead = np.where(long & no, until[-1] - around - own, -np.inf)
        at = int(lead.argmax())
        if np.isfinite(lead[at]):
            found = sums.stretch(int(sums.first[at]), int(sums.end[at]), law)
            yield replace(found, lead=float(lead[at]))


def _cheapest(sums: StretchSums, cost: F64) -> I64:
    """(N + 1,) the last stretch of the cheapest cutting of the first n places into stretches of
    costs (S,)."""
    n = len(sums.path)
    best, last = np.full(n + 1, np.inf), np.full(n + 1, -1)
    best[0] = 0.0
    for stop in range(2, n + 1):
        ending = sums.ending(stop)
        total = best[sums.first[ending]] + cost[ending]
        choice = int(total.argmin())
        best[stop], last[stop] = total[choice], ending[choice]
    return last


def _cheapest_around(
    sums: StretchSums, costs: F64, sinks: F64, impossible: Impossible
) -> tuple[F64, F64]:
    """(N + 1,) twice: the least cost of the first n places, and of those from n on, cut into
    stretches, each under one of L laws, of costs (L, S) and what their meetings cost. `sinks`
    (L, 2, S): speeds downward where each stretch meets the one before and the one behind."""
    n = len(sums.path)
    until = np.where(sums.first == 0, costs, np.inf)
    after = np.where(sums.end == n, costs, np.inf)
    met = [
        (
            before,
            behind,
            impossible.price_of(sinks[:, 1, before].ravel(), sinks[:, 0, behind].ravel()),
        )
        for before, behind in ((sums.ending(at), sums.beginning(at)) for at in range(2, n - 1))
    ]
    for before, behind, price in met:
        cheapest = (until[:, before].reshape(-1, 1) + price).min(axis=0)
        until[:, behind] = costs[:, behind] + cheapest.reshape(len(costs), -1)
    for before, behind, price in reversed(met):
        cheapest = (price + after[:, behind].reshape(1, -1)).min(axis=1)
        after[:, before] = costs[:, before] + cheapest.reshape(len(costs), -1)
    best = np.full((2, n + 1), np.inf)
    best[0, 0] = best[1, n] = 0.0
    np.minimum.at(best[0], sums.end, until.min(axis=0))
    np.minimum.at(best[1], sums.first, after.min(axis=0))
    return best[0], best[1]


@dataclass(frozen=True, eq=False)
class StretchSums:
    """Sums over all S stretches of N places, which are the same for all laws."""

    path: F64
    t: F64
    """(N,) seconds after the middle."""
    middle_s: float
    weights: F64
    origin: F64
    """(3,) that was taken off the places."""
    running: F64
    """(10, 10, N + 1) running sums of normal equations with their right sides and squares: of the
    coefficients (9,) and of the places' size, of which there is one."""
    first: I64
    """(S,)."""
    end: I64
    """(S,) exclusive."""
    of_acceleration: F64
    """(4, 4, S) what is left of the same when place and velocity are eliminated."""

    @classmethod
    def of(cls, path: F64, t_s: F64, weights: F64) -> StretchSums:
        """Of places (N, 3) at times (N,), N at least 1, with weights (N, 3, 3)."""
        middle_s, origin = float((t_s[0] + t_s[-1]) / 2), np.median(path, axis=0)
        t, places = t_s - middle_s, path - origin
        n = len(path)
        first, length = (a.ravel() for a in np.mgrid[0:n, 2 : min(n, _LONGEST) + 1])
        fits = first + length <= n
        first, end = first[fits], first[fits] + length[fits]
        running = _running(places, t, weights)
        reduced = [
            _eliminated(_between(running, first[part], end[part]), 6)
            for part in np.split(np.arange(len(first)), np.arange(_AT_ONCE, len(first), _AT_ONCE))
        ]
        return cls(
            places, t, middle_s, weights, origin, running, first, end, np.concatenate(reduced, -1)
        )

    def beginning(self, place: int) -> I64:
        """The stretches that begin with a place; they are in order of their beginnings."""
        low, high = np.searchsorted(self.first, (place, place + 1))
        return np.arange(low, high)

    def ending(self, place: int) -> I64:
        """The stretches that end before a place."""
        order, bounds = self._by_end
        return order[bounds[place] : bounds[place + 1]]

    @cached_property
    def _by_end(self) -> tuple[I64, list[int]]:
        """(S,) the stretches in order of their ends, and from which on they end at 0, 1, ..., N."""
        order = np.argsort(self.end, kind="stable")
        ends = np.arange(len(self.path) + 2)
        return order, np.searchsorted(self.end[order], ends).tolist()

    def costs(self, law: Law) -> F64:
        """(S,) of stretches under a law."""
        left = _eliminated(self.of_acceleration + _expectation(law)[..., None], 3)[0, 0]
        return np.asarray(np.maximum(left, 0.0) + law.price)

    def speeds(self, laws: Sequence[Law], axis: F64) -> F64:
        """(L, 2, S) along `axis` (3,), under each law, half a step before the first place of each
        stretch and half a step after its last one, where it meets others; a step is that to the
        next place beyond. Between its own places it has its mean speed in the middle."""
        places = self.path @ axis
        steps_s = np.diff(self.t, prepend=self.t[:1], append=self.t[-1:])
        lasts_s = self.t[self.end - 1] - self.t[self.first]
        whole = (places[self.end - 1] - places[self.first]) / lasts_s
        before_s = lasts_s + steps_s[self.first]
        behind_s = lasts_s + steps_s[self.end]
        system = np.zeros((5, 5, len(whole)))
        system[4, :3] = system[:3, 4] = axis[:, None]
        found = []
        for law in laws:
            system[:4, :4] = self.of_acceleration + _expectation(law)[..., None]
            half = -_eliminated(system.copy(), 3)[1, 0]
            found.append([whole - half * before_s, whole + half * behind_s])
        return np.array(found)

    def stretch(self, first: int, end: int, law: Law) -> Stretch:
        """One, with its time 0 in the middle."""
        system = _between(self.running, np.array([first]), np.array([end]))[..., 0]
        system[6:, 6:] += _expectation(law)
        covariance = np.linalg.inv(system[:9, :9])
        values = covariance @ system[:9, 9]
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


def _running(places: F64, t: F64, weights: F64) -> F64:
    """(10, 10, N + 1), see StretchSums."""
    n = len(t)
    weighted = np.einsum("nij,nj->ni", weights, places)
    powers = t[:, None] ** np.arange(5)
    system = np.zeros((10, 10, n + 1))
    for row in range(3):
        at = slice(3 * row, 3 * row + 3)
        for column in range(3):
            of_weights = (powers[:, row + column, None, None] * weights).transpose(1, 2, 0)
            system[at, 3 * column : 3 * column + 3, 1:] = of_weights
        system[at, 9, 1:] = system[9, at, 1:] = (powers[:, row, None] * weighted).T
    system[9, 9, 1:] = (weighted * places).sum(axis=1)
    return np.cumsum(system, axis=-1)


def _between(running: F64, first: I64, end: I64) -> F64:
    """(10, 10, S) sums of stretches, with next to nothing expected of place and velocity.

    By `take`, after which one number of all stretches lies together in memory; indexing puts all
    numbers of one stretch together, and eliminating takes three times as long.
    """
    system = running.take(end, axis=-1) - running.take(first, axis=-1)
    system[np.arange(6), np.arange(6)] += _LOOSE
    return np.asarray(system)


def _expectation(law: Law) -> F64:
    """(4, 4) what a law adds of half of the acceleration to the last rows of a system."""
    precision, expected = np.linalg.inv(law.covariance / 4), law.acceleration / 2
    right = precision @ expected
    return np.block([[precision, right[:, None]], [right, expected @ right]])


def _eliminated(system: F64, n: int) -> F64:
    """What is left of symmetric positive systems (K, K, S), which are overwritten, when their first
    `n` unknowns are eliminated: (K - n, K - n, S)."""
    for k in range(n):
        share = system[k, k + 1 :] / system[k, k]
        system[k + 1 :, k + 1 :] -= share[:, None] * system[k, k + 1 :]
    return system[n:, n:]
