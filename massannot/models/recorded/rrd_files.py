"""Labels in Rerun's recordings as recorded videos: boxes, masks and points, by path and moment.

A path with at most one box a moment is a thing that is followed; of a path with several, each box
speaks of its own row alone. The name is the box's label, else that of its class, else the last part
of the path. Masks are our component `massannot.masks:counts` beside the box; in a recording
without any box, each class of a SegmentationImage is a thing. Where nothing was logged nothing is
known; a logged list of no boxes says that the thing is not there. What was logged without a time
is not read, nor are boxes in space.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from massannot.counts import counted
from massannot.errors import UsageError
from massannot.geometry import rle
from massannot.models.recorded.json_entries import Box
from massannot.models.recorded.recorded_videos import RecordedObject, RecordedVideo
from massannot.models.recorded.row_times import RowTimes
from massannot.models.recorded.rrd_recording import Moment, Recording, recordings, rrd_paths

MASKS = "massannot.masks:"
POINTS = "massannot.points:"
_HALF, _CENTRE, _LABEL, _CLASS = (
    f"Boxes2D:{name}" for name in ("half_sizes", "centers", "labels", "class_ids")
)
_CONTEXT = "AnnotationContext:context"
_BUFFER, _FORMAT = "SegmentationImage:buffer", "SegmentationImage:format"
_OBJECTS = (
    *(_HALF, _CENTRE, _LABEL, _CLASS, _CONTEXT, _BUFFER),
    *(f"{MASKS}{name}" for name in ("counts", "state", "score")),
)
_PLACES = "Points2D:positions"
_TYPES: dict[int, np.dtype[Any]] = {6: np.dtype(np.uint8), 8: np.dtype(np.uint16)}
"""Rerun's ChannelDatatype."""
_BACKGROUND = 0


@dataclass(frozen=True)
class RrdFile:
    """The videos of a file or a folder, and a sentence about what of it is used."""

    videos: tuple[RecordedVideo, ...]
    note: str


def read_rrd(path: str) -> RrdFile:
    """Raises UsageError for what is no recording, and for labels that contradict themselves."""
    found = list(recordings(rrd_paths(path), _OBJECTS))
    videos = tuple(_video(each) for each in found)
    things = sum(len(video.objects) for video in videos)
    return RrdFile(videos, f"{counted(len(videos), 'recording')} read, {counted(things, 'thing')}")


def _video(found: Recording) -> RecordedVideo:
    width, height = found.size()
    names = _class_names(found)
    things = (_HALF, f"{MASKS}counts")
    boxed = [path for path, logged in found.logged.items() if any(n in logged for n in things)]
    used = things if boxed else (_BUFFER,)
    moments = found.moments(used)
    row_of = {moment: row for row, moment in enumerate(moments)}
    objects: list[RecordedObject] = []
    for path in sorted(boxed):
        objects += _of_boxes(found, path, row_of, names, (width, height))
    for path in sorted(found.logged) if not boxed else ():
        if _BUFFER in found.logged[path]:
            objects += _of_segmentation(found, path, row_of, names, (width, height))
    return RecordedVideo(
        names=found.video_names,
        width=width,
        height=height,
        n_rows=len(moments),
        objects=tuple(objects),
        counts_from_zero=True,
        is_unnamed=not found.video_names,
        **found.row_times(moments),
    )


def _class_names(found: Recording) -> dict[int, str]:
    names: dict[int, str] = {}
    for by_component in found.static.values():
        context = by_component.get(_CONTEXT)
        for entry in (context.as_py() or [[]])[0] if context is not None else ():
            info = entry["class_description"]["info"]
            if info["label"]:
                names[entry["class_id"]] = info["label"]
    return names


def _of_boxes(
    found: Recording,
    path: str,
    row_of: dict[Moment, int],
    names: dict[int, str],
    size: tuple[int, int],
) -> Iterator[RecordedObject]:
    boxes = {at: _boxes(found, path, at) for at in found.logged[path].get(_HALF, {})}
    if any(len(each) > 1 for each in boxes.values()):
        for at, each in boxes.items():
            for index, box in enumerate(each):
                single = RecordedObject(_name(found, path, at, index, names), is_tracked=False)
                single.boxes[row_of[at]], single.scores[row_of[at]] = box, 1.0
                single.boxes_are_masks = True
                yield single
        return
    labels = {_name(found, path, at, 0, names) for at, each in boxes.items() if each}
    if len(labels) > 1:
        raise UsageError(
            f"{found.where}: {path} is {' and '.join(map(repr, sorted(labels)[:2]))}; expected one "
            "label a path"
        )
    thing = RecordedObject(labels.pop() if labels else _last(path), is_tracked=True)
    thing.unknown = set(row_of.values()) - {row_of[at] for at in boxes}
    states = found.logged[path].get(f"{MASKS}state")
    for at, each in boxes.items():
        row = row_of[at]
        if each:
            thing.boxes[row], thing.scores[row] = each[0], 1.0
        elif states is not None and not found.value(path, f"{MASKS}state", at):
            thing.unknown.add(row)
    _add_masks(found, path, row_of, thing, size)
    yield thing


def _boxes(found: Recording, path: str, at: Moment) -> list[Box]:
    halves = np.array(found.value(path, _HALF, at) or np.empty((0, 2)), np.float64).reshape(-1, 2)
    centres = np.array(found.value(path, _CENTRE, at) or np.zeros_like(halves), np.float64)
    centres = centres.reshape(-1, 2)[: len(halves)]
    if len(centres) != len(halves):
        raise UsageError(
            f"{found.where}: {path} has {counted(len(halves), 'box')} and {len(centres)} "
            f"centres at {at}"
        )
    corners = np.hstack([centres - halves, centres + halves])
    if not np.isfinite(corners).all() or (halves <= 0).any():
        raise UsageError(f"{found.where}: {path} has a box without extent at {at}")
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in corners.tolist()]


def _name(found: Recording, path: str, at: Moment, index: int, names: dict[int, str]) -> str:
    """Of one value that Rerun repeats for all instances, the last counts for those after it."""
    for component in (_LABEL, _CLASS):
        values = found.value(path, component, at)
        if values:
            value = values[min(index, len(values) - 1)]
            if component == _LABEL or value in names:
                return value if component == _LABEL else names[value]
    return _last(path)


def _last(path: str) -> str:
    return path.rpartition("/")[2].replace("\\", "") or "thing"


def _add_masks(
    found: Recording,
    path: str,
    row_of: dict[Moment, int],
    thing: RecordedObject,
    size: tuple[int, int],
) -> None:
    width, height = size
    for at in found.logged[path].get(f"{MASKS}counts", {}):
        counts = found.value(path, f"{MASKS}counts", at)
        if not counts:
            continue
        try:
            rle.check(counts[0], height=height, width=width)
        except ValueError as error:
            raise UsageError(f"{found.where}: {path} at {at}: {error}") from error
        box = rle.box_xyxy(counts[0], height=height, width=width)
        row = row_of[at]
        thing.masks[row] = counts[0]
        thing.unknown.discard(row)
        if box is not None and row not in thing.boxes:
            x0, y0, x1, y1 = box
            thing.boxes[row], thing.scores[row] = (float(x0), float(y0), float(x1), float(y1)), 1.0
    for at in found.logged[path].get(f"{MASKS}score", {}):
        score = found.value(path, f"{MASKS}score", at)
        if score and at in row_of:
            if not 0 <= score[0] <= 1:
                raise UsageError(f"{found.where}: {path} at {at}: score {score[0]}, expected 0..1")
            thing.beliefs[row_of[at]] = score[0]
    if thing.masks:
        thing.unknown |= set(thing.boxes) - set(thing.masks)
    else:
        thing.boxes_are_masks = True


def _of_segmentation(
    found: Recording,
    path: str,
    row_of: dict[Moment, int],
    names: dict[int, str],
    size: tuple[int, int],
) -> Iterator[RecordedObject]:
    things: dict[int, RecordedObject] = {}
    logged = found.logged[path][_BUFFER]
    for at, scalar in logged.items():
        labels = _labels(found, path, at, scalar, size)
        for number in np.unique(labels).tolist():
            if number == _BACKGROUND:
                continue
            name = names.get(number, f"{_last(path)} {number}")
            thing = things.setdefault(number, RecordedObject(name, is_tracked=True))
            thing.masks[row_of[at]] = counts = rle.encode(labels == number)
            box = rle.box_xyxy(counts, height=size[1], width=size[0])
            assert box is not None
            x0, y0, x1, y1 = map(float, box)
            thing.boxes[row_of[at]], thing.scores[row_of[at]] = (x0, y0, x1, y1), 1.0
    unknown = set(row_of.values()) - {row_of[at] for at in logged}
    for _, thing in sorted(things.items()):
        thing.unknown = set(unknown)
        yield thing


def _labels(
    found: Recording, path: str, at: Moment, scalar: Any, size: tuple[int, int]
) -> NDArray[np.int64]:
    """(H, W) classes. Raises UsageError for another form or size."""
    form = (found.value(path, _FORMAT, at) or [None])[0]
    width, height = size
    if form is None or form["channel_datatype"] not in _TYPES or form["pixel_format"] is not None:
        raise UsageError(f"{found.where}: {path} at {at}: classes as {form}, expected U8 or U16")
    flat = scalar.values.flatten().to_numpy(zero_copy_only=False).astype(np.uint8)
    kind = _TYPES[form["channel_datatype"]]
    if (form["width"], form["height"]) != size or flat.size != width * height * kind.itemsize:
        raise UsageError(
            f"{found.where}: {path} at {at}: classes of {form['width']}x{form['height']}, expected "
            f"{width}x{height}"
        )
    return flat.view(kind).reshape(height, width).astype(np.int64)


@dataclass(frozen=True, eq=False)
class RrdPoints:
    """N tracked points in R rows of one recording, in its pictures' pixels, corner origin."""

    where: str
    names: tuple[str, ...]
    size: tuple[int, int]
    times: RowTimes
    xy: NDArray[np.float64]
    """(R, N, 2)."""
    visible: NDArray[np.bool_]
    """(R, N)."""
    confidence: NDArray[np.float32]
    """(R, N)."""


def read_rrd_points(path: str) -> list[RrdPoints]:
    """The points of every recording that has some. Raises UsageError as read_rrd does."""
    wanted = (_PLACES, f"{POINTS}visible", f"{POINTS}confidence")
    found = list(recordings(rrd_paths(path), wanted))
    with_points = [_points(each) for each in found if each.moments([_PLACES])]
    if not with_points:
        raise UsageError(f"{path}: holds no Points2D with a time")
    return with_points


def _points(found: Recording) -> RrdPoints:
    moments = found.moments([_PLACES])
    parts = [
        _of_path(found, path, moments)
        for path in sorted(found.logged)
        if _PLACES in found.logged[path]
    ]
    xy, visible, confidence = (np.concatenate(part, axis=1) for part in zip(*parts))
    times = RowTimes(len(moments), **found.row_times(moments), first_number=0)
    return RrdPoints(found.where, found.video_names, found.size(), times, xy, visible, confidence)


def _of_path(
    found: Recording, path: str, moments: list[Moment]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """A moment without points sees none; points keep their order."""
    n_points = max(len(value.values) for value in found.logged[path][_PLACES].values())
    xy = np.zeros((len(moments), n_points, 2))
    visible = np.zeros((len(moments), n_points), np.bool_)
    confidence = np.zeros((len(moments), n_points), np.float32)
    for row, at in enumerate(moments):
        scalar = found.logged[path][_PLACES].get(at)
        places = scalar.as_py() if scalar is not None else []
        if not places:
            continue
        seen = found.value(path, f"{POINTS}visible", at) or [True] * len(places)
        sure = found.value(path, f"{POINTS}confidence", at) or [float(each) for each in seen]
        if not len(places) == len(seen) == len(sure) == n_points:
            raise UsageError(
                f"{found.where}: {path} has {counted(len(places), 'point')} at {at}, expected "
                f"{n_points}, as at other times: which is which cannot be told"
            )
        xy[row], visible[row], confidence[row] = places, seen, sure
    visible &= np.isfinite(xy).all(axis=2)
    return xy, visible, confidence
