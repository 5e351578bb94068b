"""Whether a camera zooms, from points of a background that stands still: said, not modelled.

A zoom makes the background's picture larger as a whole; a camera that moves forward enlarges what
is near more than what is far. So of pairs of frames a model is fitted that only turns and zooms,

    pi(x') = s K R x                                            rotation R and one factor s

and a zoom is one that changes s, that turning alone does not explain, and that leaves no parallax,
where the depths of the points say that moving by as much would have left some:

    log s (median(z) / z - 1) |x - c|                           pixels, of a point at x and depth z

Depth enters by its ratios alone. Where all of the background is equally far nobody can tell, and a
camera that moves while it zooms fits neither model.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    parallax: float = 4.0
    """The same of the parallax that moving forward would have left."""
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
    the scale changes and the background is too flat to tell why."""
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
    """None: the scale changes, nothing shows parallax, and none was to be expected."""
    sigma, log_scale = _fitted(before, after, lens, scales=True)
    turned, _ = _fitted(before, after, lens, scales=False)
    sigma = max(sigma, rule.sigma_px)
    if abs(log_scale) < rule.least_change or turned < rule.unexplained * sigma:
        return False
    known = np.isfinite(z) & (z > 0)
    if np.count_nonzero(known) < rule.min_points:
        return None
    radius = np.linalg.norm(before[known] - lens[2:], axis=1)
    parallax = log_scale * (np.median(z[known]) / z[known] - 1) * radius
    if sigma_of(np.abs(parallax)) >= rule.parallax * sigma:
        return True
    return False if sigma >= rule.unexplained * rule.sigma_px else None


def _fitted(before: F64, after: F64, lens: F64, *, scales: bool) -> tuple[float, float]:
    """(residual, log s) of the rotation, and the factor, that take points (N, 2) to (N, 2): robust
    Gauss-Newton steps."""
    rays = np.column_stack([(before - lens[2:]) / lens[:2], np.ones(len(before))])
    turn, log_scale, length = np.eye(3), 0.0, np.zeros(len(before))
    for _ in range(_STEPS):
        x = rays @ turn.T
        flat = np.exp(log_scale) * lens[:2] * x[:, :2] / x[:, 2:]
        apart = flat + lens[2:] - after
        u, v = (x[:, :2] / x[:, 2:]).T
        zero = np.zeros_like(u)
        slopes = turn_slopes(u, v) * np.exp(log_scale) * lens[:2, None]
        of_scale = flat if scales else np.column_stack([zero, zero])
        slopes = np.concatenate([slopes, of_scale[..., None]], axis=-1)
        length = np.linalg.norm(apart, axis=1)
        weight = 1 / (1 + (length / max(3 * sigma_of(length), 1e-6)) ** 2)
        weighted = (slopes * weight[:, None, None]).reshape(-1, 4).T
        normal = weighted @ slopes.reshape(-1, 4) + 1e-9 * np.eye(4)
        step = -np.linalg.solve(normal, weighted @ apart.ravel())
        turn = rotations(step[None, :3])[0] @ turn
        log_scale += step[3] if scales else 0.0
    return sigma_of(length), float(log_scale)


_STEPS = 12
