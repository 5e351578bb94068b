"""Positions and motions of one clip against the truth: the visible surface, and the body behind it.

The truth of a position is the centre of the surface that the picture shows, over every pixel of it,
and never the annotator's own choice of points alone: points that are lost or changed from frame to
frame move a median of theirs although the thing stands still.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from massannot.counts import counted
from massannot.errors import BadTable
from massannot.evaluate.clip_truth import FOUND_J, ClipScore, ClipTruth, point_queries
from massannot.geometry.camera import apply, inverse
from massannot.scenes.true_answers import body_centres
from massannot.stages._track_arrays import numbers

F64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

KNOWN_POSES = ("given", "estimated")
"""Origins of the poses with which a moving camera's motions are compared in the world: an estimate
claims to know it, and is judged by that."""


def position_scores(clip: ClipTruth) -> list[ClipScore]:
    """Median errors of measured positions; the baseline is the true ray at the usual depth."""
    errors: dict[str, list[float]] = {
        name: [] for name in ("surface", "flat", "same", "surface_to_body", "body", "apart")
    }
    bodies = body_centres(clip.answers)
    for true, positions in metric_positions(clip):
        truth, body = surface_centres(clip, true), bodies[:, true]
        measured, ray = positions.measured, truth / truth[:, 2:]
        errors["surface"] += _apart(positions.xyz, truth, measured)
        errors["flat"] += _apart(ray * clip.usual_depth_m, truth, measured)
        errors["surface_to_body"] += _apart(positions.xyz, body, measured)
        errors["body"] += _apart(positions.body, body, measured)
        errors["apart"] += _apart(truth, body, clip.present[:, true])
        if (of_points := measured & positions.of_points).any():
            same = same_points(clip, positions.entity)
            errors["same"] += _apart(positions.xyz, same, of_points)
    found, found_flat = found_position_errors_m(clip)
    of = partial(ClipScore.median_of, "positions")
    return [
        of("median_error_m", errors["surface"], errors["flat"]),
        of("median_error_found_m", found, found_flat),
        of("median_error_same_points_m", errors["same"]),
        of("surface_from_body_m", errors["surface_to_body"]),
        of("body_median_error_m", errors["body"]),
        of("surface_to_body_centre_m", errors["apart"]),
    ]


def motion_scores(clip: ClipTruth) -> list[ClipScore]:
    """Errors of displacements and paths of requested entities whose mean J is above FOUND_J; the
    baseline is that nothing moves.

    Paths are compared in the camera's frame where the camera stands still, in the world where it
    moves and its poses are known.
    """
    motions = [m for m in true_motions(clip) if clip.requested_js.get(m.true, 0.0) > FOUND_J]
    still = [m for m in motions if m.reference == "camera" and is_still(clip)]
    world = [m for m in motions if m.reference == "world"]
    paths = [m for m in motions if m.is_comparable(clip)]
    excess = [m.row["path"] - m.path for m in paths]
    of = partial(ClipScore.median_of, "motions")
    return [
        of(
            f"median_error_{name}_m",
            [float(np.linalg.norm(m.estimate - m.displacement)) for m in those],
            [float(np.linalg.norm(m.displacement)) for m in those],
        )
        for name, those in (("still_camera", still), ("world", world))
    ] + [
        of("path_median_bias_m", excess),
        of("path_median_error_m", np.abs(excess), [m.path for m in paths]),
    ]


@dataclass(frozen=True, eq=False)
class EntityPositions:
    """Positions of one found entity in all T frames."""

    entity: int
    table: pa.Table
    """The entity's rows, one a frame, in order."""
    xyz: F64
    """(T, 3) the visible surface's centre, camera frame; NaN: none."""
    body: F64
    """(T, 3) the body's centre; NaN: none."""
    measured: Bool
    """(T,)."""
    of_points: Bool
    """(T,) the position is a median of points, not of the depth under the mask."""


def metric_positions(clip: ClipTruth) -> list[tuple[int, EntityPositions]]:
    """(true entity, positions) of every pair whose positions are in metres."""
    table = clip.view.table("positions")
    if table.num_rows == 0 or table["scale_type"][0].as_py() != "metric":
        return []
    entity = table["entity"].to_numpy()
    frame = table["frame"].to_numpy()
    pairs = []
    for true, number in clip.pairs:
        rows = np.flatnonzero(entity == number)
        if len(rows) == 0:
            continue
        if not np.array_equal(frame[rows], np.arange(clip.n_frames)):
            raise BadTable(
                f"positions of clip {clip.view.clip_id}, entity {number}: found "
                f"{counted(len(rows), 'row')}, "
                f"expected one for each of {counted(clip.n_frames, 'frame')}"
            )
        mine = table.take(rows)
        state, basis = (np.array(mine[n].to_pylist(), object) for n in ("state", "basis"))
        positions = EntityPositions(
            entity=number,
            table=mine,
            xyz=columns(mine, "x_cam", "y_cam", "z_cam"),
            body=columns(mine, "body_x", "body_y", "body_z"),
            measured=state == "measured",
            of_points=basis == "points",
        )
        pairs.append((true, positions))
    return pairs


@dataclass(frozen=True, eq=False)
class TrueMotion:
    """A row of `motions` beside the motion of the visible surface's true centre between the very
    same frames, in the row's own frame of reference."""

    true: int
    row: dict[str, Any]
    first: int
    """Frame of t0."""
    last: int
    """Frame of t1."""
    displacement: F64
    """(3,)."""
    path: float
    """Over all frames between; those in which the thing is hidden are bridged by straight lines."""

    @property
    def reference(self) -> str:
        return str(self.row["reference"])

    @property
    def estimate(self) -> F64:
        """(3,) the annotated displacement."""
        return np.array([self.row[f"motion_{axis}"] for axis in "xyz"])

    def is_comparable(self, clip: ClipTruth) -> bool:
        """Whether its reference is the one by which a clip's motions are judged: the camera where
        it stands still, the world where it moves and its poses are known."""
        if is_still(clip):
            return self.reference == "camera"
        return self.reference == "world" and has_known_poses(clip)


def true_motions(clip: ClipTruth) -> list[TrueMotion]:
    """Every motion in metres of a paired entity whose ends differ in time and are truly seen."""
    true_of = {entity: true for true, entity in clip.pairs}
    t_s = clip.view.table("frames")["t_s"].to_numpy()
    world_from_cam = inverse(clip.answers.cam_from_world())
    motions = []
    for row in clip.view.table("motions").to_pylist():
        if row["entity"] not in true_of or row["scale_type"] != "metric":
            continue
        first, last = (int(np.argmin(np.abs(t_s - row[name]))) for name in ("t0_s", "t1_s"))
        true = true_of[row["entity"]]
        truth = surface_centres(clip, true)
        if row["reference"] == "world":
            truth = apply(world_from_cam, truth)
        displacement, path = displacement_and_path(truth[first : last + 1])
        if last <= first or not np.isfinite(displacement).all():
            continue
        motions.append(TrueMotion(true, row, first, last, displacement, path))
    return motions


def displacement_and_path(course: F64) -> tuple[F64, float]:
    """(3,) from the first to the last position of a course (T, 3), NaN where one of them is not
    known, and the length of the way between, unknown positions bridged by straight lines."""
    steps = np.diff(course[np.isfinite(course[:, 0])], axis=0)
    return course[-1] - course[0], float(np.linalg.norm(steps, axis=1).sum())


def is_still(clip: ClipTruth) -> bool:
    """Whether the scene's camera stands still."""
    return clip.scene.camera.move == "static"


def has_known_poses(clip: ClipTruth) -> bool:
    origins = clip.view.table("cameras")["pose_origin"].unique().to_pylist()
    return bool(origins) and all(origin in KNOWN_POSES for origin in origins)


def surface_centres(clip: ClipTruth, true: int) -> F64:
    """(T, 3) component-wise median of the visible surface, every pixel of it; NaN where hidden."""
    if true not in clip.surfaces:
        n_true = len(clip.scene.entities)
        clip.surfaces.update({k: np.full((clip.n_frames, 3), np.nan) for k in range(n_true)})
        fx, fy, cx, cy = clip.answers.intrinsics()
        for frame in np.flatnonzero(clip.present.any(axis=1)):
            z_of = clip.answers.depth_m(int(frame), height=clip.height, width=clip.width)
            for k in np.flatnonzero(clip.present[frame]):
                rows, columns = np.nonzero(clip.answers.mask(int(frame), int(k)))
                z = z_of[rows, columns]
                points = np.stack([(columns + 0.5 - cx) / fx * z, (rows + 0.5 - cy) / fy * z, z])
                clip.surfaces[int(k)][frame] = np.median(points, axis=1)
    return clip.surfaces[true]


def same_points(clip: ClipTruth, entity: int) -> F64:
    """(T, 3) true centre of the annotator's own points: the component-wise median of those that
    were measured in each frame. It hides the choice of points, so it is never given alone."""
    _, queries = point_queries(clip)
    tracks = clip.view.tracks()
    mine = tracks.entity == entity
    truth = clip.answers.tracks(queries[mine])
    measured = (tracks.state[:, mine] == "measured")[..., None]
    xyz = np.where(measured, truth.xyz_cam, np.nan)
    centres = np.full((clip.n_frames, 3), np.nan)
    known = measured.any(axis=(1, 2))
    centres[known] = np.nanmedian(xyz[known], axis=1)
    return centres


def found_position_errors_m(clip: ClipTruth) -> tuple[list[float], list[float]]:
    """Of requested entities whose mean J is above FOUND_J: distance of every measured position from
    the visible surface's true centre, and of the true centre's ray at the usual depth."""
    errors, flat = [], []
    for true, positions in metric_positions(clip):
        if clip.requested_js.get(true, 0.0) <= FOUND_J:
            continue
        truth = surface_centres(clip, true)
        usual = truth / truth[:, 2:] * clip.usual_depth_m
        known = positions.measured & np.isfinite(truth[:, 0])
        errors += _apart(positions.xyz, truth, known)
        flat += _apart(usual, truth, known)
    return errors, flat


def _apart(xyz: F64, truth: F64, where: Bool) -> list[float]:
    """Distances of (T, 3) from (T, 3) in the frames `where` (T,)."""
    return np.linalg.norm(xyz - truth, axis=1)[where].tolist()


def columns(table: pa.Table, *names: str) -> F64:
    """(N, columns) with null as NaN."""
    return np.stack([numbers(table, name) for name in names], axis=-1)
