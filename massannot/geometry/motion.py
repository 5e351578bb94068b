"""Where an entity is and how far it went: the centre of its visible surface, and displacement.

A centre is the component-wise median of the points measured in a frame: half the points may sit on
something else before it leaves the object. It is the centre of what is SEEN, not of the body, and
it shifts when other parts come into view. (Path lengths: path_length.py.)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from massannot.geometry.background_fit import MEDIAN_ERROR, SIGMA_FROM_MAD, masked_median

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
Indices = NDArray[np.int64]


class Centres(NamedTuple):
    """One entity in T frames."""

    xyz: F64
    """(T, 3) c = median of the points, each axis for itself; NaN where absent."""
    spread: F64
    """(T,) median of |p - c|."""
    sigma: F64
    """(T,) standard error of the centre: 1.2533 / sqrt(n) * sqrt(sum over axes of s^2), with s
    = 1.4826 median |p - c|, the points' own scatter along an axis."""
    n_measured: Indices
    """(T,) points measured."""
    measured: Bool
    """(T,) the centre is the median of measured points."""
    present: Bool
    """(T,) there is a centre, if only of other points."""


def surface_centre(xyz: F64, measured: Bool, *, min_points: int) -> Centres:
    """Centre in each frame of points xyz (T, N, 3), NaN where absent, `measured` (T, N).

    Frames with fewer than `min_points` measured points take the median of all that are present;
    with fewer than `min_points` present there is no centre.
    """
    known = np.isfinite(xyz).all(axis=-1)
    n_measured = (measured & known).sum(axis=1)
    enough = n_measured >= min_points
    present = known.sum(axis=1) >= min_points
    used = np.where(enough[:, None], measured & known, known & present[:, None])
    n_used = np.maximum(used.sum(axis=1), 1)

    centre = masked_median(xyz, used[..., None], axis=1)
    offset = np.where(used[..., None], xyz - centre[:, None], 0.0)
    spread = masked_median(np.linalg.norm(offset, axis=-1), used, axis=1)
    scatter = SIGMA_FROM_MAD * masked_median(np.abs(offset), used[..., None], axis=1)
    sigma = MEDIAN_ERROR * np.sqrt((scatter**2).sum(axis=-1) / n_used)
    return Centres(centre, spread, sigma, n_measured, enough, present)


def first_and_last(present: Bool, *, first: int, end: int) -> tuple[int, int] | None:
    """Frames of the first and last position of the segment first..end (exclusive); None: absent.

    The last position is the one at `end`, the next segment's first frame, where there is one, so
    that segments join without a gap; otherwise the segment's own last one.
    """
    inside = np.flatnonzero(present[first:end])
    if len(inside) == 0:
        return None
    joins = end < len(present) and bool(present[end])
    return first + int(inside[0]), end if joins else first + int(inside[-1])


def displacement_sigma(displacement: F64, jitter: F64) -> float:
    """Standard error of a displacement's length: sqrt(2 u' J u), u its direction and J the diagonal
    of the squared `jitter` (3,) of a position; along the noisiest axis when it did not move."""
    length = float(np.linalg.norm(displacement))
    if length == 0:
        return float(np.sqrt(2) * jitter.max())
    return float(np.sqrt(2 * ((displacement / length * jitter) ** 2).sum()))
