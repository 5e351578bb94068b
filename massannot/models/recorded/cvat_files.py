"""CVAT's XML for video as a recorded video: things with boxes and masks, row by row.

A row is a picture of the film that CVAT annotated. A track of boxes holds between its key frames: a
box goes in a straight line to the next one, stays where none follows, and ends where it is outside.
Shapes whose attributes name one `entity` (of one `clip`) are one thing, whatever their tracks:
CVAT keeps a mask as a track of its own. Otherwise a track of boxes is a thing, and a mask one of
its own frame.

CVAT numbers pictures and stores no times. `NAME.frames.json` beside the file, named like it or like
the film, which `massannot export cvat` writes, has the time of each; without it the rate has to be
said, or be that of the clip.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from massannot.errors import UsageError
from massannot.geometry import rle
from massannot.models.recorded.cvat_xml import CvatShape, CvatTask, CvatTrack, read_task
from massannot.models.recorded.json_entries import Box
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
    film = _film_of(task)
    pts = _pts_of(task, film)
    names = [file_path(task.film).stem, *(film.get(k) for k in ("source_id", "video_id"))]
    video = RecordedVideo(
        names=tuple(dict.fromkeys(str(name) for name in names if name)),
        width=task.width,
        height=task.height,
        n_rows=len(task.frames),
        objects=_things(task),
        pts=pts,
        numbers=None if pts else list(task.frames),
        counts_from_zero=True,
    )
    parts = [f"{n} {what}" for what, n in sorted(task.left_out.items())]
    note = f"{len(task.tracks)} tracks read, {len(video.objects)} things"
    note += f"; left out: {', '.join(parts)}" if parts else ""
    note += "" if pts else f"; no {file_path(task.film).stem}{TIMES_ENDING} beside it"
    return CvatFile(video, note)


def _film_of(task: CvatTask) -> Mapping[str, Any]:
    """What `NAME.frames.json` says; nothing where there is none."""
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
            f"those of {len(film['pts'])} frames; export the dataset again for this film"
        )
    return [film["pts"][number] for number in task.frames]


def key_of(track: CvatTrack) -> Key | None:
    """The clip and entity that its attributes name; None: it is a thing of its own."""
    entity = track.attributes.get("entity", "")
    return (track.attributes.get("clip", ""), entity) if entity else None


def _things(task: CvatTask) -> tuple[RecordedObject, ...]:
    of_key: dict[Key | int, list[CvatTrack]] = {}
    for number, track in enumerate(task.tracks):
        of_key.setdefault(key_of(track) or number, []).append(track)
    return tuple(_thing(tracks, task) for tracks in of_key.values())


def _thing(tracks: list[CvatTrack], task: CvatTask) -> RecordedObject:
    labels = {track.label: track.where for track in tracks}
    if len(labels) > 1:
        (one, first), (other, second) = list(labels.items())[:2]
        raise UsageError(
            f"{first} is a {one!r} and {second} a {other!r}, but both are entity "
            f"{tracks[0].attributes.get('entity')!r}; expected one label a thing"
        )
    with_boxes = [track for track in tracks if track.shapes[0].box is not None]
    seen_once = not with_boxes and key_of(tracks[0]) is None and _n_shown(tracks) == 1
    thing = RecordedObject(tracks[0].label, is_tracked=not seen_once)
    holes: set[int] = set()
    said: set[int] = set()
    for track in with_boxes:
        for row, shape in _by_row(track, task.frames):
            said.add(row)
            if not shape.outside:
                _put(thing.boxes, row, shape.box, track)
                thing.scores[row] = 1.0
                thing.beliefs[row] = _belief(shape, 1.0)
            elif shape.attributes.get("state") == UNKNOWN:
                holes.add(row)
            elif shape.occluded:
                thing.beliefs[row] = _belief(shape, 1.0)
    for track in tracks:
        for shape in track.shapes:
            if shape.counts is not None and not shape.outside:
                _add_mask(thing, task.frames.index(shape.frame), shape.counts, track, task)
    states = any("state" in track.attributes for track in with_boxes)
    every = set(range(len(task.frames)))
    thing.unknown = ((holes | (every - said)) if states else holes) - set(thing.boxes)
    thing.unknown -= set(thing.masks)
    if thing.masks:
        thing.unknown |= set(thing.boxes) - set(thing.masks)
    else:
        thing.boxes_are_masks = True
    return thing


def _n_shown(tracks: list[CvatTrack]) -> int:
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


def _put(boxes: dict[int, Box], row: int, box: Box | None, track: CvatTrack) -> None:
    if row in boxes:
        raise UsageError(
            f"{track.where}: entity {track.attributes.get('entity')!r} has another box in row "
            f"{row}; expected each thing once a frame: end one of the tracks before it"
        )
    assert box is not None
    boxes[row] = box


def _add_mask(
    thing: RecordedObject, row: int, counts: str, track: CvatTrack, task: CvatTask
) -> None:
    if row in thing.masks:
        raise UsageError(
            f"{track.where}: entity {track.attributes.get('entity')!r} has another mask in frame "
            f"{task.frames[row]}; expected each thing once a frame: delete one of them"
        )
    thing.masks[row] = counts
    own = rle.box_xyxy(counts, height=task.height, width=task.width)
    if own is not None and row not in thing.boxes:
        thing.boxes[row] = (float(own[0]), float(own[1]), float(own[2]), float(own[3]))
        thing.scores[row] = 1.0
