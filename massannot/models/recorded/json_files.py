"""COCO and YouTube-VIS JSON as recorded videos: objects with boxes and masks, row by row.

YouTube-VIS: `videos` (id or name, width, height, length; `pts`, `t_s` or `fps` if it is not every
frame of the clip) and annotations with `segmentations` and `bboxes`, one a frame, null where the
object is not seen. COCO: `images` with `video_id` or a folder in `file_name`, and annotations that
share a `track_id` (`instance_id`, or `attributes.track_id`, as annotation tools write it); without
one, or with one below 0, an annotation is an object of a single frame. A list `things`, of our own
export, has the `states` of a track by frame. Rows are the file's own
frames; matching.py finds those of a clip.

The pass is strict: what contradicts itself is refused by name, what is left out is counted. Crowd
regions are left out unless `crowd` says that they are things.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from massannot.counts import counted
from massannot.errors import UsageError
from massannot.geometry import rle
from massannot.models.recorded.json_entries import (
    Box,
    Entry,
    Id,
    JsonLists,
    box_of,
    id_of,
    is_crowd,
    json_of,
    number_of,
    referred,
    required,
    score_of,
    size_of,
    track_of,
)
from massannot.models.recorded.picture_names import order_of
from massannot.models.recorded.recorded_videos import (
    RecordedObject,
    RecordedVideo,
    ascending_numbers,
    folder_of,
    frame_numbers,
    length_of,
    times_of,
    times_of_images,
    video_of,
)
from massannot.models.recorded.segmentations import check_polygons, counts_of

_EXPECTED = (
    "COCO (images, annotations, categories) or YouTube-VIS JSON (videos, annotations, categories), "
    "CVAT's XML for video (.xml), Rerun's recordings (.rrd) or a folder that massannot wrote; rows "
    "of other tools, such as MOT's text, have to be written as one of these (docs/answers.md)"
)


@dataclass(frozen=True)
class RecordedFile:
    """The videos of a file, and a sentence about what of it is used."""

    videos: tuple[RecordedVideo, ...]
    note: str


def read_json(path: str, *, crowd: bool = False) -> RecordedFile:
    """Every video of a file. Raises UsageError for one that is of neither kind, and for one that
    contradicts itself, naming the entry."""
    content = json_of(path, expected=_EXPECTED)
    if not isinstance(content, dict) or not ({"videos", "images"} & set(content)):
        raise UsageError(f"{path}: expected {_EXPECTED}")
    reading = _Reading(JsonLists(path, content), crowd=crowd)
    by_video = "images" not in content or (not content["images"] and content.get("videos"))
    videos = reading.by_video() if by_video else reading.by_image()
    return RecordedFile(tuple(videos), reading.note())


class _Reading:
    """One pass over a file, and the counts of what it leaves out."""

    def __init__(self, lists: JsonLists, *, crowd: bool):
        self._lists = lists
        self._crowd = crowd
        self._left_out: Counter[str] = Counter()
        self._n_annotations = 0
        self._largest_corner = 0.0
        self._masks_agree = False
        """Whether a box is exactly its mask's: then boxes are in pixels."""
        self._n_beyond = 0
        self._n_empty = 0
        self._categories = {
            key: str(required(entry, "name", where=f"{lists.path}: category {key!r}"))
            for key, entry in lists.by_id("categories").items()
        }

    def note(self) -> str:
        """What was read and what was not. Raises UsageError where nothing is left, and for boxes
        in shares of the picture."""
        n_used = self._n_annotations - self._left_out.total()
        parts = [f"{n} {reason}" for reason, n in sorted(self._left_out.items())]
        if self._n_annotations and not n_used:
            raise UsageError(
                f"{self._lists.path}: found {counted(self._n_annotations, 'annotation')}, all left "
                f"out: {', '.join(parts)}. Some writers mark every run length as a crowd: --set "
                "detect.crowd=true, --set masks.crowd=true take them as things"
            )
        if 0 < self._largest_corner <= 1 and not self._masks_agree:
            raise UsageError(
                f"{self._lists.path}: all boxes lie within the first pixel; expected pixels, not "
                "shares of the picture: multiply by width and height"
            )
        note = f"{counted(self._n_annotations, 'annotation')} read, {n_used} used"
        note += f", left out: {', '.join(parts)}" if parts else ""
        if self._n_empty:
            note += f"; {counted(self._n_empty, 'mask is', many='masks are')} empty"
        if self._n_beyond:
            reach = counted(self._n_beyond, "box reaches", many="boxes reach")
            note += f"; {reach} beyond the picture"
        unread = [f"{key} ({n})" for key, n in sorted(self._lists.unread.items())]
        return note + (f"; keys that nobody reads: {', '.join(unread)}" if unread else "")

    def by_video(self) -> list[RecordedVideo]:
        """YouTube-VIS: an annotation has a row for each frame of its video."""
        videos = self._lists.by_id("videos")
        objects: dict[Id, list[RecordedObject]] = {key: [] for key in videos}
        place = {key: f"{self._lists.path}: video {key!r}" for key in videos}
        lengths = {key: length_of(video, where=place[key]) for key, video in videos.items()}
        for where, annotation in self._lists.entries("annotations"):
            self._n_annotations += 1
            key = referred(annotation, "video_id", videos, where=where, what="videos")
            if not self._is_left_out(annotation, where):
                thing = RecordedObject(self._category(annotation, where), is_tracked=True)
                self._fill(thing, annotation, videos[key], lengths[key], where)
                objects[key].append(thing)
        return [
            video_of(
                video,
                size_of(video, where=place[key]),
                objects[key],
                n_rows=lengths[key],
                pts=times_of(video.get("pts"), where=place[key], name="pts"),
                t_s=times_of(video.get("t_s"), where=place[key], name="t_s"),
                numbers=ascending_numbers(video.get("file_names"), where=place[key]),
            )
            for key, video in videos.items()
        ]

    def by_image(self) -> list[RecordedVideo]:
        """COCO: an annotation has the row of its image."""
        videos = self._lists.by_id("videos", optional=True)
        images = self._lists.by_id("images")
        of_video: dict[Id, list[Id]] = {}
        for key, image in images.items():
            of_video.setdefault(self._video_key(key, image, videos), []).append(key)
        annotations: dict[Id, list[tuple[str, Entry]]] = {key: [] for key in images}
        for where, annotation in self._lists.entries("annotations"):
            self._n_annotations += 1
            key = referred(annotation, "image_id", images, where=where, what="images")
            if not self._is_left_out(annotation, where):
                annotations[key].append((where, annotation))
        states: dict[Id, dict[Id, tuple[str, Entry]]] = {key: {} for key in of_video}
        for where, thing in self._lists.entries("things", optional=True):
            key = referred(thing, "video_id", of_video, where=where, what="the images' videos")
            states[key][id_of(thing, "id", where=where)] = (where, thing)
        return [
            self._video_of_images(
                key, {i: images[i] for i in ids}, videos.get(key), annotations, states[key]
            )
            for key, ids in of_video.items()
        ]

    def _video_key(self, key: Id, image: Entry, videos: Mapping[Id, Entry]) -> Id:
        """The image's video: its id, or the folder of its file."""
        where = f"{self._lists.path}: image {key!r}"
        if image.get("video_id") is None:
            return folder_of(image.get("file_name", ""))
        if videos:
            return referred(image, "video_id", videos, where=where, what="videos")
        return id_of(image, "video_id", where=where)

    def _video_of_images(
        self,
        key: Id,
        images: Mapping[Id, Entry],
        video: Entry | None,
        annotations: Mapping[Id, Sequence[tuple[str, Entry]]],
        states: Mapping[Id, tuple[str, Entry]],
    ) -> RecordedVideo:
        name = f"{self._lists.path}: images of video {key!r}"
        sizes = {
            size_of(image, where=f"{self._lists.path}: image {i!r}"): i
            for i, image in images.items()
        }
        if len(sizes) > 1:
            raise UsageError(f"{name} have several sizes, {sorted(sizes)}, expected one")
        (size,) = sizes
        numbers, key_of_number = frame_numbers(list(images.values()), where=name)
        ids = [list(images)[place] for place in order_of(numbers, len(images))]
        ordered = [images[i] for i in ids]
        objects = self._things(ids, annotations, size, states)
        return video_of(
            {**({} if key == "" else {"id": key}), **(video or {})},
            size,
            objects,
            n_rows=len(ids),
            pts=times_of_images(ordered, "pts", where=name),
            t_s=times_of_images(ordered, "t_s", where=name),
            numbers=None if numbers is None else sorted(numbers),
            counts_from_zero=key_of_number == "frame_index",
            numbers_are_frames=key_of_number != "file_name",
        )

    def _things(
        self,
        ids: Sequence[Id],
        annotations: Mapping[Id, Sequence[tuple[str, Entry]]],
        size: tuple[int, int],
        states: Mapping[Id, tuple[str, Entry]],
    ) -> list[RecordedObject]:
        """The objects of one video: annotations of one track are one thing."""
        tracks: dict[Id, RecordedObject] = {}
        first: dict[Id, str] = {}
        rows: dict[tuple[Id, int], str] = {}
        things = []
        for row, image in enumerate(ids):
            for where, annotation in annotations[image]:
                track, category = (
                    track_of(annotation, where=where),
                    self._category(annotation, where),
                )
                if track is None:
                    thing = RecordedObject(category, is_tracked=False)
                    things.append(thing)
                else:
                    thing = tracks.setdefault(track, RecordedObject(category, is_tracked=True))
                    _check_track(thing, category, track, first.setdefault(track, where), where)
                    if (track, row) in rows:
                        raise UsageError(
                            f"{where} is track {track!r} in image {image!r}, as {rows[track, row]}"
                            " is; expected each thing once a frame"
                        )
                    rows[track, row] = where
                box = self._box(annotation.get("bbox"), size, where)
                self._add(thing, row, box, annotation.get("segmentation"), size, where)
                thing.scores[row] = score_of(annotation, where=where)
        numbers = {type(track) for track in tracks}
        if len(numbers) > 1:
            raise UsageError(
                f"{self._lists.path}: track ids are numbers and texts, expected one kind; "
                f"{first[next(t for t in tracks if isinstance(t, str))]} has a text"
            )
        for number, (where, entry) in states.items():
            if number in tracks:
                _take_states(tracks[number], entry, len(ids), where)
        things = [*tracks.values(), *things]
        for thing in things:
            _finish(thing)
        return things

    def _fill(
        self, thing: RecordedObject, annotation: Entry, video: Entry, length: int, where: str
    ) -> None:
        """The rows of an annotation of YouTube-VIS."""
        size, score = size_of(video, where=where), score_of(annotation, where=where)
        columns = {}
        for name in ("bboxes", "segmentations", "states", "scores"):
            values = annotation.get(name)
            values = [None] * length if values is None else values
            if not isinstance(values, list) or len(values) != length:
                found = _size(values)
                raise UsageError(
                    f"{where}: {name} has {found}, expected {length}, one a frame of its "
                    "video, null where it is not seen"
                )
            columns[name] = values
        for row in range(length):
            box, mask = columns["bboxes"][row], columns["segmentations"][row]
            state, belief = columns["states"][row], columns["scores"][row]
            at = f"{where}, frame {row}"
            if "states" in annotation and state is None:
                thing.unknown.add(row)
            elif box or mask:
                self._add(thing, row, self._box(box, size, at), mask, size, at)
                thing.scores[row] = score
            if belief is not None:
                thing.beliefs[row] = number_of(belief, where=at, name="scores")
        _finish(thing)

    def _add(
        self,
        thing: RecordedObject,
        row: int,
        box: Box | None,
        segmentation: Any,
        size: tuple[int, int],
        where: str,
    ) -> None:
        """A box, a mask, or both of a thing in one row."""
        try:
            check_polygons(segmentation, height=size[1], width=size[0])
            counts = counts_of(segmentation, height=size[1], width=size[0])
        except (ValueError, TypeError) as error:
            raise UsageError(f"{where}: {error}") from error
        if box is None and counts is None:
            raise UsageError(f"{where} has neither bbox nor segmentation, expected one of them")
        own = None
        if counts is None:
            thing.unknown.add(row)
        else:
            thing.masks[row] = counts
            own = rle.box_xyxy(counts, height=size[1], width=size[0])
        if box is not None and own is not None and not _meet(box, own):
            raise UsageError(
                f"{where}: bbox {list(box)} (x0 y0 x1 y1) and its mask's {list(own)} do not meet"
            )
        self._masks_agree |= box is not None and box == own
        if box is not None or own is not None:
            thing.boxes[row] = box or tuple(map(float, own or ()))  # type: ignore[assignment]
        if counts is not None and own is None:
            self._n_empty += 1
            thing.beliefs[row] = float(box is not None)  # hidden where a box says that it is there

    def _box(self, value: Any, size: tuple[int, int], where: str) -> Box | None:
        box = box_of(value, size=size, where=where)
        if box is not None:
            self._largest_corner = max(self._largest_corner, *box)
            beyond = min(box) < -1 or box[2] > size[0] + 1 or box[3] > size[1] + 1
            self._n_beyond += beyond
        return box

    def _is_left_out(self, annotation: Entry, where: str) -> bool:
        crowd = is_crowd(annotation, where=where) and not self._crowd
        self._left_out.update(["crowd region"] if crowd else [])
        return crowd

    def _category(self, annotation: Entry, where: str) -> str:
        key = referred(annotation, "category_id", self._categories, where=where, what="categories")
        return self._categories[key]


def _check_track(thing: RecordedObject, category: str, track: Id, first: str, where: str) -> None:
    if thing.category != category:
        raise UsageError(
            f"{where} is track {track!r} of category {category!r}, and {first} of "
            f"{thing.category!r}; expected a number a thing, counted over all categories"
        )


def _size(values: object) -> str:
    return counted(len(values), "item") if isinstance(values, list) else type(values).__name__


def _take_states(thing: RecordedObject, entry: Entry, length: int, where: str) -> None:
    """In which frames nothing is said of it, and how sure it is that it is in the picture."""
    for name in ("states", "scores"):
        values = entry.get(name)
        if not isinstance(values, list) or len(values) != length:
            found = _size(values)
            raise UsageError(f"{where}: {name} has {found}, expected {length}, one a frame")
    for row, (state, belief) in enumerate(zip(entry["states"], entry["scores"])):
        if state is None and row not in thing.boxes:
            thing.unknown.add(row)
        if belief is not None:
            thing.beliefs[row] = number_of(belief, where=where, name="scores")


def _finish(thing: RecordedObject) -> None:
    """Where the file has no mask of a thing at all, its boxes are its masks."""
    if not thing.masks:
        thing.boxes_are_masks = True
        thing.unknown -= set(thing.boxes)


def _meet(box: Box, other: Sequence[float]) -> bool:
    return box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
