"""Tell from background points in the picture whether the camera stands still.

In each frame the displacements of the background points are fitted by an affine field, robustly, so
that the points' errors average out and points on something that moves are left aside; a pan, a
turn, a zoom and a step of the camera all show in it. The camera moved if the field exceeds both
what counts as motion and its own uncertainty.

Unusual: a point is compared with its query frame, where it lay on the background for certain, not
with the first frame, before which something may have covered it and taken its track along; so the
points of each query frame are fitted for themselves and vote. And the fit starts twice, from all
points and from those that stand still: the field that more points agree with is taken. Where many
points stand still beside a large field, things move and not the camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from massannot.geometry.background_fit import MEDIAN_OF_RAYLEIGH, masked_median

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True)
class StaticCameraRule:
    """Thresholds below which a camera counts as standing still."""

    max_motion: float = 0.002
    """Root mean square of the field over the picture, as a share of its longer side: 2.6 pixels of
    1280. A pan across a tenth of the picture gives fifty times as much; still scenes seen with a
    pixel of noise at 160 stay below."""
    max_sigmas: float = 4.0
    """The same in standard errors of the field: noise of few or bad points is not motion."""
    min_points: int = 8
    """Visible points that a frame needs: the field has three unknowns an axis, and some of the
    points may be wrong."""
    max_error: float = 0.01
    """Standard error up to which a frame says anything, as a share of the longer side."""
    min_frames_share: float = 0.5
    """Share of frames that must say something before a camera is called static."""
    max_standing: float = 0.25
    """Share of a frame's points up to which some may lie where they were chosen although the field
    is large; with more the field is that of things, not of the camera, which moves all points."""
    large_motions: float = 3.0
    """A large field, in motions that count."""
    min_votes: float = 0.5
    """Share of the query frames with enough points that must see the motion of a moving camera; if
    fewer see any, it is neither moving nor static."""


DEFAULT_RULE = StaticCameraRule()


class CameraMotion(NamedTuple):
    """Whether the camera stood still, by the background, and the measured motion."""

    static: bool | None
    """None: too few points to tell."""
    displacement_px: float
    """Median over points and frames of the distance to where a point was first seen; NaN: none."""


def camera_motion(
    xy: F64,
    visible: Bool,
    query_frame: I64,
    *,
    picture_size: tuple[int, int],
    rule: StaticCameraRule = DEFAULT_RULE,
) -> CameraMotion:
    """Background points xy (T, N, 2) in pixels of a picture (width, height), `visible` (T, N), the
    frames (N,) in which they were chosen."""
    usable = np.asarray(visible & np.isfinite(xy).all(axis=-1))
    if not usable.any():
        return CameraMotion(None, float("nan"))
    first = usable.argmax(axis=0)
    displacement = _displacement(xy, usable, first)
    point = np.arange(xy.shape[1])
    reference = np.where(usable[query_frame, point], query_frame, first)
    says_something = np.zeros(len(xy), np.bool_)
    votes: list[bool] = []
    for frame in np.unique(reference):
        mine = (reference == frame) & usable[frame]
        chosen = usable[:, mine]
        chosen[frame] = False
        enough = np.flatnonzero(chosen.sum(axis=1) >= rule.min_points)
        chosen, start = chosen[enough], xy[frame, mine]
        moved = np.where(chosen[..., None], xy[enough][:, mine] - start, 0.0)
        size, error = _affine_field(start, moved, chosen, picture_size)
        least = rule.max_motion * max(picture_size)
        stands = chosen & (np.hypot(moved[..., 0], moved[..., 1]) <= least)
        standing = stands.sum(axis=1) >= rule.max_standing * chosen.sum(axis=1)
        contradicted = standing & (size >= rule.large_motions * least)
        says = contradicted | (error <= rule.max_error * max(picture_size))
        if says.any():
            excess = np.where(contradicted, 0.0, size / np.maximum(least, rule.max_sigmas * error))
            moves = _median_of_three(excess[says]) > 1
            votes.append(bool(moves.sum() > contradicted.sum()))
            says_something[enough[says]] = True
            says_something[frame] = True  # nothing can have moved in the query frame
    if not votes:
        return CameraMotion(None, displacement)
    if np.mean(votes) >= rule.min_votes:
        return CameraMotion(False, displacement)
    static = not any(votes) and says_something.mean() >= rule.min_frames_share
    return CameraMotion(True if static else None, displacement)


def _displacement(xy: F64, usable: Bool, first: I64) -> float:
    """Median distance to where a point was first seen."""
    later = usable & (np.arange(len(xy))[:, None] > first)
    if not later.any():
        return float("nan")
    start = xy[first, np.arange(xy.shape[1])]
    return float(np.median(np.linalg.norm(xy - start, axis=-1)[later]))


def _affine_field(
    start: F64, moved: F64, used: Bool, picture_size: tuple[int, int]
) -> tuple[F64, F64]:
    """Per frame, root mean square over the picture of the affine field through the displacements
    `moved` (T, N, 2) at `start` (N, 2), and its standard error.

    With positions in -1..1 across the picture, a + b x + c y has mean square a^2 + (b^2 + c^2) / 3.
    """
    position = start / picture_size * 2 - 1
    design = np.concatenate([np.ones((len(start), 1)), position], axis=1)  # (N, 3)
    from_all = _fit(design, moved, used, used.astype(np.float64))
    length = np.hypot(moved[..., 0], moved[..., 1])
    from_still = _fit(design, moved, used, _cauchy(length, used, _sigma(length, used)))
    better = from_still.sigma <= from_all.sigma
    field = np.where(better[:, None, None], from_still.field, from_all.field)
    sigma = np.where(better, from_still.sigma, from_all.sigma)
    weight = np.where(better[:, None], from_still.weight, from_all.weight)

    mean_square = np.array([1, 1 / 3, 1 / 3])
    size = np.sqrt(np.einsum("tik,i->t", field**2, mean_square))
    n_used = np.maximum(weight.sum(axis=1), 4)
    variance = sigma**2 * n_used / (n_used - 3)
    inverse = _inverse(weight, design)
    error = np.sqrt(2 * variance * np.einsum("tii,i->t", inverse, mean_square))
    return size, error


class _AffineFit(NamedTuple):
    field: F64
    """(T, 3, 2)"""
    sigma: F64
    """(T,) standard deviation of a coordinate, pixels."""
    weight: F64
    """(T, N) 1: agrees, 0: has nothing to do with it."""


def _fit(design: F64, moved: F64, used: Bool, weight: F64) -> _AffineFit:
    """Least squares with Cauchy weights, iterated from the given ones."""
    for _ in range(_ITERATIONS):
        right = np.stack([(weight * moved[..., axis]) @ design for axis in (0, 1)], axis=-1)
        field = _inverse(weight, design) @ right
        rest = moved - design @ field
        residual = np.hypot(rest[..., 0], rest[..., 1])
        sigma = _sigma(residual, used)
        weight = _cauchy(residual, used, sigma)
    return _AffineFit(field, sigma, weight)


def _sigma(length: F64, used: Bool) -> F64:
    middle = masked_median(length, used, axis=1)
    return np.maximum(middle / MEDIAN_OF_RAYLEIGH, _SMALLEST_SIGMA_PX)


def _cauchy(length: F64, used: Bool, sigma: F64) -> F64:
    return np.asarray(used / (1 + (length / (_CAUCHY * sigma[:, None])) ** 2))


def _inverse(weight: F64, design: F64) -> F64:
    """(T, 3, 3) of the normal matrices of the weights (T, N) and the design (N, 3)."""
    products = (design[:, :, None] * design[:, None, :]).reshape(-1, 9)
    normal = (weight @ products).reshape(-1, 3, 3)
    return np.asarray(np.linalg.inv(normal + 1e-9 * np.eye(3)))


_ITERATIONS = 20
_CAUCHY = 2.385
"""Standard deviations at which a point counts half: 95 % efficient on Gaussian noise."""
_SMALLEST_SIGMA_PX = 0.03
"""No tracker is better than this: a few points that agree exactly are no proof."""


def _median_of_three(values: F64) -> F64:
    """Each value replaced by the median of itself and its neighbours: one bad frame is no motion.
    The last frames of a motion that goes on remain."""
    padded = np.concatenate([values[:1], values, values[-1:]])
    if len(values) < 3:
        return values
    return np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0)
