"""Lifting: point tracks in the picture and depth become point tracks in camera space.

measured      visible, and the depth there is of one surface (depth_sampling.py)
interpolated  hidden: reading the map would give the surface in front, so 1/z is interpolated in
              time between its measurements; or seen on a depth edge, where the map shows two
              surfaces: its own side of the edge (depth_sampling.edge_depth)
absent        hidden before the first or after the last measurement, outside the picture, or
              over invalid depth

x = (u - cx) z / fx,  y = (v - cy) z / fy

Unusual: depth is interpolated in time as 1/z too, the quantity that is linear in the picture along
a straight line in space; before the first and after the last measurement nothing is made up.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from massannot.geometry.camera import unproject
from massannot.geometry.depth_sampling import DEFAULT_EDGE_RULE, EdgeRule, edge_depth, sample_depth

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
Indices = NDArray[np.int64]


class LiftedPoints(NamedTuple):
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
) -> LiftedPoints:
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
    return LiftedPoints(np.where(present[..., None], xyz, np.nan), measured, interpolated)


def fill_inverse(z: F64, measured: Bool, *, t_s: F64) -> F64:
    """z (T, N) where `measured`, 1/z linear in t_s (T,) between, NaN before and after."""
    inverse = np.divide(1.0, z, out=np.full(z.shape, np.nan), where=measured)
    filled = fill_linear(inverse, measured, t_s=t_s)
    return np.where(measured, z, 1.0 / filled)


def fill_linear(values: F64, measured: Bool, *, t_s: F64) -> F64:
    """values (T, N) where `measured`, linear in t_s (T,) between, NaN before and after."""
    n_frames = len(values)
    before, after = _neighbours(measured)
    between = (before >= 0) & (after < n_frames)
    before, after = np.where(between, before, 0), np.where(between, after, 0)
    span = t_s[after] - t_s[before]
    share = np.divide(t_s[:, None] - t_s[before], span, out=np.zeros(span.shape), where=span > 0)
    low = np.take_along_axis(values, before, axis=0)
    high = np.take_along_axis(values, after, axis=0)
    return np.where(between, low + share * (high - low), np.nan)


def hold(values: F64, measured: Bool) -> F64:
    """values (T, N) where known, elsewhere the last measured one, before the first the first one;
    NaN where nothing is measured. A guess, for choosing between readings."""
    n_frames = len(values)
    before, after = _neighbours(measured)
    nearest = np.where(before >= 0, before, np.minimum(after, n_frames - 1))
    held = np.take_along_axis(np.where(measured, values, np.nan), nearest, axis=0)
    return np.where(np.isfinite(values), values, held)


def _neighbours(measured: Bool) -> tuple[Indices, Indices]:
    """Frame (T, N) of the measurement at or before each, -1: none, and at or after, T: none."""
    n_frames = len(measured)
    frame = np.arange(n_frames)[:, None]
    before = np.maximum.accumulate(np.where(measured, frame, -1), axis=0)
    after = np.minimum.accumulate(np.where(measured, frame, n_frames)[::-1], axis=0)[::-1]
    return before, after
