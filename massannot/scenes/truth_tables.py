"""The truth of a clip in the annotator's own tables, so that both are read and compared alike.

Everything is exact: scores are 1, all points are measured, hidden things are absent and not
guessed. Entities keep the scene's numbers. Tables are in source pixels, like the annotator's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from massannot import tables
from massannot.clip import Clip
from massannot.geometry import rle
from massannot.geometry.camera import apply, inverse
from massannot.geometry.motion import first_and_last
from massannot.scenes.shapes import Floats
from massannot.scenes.true_answers import (
    Answers,
    TruePoints,
    followed_points,
    visible_surface_centre,
)
from massannot.scenes.true_events import true_events
from massannot.scenes.true_tracks import ROOM
from massannot.scenes.world import Scene

Row = dict[str, Any]
Array = npt.NDArray[Any]

_AXES = ("x", "y", "z")


def truth_tables(scene: Scene, clip: Clip) -> dict[str, pa.Table]:
    """Every table but `videos` of a clip of a rendered scene; `frames` is the clip's own.

    Raises ModelFailed for a picture that is no frame of the scene.
    """
    answers = Answers.of(scene, clip.frames)
    masks = _masks(answers, clip)
    seen = _frames_seen(masks)
    points = list(followed_points(answers))
    segments = _segments(clip)
    positions, motions = _positions_and_motions(answers, clip, points, segments)
    rows = {
        "clips": [_clip_row(scene, clip)],
        "phrases": _phrases(scene, clip, seen),
        "entities": _entities(clip, seen),
        "detections": _detections(clip, masks),
        "masks": masks,
        "cameras": _cameras(answers, clip),
        "positions": positions,
        "motions": motions,
        "events": _events(answers, clip, masks),
        "segments": segments,
    }
    finished = {name: tables.spec(name).from_rows(items) for name, items in rows.items()}
    return finished | _tracks(answers, clip, points) | {"frames": clip.table("frames")}


def _clip_row(scene: Scene, clip: Clip) -> Row:
    return {
        **clip.read_columns(),
        "scale_type": "metric",
        "camera_static": scene.camera.move == "static",
        "noise_floor": 0.0,
        "noise_floor_p90": 0.0,
    }


def _phrases(scene: Scene, clip: Clip, seen: dict[int, list[int]]) -> list[Row]:
    return [
        {
            "clip_id": clip.clip_id,
            "phrase": i,
            "text": text,
            "origin": "scene",
            "n_entities": int(i in seen),
        }
        for i, text in enumerate(scene.phrases())
    ]


def _entities(clip: Clip, seen: dict[int, list[int]]) -> list[Row]:
    return [
        {
            "clip_id": clip.clip_id,
            "entity": entity,
            "phrase": entity,
            "first_frame": frames[0],
            "last_frame": frames[-1],
            "score": 1.0,
            "quality": 1.0,
        }
        for entity, frames in seen.items()
    ]


def _masks(answers: Answers, clip: Clip) -> list[Row]:
    """A row for every entity that is ever seen, in every frame."""
    height, width = clip.frames.source_height, clip.frames.source_width
    size = {"height": answers.height, "width": answers.width}
    rows: list[Row] = []
    for entity in range(len(answers.scene.entities)):
        of_entity = []
        for frame in range(len(clip)):
            counts = rle.encode(answers.mask(frame, entity))
            if (answers.height, answers.width) != (height, width):
                counts = rle.resize_nearest(counts, **size, to_height=height, to_width=width)
            area = rle.area(counts)
            box = rle.box_xyxy(counts, height=height, width=width) or (None,) * 4
            present = area > 0 or answers.in_picture(frame, entity)
            of_entity.append(
                {
                    "clip_id": clip.clip_id,
                    "entity": entity,
                    "frame": frame,
                    "height": height,
                    "width": width,
                    "counts": counts,
                    "area": area,
                    **dict(zip(("x0", "y0", "x1", "y1"), box, strict=True)),
                    "score": float(present),
                    "state": "visible" if area else "occluded" if present else "absent",
                }
            )
        rows += of_entity if any(row["area"] for row in of_entity) else []
    return rows


def _frames_seen(masks: list[Row]) -> dict[int, list[int]]:
    """Frames in which each entity is visible; entities never seen are left out."""
    seen: dict[int, list[int]] = {}
    for row in masks:
        if row["area"]:
            seen.setdefault(row["entity"], []).append(row["frame"])
    return seen


def _detections(clip: Clip, masks: list[Row]) -> list[Row]:
    visible = sorted((r["frame"], r["entity"], i) for i, r in enumerate(masks) if r["area"])
    return [
        {
            "clip_id": clip.clip_id,
            "detection": number,
            "frame": frame,
            "phrase": entity,
            "entity": entity,
            **{side: masks[i][side] for side in ("x0", "y0", "x1", "y1")},
            "score": 1.0,
        }
        for number, (frame, entity, i) in enumerate(visible)
    ]


def _cameras(answers: Answers, clip: Clip) -> list[Row]:
    scale = clip.frames.source_from_working
    fx, fy, cx, cy = answers.intrinsics() * np.tile(scale, 2)
    return [
        {
            "clip_id": clip.clip_id,
            "frame": frame,
            "fx": fx,
            "fy": fy,
            "cx": cx,
            "cy": cy,
            "cam_from_world": pose.ravel().tolist(),
            "intrinsics_origin": "given",
            "pose_origin": "given",
        }
        for frame, pose in enumerate(answers.cam_from_world())
    ]


def _segments(clip: Clip) -> list[Row]:
    return [
        {
            "clip_id": clip.clip_id,
            "segment": number,
            "first_frame": first,
            "end_frame": min(first + 32, len(clip)),
            "kind": "fixed",
        }
        for number, first in enumerate(range(0, len(clip), 32))
    ]


def _tracks(answers: Answers, clip: Clip, points: Sequence[TruePoints]) -> dict[str, pa.Table]:
    n_points = [len(p.query_frame) for p in points]
    keys = {
        "clip_id": [clip.clip_id] * sum(n_points),
        "entity": np.repeat([p.entity for p in points], n_points),
        "point": np.concatenate([np.arange(n) for n in n_points]),
    }
    xy = _by_point([p.tracks.xy for p in points]) * clip.frames.source_from_working
    xyz = _by_point([p.tracks.xyz_cam for p in points])
    visible = _by_point([p.tracks.visible for p in points])
    sure = visible.astype(np.float32)
    states = np.where(visible, "measured", "absent")
    xyz = np.where(visible[..., None], xyz, np.nan)
    in_picture = {
        **keys,
        "query_frame": np.concatenate([p.query_frame for p in points]),
        "x": _lists(xy[..., 0]),
        "y": _lists(xy[..., 1]),
        "visible": _lists(visible),
        "visibility": _lists(sure),
        "confidence": _lists(np.ones_like(sure)),
        "fb_error_px": _lists(np.zeros_like(sure)),
        "xy_sd_px": np.zeros(sum(n_points)),
    }
    in_space = {
        **keys,
        "scale_type": ["metric"] * sum(n_points),
        **{axis: _lists(xyz[..., i]) for i, axis in enumerate(_AXES)},
        "state": _lists(states),
    }
    return {
        "tracks_xy": tables.spec("tracks_xy").from_columns(in_picture),
        "tracks_xyz": tables.spec("tracks_xyz").from_columns(in_space),
    }


def _positions_and_motions(
    answers: Answers, clip: Clip, points: Sequence[TruePoints], segments: list[Row]
) -> tuple[list[Row], list[Row]]:
    world_from_cam = inverse(answers.cam_from_world())
    positions: list[Row] = []
    motions: list[Row] = []
    for track in points:
        if track.entity == ROOM:
            continue
        centres = visible_surface_centre(track)
        in_world = apply(world_from_cam, centres.xyz)
        for frame in range(len(clip)):
            present = bool(centres.present[frame])
            row: Row = {
                "clip_id": clip.clip_id,
                "entity": track.entity,
                "frame": frame,
                "scale_type": "metric",
                "n_points": int(centres.n_measured[frame]),
                "state": "measured" if present else "lost",
            }
            if present:
                row |= {f"{a}_cam": centres.xyz[frame, i] for i, a in enumerate(_AXES)}
                row |= {f"{a}_world": in_world[frame, i] for i, a in enumerate(_AXES)}
                row |= {"spread": centres.spread[frame]}
            front = answers.scene.front_in_cam(answers.scene_frames[frame], track.entity)
            if front is not None:
                row |= {f"front_{a}": front[i] for i, a in enumerate(_AXES)}
            positions.append(row)
        for segment in segments:
            for reference, path in (("camera", centres.xyz), ("world", in_world)):
                motion = _motion(clip, path, centres.present, segment)
                if motion is not None:
                    key = {
                        "clip_id": clip.clip_id,
                        "entity": track.entity,
                        "reference": reference,
                    }
                    motions.append({**key, **motion})
    return positions, motions


def _motion(clip: Clip, path: Floats, present: npt.NDArray[np.bool_], segment: Row) -> Row | None:
    ends = first_and_last(present, first=segment["first_frame"], end=segment["end_frame"])
    if ends is None:
        return None
    first, last = ends
    known = path[first : last + 1][present[first : last + 1]]
    length = np.linalg.norm(np.diff(known, axis=0), axis=1).sum()
    row: Row = {
        "segment": segment["segment"],
        "scale_type": "metric",
        "path": float(length),
        "t0_s": float(clip.frames.t_s[first]),
        "t1_s": float(clip.frames.t_s[last]),
        "quality": 1.0,
    }
    for i, axis in enumerate(_AXES):
        row[f"first_{axis}"], row[f"last_{axis}"] = path[first, i], path[last, i]
        row[f"motion_{axis}"] = path[last, i] - path[first, i]
    return row


def _events(answers: Answers, clip: Clip, masks: list[Row]) -> list[Row]:
    """Events from the simulation at their exact times, and those of being seen by frame."""
    scene, shape = answers.scene, (answers.scene.n_frames, len(answers.scene.entities))
    seen, within = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    for mask in masks:
        at = answers.scene_frames[mask["frame"]], mask["entity"]
        seen[at], within[at] = mask["area"] > 0, mask["state"] != "absent"
    known = set(np.flatnonzero(seen.any(axis=0)).tolist())
    start, end = clip.frames.t_s[0], clip.frames.t_s[-1]
    to_world = answers.cam_from_world()[0] @ scene.cam_from_room(answers.scene_frames[0])
    rows: list[Row] = []
    for event in true_events(scene, seen, within):
        if not (start <= event.t_s <= end and known & set(event.entities)):
            continue
        row: Row = {"kind": event.kind, "entities": list(event.entities), "t_s": event.t_s}
        row |= {"clip_id": clip.clip_id, "event": len(rows), "score": 1.0, "rule": event.rule}
        row["t1_s"] = None if event.t1_s is None else min(event.t1_s, float(end))
        if event.acceleration is not None:
            pull = to_world[:3, :3] @ event.acceleration
            row |= {f"acceleration_{axis}": pull[i] for i, axis in enumerate(_AXES)}
            row["scale_type"] = "metric"
        rows.append(row)
    return rows


def _by_point(arrays: Sequence[Array]) -> Array:
    """(T,N,...) arrays, one after the other, as (sum of N, T, ...)."""
    return np.concatenate([np.moveaxis(array, 1, 0) for array in arrays])


def _lists(values: Array) -> pa.Array:
    """(N,T) as N lists; NaN items become null."""
    flat = pa.array(values.ravel(), from_pandas=True)
    offsets = np.arange(values.shape[0] + 1, dtype=np.int32) * values.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), flat)
