"""Lifting: point tracks in the picture and depth become point tracks in camera space.

measured      visible, and the depth there is of one surface (depth_sampling.py)
interpolated  hidden: reading the map would give what hides it, so 1/z is interpolated in time
              between its measurements; or seen on a depth edge, where the map shows two
              surfaces: its own side of the edge (edge_depth.py)
absent        hidden before the first or after the last measurement, outside the picture, or
              over invalid depth

x = (u - cx) z / fx,  y = (v - cy) z / fy
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from massannot.geometry.camera import unproject
from massannot.geometry.depth_sampling import DEFAULT_EDGE_RULE, EdgeRule, sample_depth
from massannot.geometry.edge_depth import edge_depth
from massannot.geometry.time_gaps import fill_inverse, hold

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]


class LiftedTracks(NamedTuple):
    """N points in T frames, in the camera of each frame."""

    xyz: F64
    """(T, N, 3); NaN where absent."""
    measured: Bool
    """(T, N)."""
    interpolated: Bool
    """(T, N). Neither: absent."""


def lift_tracks(
    xy: F64,
    visible: Bool,
    depth_Thw: F32,
    *,
    intrinsics: F64,
    t_s: F64,
    picture_size: tuple[int, int],
    edge_rule: EdgeRule = DEFAULT_EDGE_RULE,
) -> LiftedTracks:
    """Points xy (T, N, 2) in pixels of a picture (width, height) with `visible` (T, N).

    depth_Thw (T, h, w) is z, of any size; intrinsics (T, 4) in pixels of xy; t_s (T,) seconds.
    """
    samples = sample_depth(depth_Thw, xy, picture_size=picture_size, edge_rule=edge_rule)
    measured = visible & samples.reliable
    z = fill_inverse(samples.z, measured, t_s=t_s)
    beside = edge_depth(
        depth_Thw,
        xy,
        visible & ~measured,
        expected_z=hold(z, measured),
        picture_size=picture_size,
    )
    z = np.where(np.isfinite(beside), beside, z)
    with np.errstate(invalid="ignore"):
        inside = np.asarray(((xy >= 0) & (xy <= np.asarray(picture_size))).all(axis=-1))
    interpolated = ~measured & np.isfinite(z) & inside
    present = measured | interpolated
    xyz = unproject(xy, z, intrinsics[:, None])
    return LiftedTracks(np.where(present[..., None], xyz, np.nan), measured, interpolated)
