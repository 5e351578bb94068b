"""Whether a camera exposes the rows of a picture one after another: said, not modelled.

A row at height r, -1/2 (top) to 1/2, is exposed a share k r of the frame interval later than the
middle one, k the readout time in frame intervals. Between frames t and t + 1 a background that
moves by u(t) pixels is thereby sheared and stretched by what its motion changes by:

    k r (v(t + 1) - v(t)),   v(t) = (u(t - 1) + u(t)) / 2

(the model of Liang, Chang and Chen, IEEE TIP 2008, for a motion that is the same all over the
picture). So every pair of frames is fitted by a turn, a scale, and a slope of either coordinate
along the rows, and the slopes are regressed on the change of motion and, since a floor's parallax
slopes along the rows too, on the motion itself. A camera that turns evenly shows nothing of it:
one that shakes does, and only of such can anything be told. A phone held upright reads along the
columns of the picture as it is shown, either way, so both directions are tried.

The readout comes out too large, up to twice, where a camera shakes faster than frames show.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from massannot.geometry.background_fit import sigma_of
from massannot.geometry.camera import turn_slopes

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True)
class ShutterRule:
    """When rows are exposed one after another."""

    least_readout: float = 0.1
    """Share of the frame interval below which a readout changes nothing that matters."""
    sigmas: float = 6.0
    """Of the readout's own standard deviation that it has to exceed."""
    most_readout: float = 2.5
    """More is no readout: it takes a frame interval at most, and comes out up to twice as long."""
    most_sd: float = 0.04
    """A less certain readout cannot be told from none."""
    min_points: int = 20
    """Points that both frames of a pair see."""
    min_pairs: int = 8


def rolling_shutter(
    xy: F64,
    visible: Bool,
    *,
    picture_size: tuple[int, int],
    intrinsics: F64,
    rule: ShutterRule | None = None,
) -> bool | None:
    """Whether the readout of points xy (T, N, 2) of a background, `visible` (T, N), in a picture of
    `picture_size` (width, height) takes a share of the frame interval that shows; intrinsics
    (T, 4). None: it cannot be told, as where the camera moves evenly or points are few."""
    rule = rule or ShutterRule()
    told: list[bool | None] = []
    for along in (0, 1):
        found = readout(
            xy, visible, along=along, picture_size=picture_size, intrinsics=intrinsics, rule=rule
        )
        if found is None:
            return None
        share, sd = abs(found[0]), found[1]
        if max(rule.least_readout, rule.sigmas * sd) <= share <= rule.most_readout:
            told.append(True)
        else:
            told.append(False if share < rule.least_readout and sd <= rule.most_sd else None)
    if True in told:
        return True
    return None if None in told else False


def readout(
    xy: F64,
    visible: Bool,
    *,
    along: int,
    picture_size: tuple[int, int],
    intrinsics: F64,
    rule: ShutterRule,
) -> tuple[float, float] | None:
    """(readout time in frame intervals, its standard deviation), see `rolling_shutter`. `along`: 1
    where rows are read from the top (below 0: from the bottom), 0 where columns are, from the
    left."""
    n_pairs = len(xy) - 1
    moved, slope = np.full((n_pairs, 2), np.nan), np.full((n_pairs, 2), np.nan)
    for k in range(n_pairs):
        both = visible[k] & visible[k + 1]
        if np.count_nonzero(both) >= rule.min_points:
            moved[k], slope[k] = _slopes(
                xy[k, both], xy[k + 1, both], intrinsics[k], along, picture_size[along]
            )
    change = np.full_like(moved, np.nan)
    change[1:-1] = (moved[2:] - moved[:-2]) / 2
    known = np.isfinite(change).all(axis=1) & np.isfinite(slope).all(axis=1)
    if np.count_nonzero(known) < rule.min_pairs:
        return None
    return _shared_factor(change[known], moved[known], slope[known])


def _slopes(before: F64, after: F64, lens: F64, along: int, length: int) -> tuple[F64, F64]:
    """(2,) pixels by which a pair of frames moves, and (2,) by which the last row (`along` 1) or
    column (0) of `length` moves more than the first beyond a turn and a scale: robust least
    squares."""
    u, v = ((before - lens[2:]) / lens[:2]).T
    row = (before[:, along] - lens[2 + along]) / length
    zero = np.zeros_like(u)
    turn_and_scale = np.concatenate([turn_slopes(u, v), np.stack([u, v], axis=1)[..., None]], 2)
    slopes = np.stack([np.column_stack([row, zero]), np.column_stack([zero, row])], axis=1)
    parts = np.concatenate([turn_and_scale * lens[:2].mean(), slopes], axis=2)
    apart = after - before
    weight = np.ones(len(before))
    for _ in range(_STEPS):
        weighted = (parts * weight[:, None, None]).reshape(-1, 6).T
        normal = weighted @ parts.reshape(-1, 6) + 1e-9 * np.eye(6)
        solved = np.linalg.solve(normal, weighted @ apart.ravel())
        left = np.linalg.norm(apart - parts @ solved, axis=1)
        sigma = max(sigma_of(left), 1e-6)
        weight = 1 / (1 + (left / (3 * sigma)) ** 2)
    middle = np.array([solved[1], -solved[0]]) * lens[:2].mean()
    return middle, solved[4:]


_STEPS = 8


def _shared_factor(change: F64, moved: F64, slope: F64) -> tuple[float, float] | None:
    """(k, sd) of slope = k change + p moved + q per coordinate, over pairs (P, 2): one k for both,
    p and q for each; robust, its doubt from leaving out a stretch of pairs at a time."""
    n, one = len(change), np.ones(len(change))
    zero = np.zeros(n)
    design = np.concatenate(
        [
            np.column_stack([change[:, 0], moved[:, 0], one, zero, zero]),
            np.column_stack([change[:, 1], zero, zero, moved[:, 1], one]),
        ]
    )
    values, stretch = slope.T.ravel(), np.tile(np.arange(n) * _STRETCHES // n, 2)
    if np.linalg.matrix_rank(design) < design.shape[1]:
        return None
    whole = _robust(design, values)
    without = np.array(
        [_robust(design[stretch != s], values[stretch != s]) for s in range(_STRETCHES)]
    )
    spread = (without - without.mean()) ** 2
    return whole, float(np.sqrt((_STRETCHES - 1) / _STRETCHES * spread.sum()))


_STRETCHES = 6


def _robust(design: F64, values: F64) -> float:
    weight = np.ones(len(values))
    factor = 0.0
    for _ in range(_STEPS):
        weighted = design * weight[:, None]
        normal = weighted.T @ design + 1e-9 * np.eye(design.shape[1])
        solved = np.linalg.solve(normal, weighted.T @ values)
        factor, apart = float(solved[0]), np.abs(values - design @ solved)
        weight = 1 / (1 + (apart / max(3 * float(np.median(apart)), 1e-6)) ** 2)
    return factor
