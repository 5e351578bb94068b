"""Entries of COCO and YouTube-VIS lists, strictly: ids, boxes, scores, numbers of things.

Every error is a UsageError that names the entry, `b.json: annotations[3] (id 7)`, what was found
and what was expected. Keys that nobody reads are counted; one that is a known key misspelt is
refused.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from massannot import tables
from massannot.errors import UsageError
from massannot.storage.json_text import parsed

Box = tuple[float, float, float, float]
Entry = Mapping[str, Any]
Id = int | str

# fmt: off
READ: Mapping[str, tuple[str, ...]] = {
    "videos": (
        "id", "name", "source_id", "video_id", "uri", "file_name", "file_names", "width",
        "height", "length", "pts", "t_s", "fps",
    ),
    "images": (
        "id", "file_name", "video_id", "width", "height", "frame_index", "frame_id", "frame",
        "pts", "t_s",
    ),
    "categories": ("id", "name"),
    "annotations": (
        "id", "image_id", "video_id", "category_id", "bbox", "bboxes", "segmentation",
        "segmentations", "score", "track_id", "instance_id", "attributes", "iscrowd", "states",
        "scores", "origins",
    ),
    "things": ("id", "video_id", "states", "scores"),
}
IGNORED = (
    "area", "areas", "length", "width", "height", "supercategory", "license", "flickr_url",
    "coco_url", "date_captured", "keypoints", "num_keypoints", "skeleton", "caption", "color",
    "isthing", "clip_id", "uri", "category_id", "origins", *tables.spec("entities").names,
)
# fmt: on
"""Keys that say nothing about where a thing is: those of the formats, and of our own export."""


_STARTS = {
    b"\x1f\x8b": "a compressed file (gunzip unpacks it)",
    b"PK\x03\x04": "a zip file (unpack it)",
    b"\xff\xfe": "UTF-16 (iconv -f UTF-16 -t UTF-8 writes UTF-8)",
    b"\xfe\xff": "UTF-16 (iconv -f UTF-16 -t UTF-8 writes UTF-8)",
}
"""First bytes of what is no JSON in UTF-8."""


def json_of(path: str | Path, *, expected: str) -> Any:
    """The value in a JSON file in UTF-8. Raises UsageError, with what is `expected` there and the
    way to it, for any other file."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read: {error.strerror}; expected {expected}"
        ) from error
    for start, found in _STARTS.items():
        if content.startswith(start):
            raise UsageError(f"{path}: found {found}; expected {expected}")
    try:
        return parsed(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: found no text in UTF-8; expected {expected}") from error
    except ValueError as error:
        raise UsageError(f"{path}: not JSON: {error}; expected {expected}") from error


@dataclass
class JsonLists:
    """The lists of one file, and what of them is read."""

    path: str
    content: Mapping[str, Any]
    unread: Counter[str] = field(default_factory=Counter)
    """Keys that nobody reads, `annotations.keypoints`, and in how many entries they are."""

    def entries(self, name: str, *, optional: bool = False) -> list[tuple[str, Entry]]:
        """(name for messages, entry) of a list. Raises UsageError for what is no list of objects,
        and for an id that occurs twice."""
        values = self.content.get(name, [] if optional else None)
        if not isinstance(values, list):
            raise UsageError(
                f"{self.path}: {name} is {kind_of(values)}, expected a list of objects"
            )
        entries: list[tuple[str, Entry]] = []
        first_with: dict[Id, str] = {}
        for number, entry in enumerate(values):
            where = f"{self.path}: {name}[{number}]"
            if not isinstance(entry, dict):
                raise UsageError(f"{where} is {kind_of(entry)}, expected an object")
            if "id" in entry:
                own = id_of(entry, "id", where=where)
                where += f" (id {own!r})"
                if own in first_with:
                    raise UsageError(f"{where} has the id of {first_with[own]}, expected its own")
                first_with[own] = f"{name}[{number}]"
            self._count_unread(name, entry, where)
            entries.append((where, entry))
        return entries

    def by_id(self, name: str, *, optional: bool = False) -> dict[Id, Entry]:
        """The entries of a list by their ids. Raises UsageError for one without."""
        return {
            id_of(entry, "id", where=where): entry
            for where, entry in self.entries(name, optional=optional)
        }

    def _count_unread(self, name: str, entry: Entry, where: str) -> None:
        meant = {_letters(key): key for key in READ[name]}
        for key in entry:
            if key in READ[name] or key in IGNORED:
                continue
            if _letters(key) in meant:
                raise UsageError(f"{where} has {key!r}, expected {meant[_letters(key)]!r}")
            self.unread[f"{name}.{key}"] += 1


def required(entry: Entry, key: str, *, where: str) -> Any:
    """Raises UsageError where the key is missing or null."""
    if entry.get(key) is None:
        state = "null" if key in entry else "missing"
        raise UsageError(f"{where}: {key} is {state}; found {', '.join(map(repr, entry))}")
    return entry[key]


def id_of(entry: Entry, key: str, *, where: str) -> Id:
    """A whole number or a text. Raises UsageError."""
    value = required(entry, key, where=where)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise UsageError(f"{where}: {key} {value!r}, expected a whole number or a text")
    return value


def referred(entry: Entry, key: str, known: Mapping[Id, Any], *, where: str, what: str) -> Id:
    """An id of the list `what`. Raises UsageError where that has none such: no row of the file
    may go missing without a word."""
    value = id_of(entry, key, where=where)
    if value in known:
        return value
    twin = str(value) if isinstance(value, int) else int(value) if value.isdigit() else None
    hint = ""
    if twin in known:
        hint = f"; it has {twin!r}: an id is a number in both lists or a text in both"
    raise UsageError(f"{where}: {key} {value!r} is not among {what}{hint}")


def size_of(entry: Entry, *, where: str) -> tuple[int, int]:
    """(width, height). Raises UsageError."""
    width, height = (required(entry, key, where=where) for key in ("width", "height"))
    for side in (width, height):
        if number_of(side, where=where, name="width or height") < 1 or side % 1:
            raise UsageError(f"{where}: width {width!r}, height {height!r}, expected whole pixels")
    return int(width), int(height)


def number_of(value: Any, *, where: str, name: str) -> float:
    """A finite number. Raises UsageError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{where}: {name} {value!r}, expected a finite number")
    return float(value)


def score_of(entry: Entry, *, where: str) -> float:
    """0..1; 1 where none is given. Raises UsageError."""
    if "score" not in entry:
        return 1.0
    score = entry["score"]
    if score is None:
        raise UsageError(
            f"{where}: score is null, expected a number from 0 to 1; leave the key out where there "
            "is no score"
        )
    if not 0 <= number_of(score, where=where, name="score") <= 1:
        raise UsageError(f"{where}: score {score!r}, expected 0..1")
    return float(score)


def box_of(value: Any, *, size: tuple[int, int], where: str) -> Box | None:
    """x0 y0 x1 y1 of COCO's x, y, width, height; None for null and an empty list. Raises UsageError
    for a box without extent, and for one that lies outside of the picture."""
    if value is None or value == []:
        return None
    if not isinstance(value, list) or len(value) != 4:
        raise UsageError(f"{where}: bbox {value!r}, expected [x, y, width, height]")
    x, y, width, height = (number_of(part, where=where, name="bbox") for part in value)
    if width <= 0 or height <= 0:
        raise UsageError(
            f"{where}: bbox {value} has width {width:g} and height {height:g}, expected positive "
            "ones: a bbox is [x, y, width, height]"
        )
    if x >= size[0] or y >= size[1] or x + width <= 0 or y + height <= 0:
        raise UsageError(
            f"{where}: bbox {value} lies outside of the picture of {size[0]}x{size[1]}"
        )
    return x, y, x + width, y + height


def track_of(entry: Entry, *, where: str) -> Id | None:
    """The number of the thing that an annotation shows; None: it is not tracked. Raises
    UsageError where two keys disagree."""
    attributes = entry.get("attributes")
    inner = attributes if isinstance(attributes, dict) else {}
    given = {
        key: value
        for key, value in (
            ("track_id", entry.get("track_id")),
            ("instance_id", entry.get("instance_id")),
            ("attributes.track_id", inner.get("track_id")),
        )
        if value is not None
    }
    if "track_id" in given:
        given.pop("instance_id", None)  # of one picture, where both are there
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise UsageError(f"{where}: {name} {value!r}, expected a whole number or a text")
    if len(set(given.values())) > 1:
        raise UsageError(f"{where}: {given} disagree, expected one number of the thing")
    number = next(iter(given.values()), None)
    if number == "" or (isinstance(number, int) and number < 0):
        return None  # as trackers write it: not tracked
    return number


def is_crowd(entry: Entry, *, where: str) -> bool:
    """Whether the region is of many things. Raises UsageError."""
    value = entry.get("iscrowd", 0)
    if value not in (0, 1, None):
        raise UsageError(f"{where}: iscrowd {value!r}, expected 0 or 1")
    return bool(value)


def _letters(key: str) -> str:
    return re.sub("[^a-z]", "", key.lower())


def kind_of(value: Any) -> str:
    """Of a JSON value, for messages."""
    names = {type(None): "null or missing", dict: "an object", list: "a list", str: "a text"}
    return names.get(type(value), f"a {type(value).__name__}")
