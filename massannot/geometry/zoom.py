"""Whether a camera zooms, from points of a background that stands still: said, not modelled.

A zoom makes the background's picture larger as a whole; a camera that moves forward enlarges what
is near more than what is far. So of pairs of frames a model is fitted that only turns and zooms,

    pi(x') = s K R x                                            rotation R and one factor s

and where it says that s changes, and turning alone does not explain the pair, it is asked how much
of that change goes with the nearness n = median(z) / z - 1 of the points, as all of it does where a
camera moves. What the model leaves is fitted, with small changes of R and s, by

    a n (x - c) + (b1, b2) n                                    pixels, of a point at x and depth z

a of a camera that moves forward, b of one that moves aside. It is a zoom where a / log s, its error
considered, is small, and where this second fit leaves hardly less than the first did. Depth enters
by its ratios alone. Where all of the background is equally far nobody can tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from massannot.geometry.background_fit import sigma_of
from massannot.geometry.bundle_adjustment import rotations
from massannot.geometry.camera import turn_slopes

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True)
class ZoomRule:
    """When a change of scale is a zoom."""

    least_change: float = 0.03
    """Of the logarithm of the focal length, between two frames."""
    unexplained: float = 3.0
    """Residual of turning alone, in residuals of turning and zooming."""
    nearness: float = 0.25
    """Share of the change that goes with nearness below which a camera zooms, above which it moves.
    Depth that is wrong by a fifth makes the share of one that moves smaller, never that large."""
    improvement: float = 1.25
    """Residual of turning and zooming, in residuals of the second fit, from which on the camera
    moves, whatever it does with its lens."""
    inflation: float = 3.0
    """Factor on the share's standard deviation: points that lie together share their errors."""
    sigma_px: float = 0.1
    """Residuals below this are as good as none."""
    min_points: int = 12
    """Points that both frames of a pair see."""
    n_pairs: int = 8
    """Pairs that are looked at, half a clip apart, or less where points do not live so long."""


def zooms(
    xy: F64, visible: Bool, z: F64, *, intrinsics: F64, rule: ZoomRule | None = None
) -> bool | None:
    """Whether the focal length changes over points xy (T, N, 2), `visible` (T, N), with depth z
    (T, N) in any unit, NaN where there is none, and intrinsics (T, 4). None: too few points, or
    the scale changes and nothing tells why."""
    rule = rule or ZoomRule()
    found: list[bool | None] = []
    n_frames = len(xy)
    for apart in (n_frames // 2, n_frames // 4, n_frames // 8):
        if apart < 1:
            continue
        starts = np.unique(np.linspace(0, n_frames - 1 - apart, rule.n_pairs).astype(int))
        for first in starts.tolist():
            both = visible[first] & visible[first + apart]
            if np.count_nonzero(both) >= rule.min_points:
                places = xy[first, both], xy[first + apart, both]
                found.append(_pair_zooms(*places, z[first, both], intrinsics[first], rule))
        if found:
            break
    if any(found):
        return True
    return None if not found or None in found else False


def _pair_zooms(before: F64, after: F64, z: F64, lens: F64, rule: ZoomRule) -> bool | None:
    """None: the scale changes, and neither a zoom nor moving is shown."""
    zooming = _fitted(before, after, lens, scales=True)
    turning = _fitted(before, after, lens, scales=False)
    sigma = max(zooming.sigma, rule.sigma_px)
    if abs(zooming.log_scale) < rule.least_change or turning.sigma < rule.unexplained * sigma:
        return False
    known = np.isfinite(z) & (z > 0)
    if np.count_nonzero(known) < rule.min_points:
        return None
    near = np.median(z[known]) / z[known] - 1
    share, sd, left = _with_nearness(zooming, near, known, lens, rule)
    if share - 2 * sd > rule.nearness:
        return False
    is_small = share + 2 * sd < rule.nearness
    return True if is_small and zooming.sigma < rule.improvement * left else None


class _ZoomFit(NamedTuple):
    """Of N points."""

    sigma: float
    """Residual, pixels."""
    log_scale: float
    left: F64
    """(N, 2) what the model leaves of them, pixels."""
    slopes: F64
    """(N, 2, 4) by the rotation and log s; those by log s are x - c."""


def _with_nearness(
    fit: _ZoomFit, near: F64, known: Bool, lens: F64, rule: ZoomRule
) -> tuple[float, float, float]:
    """(share of the change of scale that goes with nearness, its standard deviation, residual)."""
    left, slopes = fit.left[known], fit.slopes[known]
    aside = near[:, None, None] * np.diag(lens[:2])
    columns = np.concatenate([slopes, near[:, None, None] * slopes[..., 3:], aside], axis=-1)
    length = np.linalg.norm(left, axis=1)
    for _ in range(_STEPS):
        change, normal = _weighted_step(columns, left, length)
        length = np.linalg.norm(left - columns @ change, axis=1)
    sigma = max(sigma_of(length), rule.sigma_px)
    sd = rule.inflation * sigma * float(np.sqrt(np.linalg.inv(normal)[4, 4]))
    log_scale = fit.log_scale + change[3]
    return float(change[4] / log_scale), float(sd / abs(log_scale)), sigma


def _fitted(before: F64, after: F64, lens: F64, *, scales: bool) -> _ZoomFit:
    """The rotation, and the factor, that take points (N, 2) to (N, 2): robust Gauss-Newton
    steps."""
    rays = np.column_stack([(before - lens[2:]) / lens[:2], np.ones(len(before))])
    turn, log_scale = np.eye(3), 0.0
    fit = _fit_of(rays, after, lens, turn, log_scale)
    for _ in range(_STEPS):
        slopes = fit.slopes if scales else fit.slopes[..., :3]
        step, _ = _weighted_step(slopes, fit.left, np.linalg.norm(fit.left, axis=1))
        turn = rotations(step[None, :3])[0] @ turn
        log_scale += float(step[3]) if scales else 0.0
        fit = _fit_of(rays, after, lens, turn, log_scale)
    return fit


def _fit_of(rays: F64, after: F64, lens: F64, turn: F64, log_scale: float) -> _ZoomFit:
    """What a rotation (3, 3) and a factor leave of rays (N, 3) that are seen `after` (N, 2)."""
    x = rays @ turn.T
    u, v = (x[:, :2] / x[:, 2:]).T
    scale = np.exp(log_scale) * lens[:2]
    flat = scale * np.column_stack([u, v])
    left = after - flat - lens[2:]
    slopes = np.concatenate([turn_slopes(u, v) * scale[:, None], flat[..., None]], axis=-1)
    return _ZoomFit(sigma_of(np.linalg.norm(left, axis=1)), log_scale, left, slopes)


def _weighted_step(columns: F64, left: F64, length: F64) -> tuple[F64, F64]:
    """The change (K,) of what `columns` (N, 2, K) are the slopes by that explains `left` (N, 2)
    best, points weighed by their residual, and its normal matrix."""
    weight = 1 / (1 + (length / max(3 * sigma_of(length), 1e-6)) ** 2)
    k = columns.shape[-1]
    weighted = (columns * weight[:, None, None]).reshape(-1, k).T
    normal = weighted @ columns.reshape(-1, k) + 1e-9 * np.eye(k)
    change = np.linalg.solve(normal, weighted @ left.ravel())
    return np.asarray(change, np.float64), normal


_STEPS = 12
