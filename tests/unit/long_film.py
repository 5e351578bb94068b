"""A video of several clips as tables, with the exact truth: what touches shares a frame.

Two balls and a box move in a room that a turning and rolling camera looks at. Every clip has a unit
of its own (its depth is `unit` times the true one, and says so in `depth_scale`), and numbers its
things in an order of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from massannot import tables
from massannot.dataset import commits
from massannot.dataset import record as run_record
from massannot.dataset.layout import Layout
from massannot.dataset.reading import Dataset, open_dataset
from massannot.entities.over_clips import identities
from massannot.geometry import rle
from massannot.geometry.camera import apply, inverse, rigid
from tests.unit import small_dataset

HEIGHT, WIDTH, FPS = 24, 40, 10
VIDEO = "video of a long film"
THINGS = ("ball", "ball", "box")
"""Phrase of each thing."""


@dataclass(frozen=True)
class Part:
    """One clip: frames `first` to `last` of the film, both included."""

    first: int
    last: int
    shares_last: bool = False
    shot: int = 0
    things: tuple[int, ...] = (0, 1, 2)
    """In the order in which the clip numbers them."""
    hidden: tuple[tuple[int, int], ...] = ()
    """(thing, frame of the film) without a mask."""
    unit: float = 1.0
    shift: float = 0.0
    poses: str = "estimated"

    @property
    def clip_id(self) -> str:
        return f"clip {self.first:02d}-{self.last:02d}"

    @property
    def frames(self) -> range:
        return range(self.first, self.last + 1)


TWO_SHOTS = (
    Part(0, 9, shares_last=True, unit=0.8),
    Part(9, 19, shares_last=True, things=(2, 0, 1), unit=1.1),
    Part(19, 29, things=(1, 2, 0), unit=0.9, shift=0.3),
    Part(30, 39, shot=1),
)
"""Three clips that touch, a cut, and one more."""


def place(thing: int, frame: int) -> np.ndarray:
    """(3,) true position in the room, metres."""
    t = frame / FPS
    return np.array([-1.0 + thing + 0.2 * t, 0.3 * np.sin(t + thing), 5.0 + 0.5 * thing - 0.3 * t])


def cam_from_room(frame: int) -> np.ndarray:
    """(4, 4): the camera rolls to the right and turns, metres."""
    angle = 0.01 * frame
    turn = np.array(
        [[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]]
    )
    return rigid(turn, -turn @ np.array([0.03 * frame, 0.0, 0.0]))


def in_world(thing: int, frame: int, root: Part) -> np.ndarray:
    """(3,) true position in the first camera of clip `root` and in its unit."""
    return root.unit * apply(cam_from_room(root.first), place(thing, frame))


def mask(thing: int, frame: int) -> np.ndarray:
    """(H, W) true mask: a block that moves to the right."""
    picture = np.zeros((HEIGHT, WIDTH), np.bool_)
    left = 1 + 12 * thing + frame // 6
    picture[8:16, left : left + 8] = True
    return picture


def look(thing: int, shot: int) -> list[float]:
    """Of length 1; a little other in another shot, the two balls much alike."""
    angle = {0: 0.0, 1: 0.4, 2: 1.2}[thing] + 0.1 * shot
    return [float(np.cos(angle)), float(np.sin(angle))]


def clip_tables(part: Part) -> dict[str, pa.Table]:
    """All tables of one clip."""
    rows: dict[str, list[dict[str, Any]]] = small_dataset._rows_of(part.clip_id)
    n_frames = len(part.frames)
    (clip,), (video,) = rows["clips"], rows["videos"]
    size = {"source_width": WIDTH, "source_height": HEIGHT}
    video |= {"video_id": VIDEO, "uri": "film.mp4"}
    clip |= {
        "video_id": VIDEO,
        "uri": "film.mp4",
        "clip_index": part.first,
        "first_pts": part.first,
        "end_pts": part.last + 1,
        "t0_s": part.first / FPS,
        "t1_s": part.last / FPS,
        "n_frames": n_frames,
        "shot": part.shot,
        "camera_static": False,
        **size,
    }
    key = {"clip_id": part.clip_id}
    texts = sorted(set(THINGS))
    rows["phrases"] = [
        key
        | {"phrase": n, "text": text, "origin": "prompt"}
        | {"n_entities": sum(THINGS[thing] == text for thing in part.things)}
        for n, text in enumerate(texts)
    ]
    rows["frames"] = [
        key
        | {"frame": n, "pts": pts, "t_s": pts / FPS, "keyframe": n == 0, "damaged": False}
        | {"shared": part.shares_last and pts == part.last}
        for n, pts in enumerate(part.frames)
    ]
    rows["entities"] = [
        key
        | {"entity": n, "phrase": texts.index(THINGS[thing]), "score": 0.5}
        | {"first_frame": 0, "last_frame": n_frames - 1}
        for n, thing in enumerate(part.things)
    ]
    rows["looks"] = [
        key | {"entity": n, "look": look(thing, part.shot)} for n, thing in enumerate(part.things)
    ]
    rows["masks"] = [
        _mask_row(part, n, pts) for n in range(len(part.things)) for pts in part.frames
    ]
    rows["cameras"] = [_camera_row(part, pts) for pts in part.frames]
    rows["positions"] = [
        _position_row(part, n, pts) for n in range(len(part.things)) for pts in part.frames
    ]
    rows["segments"] = [
        key | {"segment": 0, "first_frame": 0, "end_frame": n_frames, "kind": "fixed"}
    ]
    rows["motions"] = [_motion_row(part, n) for n in range(len(part.things))]
    points = [_point_rows(part, n, q) for n in range(len(part.things)) for q in (0, n_frames - 1)]
    rows["tracks_xy"] = [flat for flat, _ in points]
    rows["tracks_xyz"] = [lifted for _, lifted in points]
    return {name: tables.spec(name).from_rows(found) for name, found in rows.items()}


def _mask_row(part: Part, entity: int, pts: int) -> dict[str, Any]:
    thing = part.things[entity]
    shown = mask(thing, pts) & ((thing, pts) not in part.hidden)
    box = rle.box_xyxy(rle.encode(shown), height=HEIGHT, width=WIDTH)
    return {
        "clip_id": part.clip_id,
        "entity": entity,
        "frame": pts - part.first,
        "height": HEIGHT,
        "width": WIDTH,
        "counts": rle.encode(shown),
        "area": int(shown.sum()),
        **dict(zip(("x0", "y0", "x1", "y1"), box or [None] * 4, strict=True)),
        "score": 1.0,
        "state": "visible" if shown.any() else "absent",
    }


def _camera_row(part: Part, pts: int) -> dict[str, Any]:
    """The clip's world is its first camera, in its unit. Its depth was scaled and shifted so that
    what was true at the middle distance of the things comes out in that unit."""
    distances = [apply(cam_from_room(pts), place(thing, pts))[2] for thing in part.things]
    pose = cam_from_room(pts) @ inverse(cam_from_room(part.first))
    pose[:3, 3] *= part.unit
    return {
        "clip_id": part.clip_id,
        "frame": pts - part.first,
        "fx": 40.0,
        "fy": 40.0,
        "cx": WIDTH / 2,
        "cy": HEIGHT / 2,
        "cam_from_world": pose.ravel().tolist(),
        "intrinsics_origin": "given",
        "pose_origin": part.poses,
        "depth_scale": part.unit - part.shift / float(np.median(distances)),
        "depth_shift": part.shift,
    }


def _position_row(part: Part, entity: int, pts: int) -> dict[str, Any]:
    thing = part.things[entity]
    in_cam = part.unit * apply(cam_from_room(pts), place(thing, pts))
    known = part.poses != "assumed"
    world = in_world(thing, pts, part) if known else [None] * 3
    return {
        "clip_id": part.clip_id,
        "entity": entity,
        "frame": pts - part.first,
        "scale_type": "metric",
        **dict(zip(("x_cam", "y_cam", "z_cam"), in_cam.tolist(), strict=True)),
        **dict(zip(("x_world", "y_world", "z_world"), world, strict=True)),
        "n_points": 3,
        "state": "measured",
    }


def _point_rows(part: Part, entity: int, query_frame: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The centre of a thing as a point that was chosen in a frame, in the picture and in space."""
    thing = part.things[entity]
    xyz = np.array([part.unit * apply(cam_from_room(p), place(thing, p)) for p in part.frames])
    key = {"clip_id": part.clip_id, "entity": entity, "point": min(query_frame, 1)}
    n_frames = len(part.frames)
    in_picture = {
        "query_frame": query_frame,
        "x": (40 * xyz[:, 0] / xyz[:, 2] + WIDTH / 2).tolist(),
        "y": (40 * xyz[:, 1] / xyz[:, 2] + HEIGHT / 2).tolist(),
        "visible": [True] * n_frames,
        "visibility": [1.0] * n_frames,
        "confidence": [1.0] * n_frames,
        "fb_error_px": [0.0] * n_frames,
    }
    in_space = dict(zip("xyz", xyz.T.tolist(), strict=True))
    more = {"scale_type": "metric", "state": ["measured"] * n_frames}
    return key | in_picture, key | in_space | more


def _motion_row(part: Part, entity: int) -> dict[str, Any]:
    first, last = (
        apply(cam_from_room(pts), place(part.things[entity], pts))
        for pts in (part.first, part.last)
    )
    return {
        "clip_id": part.clip_id,
        "entity": entity,
        "segment": 0,
        "reference": "camera",
        "scale_type": "metric",
        **{f"first_{a}": v for a, v in zip("xyz", first, strict=True)},
        **{f"last_{a}": v for a, v in zip("xyz", last, strict=True)},
        **{f"motion_{a}": v for a, v in zip("xyz", last - first, strict=True)},
        "path": float(np.linalg.norm(last - first)),
        "t0_s": part.first / FPS,
        "t1_s": part.last / FPS,
    }


def linked(parts: Sequence[Part]) -> pa.Table:
    """The table `identities` of the clips."""
    return identities([clip_tables(part).__getitem__ for part in parts])


def write(out: Path, parts: Sequence[Part] = TWO_SHOTS, *, question: str | None = None) -> Dataset:
    """A finished dataset of one shard. `question`: one about all of its clips."""
    layout = Layout(out)
    run_record.begin(layout, small_dataset.RECORD)
    of_clips = [clip_tables(part) for part in parts]
    found = {
        name: tables.spec(name).checked(pa.concat_tables([each[name] for each in of_clips]))
        for name in of_clips[0]
        if name != "videos"
    }
    found |= {"videos": of_clips[0]["videos"], "identities": linked(parts)}
    if question is not None:
        clip_ids = [part.clip_id for part in parts]
        row = {"question_id": "q", "uri": "film.mp4", "question": question, "answer": "yes"}
        row |= {"clip_id": clip_ids[0], "clip_ids": clip_ids}
        found["questions"] = tables.spec("questions").from_rows([row])
    commit = small_dataset.stage(layout, "000000", layout.new_attempt("000000"), found)
    assert commits.put(layout, commit)
    commits.publish(layout, commit)
    return open_dataset(out)
