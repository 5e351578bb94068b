"""Scores of one annotated clip against the scene it shows, with a trivial baseline beside each.

Every number is NaN where nothing could be compared, so that a mean over clips leaves it out. All
comparisons are made in source pixels and metres at the very frames that were annotated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from massannot.dataset.arrays import stored_values
from massannot.dataset.reading import ClipView
from massannot.evaluate import box_scores, identity_scores, raster_scores, tapvid_scores
from massannot.evaluate import tapvid3d_scores as tapvid3d
from massannot.geometry import rle
from massannot.geometry.assignment import best_pairs
from massannot.scenes.true_answers import Answers, body_centres
from massannot.scenes.world import Scene

F64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

FOUND_J = 0.7
"""A true entity counts as found when its mean mask J is above this."""
LEAST_PIXELS = 25
"""Boxes of the truth smaller than this are not asked for."""
BOUNDARY_EVERY = 8
"""F is taken on every eighth frame: it costs more than all other mask scores together."""

NAN = float("nan")


@dataclass(frozen=True)
class ClipScore:
    """One number of one clip; `baseline`: that of no skill at all; NaN: not defined."""

    stage: str
    metric: str
    value: float
    baseline: float = NAN


class ClipTruth:
    """A clip beside the truth of its scene."""

    def __init__(
        self,
        view: ClipView,
        scene: Scene,
        *,
        usual_depth_m: float,
        same_clip: ClipTruth | None = None,
    ):
        """`usual_depth_m`: the one depth that the constant baseline answers everywhere.
        `same_clip`: the same clip annotated otherwise, whose truth need not be cast again."""
        row = view.row
        self.view, self.scene, self.usual_depth_m = view, scene, usual_depth_m
        self.height, self.width = int(row["source_height"]), int(row["source_width"])
        self.answers: Answers = (
            same_clip.answers
            if same_clip is not None
            else Answers(scene, scene_frames(view, scene), self.height, self.width, np.ones(2))
        )
        self.surfaces: dict[int, F64] = {} if same_clip is None else same_clip.surfaces
        """Results of `surface_centres`, by true entity."""
        self.n_frames = len(view)

    @cached_property
    def present(self) -> Bool:
        """(T, K) whether anything of true entity k is seen."""
        n_true = len(self.scene.entities)
        return np.array(
            [
                np.bincount(self.answers.ids(t).ravel(), minlength=n_true + 1)[1:] > 0
                for t in range(self.n_frames)
            ]
        ).reshape(self.n_frames, n_true)

    @cached_property
    def entities(self) -> list[int]:
        return list(self.view.table("entities")["entity"].to_pylist())

    @cached_property
    def found_masks(self) -> dict[tuple[int, int], Bool]:
        """(entity, frame) to mask (H, W); absent masks are left out."""
        return {
            (row["entity"], row["frame"]): rle.decode(
                row["counts"], height=self.height, width=self.width
            )
            for row in self.view.table("masks").select(["entity", "frame", "counts"]).to_pylist()
        }

    @cached_property
    def overlap(self) -> F64:
        """(T, K, M) mask IoU of true entity k and found entity m."""
        overlap = np.zeros((self.n_frames, len(self.scene.entities), len(self.entities)))
        column = {entity: m for m, entity in enumerate(self.entities)}
        n_true = len(self.scene.entities)
        for (entity, frame), mask in self.found_masks.items():
            ids = self.answers.ids(frame)
            area = np.bincount(ids.ravel(), minlength=n_true + 1)[1 : n_true + 1]
            both = np.bincount(ids[mask], minlength=n_true + 1)[1 : n_true + 1]
            union = area + np.count_nonzero(mask) - both
            overlap[frame, :, column[entity]] = both / np.maximum(union, 1)
        return overlap

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """(true entity, found entity), one to one, by mean overlap over the clip."""
        if not self.entities:
            return []
        mean = self.overlap.sum(axis=0) / np.maximum(self.present.sum(axis=0), 1)[:, None]
        rows, columns = best_pairs(mean, least=0.05)
        return [(int(k), self.entities[m]) for k, m in zip(rows, columns, strict=True)]

    @cached_property
    def requested(self) -> list[int]:
        """True entities whose name was among the phrases."""
        wanted = {_plain(text) for text in self.view.phrases}
        return [k for k, name in enumerate(self.scene.phrases()) if _plain(name) in wanted]

    @cached_property
    def requested_js(self) -> dict[int, float]:
        """Mean J of each requested entity that is seen at all, 0 where nothing was found for it."""
        found_for = dict(self.pairs)
        js = {k: self.mean_j(k, found_for.get(k)) for k in self.requested}
        return {k: j for k, j in js.items() if not np.isnan(j)}

    def mean_j(self, true: int, entity: int | None) -> float:
        """Mean J over the frames in which either is seen."""
        js = []
        for frame in range(self.n_frames):
            truth = self.answers.mask(frame, true)
            mask = None if entity is None else self.found_masks.get((entity, frame))
            if mask is None:
                mask = np.zeros_like(truth)
            if truth.any() or mask.any():
                js.append(raster_scores.region_similarity(mask, truth))
        return float(np.mean(js)) if js else NAN


def scene_frames(view: ClipView, scene: Scene) -> tuple[int, ...]:
    """The scene's frame of each annotated frame, by time."""
    t_s = view.table("frames")["t_s"].to_numpy()
    return tuple(int(k) for k in np.round(t_s * scene.options.fps))


def score_clip(clip: ClipTruth) -> list[ClipScore]:
    """Every score of one clip."""
    return [
        *_depth(clip),
        *_boxes(clip),
        *_masks(clip),
        *_identity(clip),
        *_tracks(clip),
        *_positions(clip),
        *_motions(clip),
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
        [_plain(clip.view.phrases[row["phrase"]]) for row in detections],
        np.array([[row[c] for c in ("x0", "y0", "x1", "y1")] for row in detections]).reshape(-1, 4),
        np.array([row["score"] for row in detections], np.float64),
    )
    true = [
        (frame, _plain(clip.scene.phrases()[k]), box)
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


def _queries(clip: ClipTruth) -> tuple[Bool, F64]:
    """Which points belong to entities (N,), and all queries (N, 3) as (frame, x, y)."""
    tracks = clip.view.tracks()
    at = np.arange(len(tracks.entity))
    xy = tracks.xy[tracks.query_frame, at] if len(at) else np.zeros((0, 2))
    return tracks.entity >= 0, np.column_stack([tracks.query_frame, xy]).astype(np.float64)


def _tracks(clip: ClipTruth) -> list[ClipScore]:
    of_entity, queries_txy = _queries(clip)
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


def surface_centres(clip: ClipTruth, true: int) -> F64:
    """(T, 3) component-wise median of the visible surface, every pixel of it; NaN where hidden."""
    if true in clip.surfaces:
        return clip.surfaces[true]
    fx, fy, cx, cy = clip.answers.intrinsics()
    centres = clip.surfaces[true] = np.full((clip.n_frames, 3), np.nan)
    for frame in np.flatnonzero(clip.present[:, true]):
        rows, columns = np.nonzero(clip.answers.mask(int(frame), true))
        z = clip.answers.depth_m(int(frame), height=clip.height, width=clip.width)[rows, columns]
        points = np.stack([(columns + 0.5 - cx) / fx * z, (rows + 0.5 - cy) / fy * z, z])
        centres[frame] = np.median(points, axis=1)
    return centres


def found_position_errors_m(clip: ClipTruth) -> tuple[list[float], list[float]]:
    """Of requested entities whose mean J is above FOUND_J: distance of every measured position from
    the visible surface's true centre, and of the true centre's ray at the usual depth."""
    positions = clip.view.positions()
    column = {int(entity): m for m, entity in enumerate(positions.entity)}
    errors, flat = [], []
    for true, entity in clip.pairs:
        if clip.requested_js.get(true, 0.0) <= FOUND_J or entity not in column:
            continue
        if positions.scale_type != "metric":
            continue
        measured = positions.state[:, column[entity]] == "measured"
        truth = surface_centres(clip, true)
        xyz = positions.xyz_cam[:, column[entity]].astype(np.float64)
        usual = truth / truth[:, 2:] * clip.usual_depth_m
        known = measured & np.isfinite(truth[:, 0])
        errors += np.linalg.norm(xyz - truth, axis=1)[known].tolist()
        flat += np.linalg.norm(usual - truth, axis=1)[known].tolist()
    return errors, flat


def _positions(clip: ClipTruth) -> list[ClipScore]:
    positions = clip.view.positions()
    column = {int(entity): m for m, entity in enumerate(positions.entity)}
    surface, same, body, flat = [], [], [], []
    bodies = body_centres(clip.answers)
    for true, entity in clip.pairs:
        if entity not in column or positions.scale_type != "metric":
            continue
        xyz = positions.xyz_cam[:, column[entity]].astype(np.float64)
        measured = positions.state[:, column[entity]] == "measured"
        truth = surface_centres(clip, true)
        surface += list(np.linalg.norm(xyz - truth, axis=1)[measured])
        same += list(np.linalg.norm(xyz - same_points(clip, entity), axis=1)[measured])
        body += list(np.linalg.norm(truth - bodies[:, true], axis=1)[clip.present[:, true]])
        ray = truth / truth[:, 2:]
        flat += list(np.linalg.norm(ray * clip.usual_depth_m - truth, axis=1)[measured])
    return [
        ClipScore("positions", "median_error_m", _median(surface), _median(flat)),
        ClipScore("positions", "median_error_same_points_m", _median(same)),
        ClipScore("positions", "max_error_same_points_m", _max(same)),
        ClipScore("positions", "surface_to_body_centre_m", _median(body)),
    ]


def same_points(clip: ClipTruth, entity: int) -> F64:
    """(T, 3) true centre by the annotator's definition over the annotator's own points: the
    component-wise median of the points that it measured in each frame."""
    _, queries = _queries(clip)
    tracks = clip.view.tracks()
    mine = tracks.entity == entity
    truth = clip.answers.tracks(queries[mine])
    measured = (tracks.state[:, mine] == "measured")[..., None]
    xyz = np.where(measured, truth.xyz_cam, np.nan)
    centres = np.full((clip.n_frames, 3), np.nan)
    known = measured.any(axis=(1, 2))
    centres[known] = np.nanmedian(xyz[known], axis=1)
    return centres


def _motions(clip: ClipTruth) -> list[ClipScore]:
    true_of = {entity: true for true, entity in clip.pairs}
    segments = {r["segment"]: r for r in clip.view.table("segments").to_pylist()}
    t_s = clip.view.table("frames")["t_s"].to_numpy()
    errors, none = [], []
    for row in clip.view.table("motions").to_pylist():
        if row["reference"] != "camera" or row["entity"] not in true_of:
            continue
        if row["scale_type"] != "metric" or row["segment"] not in segments:
            continue
        truth = same_points(clip, row["entity"])
        first, last = (int(np.argmin(np.abs(t_s - row[name]))) for name in ("t0_s", "t1_s"))
        moved = truth[last] - truth[first]
        if np.isfinite(moved).all():
            motion = np.array([row["motion_x"], row["motion_y"], row["motion_z"]])
            errors.append(float(np.linalg.norm(motion - moved)))
            none.append(float(np.linalg.norm(moved)))
    return [
        ClipScore("motions", "median_error_m", _median(errors), _median(none)),
        ClipScore("motions", "max_error_m", _max(errors)),
    ]


def _plain(text: str) -> str:
    """A phrase without its article: 'a red ball' and 'red ball' ask for the same thing."""
    words = text.lower().split()
    return " ".join(words[1:] if words and words[0] in {"a", "an", "the"} else words)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else NAN


def _median(values: Sequence[float]) -> float:
    known = [v for v in values if np.isfinite(v)]
    return float(np.median(known)) if known else NAN


def _max(values: Sequence[float]) -> float:
    known = [v for v in values if np.isfinite(v)]
    return float(np.max(known)) if known else NAN
