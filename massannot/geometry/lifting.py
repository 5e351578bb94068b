"""Lifting: point tracks in the picture and depth become point tracks in camera space.

A visible point with a reliable depth is measured. Where a point is hidden, on a depth edge or over
invalid depth, reading the map would give the occluder or a mixture: its 1/z is interpolated in time
between the neighbouring measurements instead, and it says so. Before the first and after the last
measurement, and outside the picture, it is absent.

    x = (u - cx) z / fx,  y = (v - cy) z / fy
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from massannot.geometry.camera import unproject
from massannot.geometry.depth_sampling import DepthSamples
from massannot.geometry.time_gaps import fill_inverse

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]


class LiftedTracks(NamedTuple):
    """N points in T frames, in the camera of each frame."""

    xyz: F64
    """(T, N, 3); NaN where absent."""
    measured: Bool
    """(T, N) visible, depth read here."""
    interpolated: Bool
    """(T, N) between two measurements. Neither: absent."""


def lift_tracks(
    xy: F64,
    visible: Bool,
    samples: DepthSamples,
    *,
    intrinsics: F64,
    t_s: F64,
    picture_size: tuple[int, int],
) -> LiftedTracks:
    """Points xy (T, N, 2) with `visible` (T, N) in camera space.

    `samples` are the depths at xy (depth_sampling.sample_depth); intrinsics (T, 4) in the pixels of
    xy; t_s (T,) seconds; picture_size (width, height).
    """
    measured = visible & samples.reliable
    z = fill_inverse(samples.z, measured, t_s=t_s)
    with np.errstate(invalid="ignore"):
        inside = ((xy >= 0) & (xy <= np.asarray(picture_size))).all(axis=-1)
    interpolated = ~measured & np.isfinite(z) & inside
    present = measured | interpolated
    xyz = unproject(xy, z, intrinsics[:, None])
    return LiftedTracks(np.where(present[..., None], xyz, np.nan), measured, interpolated)
