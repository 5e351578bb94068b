"""A path as parabolas: where one no longer holds the path is cut, which is at every contact.

The cheapest cutting is looked for, where each part costs what its own parabola leaves over, and a
fixed price.

Unusual: all weights come from the path itself. Depth errs along the ray and an outline across it,
often by ten times as much, so the two are measured apart, on the part of four neighbouring places
that no parabola explains.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

F64 = NDArray[np.float64]

_LONGEST = 40
"""Frames of a part at most: longer flights are cut in two."""
_PRICE = 18.0
"""Of a part, in squared standard errors: a parabola has nine numbers."""
_LEAST_ACROSS_PX = 0.3
_LEAST_ALONG = 0.003
"""Errors that no path undercuts: of an outline's centre, and of ln z."""
_QUIET_SHARE = 0.35
"""Quantile of the unexplained parts that stands for noise: contacts are in the upper ones."""
_QUIET_NORMAL = 0.4538
"""The same quantile of |N(0, 1)|."""


@dataclass(frozen=True, eq=False)
class CutPath:
    """A path of N places and its parts."""

    noise: F64
    """(3,) standard error of x/z, y/z and ln z of one place."""
    parts: tuple[tuple[int, int], ...]
    """First and end of each, end exclusive, in order."""

    @classmethod
    def of(cls, path: F64, t: F64, *, focal_px: float, range_rel_sd: float = 0.0) -> CutPath:
        """Of places (N, 3), z forward and positive, at times (N,) in seconds.

        `range_rel_sd`: relative error of a place's distance, where it is known: errors of
        neighbouring frames are alike, so that the path itself shows less of it.
        """
        picture = np.column_stack([path[:, :2] / path[:, 2:], np.log(path[:, 2])])
        least = np.array([_LEAST_ACROSS_PX / focal_px] * 2 + [max(_LEAST_ALONG, range_rel_sd)])
        noise = _noise(picture, t, least=least) if len(path) >= 4 else least
        squares = _squares(picture, t)
        noise = np.maximum(noise, _left_over(picture, t, list(_parts(squares, noise))))
        return cls(noise, tuple(_parts(squares, noise)))


@dataclass(frozen=True, eq=False)
class Observations:
    """Observations of n places in units of their errors, along the ray and across it."""

    observed: F64
    """(n, 3)."""
    design: F64
    """(n, 3, 12): of a polynomial of degree 3, power by power."""

    @classmethod
    def of(cls, path: F64, t: F64, noise: F64) -> Observations:
        z = float(np.median(path[:, 2]))
        ray = path / np.linalg.norm(path, axis=1, keepdims=True)
        along = ray[:, :, None] * ray[:, None, :]
        whitener = (np.eye(3) - along) / (noise[0] * z) + along / (noise[2] * z)
        powers = t[:, None] ** np.arange(4)
        design = whitener[:, :, None, :] * powers[:, None, :, None]
        observed = np.matmul(whitener, path[..., None])[..., 0]
        return cls(observed, design.reshape(len(t), 3, 12))

    def solved(self, weight: F64, *, degree: int) -> tuple[F64, F64]:
        """Squared residuals (n,) and coefficients ((degree + 1) * 3,)."""
        design, root = self.design[..., : 3 * (degree + 1)], np.sqrt(weight)[:, None]
        rows = (design * root[..., None]).reshape(-1, design.shape[-1])
        values = np.linalg.lstsq(rows, (self.observed * root).ravel(), rcond=None)[0]
        squares = ((self.observed - design @ values) ** 2).sum(axis=1)
        return np.asarray(squares), np.asarray(values)

    def covariance(self, weight: F64) -> F64:
        """(9, 9) of a parabola's coefficients, for errors of size 1."""
        design = self.design[..., :9]
        return np.linalg.inv(np.einsum("n,nij,nik->jk", weight, design, design))


def path_noise(path: F64, t: F64, *, least: F64) -> F64:
    """(3,) standard error of x/z, y/z and ln z of one of N >= 4 places (N, 3)."""
    picture = np.column_stack([path[:, :2] / path[:, 2:], np.log(path[:, 2])])
    return _noise(picture, t, least=least)


def _noise(picture: F64, t: F64, *, least: F64) -> F64:
    """(3,) standard error of x/z, y/z and ln z of one frame, of N places (N, 3)."""
    weights = _beyond_parabola(sliding_window_view(t, 4))
    unexplained = np.einsum("nai,ni->na", sliding_window_view(picture, 4, axis=0), weights)
    quiet = np.quantile(np.abs(unexplained), _QUIET_SHARE, axis=0) / _QUIET_NORMAL
    across = max(quiet[0], quiet[1])
    return np.maximum([across, across, quiet[2]], least)


def _left_over(picture: F64, t: F64, parts: Sequence[tuple[int, int]]) -> F64:
    """(3,) standard error of one frame that the parabolas of all parts leave over; 0 where no part
    is long enough to tell."""
    squares, freedom = np.zeros(3), 0
    for first, end in parts:
        if end - first >= 5:
            design = (t[first:end, None] - t[first:end].mean()) ** np.arange(3)
            fitted = design @ np.linalg.lstsq(design, picture[first:end], rcond=None)[0]
            squares += ((picture[first:end] - fitted) ** 2).sum(axis=0)
            freedom += end - first - 3
    across = squares[:2].mean()
    return np.sqrt(np.array([across, across, squares[2]]) / max(freedom, 1))


def _beyond_parabola(t: F64) -> F64:
    """(N, 4) weights of unit length that are zero on every parabola over four times (N, 4)."""
    apart = t[:, :, None] - t[:, None, :] + np.eye(4)
    weights = 1 / apart.prod(axis=-1)
    return np.asarray(weights / np.linalg.norm(weights, axis=-1, keepdims=True))


def _parts(squares: F64, noise: F64) -> Iterator[tuple[int, int]]:
    """Parts (first, end), end exclusive, of the cheapest cutting of N places, of squares (3, N,
    longest) and the standard errors (3,) that they are measured in."""
    cost = (squares / noise[:, None, None] ** 2).sum(axis=0)
    n, longest = cost.shape
    best, start = np.zeros(n + 1), np.zeros(n + 1, np.int64)
    for end in range(1, n + 1):
        first = max(0, end - longest)
        total = best[first:end] + cost[end - 1, longest - end + first :] + _PRICE
        choice = int(total.argmin())
        best[end], start[end] = total[choice], first + choice
    bounds = [n]
    while bounds[-1]:
        bounds.append(int(start[bounds[-1]]))
    yield from zip(bounds[:0:-1], bounds[-2::-1])


def _squares(picture: F64, t: F64) -> F64:
    """(3, N, longest) squares that a parabola leaves over of each column of N places (N, 3), of the
    parts that end with each place, the longest first; infinite where the path begins after.

    From running sums, so that all parts together cost no more than a few long ones.
    """
    n_places = len(t)
    longest = min(n_places, _LONGEST)
    n = np.arange(longest, 0.0, -1.0)
    end = np.arange(1, n_places + 1)[:, None]
    first = np.maximum(end - n.astype(np.int64), 0)
    u = (t - t.mean()) / max(float(np.ptp(t)), 1e-9)
    y = (picture - picture.mean(axis=0)).T

    def total(values: F64) -> F64:
        """Sums of (..., N) over each part: (..., N, longest)."""
        running = np.zeros((*values.shape[:-1], n_places + 1))
        np.cumsum(values, axis=-1, out=running[..., 1:])
        return np.asarray(running.take(end, axis=-1) - running.take(first, axis=-1))

    s1, s2, s3, s4 = (total(u**power) for power in (1, 2, 3, 4))
    y0, y1, y2 = (total(y * u**power) for power in (0, 1, 2))
    centre = s1 / n
    line = s2 - n * centre**2  # squared lengths of a line and of a bend over the part
    skew = s3 - 3 * centre * s2 + 2 * n * centre**3
    fourth = s4 - 4 * centre * s3 + 6 * centre**2 * s2 - 3 * n * centre**4
    with np.errstate(divide="ignore", invalid="ignore"):
        tilt = skew / line
        bend = fourth - skew * tilt - line**2 / n
        of_line = y1 - centre * y0
        of_bend = y2 - (2 * centre + tilt) * y1 + (centre**2 + tilt * centre - line / n) * y0
        left = total(y**2) - y0**2 / n - (of_line**2 / line + of_bend**2 / bend)
    left = np.maximum(left, 0.0)
    left[..., -3:] = 0.0
    return np.where(n <= end, left, np.inf)
