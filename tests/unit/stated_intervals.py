"""Annotated clips in memory whose stated intervals are true by construction.

Everything but positions and motions is the scene's truth. A position is the true centre of the
visible surface plus an error drawn from the very covariance that is stated: along the ray a share
of the distance that the whole clip has, one that the entity has and one of the frame alone, and a
pixel term across it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa

from massannot import tables
from massannot.clip import Frames
from massannot.dataset.reading import ClipView
from massannot.evaluate.clip_truth import ClipTruth
from massannot.evaluate.position_scores import surface_centres
from massannot.geometry.camera import inverse
from massannot.scenes.truth_tables import truth_tables
from massannot.scenes.world import Scene, SceneOptions, make_scene
from tests.unit.scene_clip import VIDEO_ID, scene_clip

Tables = Mapping[str, pa.Table]

OPTIONS = SceneOptions(width=64, height=48, n_frames=10, fps=10)
CLIP_SD, ENTITY_SD, FRAME_SD = 0.03, 0.025, 0.015
"""Relative, along the ray."""
PIXEL_SD = 0.5
LENGTH_SD_M = 0.02
GAUSSIAN = {50: 0.67449, 68: 0.99446, 90: 1.64485}
"""Half of the interval in standard deviations, by level."""


def stated_clips(
    n: int, *, scenes: Sequence[int], options: SceneOptions = OPTIONS
) -> list[ClipTruth]:
    """`n` clips that show the scenes in turn, each with errors of its own."""
    exact = [_exact(make_scene(seed, options)) for seed in scenes]
    return [_with_errors(exact[k % len(exact)], np.random.default_rng([k, 77])) for k in range(n)]


def _exact(scene: Scene) -> ClipTruth:
    return truth_of(truth_tables(scene, scene_clip(scene, _blank(scene))), scene)


def _with_errors(exact: ClipTruth, rng: np.random.Generator) -> ClipTruth:
    positions, motions = _drawn(exact, rng)
    return with_tables(
        exact,
        positions=tables.spec("positions").from_rows(positions),
        motions=tables.spec("motions").from_rows(motions),
    )


def truth_of(rows: Tables, scene: Scene) -> ClipTruth:
    view = ClipView("c" * 32, lambda name, _: rows.get(name, tables.spec(name).empty()))
    return ClipTruth(view, scene, usual_depth_m=3.0)


def with_tables(clip: ClipTruth, **others: pa.Table) -> ClipTruth:
    """The same clip with other tables."""
    view = ClipView(
        clip.view.clip_id, lambda name, _: others[name] if name in others else clip.view.table(name)
    )
    return ClipTruth(view, clip.scene, usual_depth_m=clip.usual_depth_m, same_clip=clip)


def changed(clip: ClipTruth, name: str, change: Callable[[dict[str, Any]], Any]) -> ClipTruth:
    """The same clip with every row of one table changed."""
    rows = [{**row, **change(row)} for row in clip.view.table(name).to_pylist()]
    return with_tables(clip, **{name: tables.spec(name).from_rows(rows)})


def _blank(scene: Scene) -> Frames:
    """Frames whose pictures nobody looks at."""
    at = np.arange(scene.n_frames)
    width, height = scene.options.width, scene.options.height
    return Frames(
        np.zeros((len(at), height, width, 3), np.uint8),
        VIDEO_ID,
        "scene",
        512 * at,
        at / scene.options.fps,
        Fraction(1, 512 * scene.options.fps),
        width,
        height,
    )


def _drawn(
    true: ClipTruth, rng: np.random.Generator
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    focal_px = true.answers.intrinsics()[0]
    clip_error = rng.normal(0, CLIP_SD)
    of_positions: list[dict[str, Any]] = []
    estimates = {}
    for thing, _ in true.pairs:
        centre = surface_centres(true, thing)
        shared = clip_error + rng.normal(0, ENTITY_SD)
        own_cov = np.full((true.n_frames, 3, 3), np.nan)
        own = np.full((true.n_frames, 3), np.nan)
        for frame in np.flatnonzero(np.isfinite(centre[:, 0])):
            own_cov[frame] = _own_covariance(centre[frame], focal_px)
            own[frame] = rng.multivariate_normal(np.zeros(3), own_cov[frame])
        estimates[thing] = (centre, own, own_cov, shared)
        shared_variance = CLIP_SD**2 + ENTITY_SD**2
        for frame in range(true.n_frames):
            row = {
                "clip_id": true.view.clip_id,
                "entity": thing,
                "frame": frame,
                "scale_type": "metric",
                "n_points": int(rng.integers(3, 60)),
                "state": "lost",
            }
            if np.isfinite(centre[frame, 0]):
                p = centre[frame]
                cov = shared_variance * np.outer(p, p) + own_cov[frame]
                half = np.sqrt(np.diag(cov))
                row |= {
                    **_axes("{}_cam", p * (1 + shared) + own[frame]),
                    "cov": _packed(cov),
                    **_halves("{}_half_{}", half),
                    "state": "measured",
                    "basis": "mask_depth",
                    "interval_basis": "calibrated",
                }
            of_positions.append(row)
    of_motions = []
    for row in true.view.table("motions").to_pylist():
        made = _motion_row(true, row, *estimates[row["entity"]], rng)
        if made is not None:
            of_motions.append(made)
    return of_positions, of_motions


def _motion_row(
    true: ClipTruth,
    row: dict[str, Any],
    centre: np.ndarray,
    own: np.ndarray,
    own_cov: np.ndarray,
    shared: float,
    rng: np.random.Generator,
) -> dict[str, Any] | None:
    """A true row with errors; None where an end is not seen. The row's own frames."""
    pose = inverse(true.answers.cam_from_world())
    if row["reference"] == "camera":
        pose = np.broadcast_to(np.eye(4), pose.shape)
    turn, origin = pose[:, :3, :3], pose[:, :3, 3]
    t_s = true.view.table("frames")["t_s"].to_numpy()
    first, last = (int(np.argmin(np.abs(t_s - row[name]))) for name in ("t0_s", "t1_s"))
    seen = np.isfinite(centre[:, 0])
    if not seen[[first, last]].all() or last <= first:
        return None
    in_reference = np.einsum("tij,tj->ti", turn, centre)
    stretch = in_reference[last] - in_reference[first]
    cov = (CLIP_SD**2 + ENTITY_SD**2) * np.outer(stretch, stretch)
    error = shared * stretch
    for frame, sign in ((first, -1), (last, 1)):
        cov = cov + turn[frame] @ own_cov[frame] @ turn[frame].T
        error = error + sign * turn[frame] @ own[frame]
    truth = in_reference + origin
    motion = truth[last] - truth[first]
    between = truth[first : last + 1][seen[first : last + 1]]
    path = float(np.linalg.norm(np.diff(between, axis=0), axis=1).sum())
    seconds = row["t1_s"] - row["t0_s"]
    lengths = {"length": float(np.linalg.norm(motion)), "path": path}
    made = {**row, **_axes("motion_{}", motion + error), "cov": _packed(cov)}
    made |= _halves("motion_{}_half_{}", np.sqrt(np.diag(cov)))
    for name, length in lengths.items():
        sd = np.hypot(np.hypot(CLIP_SD, ENTITY_SD) * length, LENGTH_SD_M)
        value = length + shared * length + rng.normal(0, LENGTH_SD_M)
        made |= _bounded(name, value, sd)
        if name == "path":
            made |= _bounded("speed", value / seconds, sd / seconds)
    return made


def _own_covariance(centre: np.ndarray, focal_px: float) -> np.ndarray:
    ray = centre / np.linalg.norm(centre)
    across = (PIXEL_SD * centre[2] / focal_px) ** 2 * (np.eye(3) - np.outer(ray, ray))
    return FRAME_SD**2 * np.outer(centre, centre) + across


def _axes(name: str, values: Sequence[float] | np.ndarray) -> dict[str, float]:
    return {name.format(axis): float(v) for axis, v in zip("xyz", values, strict=True)}


def _halves(name: str, sd: np.ndarray) -> dict[str, float]:
    return {
        name.format(axis, q): float(z * sd[i])
        for i, axis in enumerate("xyz")
        for q, z in GAUSSIAN.items()
    }


def _bounded(name: str, value: float, sd: float) -> dict[str, float]:
    bounds = {f"{name}_low_{q}": value - z * sd for q, z in GAUSSIAN.items()}
    bounds |= {f"{name}_high_{q}": value + z * sd for q, z in GAUSSIAN.items()}
    return {name: value, **bounds}


def _packed(cov: np.ndarray) -> list[float]:
    return [float(cov[i, j]) for i, j in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))]
