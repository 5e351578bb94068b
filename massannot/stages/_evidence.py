"""The evidence of a clip's tables about its own errors, row by row: the features that calibrations
are learnt from and applied to.

Everything is read from stored tables, so that intervals can be stated again for a finished dataset
without running a model. Unknown features are NaN.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from massannot.geometry.background_fit import masked_median
from massannot.geometry.camera import inverse
from massannot.geometry.motion import jitter
from massannot.geometry.visible_surface import over_usual
from massannot.stages._track_arrays import (
    Tables,
    camera_arrays,
    lists,
    numbers,
    pose_covariances,
    words,
)

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

POSITION_FEATURES = (
    "log_range",
    "log_area",
    "log_spread",
    "depth_valid_share",
    "cut",
    "cut_share",
    "log_points",
    "camera_moves",
    "mask_score",
    "detection_score",
    "not_measured",
    "by_points",
    "log_area_ratio",
    "log_jitter",
    "log_disagreement",
    "off_axis",
    "log_gap_s",
    "measured_share",
)
MOTION_FEATURES = (
    "log_length",
    "log_path",
    "log_length_in_sd",
    "log_seconds",
    "camera_moves",
    "measured_share",
    "log_range",
    "log_range_sd",
    "log_jitter",
    "end_not_measured",
    "end_cut",
    "log_roughness",
)
"""Names in the order of the columns of `features`."""


@dataclass(frozen=True, eq=False)
class PositionEvidence:
    """One row a row of `positions`: entities one after the other, each with T frames."""

    entity: I64
    frame: I64
    xyz: F64
    """(N, 3) camera frame; NaN: none."""
    measured: Bool
    focal_px: F64
    """(N,) sqrt(fx fy)."""
    camera_moves: bool | None
    features: F64
    """(N, F), see POSITION_FEATURES."""
    jitter: F64
    """(N,) of its entity: noise of the range from frame to frame, relative; NaN: not told."""
    jitter_px: F64
    """(N,) the same across the ray, pixels."""
    disagreement: F64
    """(N,) distance of the centre of the measured points from the position, relative."""
    mask_visible: Bool
    second_depth: F64
    """(N,) logarithm of a second depth model's distance over this one; NaN: not known."""

    @property
    def placed(self) -> Bool:
        return np.isfinite(self.xyz[:, 0])


def position_evidence(clip: Tables, *, n_frames: int) -> PositionEvidence:
    """The evidence about every position of a clip of `n_frames`."""
    positions = clip.table("positions")
    entity = numbers(positions, "entity").astype(np.int64)
    frame = numbers(positions, "frame").astype(np.int64)
    xyz = np.stack([numbers(positions, f"{axis}_cam") for axis in "xyz"], axis=-1)
    measured = words(positions, "state", "measured")
    row = clip.table("clips").slice(0, 1).to_pylist()[0]
    longer = max(row["source_width"], row["source_height"])
    cameras = clip.table("cameras")
    focal = np.sqrt(numbers(cameras, "fx") * numbers(cameras, "fy"))[frame]
    t_s = numbers(clip.table("frames"), "t_s")
    mask = _masks(clip, entity, frame)
    distance = np.linalg.norm(xyz, axis=1)
    given = np.isin(entity, entity[words(positions, "basis", "cuboid")])  # nothing tells its error
    noise, noise_px = (
        np.where(given, np.nan, values) for values in _jitters(xyz, measured, focal, t_s)
    )
    apart = np.where(given, np.nan, _disagreement(clip, entity, frame, xyz, n_frames))
    static = row["camera_static"]
    detection = dict(
        zip(
            numbers(clip.table("entities"), "entity").astype(np.int64).tolist(),
            numbers(clip.table("entities"), "score").tolist(),
            strict=True,
        )
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        shared = np.repeat(
            [[m.mean()] for m in measured.reshape(-1, n_frames)], n_frames
        )  # fmt: skip
        features = np.column_stack(
            [
                np.log(distance),
                np.log(np.sqrt(mask.area) / longer),
                np.log(numbers(positions, "spread") / distance + 1e-3),
                numbers(positions, "depth_valid_share"),
                (numbers(positions, "cut_share") > 0).astype(float),
                numbers(positions, "cut_share"),
                np.log1p(numbers(positions, "n_points")),
                np.full(len(entity), np.nan if static is None else float(not static)),
                mask.score,
                [detection.get(int(e), np.nan) for e in entity],
                (~measured).astype(float),
                words(positions, "basis", "points").astype(float),
                np.log(over_usual(mask.area * distance**2, entity) + 0.05),
                np.log(noise + 1e-4),
                np.log(apart / distance + 1e-3),
                np.hypot(xyz[:, 0], xyz[:, 1]) / xyz[:, 2],
                np.log(_gaps(measured, t_s) + 0.05),
                shared,
            ]
        )
    return PositionEvidence(
        entity,
        frame,
        xyz,
        measured,
        focal,
        None if static is None else not static,
        features,
        noise,
        noise_px,
        apart / distance,
        mask.area > 0,
        numbers(positions, "second_depth_log_ratio"),
    )


def quality_features(evidence: PositionEvidence, errors: PositionErrors) -> F64:
    """(N, F) of what tells whether a position is right: the size of its error, as a share of its
    distance, and what says that it is another thing's."""
    names = {name: n for n, name in enumerate(POSITION_FEATURES)}
    distance = np.linalg.norm(evidence.xyz, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        total = np.sqrt(np.einsum("nii->n", errors.cov(evidence))) / distance
        return np.column_stack(
            [
                np.log(total),
                *(evidence.features[:, names[name]] for name in _OF_ANOTHER_THING),
            ]
        )


_OF_ANOTHER_THING = ("mask_score", "detection_score", "log_area_ratio", "measured_share")


@dataclass(frozen=True, eq=False)
class MotionEvidence:
    """One row a row of `motions`."""

    motion: F64
    """(N, 3) along the axes of its reference."""
    path: F64
    seconds: F64
    cov: F64
    """(N, 3, 3) propagated covariance of the positions."""
    pose_cov: F64
    """(N, 3, 3) what the errors of estimated poses add to it; 0 in the camera."""
    features: F64
    """(N, F), see MOTION_FEATURES."""
    ends: I64
    """(N, 2) rows of the positions that it lies between."""
    in_world: Bool
    """(N,) else in the camera."""

    @property
    def length(self) -> F64:
        return np.linalg.norm(self.motion, axis=1)

    def length_sd(self, cov: F64) -> F64:
        """(N,) standard deviation along the motion, of one of the covariances; along the noisiest
        axis where there is no motion."""
        length = self.length[:, None]
        unit = np.divide(
            self.motion, length, out=np.full(self.motion.shape, np.nan), where=length > 0
        )
        along = np.einsum("ni,nij,nj->n", unit, cov, unit)
        largest = np.einsum("nii->ni", cov).max(axis=1, initial=0.0)
        return np.sqrt(np.where(np.isfinite(along), along, largest))


@dataclass(frozen=True, eq=False)
class PositionErrors:
    """Standard deviations of positions, (N,) each; NaN: nobody can tell, and it is left out of the
    sums."""

    clip: F64
    """Relative, along the ray, shared by the clip."""
    entity: F64
    frame: F64
    pixels: F64
    """Across the ray."""

    def cov(self, evidence: PositionEvidence) -> F64:
        """(N, 3, 3) in each frame's camera axes: all terms."""
        relative = _root_of_squares(self.clip, self.entity, self.frame)
        return _ray_cov(evidence, relative, self.pixels)

    def own_cov(self, evidence: PositionEvidence) -> F64:
        """(N, 3, 3) of what a frame has for itself."""
        return _ray_cov(evidence, self.frame, self.pixels)

    @property
    def shared(self) -> F64:
        """(N,) relative, of the terms that all frames of an entity share."""
        return _root_of_squares(self.clip, self.entity)


def motion_evidence(
    clip: Tables, positions: PositionEvidence, errors: PositionErrors, *, n_frames: int
) -> MotionEvidence:
    """The evidence about every row of `motions`; `errors` of the clip's positions.

    cov = shared^2 m m' + own cov of the first + own cov of the last position: a factor on all
    distances of an entity stretches its motion m, and shifts nothing else.
    """
    motions = clip.table("motions")
    t_s = numbers(clip.table("frames"), "t_s")
    first, last = (
        np.abs(t_s[None] - numbers(motions, name)[:, None]).argmin(axis=1)
        if motions.num_rows
        else np.zeros(0, np.int64)
        for name in ("t0_s", "t1_s")
    )
    index = {int(e): n for n, e in enumerate(positions.entity[::n_frames])}
    start = np.array([index[e] * n_frames for e in motions["entity"].to_pylist()], np.int64)
    a, b = start + first, start + last
    motion = np.stack([numbers(motions, f"motion_{axis}") for axis in "xyz"], axis=-1)
    each = errors.own_cov(positions)
    own_a, own_b = each[a], each[b]
    in_world = words(motions, "reference", "world")
    turn = inverse(camera_arrays(clip)[1])[:, :3, :3]
    for rows, frame in ((own_a, first), (own_b, last)):
        turned = turn[frame] @ rows @ turn[frame].transpose(0, 2, 1)
        rows[in_world] = turned[in_world]
    shared = np.nan_to_num(0.5 * (errors.shared[a] + errors.shared[b]))
    pose_cov = np.where(in_world[:, None, None], _of_poses(clip, positions, a, b), 0.0)
    cov = own_a + own_b + (shared**2)[:, None, None] * motion[:, :, None] * motion[:, None, :]
    path, seconds = numbers(motions, "path"), t_s[last] - t_s[first]
    none, between_rows = np.zeros((len(a), 0)), np.stack([a, b], axis=1)
    bare = MotionEvidence(motion, path, seconds, cov, pose_cov, none, between_rows, in_world)
    total = np.sqrt(np.einsum("nii->n", cov))
    names = {name: n for n, name in enumerate(POSITION_FEATURES)}
    between = [slice(i, j + 1) for i, j in zip(a, b, strict=True)]
    ends = positions.features[a], positions.features[b]
    with np.errstate(invalid="ignore", divide="ignore"):
        features = np.column_stack(
            [
                np.log(bare.length + 0.01),
                np.log(path + 0.01),
                np.log(np.maximum(bare.length, 1e-6) / np.maximum(total, 1e-6)),
                np.log(seconds + 0.02),
                ends[0][:, names["camera_moves"]],
                [positions.measured[part].mean() for part in between],
                0.5 * (ends[0] + ends[1])[:, names["log_range"]],
                np.log(errors.shared[a] + 1e-6),
                ends[0][:, names["log_jitter"]],
                sum(end[:, names["not_measured"]] for end in ends),
                sum(end[:, names["cut"]] for end in ends),
                np.log((path + 0.01) / (bare.length + 0.01)),
            ]
        )
    features = features.reshape(-1, len(MOTION_FEATURES))
    return replace(bare, features=features)


def _of_poses(clip: Tables, positions: PositionEvidence, first: I64, last: I64) -> F64:
    """(N, 3, 3) what the errors of estimated poses add to the displacement in the world between two
    rows of `positions` each; 0 where no covariance is stated.

    A left perturbation (w, d) takes a point p of the camera to p + w x p + d. The two poses' errors
    are taken for independent, which overstates it: they have drifted together.
    """
    cov, turn = np.nan_to_num(pose_covariances(clip)), inverse(camera_arrays(clip)[1])[:, :3, :3]
    total = np.zeros((len(first), 3, 3))
    for rows in (first, last):
        frame, xyz = positions.frame[rows], positions.xyz[rows]
        shift = np.tile(np.eye(3), (len(rows), 1, 1))
        by_turn = np.cross(shift, xyz[:, None])  # e_i x p is the i-th column of w x p
        by_pose = np.concatenate([np.swapaxes(by_turn, 1, 2), shift], axis=2)
        by_pose = turn[frame] @ by_pose
        total += by_pose @ cov[frame] @ np.swapaxes(by_pose, 1, 2)
    return total


def _ray_cov(evidence: PositionEvidence, relative: F64, pixels: F64) -> F64:
    """(N, 3, 3) with `relative` (N,) along the ray and `pixels` (N,) across it."""
    xyz = evidence.xyz
    along = xyz * relative[:, None]
    ray = xyz / np.linalg.norm(xyz, axis=1, keepdims=True)
    across = np.eye(3) - ray[:, :, None] * ray[:, None, :]
    metres = pixels * xyz[:, 2] / evidence.focal_px
    return along[:, :, None] * along[:, None, :] + (metres**2)[:, None, None] * across


def _root_of_squares(*terms: F64) -> F64:
    """Of the known terms; NaN where none is known."""
    stacked = np.stack(terms)
    known = np.isfinite(stacked)
    total = np.sqrt(np.where(known, stacked**2, 0.0).sum(axis=0))
    return np.where(known.any(axis=0), total, np.nan)


@dataclass(frozen=True, eq=False)
class _Masks:
    area: F64
    score: F64


def _masks(clip: Tables, entity: I64, frame: I64) -> _Masks:
    """Area and score of the mask of each (entity, frame); NaN: none or empty."""
    masks = clip.table("masks")
    key = numbers(masks, "entity").astype(np.int64) << 32 | numbers(masks, "frame").astype(np.int64)
    area, score = numbers(masks, "area"), numbers(masks, "score")
    order = np.argsort(key)
    wanted = entity << 32 | frame
    at = np.searchsorted(key[order], wanted)
    rows = order[np.minimum(at, len(order) - 1)] if len(order) else np.zeros(len(wanted), np.int64)
    found = (key[rows] == wanted) if len(order) else np.zeros(len(wanted), np.bool_)
    if not len(order):
        return _Masks(np.full(len(wanted), np.nan), np.full(len(wanted), np.nan))
    some = found & (area[rows] > 0)
    return _Masks(np.where(some, area[rows], np.nan), np.where(found, score[rows], np.nan))


def _jitters(xyz: F64, measured: Bool, focal: F64, t_s: F64) -> tuple[F64, F64]:
    """Noise from frame to frame along the ray, relative, and across it, pixels, by row."""
    n_frames = len(t_s)
    track = xyz.reshape(-1, n_frames, 3).transpose(1, 0, 2)
    known = measured.reshape(-1, n_frames).T
    distance = np.linalg.norm(track, axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.log(distance)
        pixels = track[..., :2] / track[..., 2:] * focal.reshape(-1, n_frames).T[..., None]
    noise = jitter(np.concatenate([relative[..., None], pixels], axis=-1), known, t_s=t_s)
    return (
        np.repeat(noise[:, 0], n_frames),
        np.repeat(np.sqrt((noise[:, 1] ** 2 + noise[:, 2] ** 2) / 2), n_frames),
    )


def _disagreement(clip: Tables, entity: I64, frame: I64, xyz: F64, n_frames: int) -> F64:
    """(N,) distance of the median of the measured points from the position; NaN: too few."""
    tracks = clip.table("tracks_xyz")
    if tracks.num_rows == 0:
        return np.full(len(entity), np.nan)
    owner = numbers(tracks, "entity").astype(np.int64)
    points = np.stack([lists(tracks, axis, n_frames) for axis in "xyz"], axis=-1)
    result = np.full(len(entity), np.nan)
    for number in np.unique(entity):
        mine = points[:, owner == number]
        known = np.isfinite(mine[..., 0])
        if not known.any():
            continue
        centre = masked_median(mine, known[..., None], axis=1)
        enough = known.sum(axis=1) >= 3
        rows = entity == number
        apart = np.linalg.norm(centre - xyz[rows], axis=1)
        result[rows] = np.where(enough, apart, np.nan)[frame[rows]]
    return result


def _gaps(measured: Bool, t_s: F64) -> F64:
    """(N,) seconds to the nearest measured frame of the same entity; 0 where measured."""
    result = np.full(len(measured), np.nan)
    n_frames = len(t_s)
    for start in range(0, len(measured), n_frames):
        at = np.flatnonzero(measured[start : start + n_frames])
        if len(at):
            nearest = np.abs(t_s[:, None] - t_s[at][None]).min(axis=1)
            result[start : start + n_frames] = nearest
    return result
