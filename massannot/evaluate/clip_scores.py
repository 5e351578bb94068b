"""Scores of one annotated clip against the scene it shows, with a trivial baseline beside each.

Every number is NaN where nothing could be compared, so that a mean over clips leaves it out. All
comparisons are made in source pixels and metres at the very frames that were annotated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from massannot.dataset.arrays import stored_values
from massannot.evaluate import box_scores, identity_scores, raster_scores, tapvid_scores
from massannot.evaluate import tapvid3d_scores as tapvid3d
from massannot.evaluate.camera_scores import camera_scores
from massannot.evaluate.clip_truth import (
    FOUND_J,
    NAN,
    ClipScore,
    ClipTruth,
    plain_name,
    point_queries,
)
from massannot.evaluate.position_scores import motion_scores, position_scores

LEAST_PIXELS = 25
"""Boxes of the truth smaller than this are not asked for."""
BOUNDARY_EVERY = 8
"""F is taken on every eighth frame: it costs more than all other mask scores together."""


def score_clip(clip: ClipTruth) -> list[ClipScore]:
    """Every score of one clip."""
    return [
        *_depth(clip),
        *_boxes(clip),
        *_masks(clip),
        *_identity(clip),
        *_tracks(clip),
        *position_scores(clip),
        *motion_scores(clip.whole),
        *camera_scores(clip.whole),
    ]


def _depth(clip: ClipTruth) -> list[ClipScore]:
    depth, truth, objects = [], [], []
    for row in clip.view.table("depth_maps").to_pylist():
        depth.append(stored_depth(row))
        size = {"height": row["height"], "width": row["width"]}
        truth.append(clip.answers.depth_m(row["frame"], **size))
        ids = np.zeros((row["height"], row["width"]), bool)
        for k in range(len(clip.scene.entities)):
            mask = Image.fromarray(clip.answers.mask(row["frame"], k))
            ids |= np.asarray(mask.resize((row["width"], row["height"]), Image.Resampling.NEAREST))
        objects.append(ids)
    if not depth:
        return [ClipScore("depth", "abs_rel", NAN), ClipScore("depth", "abs_rel_objects", NAN)]
    z, true_z, where = (np.stack(part) for part in (depth, truth, objects))
    usual = np.full_like(true_z, clip.usual_depth_m)
    whole, on_objects = (
        raster_scores.score_depth(z, true_z),
        raster_scores.score_depth(z, true_z, where=where),
    )
    flat = raster_scores.score_depth(usual, true_z)
    flat_objects = raster_scores.score_depth(usual, true_z, where=where)
    return [
        ClipScore("depth", "abs_rel", whole.abs_rel, flat.abs_rel),
        ClipScore("depth", "abs_rel_objects", on_objects.abs_rel, flat_objects.abs_rel),
        ClipScore("depth", "delta_1_25", whole.delta_1_25, flat.delta_1_25),
    ]


def stored_depth(row: dict[str, Any]) -> npt.NDArray[np.float32]:
    """(h, w) depth of a row of depth_maps, NaN where invalid."""
    value = stored_values(row)
    if row["encoding"] == "inverse_depth":
        value = 1 / np.where(value > 0, value, np.nan)
    return value.astype(np.float32)


def _boxes(clip: ClipTruth) -> list[ClipScore]:
    detections = clip.view.table("detections").to_pylist()
    at = sorted({row["frame"] for row in detections}) or [0]
    predicted = box_scores.TextBoxes(
        np.array([row["frame"] for row in detections], np.int64),
        [plain_name(clip.view.phrases[row["phrase"]]) for row in detections],
        np.array([[row[c] for c in ("x0", "y0", "x1", "y1")] for row in detections]).reshape(-1, 4),
        np.array([row["score"] for row in detections], np.float64),
    )
    true = [
        (frame, plain_name(clip.scene.phrases()[k]), box)
        for frame in at
        for k in clip.requested
        if np.count_nonzero(clip.answers.mask(frame, k)) >= LEAST_PIXELS
        and (box := clip.answers.box_xyxy(frame, k)) is not None
    ]
    truth = box_scores.TextBoxes(
        np.array([frame for frame, _, _ in true], np.int64),
        [text for _, text, _ in true],
        np.array([box for _, _, box in true]).reshape(-1, 4),
        np.ones(len(true)),
    )
    ap50 = box_scores.average_precision(predicted, truth) if true else NAN
    return [ClipScore("boxes", "ap50", ap50, 0.0 if true else NAN)]


def _masks(clip: ClipTruth) -> list[ClipScore]:
    found_for = dict(clip.pairs)
    known = clip.requested_js
    paired = [j for k, j in known.items() if k in found_for]
    fs, copied = [], []
    for k in known:
        first = int(np.flatnonzero(clip.present[:, k])[0])
        copy = clip.answers.mask(first, k)
        for frame in range(first, clip.n_frames, BOUNDARY_EVERY):
            truth = clip.answers.mask(frame, k)
            if truth.any():
                copied.append(raster_scores.region_similarity(copy, truth))
            if k in found_for and truth.any():
                mask = clip.found_masks.get((found_for[k], frame), np.zeros_like(truth))
                fs.append(raster_scores.boundary_measure(mask, truth))
    return [
        ClipScore("masks", "J", _mean(paired), _mean(copied)),
        ClipScore("masks", "F", _mean(fs)),
        ClipScore("entities", "found", _mean([float(j > FOUND_J) for j in known.values()]), 0.0),
    ]


def _identity(clip: ClipTruth) -> list[ClipScore]:
    scores = identity_scores.score_identity(clip.overlap, clip.present)
    rate = scores.n_reentries_kept / scores.n_reentries if scores.n_reentries else NAN
    return [
        ClipScore("identity", "switches", float(scores.n_switches)),
        ClipScore("identity", "reentries_kept", rate),
    ]


def _tracks(clip: ClipTruth) -> list[ClipScore]:
    of_entity, queries_txy = point_queries(clip)
    if not of_entity.any():
        return [ClipScore("tracks_2d", "AJ", NAN), ClipScore("tracks_3d", "AJ_3D", NAN)]
    tracks = clip.view.tracks()
    queries = queries_txy[of_entity]
    truth = clip.answers.tracks(queries)
    xy, visible = tracks.xy[:, of_entity], tracks.visible[:, of_entity]
    size = (clip.width, clip.height)
    flat = tapvid_scores.score(
        truth.xy, truth.visible, xy, visible, queries[:, [1, 2, 0]], size=size
    )
    still = np.broadcast_to(queries[None, :, 1:], xy.shape)
    static = tapvid_scores.score(
        truth.xy, truth.visible, still, np.ones_like(visible), queries[:, [1, 2, 0]], size=size
    )
    scores = [
        ClipScore("tracks_2d", name, float(flat[name]), float(static[name]))
        for name in ("AJ", "delta_avg", "OA")
    ]
    if tracks.scale_type is None:
        return [*scores, ClipScore("tracks_3d", "AJ_3D", NAN)]
    xyz = np.nan_to_num(tracks.xyz[:, of_entity].astype(np.float64), nan=1e6)
    intrinsics = tapvid3d.evaluation_intrinsics(
        clip.answers.intrinsics(), height=clip.height, width=clip.width
    )
    for scaling in ("median", "none"):
        space = tapvid3d.score(
            truth.xyz_cam, truth.visible, xyz, visible, intrinsics, scaling=scaling
        )
        suffix = "" if scaling == "median" else "_unscaled"
        scores.append(ClipScore("tracks_3d", f"AJ_3D{suffix}", float(space["AJ_3D"])))
        scores.append(ClipScore("tracks_3d", f"APD_3D{suffix}", float(space["APD_3D"])))
    return scores


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else NAN
