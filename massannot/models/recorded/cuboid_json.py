"""Cuboid tracks of 3D-labelled data as JSON: boxes in space by time, and the camera that sees them.

The names are nuScenes': a video has `size` of its pictures, `boxes_in` (world, ego or camera: the
frame of reference of the boxes), `calibrated_sensor` (the camera in the ego frame: `translation`,
`rotation`, `camera_intrinsic`), and `samples`, one a moment, each with `pts` or `t_s` (or `fps` of
the video), `ego_pose` (the ego frame in the world) and `boxes`. A box has `instance_token`,
`category_name`, `translation` of its centre, `size` [width, length, height] and `rotation`, a
quaternion w x y z; its x axis, along the length, points to the front. The camera's axes are
OpenCV's, lengths are metres. A file is one video, or `videos`, a list of them.

The pass is strict: a key that nobody reads, a turn that is none and a size that is none are refused
by name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from massannot.counts import counted
from massannot.errors import UsageError
from massannot.geometry.camera import (
    corner_from_center,
    inverse,
    rigid,
    rotation_from_quaternion,
)
from massannot.models.protocols import F64
from massannot.models.recorded.json_entries import Entry, id_of, number_of, required
from massannot.models.recorded.metres import too_far
from massannot.models.recorded.recorded_videos import times_of_images
from massannot.storage.json_text import parsed

BOXES_IN = ("world", "ego", "camera")
_VIDEO = ("name", "size", "boxes_in", "calibrated_sensor", "samples", "fps", "origin", "fronts")
_SAMPLE = ("pts", "t_s", "ego_pose", "calibrated_sensor", "boxes")
_SENSOR = ("translation", "rotation", "camera_intrinsic")
_POSE = ("translation", "rotation")
_BOX = ("instance_token", "category_name", "translation", "size", "rotation")
_UNIT = 1e-3
"""Deviation of a quaternion's length from one: files are rounded."""


@dataclass
class Cuboid:
    """One thing, by sample."""

    category: str
    has_front: bool
    cam_from_box: dict[int, F64] = field(default_factory=dict)
    """(4, 4) from the box's axes: x to its front, y to its left, z up."""
    extent: dict[int, F64] = field(default_factory=dict)
    """(3,) metres along these."""


@dataclass(frozen=True, eq=False)
class CuboidVideo:
    """One video of a file: S samples."""

    names: tuple[str, ...]
    size: tuple[int, int]
    """Width, height of the pictures that the intrinsics are of."""
    intrinsics: F64
    """(S, 4) fx fy cx cy, corner-origin."""
    cam_from_world: F64 | None
    """(S, 4, 4); None: no pose is given, boxes are in the camera's frame."""
    cuboids: tuple[Cuboid, ...]
    labelled: frozenset[int]
    """Samples that have `boxes`, even none; the others give a camera alone."""
    has_one_camera: bool
    """Whether the file gives one camera, and no motion of it, for the whole video."""
    pts: Sequence[int] | None
    t_s: Sequence[float] | None
    fps: float | None


def _has_samples(content: Any) -> bool:
    """Whether a JSON value is of this kind: it has samples."""
    videos = content.get("videos") if isinstance(content, dict) else None
    entries = videos if isinstance(videos, list) else [content]
    return any(isinstance(entry, dict) and "samples" in entry for entry in entries)


def cuboid_videos(path: str) -> tuple[CuboidVideo, ...] | None:
    """Every video of a file; None: no file of this kind. Raises UsageError for one that contradicts
    itself, naming the entry."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        content: Any = parsed(text) if '"samples"' in text else None  # others may be large
    except (OSError, ValueError):
        return None
    if not _has_samples(content):
        return None
    if "samples" in content:
        return (_video(content, path),)
    _known(content, ("videos",), where=path)
    return tuple(
        _video(_object(entry, where=f"{path}: videos[{number}]"), f"{path}: videos[{number}]")
        for number, entry in enumerate(content["videos"])
    )


def _video(entry: Entry, where: str) -> CuboidVideo:
    _known(entry, _VIDEO, where=where)
    width, height = _numbers(entry, "size", 2, where=where)
    if min(width, height) < 1 or width % 1 or height % 1:
        raise UsageError(f"{where}: size {entry['size']}, expected [width, height] in pixels")
    boxes_in = required(entry, "boxes_in", where=where)
    if boxes_in not in BOXES_IN:
        raise UsageError(f"{where}: boxes_in {boxes_in!r}, expected {' or '.join(BOXES_IN)}")
    origin = entry.get("origin", "center")
    if origin not in ("center", "corner"):
        raise UsageError(f"{where}: origin {origin!r}, expected center or corner")
    fps = entry.get("fps")
    if fps is not None and not number_of(fps, where=where, name="fps") > 0:
        raise UsageError(f"{where}: fps {fps!r}, expected a positive number")
    samples = _list(entry, "samples", where=where)
    places = [f"{where}: samples[{number}]" for number in range(len(samples))]
    for place, sample in zip(places, samples):
        _known(sample, _SAMPLE, where=place)
    sensors = [_sensor(entry, sample, place) for place, sample in zip(places, samples)]
    poses = _ego_poses(samples, places, boxes_in)
    world_from_cam = [
        cam if pose is None else pose @ cam for pose, (cam, _) in zip(poses, sensors, strict=True)
    ]
    from_boxes = {"world": world_from_cam, "ego": [cam for cam, _ in sensors]}.get(boxes_in)
    cam_from_boxes = [np.eye(4) if from_boxes is None else inverse(from_boxes[k])
                      for k in range(len(samples))]  # fmt: skip
    intrinsics = np.array([values for _, values in sensors])
    if origin == "center":
        intrinsics[:, 2:] = corner_from_center(intrinsics[:, 2:])
    known_pose = boxes_in == "world" or poses[0] is not None
    return CuboidVideo(
        names=(str(entry["name"]),) if entry.get("name") is not None else (),
        size=(int(width), int(height)),
        intrinsics=intrinsics,
        cam_from_world=inverse(np.array(world_from_cam)) if known_pose else None,
        cuboids=_cuboids(samples, places, cam_from_boxes, _fronts(entry, where)),
        labelled=frozenset(k for k, sample in enumerate(samples) if "boxes" in sample),
        has_one_camera="calibrated_sensor" in entry and poses[0] is None,
        pts=times_of_images(samples, "pts", where=where),
        t_s=times_of_images(samples, "t_s", where=where),
        fps=fps,
    )


def _sensor(video: Entry, sample: Entry, where: str) -> tuple[F64, F64]:
    """Ego from camera (4, 4), and fx fy cx cy: the sample's own camera, or the video's."""
    if "calibrated_sensor" in sample and "calibrated_sensor" in video:
        raise UsageError(f"{where}: calibrated_sensor, and the video has one: expected one of them")
    owner = sample if "calibrated_sensor" in sample else video
    if owner.get("calibrated_sensor") is None:
        raise UsageError(
            f"{where}: no calibrated_sensor, here or of the video: boxes are seen by no camera"
        )
    where += ".calibrated_sensor"
    sensor = _object(owner["calibrated_sensor"], where=where)
    _known(sensor, _SENSOR, where=where)
    matrix = required(sensor, "camera_intrinsic", where=where)
    try:
        k = np.asarray(matrix, np.float64)
    except (TypeError, ValueError):
        k = np.empty(0)
    rest = np.array([[0, 1, 0], [1, 0, 0], [1, 1, 0]], np.bool_)
    if k.shape != (3, 3) or not np.isfinite(k).all() or k[rest].any() or k[2, 2] != 1:
        raise UsageError(
            f"{where}: camera_intrinsic {matrix!r}, expected [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]"
        )
    if min(k[0, 0], k[1, 1]) <= 0:
        raise UsageError(f"{where}: camera_intrinsic with fx {k[0, 0]:g}, fy {k[1, 1]:g}, "
                         "expected positive ones")  # fmt: skip
    return _pose(sensor, where), k[[0, 1, 0, 1], [0, 1, 2, 2]]


def _ego_poses(samples: Sequence[Entry], places: Sequence[str], boxes_in: str) -> list[F64 | None]:
    """World from ego of each sample: of all, or of none. Without any the ego is the world."""
    having = [sample.get("ego_pose") is not None for sample in samples]
    if any(having) and not all(having):
        place = places[having.index(False)]
        raise UsageError(
            f"{place}: no ego_pose, and {sum(having)} others have one: expected all or none"
        )
    poses: list[F64 | None] = []
    for place, sample in zip(places, samples):
        if not any(having):
            poses.append(None)
            continue
        where = f"{place}.ego_pose"
        pose = _object(sample["ego_pose"], where=where)
        _known(pose, _POSE, where=where)
        poses.append(_pose(pose, where))
    return poses


def _pose(entry: Entry, where: str) -> F64:
    shift = _numbers(entry, "translation", 3, where=where)
    return rigid(_turn(entry, where), shift)


def _turn(entry: Entry, where: str) -> F64:
    """(3, 3) of a unit quaternion w x y z. Raises UsageError."""
    wxyz = _numbers(entry, "rotation", 4, where=where)
    length = float(np.linalg.norm(wxyz))
    if abs(length - 1) > _UNIT:
        raise UsageError(
            f"{where}: rotation {wxyz.tolist()} has length {length:g}, expected a unit quaternion "
            "w x y z"
        )
    return rotation_from_quaternion(wxyz)


def _cuboids(
    samples: Sequence[Entry],
    places: Sequence[str],
    cam_from_boxes: Sequence[F64],
    fronts: Collection[str],
) -> tuple[Cuboid, ...]:
    """Boxes of one token are one thing. Raises UsageError for two of it at one moment, and for two
    categories."""
    things: dict[str, Cuboid] = {}
    categories: set[str] = set()
    for row, (place, sample) in enumerate(zip(places, samples)):
        boxes = _list(sample, "boxes", where=place) if "boxes" in sample else []
        for number, box in enumerate(boxes):
            where = f"{place}.boxes[{number}]"
            _known(box, _BOX, where=where)
            token = str(id_of(box, "instance_token", where=where))
            category = str(required(box, "category_name", where=where))
            thing = things.setdefault(token, Cuboid(category, category in fronts))
            if thing.category != category:
                raise UsageError(
                    f"{where}: instance {token!r} is {category!r}, and was {thing.category!r}"
                )
            if row in thing.cam_from_box:
                raise UsageError(f"{where}: instance {token!r} is there twice, expected once")
            width, length, height = _numbers(box, "size", 3, where=where)
            if min(width, length, height) <= 0:
                raise UsageError(
                    f"{where}: size {box['size']}, expected a positive width, length and height"
                )
            thing.cam_from_box[row] = cam_from_boxes[row] @ _pose(box, where)
            thing.extent[row] = np.array([length, width, height])
            categories.add(category)
    _check_metres(samples, tuple(things.values()), where=places[0].rpartition(": ")[0])
    if unknown := sorted(set(fronts) - categories):
        raise UsageError(f"{places[0].rpartition(': ')[0]}: fronts {unknown}, expected some of "
                         f"{sorted(categories)}")  # fmt: skip
    return tuple(things.values())


def _check_metres(samples: Sequence[Entry], things: Sequence[Cuboid], *, where: str) -> None:
    """Raises UsageError for lengths that are millimetres."""
    poses = [pose for thing in things for pose in thing.cam_from_box.values()]
    far = np.linalg.norm(np.array(poses).reshape(-1, 4, 4)[:, :3, 3], axis=1)
    lengths = [box[key] for sample in samples for box in sample.get("boxes", ())
               for key in ("translation", "size")]  # fmt: skip
    whole = bool(lengths) and bool(np.all(np.array(lengths) % 1 == 0))
    if found := too_far(far, all_whole=whole):
        raise UsageError(
            f"{where}: the median distance of boxes from the camera is {found}; are these "
            "millimetres? Lengths are metres: write translation / 1000 and size / 1000"
        )


def _fronts(entry: Entry, where: str) -> Collection[str]:
    """Categories whose boxes' x axis is the thing's front; a ball's is not."""
    value = entry.get("fronts", [])
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise UsageError(f"{where}: fronts {value!r}, expected a list of categories")
    return value


def _known(entry: Entry, known: Sequence[str], *, where: str) -> None:
    unknown = sorted(set(entry) - set(known))
    if unknown:
        raise UsageError(
            f"{where}: nobody reads {', '.join(map(repr, unknown))}; known are {', '.join(known)}"
        )


def _numbers(entry: Entry, key: str, count: int, *, where: str) -> F64:
    value = required(entry, key, where=where)
    if not isinstance(value, list) or len(value) != count:
        raise UsageError(f"{where}: {key} {value!r}, expected {counted(count, 'number')}")
    return np.array([number_of(part, where=where, name=key) for part in value])


def _list(entry: Entry, key: str, *, where: str) -> list[Mapping[str, Any]]:
    value = entry.get(key)
    if not isinstance(value, list) or (key == "samples" and not value):
        raise UsageError(f"{where}: {key} {value!r}, expected a list of objects")
    return [_object(item, where=f"{where}.{key}[{n}]") for n, item in enumerate(value)]


def _object(value: Any, *, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{where}: found {value!r}, expected an object")
    return value
