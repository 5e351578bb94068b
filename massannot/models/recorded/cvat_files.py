"""CVAT's XML for video as a recorded video: things with boxes and masks, row by row.

A row is a picture of the film that CVAT annotated. A track of boxes holds between its key frames: a
box goes in a straight line to the next one, stays where none follows, and ends where it is outside.
Shapes whose attributes name one `entity` (of one `clip`) are one thing, whatever their tracks:
CVAT keeps a mask as a track of its own. Otherwise a track of boxes is a thing, and a mask one of
its own frame.

CVAT numbers pictures and stores no times. `NAME.frames.json` beside the file, named like it or like
the film, which `massannot export cvat` writes, has the time of each; without it the numbers are
those of the film's pictures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from massannot.counts import counted
from massannot.errors import UsageError
from massannot.geometry import rle
from massannot.models.recorded.cvat_xml import CvatShape, CvatTask, CvatTrack, read_task
from massannot.models.recorded.recorded_videos import RecordedObject, RecordedVideo, file_path
from massannot.storage.json_text import parsed

UNKNOWN = "unknown"
"""The state of a frame in which nothing is said of a thing."""
TIMES_ENDING = ".frames.json"
Key = tuple[str, str]
"""Clip and entity."""


@dataclass(frozen=True)
class CvatFile:
    """The film of a file, and a sentence about what of it is used."""

    video: RecordedVideo
    note: str


def read_cvat(path: str) -> CvatFile:
    """Raises UsageError as cvat_xml.read_task does, for tracks of one thing that disagree, and for
    times that are not the film's."""
    task = read_task(Path(path))
    film = film_of(task)
    pts = _pts_of(task, film)
    called = [str(file_path(task.film)), *(film.get(k) for k in ("source_id", "video_id"))]
    names = [str(name) for name in called if name not in (None, ".")]
    video = RecordedVideo(
        names=tuple(dict.fromkeys(names)),
        width=task.width,
        height=task.height,
        n_rows=len(task.frames),
        objects=tuple(_object(thing, task) for thing in things_of(task)),
        pts=pts,
        numbers=None if pts else list(task.frames),
        counts_from_zero=True,
        numbers_are_frames=True,
        is_unnamed=not names,
    )
    parts = [f"{n} {what}" for what, n in sorted(task.left_out.items())]
    note = f"{counted(len(task.tracks), 'track')} read, {counted(len(video.objects), 'thing')}"
    note += f"; left out: {', '.join(parts)}" if parts else ""
    note += "" if pts else f"; no {file_path(task.film).stem}{TIMES_ENDING} beside it"
    return CvatFile(video, note)


def film_of(task: CvatTask) -> Mapping[str, Any]:
    """What `NAME.frames.json` says; nothing where there is none. Raises UsageError."""
    stems = (task.path.stem, file_path(task.film).stem)
    paths = [task.path.with_name(f"{stem}{TIMES_ENDING}") for stem in stems]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return {}
    try:
        film = parsed(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not a JSON file: {error}") from error
    if not isinstance(film, dict) or not isinstance(film.get("pts"), list):
        raise UsageError(f"{path}: expected what `massannot export cvat` writes, with pts")
    return film


def _pts_of(task: CvatTask, film: Mapping[str, Any]) -> list[int] | None:
    if not film:
        return None
    if task.frames[-1] >= len(film["pts"]):
        raise UsageError(
            f"{task.path}: has frame {task.frames[-1]} of {task.film}, whose times beside it are "
            f"those of {counted(len(film['pts']), 'frame')}; export the dataset again for this film"
        )
    return [film["pts"][number] for number in task.frames]


def key_of(track: CvatTrack) -> Key | None:
    """The clip and entity that its attributes name; None: it is a thing of its own."""
    entity = track.attributes.get("entity", "")
    return (track.attributes.get("clip", ""), entity) if entity else None


@dataclass(frozen=True)
class CvatThing:
    """The tracks of one thing, row by row."""

    key: Key | None
    tracks: tuple[CvatTrack, ...]
    boxes: Mapping[int, CvatShape]
    """What its tracks of boxes say from their first shape on; of two, the one that shows it."""
    masks: Mapping[int, str]
    """Run lengths."""


def things_of(task: CvatTask) -> tuple[CvatThing, ...]:
    """Raises UsageError for tracks of one thing that show it twice in a frame."""
    of_key: dict[Key | int, list[CvatTrack]] = {}
    for number, track in enumerate(task.tracks):
        of_key.setdefault(key_of(track) or number, []).append(track)
    return tuple(_read(tracks, task) for tracks in of_key.values())


def _read(tracks: list[CvatTrack], task: CvatTask) -> CvatThing:
    boxes: dict[int, CvatShape] = {}
    masks: dict[int, str] = {}
    for track in tracks:
        if track.shapes[0].box is not None:
            _add_boxes(boxes, track, task)
    for track in tracks:
        for shape in track.shapes:
            if shape.counts is not None and not shape.outside:
                _add_mask(masks, shape, track, task)
    return CvatThing(key_of(tracks[0]), tuple(tracks), boxes, masks)


def _object(thing: CvatThing, task: CvatTask) -> RecordedObject:
    tracks = thing.tracks
    labels = {track.label: track.where for track in tracks}
    if len(labels) > 1:
        (one, first), (other, second) = list(labels.items())[:2]
        raise UsageError(
            f"{first} is a {one!r} and {second} a {other!r}, but both are entity "
            f"{tracks[0].attributes.get('entity')!r}; expected one label a thing"
        )
    seen_once = not thing.boxes and thing.key is None and _n_shown(tracks) == 1
    found = RecordedObject(tracks[0].label, is_tracked=not seen_once, masks=dict(thing.masks))
    holes: set[int] = set()
    for row, shape in thing.boxes.items():
        if not shape.outside and shape.box is not None:
            found.boxes[row] = shape.box
            found.scores[row] = 1.0
            found.beliefs[row] = _belief(shape, 1.0)
        elif shape.attributes.get("state") == UNKNOWN:
            holes.add(row)
        elif shape.occluded:
            found.beliefs[row] = _belief(shape, 1.0)
    for row, counts in thing.masks.items():
        own = rle.box_xyxy(counts, height=task.height, width=task.width)
        if own is not None and row not in found.boxes:
            found.boxes[row] = (float(own[0]), float(own[1]), float(own[2]), float(own[3]))
            found.scores[row] = 1.0
    states = any("state" in shape.attributes for shape in thing.boxes.values())
    every = set(range(len(task.frames)))
    found.unknown = (holes | (every - set(thing.boxes))) if states else holes
    found.unknown -= {*found.boxes, *found.masks}
    if found.masks:
        found.unknown |= set(found.boxes) - set(found.masks)
    else:
        found.boxes_are_masks = True
    return found


def _n_shown(tracks: Sequence[CvatTrack]) -> int:
    return sum(not shape.outside for track in tracks for shape in track.shapes)


def _by_row(track: CvatTrack, frames: range) -> Iterator[tuple[int, CvatShape]]:
    """Each row from its first shape on with what the track says of it."""
    row = frames.index(track.shapes[0].frame)
    for shape, following in zip(track.shapes, (*track.shapes[1:], None)):
        end = len(frames) if following is None else frames.index(following.frame)
        start = row
        while row < end:
            share = (row - start) / (end - start)
            yield row, _between(shape, following, share) if share else shape
            row += 1


def _between(shape: CvatShape, following: CvatShape | None, share: float) -> CvatShape:
    if shape.outside or following is None or following.outside or shape.box is None:
        return shape
    ends = zip(shape.box, following.box or shape.box)
    x0, y0, x1, y1 = (a + (b - a) * share for a, b in ends)
    return CvatShape(shape.frame, False, shape.occluded, (x0, y0, x1, y1), None, shape.attributes)


def _belief(shape: CvatShape, default: float) -> float:
    text = shape.attributes.get("score", "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UsageError(f"frame {shape.frame}: score {text!r}, expected 0 to 1")
    return value


def _add_boxes(boxes: dict[int, CvatShape], track: CvatTrack, task: CvatTask) -> None:
    for row, shape in _by_row(track, task.frames):
        if row in boxes and not boxes[row].outside:
            if shape.outside:
                continue
            raise UsageError(
                f"{track.where}: entity {track.attributes.get('entity')!r} has another box in row "
                f"{row}; expected each thing once a frame: end one of the tracks before it"
            )
        boxes[row] = shape


def _add_mask(masks: dict[int, str], shape: CvatShape, track: CvatTrack, task: CvatTask) -> None:
    row = task.frames.index(shape.frame)
    if row in masks:
        raise UsageError(
            f"{track.where}: entity {track.attributes.get('entity')!r} has another mask in frame "
            f"{shape.frame}; expected each thing once a frame: delete one of them"
        )
    assert shape.counts is not None
    masks[row] = shape.counts
