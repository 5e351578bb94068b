"""Depth against truth: absolute relative error, delta below 1.25, and root mean square error.

Source: Eigen et al., Depth map prediction from a single image (2014), section 4. Compared are the
pixels where the truth is known and positive; a prediction that is not positive and finite there
counts against coverage, never silently.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bool = NDArray[np.bool_]
Depth = NDArray[np.float32] | NDArray[np.float64]


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
    """What the prediction was multiplied by before."""
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
