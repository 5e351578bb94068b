"""Truth that a user has, beside the clips of a dataset: rendered scenes, TAPVid-3D files, or tables
of this project's own form.

    scenes       the folder that `massannot scenes render` wrote: exact
    TAPVid-3D    <video's name>.npz with tracks_XYZ (T, N, 3) metres in each frame's camera and
                 visibility (T, N): the true centre of an entity is the median of the true points
                 that lie inside its mask, five or more of them; which thing was meant is not told.
                 Lens and poses are the file's, fx_fy_cx_cy and extrinsics_w2c, else the clip's
    tables       a dataset whose positions are true: by video and time, and the entity whose mask
                 overlaps most
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from massannot.counts import counted
from massannot.dataset.reading import ClipView, Dataset, open_dataset
from massannot.dataset.touching import lengths_once
from massannot.errors import UsageError
from massannot.evaluate.calibrate import TrueClip
from massannot.evaluate.clip_truth import ClipTruth
from massannot.evaluate.coverage import LEAST_J
from massannot.evaluate.position_scores import surface_centres
from massannot.geometry import rle
from massannot.geometry.assignment import best_pairs
from massannot.geometry.camera import corner_from_center, inverse, project
from massannot.scenes.scene_record import SceneLibrary
from massannot.stages._track_arrays import camera_arrays, numbers

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

_POINTS_INSIDE = 5


class Truth(NamedTuple):
    """What lies at a path, in words, and its clips."""

    text: str
    clip_of: Callable[[ClipView], TrueClip | None]
    """The truth of a clip; None: of another video."""


def truth_at(path: Path) -> Truth:
    """The truth in a folder or npz file. Raises UsageError for anything else."""
    if (path / "scenes").is_dir():
        return _scenes(path)
    if path.suffix == ".npz" or (path.is_dir() and any(path.glob("*.npz"))):
        return _tapvid3d(path)
    if path.is_dir():
        return _tables(path)
    raise UsageError(
        f"--truth {path}: found nothing there; expected a folder of `massannot scenes render`, "
        "npz files as TAPVid-3D has them, or a dataset with true positions"
    )


def true_clips(dataset: Dataset, truth: Truth, *, limit: int | None) -> Iterator[TrueClip]:
    """The clips of the dataset that the truth speaks of, in their order; a frame that two clips
    share counts in the later one alone."""
    n_clips, n_own = 0, lengths_once(dataset)
    for view in dataset.clips():
        if n_clips == limit:
            return
        clip = truth.clip_of(view)
        if clip is not None:
            n_clips += 1
            yield replace(clip, n_own=n_own[view.clip_id])


def _scenes(path: Path) -> Truth:
    library = SceneLibrary(path)

    def clip_of(view: ClipView) -> TrueClip | None:
        if view.row["video_id"] not in library.records:
            return None
        clip = ClipTruth(view, library.scene(view.row["video_id"]), usual_depth_m=1.0)
        surface, matched = _unknown(view)
        entity = numbers(view.table("positions"), "entity").astype(np.int64)
        for true, found in clip.pairs:
            mine = entity == found
            if clip.requested_js.get(true) is not None and clip.is_named(true, found):
                surface[mine] = surface_centres(clip, true)
                matched[mine] = clip.mean_j(true, found) > LEAST_J
        poses = clip.answers.cam_from_world()
        return TrueClip(view, len(view), surface, matched, np.ones(len(entity), bool), poses)

    seeds = sorted(record.seed for record in library.records.values())
    return Truth(f"rendered scenes, seeds {seeds[0]}..{seeds[-1]}", clip_of)


def _tapvid3d(path: Path) -> Truth:
    files = {file.stem: file for file in ([path] if path.is_file() else path.glob("*.npz"))}

    def clip_of(view: ClipView) -> TrueClip | None:
        names = (str(view.row["source_id"]), Path(view.row["uri"]).stem, view.clip_id)
        file = next((files[name] for name in names if name in files), None)
        return None if file is None else _of_points(view, file)

    return Truth(f"{counted(len(files), 'file')} of TAPVid-3D's layout", clip_of)


def _of_points(view: ClipView, file: Path) -> TrueClip:
    with np.load(file, allow_pickle=False) as arrays:
        missing = {"tracks_XYZ", "visibility"} - set(arrays.files)
        if missing:
            raise UsageError(f"{file}: found no {', '.join(sorted(missing))}; has {arrays.files}")
        points, visible = arrays["tracks_XYZ"].astype(np.float64), arrays["visibility"].astype(bool)
        lens, extrinsics = (arrays.get(name) for name in ("fx_fy_cx_cy", "extrinsics_w2c"))
    if points.ndim != 3 or points.shape[:2] != visible.shape or points.shape[2] != 3:
        raise UsageError(
            f"{file}: found tracks_XYZ {points.shape}, visibility {visible.shape}, expected "
            "(T, N, 3) and (T, N)"
        )
    if len(points) < len(view):
        raise UsageError(
            f"{file}: found {counted(len(points), 'frame')}, expected those of "
            f"{view.row['uri']}: the clip has {len(view)}; annotate with --fps all"
        )
    # One of them a frame of the video, in its order: that is what the benchmark promises.
    at = _frames_of_file(view, len(points))
    points, visible = points[at], visible[at]
    # An assumed lens would put the true points beside the masks.
    intrinsics, poses = camera_arrays(view)
    if lens is not None:
        intrinsics = np.tile([*lens[:2], *corner_from_center(lens[2:])], (len(view), 1))
    if extrinsics is not None:
        of_world = extrinsics[at].astype(np.float64)
        poses = of_world @ inverse(of_world[0])
    surface, matched = _unknown(view)
    positions = view.table("positions")
    frame_of, entity_of = (
        numbers(positions, name).astype(np.int64) for name in ("frame", "entity")
    )
    row_of = {key: n for n, key in enumerate(zip(entity_of.tolist(), frame_of.tolist()))}
    size = {"height": view.row["source_height"], "width": view.row["source_width"]}
    xy = project(points, intrinsics[:, None])
    for mask in view.table("masks").select(["entity", "frame", "counts", "area"]).to_pylist():
        row = row_of.get((mask["entity"], mask["frame"]))
        if row is None or not mask["area"]:
            continue
        t = mask["frame"]
        inside = visible[t] & rle.contains(mask["counts"], xy[t], **size)
        if np.count_nonzero(inside) >= _POINTS_INSIDE:
            surface[row], matched[row] = np.median(points[t, inside], axis=0), True
    known = np.isfinite(surface[:, 0])
    return TrueClip(view, len(view), surface, matched, known, poses)


def _frames_of_file(view: ClipView, n_frames: int) -> NDArray[np.int64]:
    """The file's frame of each of the clip's: by pts, which count frames up evenly."""
    t_s = numbers(view.table("frames"), "t_s")
    if len(t_s) == n_frames:
        return np.arange(n_frames)
    if view.row["sampling"] != "all":
        raise UsageError(
            f"{view.row['uri']}: found {counted(len(t_s), 'frame')}, sampled at "
            f"{view.row['sampling']} a "
            f"second, where the truth has {n_frames}; annotate with --fps all"
        )
    step = np.min(np.diff(t_s)) if len(t_s) > 1 else 1.0
    at = np.rint(t_s / step).astype(np.int64)
    if at[-1] >= n_frames:
        raise UsageError(
            f"{view.row['uri']}: its frames are {step:.4f} s apart and end at {t_s[-1]:.2f} s, but "
            f"the truth has {counted(n_frames, 'frame')}; annotate with --fps all"
        )
    return at


def _tables(path: Path) -> Truth:
    dataset = open_dataset(path)
    of_video: dict[str, list[ClipView]] = defaultdict(list)
    for clip in dataset.clips():
        of_video[clip.row["video_id"]].append(clip)

    def clip_of(view: ClipView) -> TrueClip | None:
        there = [(_common_s(view, true), true) for true in of_video[view.row["video_id"]]]
        seconds, true = max(there, key=lambda pair: pair[0], default=(-1.0, view))
        return None if seconds < 0 else _of_tables(view, true)

    return Truth(f"true positions of {counted(len(dataset.clip_ids), 'clip')}", clip_of)


def _common_s(view: ClipView, other: ClipView) -> float:
    """Of two clips of a video; below 0: they are so far apart."""
    ends = [(v.row["t0_s"], v.row["t1_s"]) for v in (view, other)]
    return float(min(t1 for _, t1 in ends) - max(t0 for t0, _ in ends))


def _of_tables(view: ClipView, true: ClipView) -> TrueClip:
    times, true_times = (numbers(v.table("frames"), "t_s") for v in (view, true))
    nearest = np.abs(times[:, None] - true_times[None]).argmin(axis=1)
    apart = np.abs(times - true_times[nearest])
    usual = np.median(np.diff(times)) if len(times) > 1 else np.inf
    same_time = apart <= 0.5 * usual
    true_masks, masks = _counts(true), _counts(view)
    true_entities, entities = (sorted({e for e, _ in m}) for m in (true_masks, masks))
    overlap = np.zeros((len(true_entities), len(entities)))
    for i, k in enumerate(true_entities):
        for j, e in enumerate(entities):
            ious = [
                rle.iou(masks[e, t], true_masks[k, int(nearest[t])])
                for t in np.flatnonzero(same_time).tolist()
                if (e, t) in masks and (k, int(nearest[t])) in true_masks
            ]
            overlap[i, j] = np.mean(ious) if ious else 0.0
    surface, matched = _unknown(view)
    positions, true_positions = view.positions(), true.positions()
    entity_of = numbers(view.table("positions"), "entity").astype(np.int64)
    column = {int(e): n for n, e in enumerate(true_positions.entity)}
    if positions.xyz_cam.size and overlap.size:
        for i, j in zip(*best_pairs(overlap, least=0.05), strict=True):
            mine = entity_of == entities[j]
            xyz = true_positions.xyz_cam[nearest, column[true_entities[i]]].astype(np.float64)
            surface[mine] = np.where(same_time[:, None], xyz, np.nan)
            matched[mine] = overlap[i, j] > LEAST_J
    known = np.ones(len(entity_of), np.bool_)
    return TrueClip(view, len(view), surface, matched, known, camera_arrays(true)[1][nearest])


def _counts(view: ClipView) -> dict[tuple[int, int], str]:
    rows = view.table("masks").select(["entity", "frame", "counts", "area"]).to_pylist()
    return {(row["entity"], row["frame"]): row["counts"] for row in rows if row["area"]}


def _unknown(view: ClipView) -> tuple[F64, Bool]:
    n_rows = view.table("positions").num_rows
    return np.full((n_rows, 3), np.nan), np.zeros(n_rows, np.bool_)
