"""Masks and depth against truth, pixel by pixel.

Masks: region similarity J and boundary measure F, as DAVIS defines them. Source: Perazzi et al.,
DAVIS (2016), section 4, with the benchmark's conventions: a pixel is on the boundary when it
differs from its right, lower or lower right neighbour, and a boundary pixel is found when the other
boundary comes within a disk of 0.8 % of the picture's diagonal, rounded up. Two empty masks agree
fully. A mask that fills the picture has no boundary, as an empty one.

Depth: absolute relative error, delta below 1.25, and root mean square error. Source: Eigen et al.,
Depth map prediction from a single image (2014), section 4. Compared are the pixels where the truth
is known and positive; a prediction that is not positive and finite there counts against coverage,
never silently.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bool = NDArray[np.bool_]
Depth = NDArray[np.float32] | NDArray[np.float64]

TOLERANCE = 0.008


def region_similarity(mask: Bool, truth: Bool) -> float:
    """J: intersection over union of two masks (H, W); 1.0 when both are empty."""
    _check(mask, truth)
    union = np.count_nonzero(mask | truth)
    return np.count_nonzero(mask & truth) / union if union else 1.0


def boundary_measure(mask: Bool, truth: Bool, *, tolerance: float = TOLERANCE) -> float:
    """F: harmonic mean of the shares of either boundary (H, W) that the other comes close to.

    `tolerance` is a share of the diagonal. 1.0 when neither has a boundary, 0.0 when one has none.
    """
    _check(mask, truth)
    radius = math.ceil(tolerance * math.hypot(*mask.shape))
    edge, true_edge = np.argwhere(_boundary(mask)), np.argwhere(_boundary(truth))
    if not len(edge) or not len(true_edge):
        return float(len(edge) == len(true_edge))
    precision = _share_near(edge, true_edge, radius)
    recall = _share_near(true_edge, edge, radius)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _boundary(mask: Bool) -> Bool:
    """Pixels (H, W) that differ from a neighbour right, below or diagonally between the two."""
    edge = np.zeros(mask.shape, np.bool_)
    edge[:, :-1] = mask[:, :-1] != mask[:, 1:]
    edge[:-1] |= mask[:-1] != mask[1:]
    edge[:-1, :-1] |= mask[:-1, :-1] != mask[1:, 1:]
    return edge


def _share_near(points: NDArray[np.int64], others: NDArray[np.int64], radius: int) -> float:
    """Share of points (P, 2) within a disk of any of the others (Q, 2).

    Disks are painted as rows, each with a step up at its left and down after its right end; sums
    along the rows then say how many disks cover a pixel. Only the points' own box is painted.
    """
    top, left = points.min(axis=0)
    height, width = points.max(axis=0) - (top, left) + 1
    dy = np.arange(-radius, radius + 1)
    half = np.floor(np.sqrt(radius**2 - dy**2)).astype(np.int64)
    row = others[:, :1] - top + dy
    first = np.clip(others[:, 1:] - left - half, 0, width)
    end = np.clip(others[:, 1:] - left + half + 1, 0, width)
    painted = (row >= 0) & (row < height)
    at = row * (width + 1)
    size = int(height * (width + 1))
    steps = np.bincount((at + first)[painted], minlength=size)
    steps -= np.bincount((at + end)[painted], minlength=size)
    covered = steps.reshape(height, width + 1).cumsum(axis=1) > 0
    return float(covered[points[:, 0] - top, points[:, 1] - left].mean())


def _check(mask: Bool, truth: Bool) -> None:
    for name, array in (("mask", mask), ("true mask", truth)):
        if array.dtype != np.bool_ or array.ndim != 2 or array.shape != truth.shape:
            raise ValueError(
                f"{name}: found {array.dtype} {array.shape}, expected bool (H, W), both alike"
            )


@dataclass(frozen=True)
class DepthScores:
    """Errors over the compared pixels; NaN where there are none."""

    abs_rel: float
    """Mean of |z - truth| / truth."""
    delta_1_25: float
    """Share of pixels with max(z / truth, truth / z) below 1.25."""
    rmse: float
    """In the truth's unit."""
    scale: float
    """The factor by which the prediction was multiplied first."""
    n_pixels: int
    """Pixels compared."""
    coverage: float
    """Their share of the pixels where the truth is known."""


def score_depth(
    depth: Depth, truth: Depth, *, where: Bool | None = None, median_scale: bool = False
) -> DepthScores:
    """Scores of depth against truth, arrays of one shape, for instance (H, W) or (T, H, W).

    `where` (same shape) picks pixels, for instance those of objects. `median_scale` first
    multiplies by median(truth) / median(depth) of the compared pixels: one factor for all that is
    handed in, so hand in frames one by one for a factor per frame.
    """
    z, true_z = np.asarray(depth, np.float64), np.asarray(truth, np.float64)
    if z.shape != true_z.shape or (where is not None and where.shape != z.shape):
        raise ValueError(
            f"depth: found shape {z.shape}, truth {true_z.shape}, "
            f"where {None if where is None else where.shape}; expected one shape"
        )
    known = np.isfinite(true_z) & (true_z > 0)
    if where is not None:
        known &= where
    compared = known & np.isfinite(z) & (z > 0)
    z, true_z = z[compared], true_z[compared]
    if z.size == 0:
        nan = float("nan")
        return DepthScores(nan, nan, nan, nan, 0, 0.0 if known.any() else nan)
    scale = float(np.median(true_z) / np.median(z)) if median_scale else 1.0
    z = z * scale
    return DepthScores(
        abs_rel=float(np.mean(np.abs(z - true_z) / true_z)),
        delta_1_25=float(np.mean(np.maximum(z / true_z, true_z / z) < 1.25)),
        rmse=float(np.sqrt(np.mean(np.square(z - true_z)))),
        scale=scale,
        n_pixels=z.size,
        coverage=z.size / np.count_nonzero(known),
    )
