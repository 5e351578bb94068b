"""Tell from background points in the picture whether the camera stands still.

In each frame the displacements of the background points since they were first seen are fitted by an
affine field, robustly, so that the points' errors average out and points on something that moves
are left aside; a pan, a turn, a zoom and a step of the camera all show in it. The camera moved if
the field exceeds both what counts as motion and its own uncertainty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from massannot.geometry.background_fit import masked_median

F64 = NDArray[np.float64]
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
    *,
    picture_size: tuple[int, int],
    rule: StaticCameraRule = DEFAULT_RULE,
) -> CameraMotion:
    """Background points xy (T, N, 2) in pixels of a picture (width, height), `visible` (T, N)."""
    usable = np.asarray(visible & np.isfinite(xy).all(axis=-1))
    if not usable.any():
        return CameraMotion(None, float("nan"))
    start_frame = usable.argmax(axis=0)
    start = xy[start_frame, np.arange(xy.shape[1])]
    later = usable & (np.arange(len(xy))[:, None] > start_frame)
    moved = np.where(later[..., None], xy - start, 0.0)
    if not later.any():
        return CameraMotion(None, float("nan"))
    displacement = float(np.median(np.linalg.norm(moved, axis=-1)[later]))

    enough = np.asarray(later.sum(axis=1) >= rule.min_points)
    size, error = _affine_field(start, moved[enough], later[enough], picture_size)
    says = error <= rule.max_error * max(picture_size)
    limit = np.maximum(rule.max_motion * max(picture_size), rule.max_sigmas * error)
    if (_median_of_three(size[says] / limit[says]) > 1).any():
        return CameraMotion(False, displacement)
    share = says.sum() / max(1, len(xy) - 1)  # nothing can have moved in the first frame
    return CameraMotion(True if share >= rule.min_frames_share else None, displacement)


def _affine_field(
    start: F64, moved: F64, used: Bool, picture_size: tuple[int, int]
) -> tuple[F64, F64]:
    """Per frame, root mean square over the picture of the affine field through the displacements
    `moved` (T, N, 2) at `start` (N, 2), and its standard error.

    With positions in -1..1 across the picture, a + b x + c y has mean square a^2 + (b^2 + c^2) / 3.
    Least squares with Cauchy weights, iterated.
    """
    position = np.where(np.any(used, axis=0)[:, None], start, 0.0) / picture_size * 2 - 1
    design = np.concatenate([np.ones((len(start), 1)), position], axis=1)  # (N, 3)
    mean_square = np.array([1, 1 / 3, 1 / 3])
    weight = used.astype(np.float64)
    n_used = np.maximum(used.sum(axis=1), 4)
    for _ in range(_ITERATIONS):
        weighted = weight[..., None] * design
        normal = np.einsum("tni,nj->tij", weighted, design) + 1e-9 * np.eye(3)
        inverse = np.linalg.inv(normal)
        field = inverse @ np.einsum("tni,tnk->tik", weighted, moved)
        residual = np.linalg.norm(moved - design @ field, axis=-1)
        sigma = masked_median(residual, used, axis=1) / _MEDIAN_OF_RAYLEIGH
        scale = np.maximum(_CAUCHY * sigma, 1e-9)[:, None]
        weight = used / (1 + (residual / scale) ** 2)
    size = np.sqrt(np.einsum("tik,i->t", field**2, mean_square))
    variance = sigma**2 * n_used / (n_used - 3)
    plain = np.linalg.inv(np.einsum("tn,ni,nj->tij", used, design, design) + 1e-9 * np.eye(3))
    error = np.sqrt(2 * variance * np.einsum("tii,i->t", plain, mean_square))
    return size, error


_ITERATIONS = 8
_CAUCHY = 2.385
"""Standard deviations at which a point counts half: 95 % efficient on Gaussian noise."""
_MEDIAN_OF_RAYLEIGH = 1.1774
"""Median length of a two-dimensional Gaussian of unit standard deviation."""


def _median_of_three(values: F64) -> F64:
    """Each value replaced by the median of itself and its neighbours: one bad frame is no motion.
    The last frames of a motion that goes on remain."""
    padded = np.concatenate([values[:1], values, values[-1:]])
    if len(values) < 3:
        return values
    return np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0)
