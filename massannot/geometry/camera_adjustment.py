"""The camera's poses, and how sure they are, from points of a background that stands still.

Two models are adjusted (see bundle_adjustment.py): a camera that only turns, and one that moves
freely. The second fits better whatever happened; it is believed where it lowers the pixel residuals
by more than its further unknowns could: a place along the ray for each point, a translation for
each frame after the first. With sigma the freely moving model's own residual and rho Cauchy's loss,

    2 sum(rho(turning) - rho(moving)) / sigma^2 > evidence log(O) (N + 3 (T - 1))

which is Schwarz's criterion (1978) for O sightings of N points, times `evidence`. Depth has no part
in it. Where the turning model is believed the translations are zero, and how large they might have
been, unseen, is what the moving model says of their error.

Unusual: the covariance is not that of the least squares, which takes all sightings for independent
and is several times too small: a corner's drift is shared by all later frames, and by all points
that were found at that corner. What each patch of the background adds to the gradient is taken as
one observation (the sandwich estimator with clusters; Liang and Zeger, 1986; a jackknife over
patches to first order), and `inflation` covers what is left.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from massannot.geometry.background_fit import sigma_of
from massannot.geometry.bundle_adjustment import (
    Adjustment,
    Bundle,
    BundleRule,
    adjusted,
    rotation_vectors,
)
from massannot.geometry.camera import rigid
from massannot.geometry.sightings import Sightings

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]
CameraModel = Literal["turns", "moves"]


ASSUMED_FOCAL_REL_SD = 0.35
"""Standard deviation of the logarithm of a focal length that nobody told: a standard deviation
around a view of 60 degrees are those of 44 and 79."""


@dataclass(frozen=True)
class PoseRule:
    """When poses can be told, and how sure they are."""

    bundle: BundleRule = field(default_factory=BundleRule)
    min_points: int = 12
    """Points that are seen in a frame and in the one before; with fewer nothing is told."""
    min_frames: int = 4
    """Frames in which a point must be seen to take part."""
    max_sigma_px: float = 1.0
    """Residual of the chosen model above which it does not describe the background."""
    evidence: float = 1.6
    """Factor on the criterion's price of an unknown, which takes errors for independent. Of 56
    rendered scenes the 32 pans reached 0.85 at most and the 24 others 3.1 at least."""
    patches: int = 8
    """Patches of the background across the picture's longer side."""
    inflation: float = 2.7
    """Factor on the standard deviations, learnt on rendered scenes with true and with estimated
    depth: patches are few, and some errors are common to all of them."""
    observed_focal: float = 0.1
    """Standard deviation of the logarithm of a focal length up to which it counts as observed;
    with a larger one the assumed lens stays: what fits best may be further off."""
    least_motion: float = 0.05
    """Turn, radians, and way, in distances of the background, below which a camera shows nothing of
    its lens, whatever the equations say: then things that move are all that they have."""


class PoseEstimate(NamedTuple):
    """Poses of T frames."""

    model: CameraModel
    cam_from_world: F64
    """(T, 4, 4), the first the identity."""
    cov: F64
    """(T, 6, 6) of the left perturbation of cam_from_world: rotation vector, radians, and
    translation, in units of depth, in the axes of the frame's camera; given the scale of depth."""
    gain: float
    """What the moving model explains, in prices of the criterion without `evidence`."""
    sigma_px: float
    """Standard deviation of the residuals of the chosen model."""
    focal_factor: float
    """On the focal lengths that were assumed; 1 where they were told or could not be observed."""
    focal_rel_sd: float | None
    """Standard deviation of its logarithm, that of the assumption where it could not be observed;
    None: told."""


def estimated_poses(
    xy: F64,
    visible: Bool,
    z: F64,
    *,
    intrinsics: F64,
    picture_size: tuple[int, int],
    lens_rel_sd: float | None = None,
    rule: PoseRule | None = None,
) -> PoseEstimate | None:
    """Poses from points xy (T, N, 2) in pixels of a picture (width, height), `visible` (T, N), with
    depth z (T, N) in any unit, NaN where there is none, and intrinsics (T, 4). `lens_rel_sd`:
    standard deviation of the logarithm of their focal lengths, where the lens was not told; one
    factor on them is then estimated with the poses, and kept where it was observed.

    None: too few points, or points that no camera explains.
    """
    rule = rule or PoseRule()
    clip = (xy, visible, z, intrinsics, picture_size, rule)
    if lens_rel_sd is None:
        return _estimated(*clip, None)
    free = _estimated(*clip, lens_rel_sd)
    if free is None:
        return None
    sure = (free.focal_rel_sd or 0) <= rule.observed_focal
    if sure and _motion(free.cam_from_world, z) >= rule.least_motion:
        return free
    assumed = _estimated(*clip, None)
    if assumed is None:
        return None
    return assumed._replace(cov=free.cov, focal_rel_sd=lens_rel_sd)


def _motion(poses: F64, z: F64) -> float:
    """The largest turn and way of a frame together, see PoseRule.least_motion."""
    turn = np.linalg.norm(rotation_vectors(poses[:, :3, :3]), axis=1)
    return float((turn + np.linalg.norm(poses[:, :3, 3], axis=1) / np.nanmedian(z)).max())


def _estimated(
    xy: F64,
    visible: Bool,
    z: F64,
    intrinsics: F64,
    picture_size: tuple[int, int],
    rule: PoseRule,
    focal_sigma: float | None,
) -> PoseEstimate | None:
    """`focal_sigma`: None: the lens is taken as told."""
    used = np.asarray(visible & np.isfinite(xy).all(axis=-1))
    used &= (used.sum(axis=0) >= rule.min_frames)[None]
    used &= np.any(np.isfinite(z) & used, axis=0)[None]
    if len(xy) < 2 or (used[1:] & used[:-1]).sum(axis=1).min(initial=len(z.T)) < rule.min_points:
        return None
    chosen = np.flatnonzero(used.any(axis=0))
    used, xy, z = used[:, chosen], xy[:, chosen], z[:, chosen]
    unit = float(np.median(z[used & np.isfinite(z)]))
    seen = _sightings(xy, used, z / unit, intrinsics)

    rays = _rays(xy, intrinsics)
    start = _chained_rotations(rays, used)
    directions = _middle(_in_world(start, rays), used)
    turning = adjusted(
        seen, _bundle(start, directions), moves=False, focal_sigma=focal_sigma, rule=rule.bundle
    )
    turned = turning.bundle.cam_from_world
    places = _middle(_in_world(turned, rays * (z / unit)[..., None]), used & np.isfinite(z))
    from_turning = replace(_bundle(turned, places), log_focal=turning.bundle.log_focal)
    moving = adjusted(seen, from_turning, moves=True, focal_sigma=focal_sigma, rule=rule.bundle)

    gain = _gain(seen, turning, moving, rule.bundle)
    model: CameraModel = "moves" if gain > rule.evidence else "turns"
    believed = moving if model == "moves" else turning
    sigma = _sigma(believed.pixels)
    if sigma > rule.max_sigma_px:
        return None
    patch = _patches(directions, intrinsics, picture_size, rule.patches)
    sure = _cov(moving, patch, focal_sigma, rule.inflation)
    cov = sure.poses
    if model == "turns":
        sure = _cov(turning, patch, focal_sigma, rule.inflation)
        cov[:, :3] = cov[:, :, :3] = 0.0
        cov[:, :3, :3] = sure.poses
    poses = believed.bundle.cam_from_world.copy()
    poses[:, :3, 3] *= unit
    units = np.repeat([1.0, unit], 3)
    return PoseEstimate(
        model,
        poses,
        cov * np.outer(units, units),
        gain,
        sigma,
        focal_factor=float(np.exp(believed.bundle.log_focal)),
        focal_rel_sd=sure.focal_rel_sd,
    )


def _sightings(xy: F64, used: Bool, z: F64, intrinsics: F64) -> Sightings:
    frame, point = np.nonzero(used)
    log_z = np.log(np.where(z[frame, point] > 0, z[frame, point], np.nan))
    return Sightings(frame, point, xy[frame, point], log_z, intrinsics[frame], *used.shape)


def _rays(xy: F64, intrinsics: F64) -> F64:
    """(T, N, 3) with z = 1."""
    flat = (xy - intrinsics[:, None, 2:]) / intrinsics[:, None, :2]
    return np.concatenate([flat, np.ones((*flat.shape[:2], 1))], axis=-1)


def _bundle(poses: F64, points: F64) -> Bundle:
    return Bundle(poses, points, np.zeros(len(poses)))


def _in_world(poses: F64, in_cam: F64) -> F64:
    """(T, N, 3) for poses without translation."""
    return np.einsum("tji,tnj->tni", poses[:, :3, :3], in_cam)


def _middle(places: F64, known: Bool) -> F64:
    """(N, 3) component-wise median over the frames where known."""
    return np.nanmedian(np.where(known[..., None], places, np.nan), axis=0)


def _chained_rotations(rays: F64, used: Bool) -> F64:
    """(T, 4, 4) by the robust rotation from each frame to the next (Kabsch, 1976)."""
    unit = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    turn = np.eye(3)
    turns = [turn]
    for before, after, both in zip(unit[:-1], unit[1:], used[:-1] & used[1:], strict=True):
        turn = _rotation(before[both], after[both]) @ turn
        turns.append(turn)
    return rigid(np.array(turns), np.zeros((len(turns), 3)))


def _rotation(before: F64, after: F64) -> F64:
    """(3, 3) that takes the unit vectors `before` (M, 3) to `after`, reweighted."""
    weight = np.ones(len(before))
    turn = np.eye(3)
    for _ in range(_REWEIGHTINGS):
        u, _, vt = np.linalg.svd((after * weight[:, None]).T @ before)
        turn = u @ np.diag([1, 1, np.sign(np.linalg.det(u @ vt))]) @ vt
        apart = np.linalg.norm(after - before @ turn.T, axis=1)
        weight = 1 / (1 + (apart / max(2 * float(np.median(apart)), 1e-9)) ** 2)
    return turn


_REWEIGHTINGS = 10


def _gain(seen: Sightings, turning: Adjustment, moving: Adjustment, rule: BundleRule) -> float:
    """See PoseEstimate.gain."""
    sigma = max(_sigma(moving.pixels), _SMALLEST_SIGMA_PX)
    square = [(fit.pixels**2).sum(axis=1) / (sigma * rule.cauchy) ** 2 for fit in (turning, moving)]
    explained = rule.cauchy**2 * (np.log1p(square[0]).sum() - np.log1p(square[1]).sum())
    unknowns = seen.n_points + 3 * (seen.n_frames - 1)
    return float(explained / (np.log(len(seen.frame)) * unknowns))


def _sigma(pixels: F64) -> float:
    """Of one coordinate, from the middle length."""
    return sigma_of(np.linalg.norm(pixels, axis=1))


_SMALLEST_SIGMA_PX = 0.02
"""No tracker is better: residuals of nothing are no proof of anything."""


def _patches(directions: F64, intrinsics: F64, picture_size: tuple[int, int], across: int) -> I64:
    """(N,) number of the patch of the background in which a point lies: cells of equal angle."""
    cell = max(picture_size) / across / float(np.median(intrinsics[:, :2]))
    x, y, z = directions.T
    cells = np.column_stack([np.arctan2(x, z), np.arctan2(y, np.hypot(x, z))]) / cell
    _, number = np.unique(np.floor(cells).astype(np.int64), axis=0, return_inverse=True)
    return np.asarray(number, np.int64).ravel()


def _cov(fit: Adjustment, patch: I64, focal_sigma: float | None, inflation: float) -> _Covariance:
    n_patches = int(patch.max()) + 1
    pulls = np.zeros((n_patches, fit.pulls.shape[1]))
    np.add.at(pulls, patch, fit.pulls)
    pulls *= inflation * np.sqrt(n_patches / max(n_patches - 1, 1))
    if focal_sigma is not None:  # what was assumed of the lens draws at it too
        assumed = np.zeros((1, pulls.shape[1]))
        assumed[0, -1] = 1 / focal_sigma
        pulls = np.concatenate([pulls, assumed])
    normal = fit.normal + 1e-9 * np.eye(len(fit.normal))
    moved = np.linalg.solve(normal, pulls.T)  # how far each patch draws the unknowns
    later = len(moved) - (focal_sigma is not None)
    by_frame = moved[:later].reshape(fit.n_unknowns, -1, len(pulls))[:6]
    cov = np.einsum("itp,jtp->tij", by_frame, by_frame)
    of_poses = np.concatenate([np.zeros_like(cov[:1]), cov])
    return _Covariance(of_poses, None if later == len(moved) else float(np.linalg.norm(moved[-1])))


class _Covariance(NamedTuple):
    poses: F64
    """(T, 6, 6), or (T, 3, 3) of the rotations alone; zero in the first frame."""
    focal_rel_sd: float | None
