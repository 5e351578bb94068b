"""RecordedVideo: what a file of objects says about one video, and the frames that its rows are."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Literal

from massannot.errors import UsageError
from massannot.models.recorded.json_entries import Box, Entry, number_of
from massannot.models.recorded.picture_names import numbers_in


@dataclass
class RecordedObject:
    """One thing, by row, in the file's own pixels."""

    category: str
    is_tracked: bool
    """Whether the file follows it: then a row of its video without it means that it is absent.
    Otherwise it speaks of its own row alone."""
    boxes: dict[int, Box] = field(default_factory=dict)
    """x0 y0 x1 y1: given, or the mask's."""
    scores: dict[int, float] = field(default_factory=dict)
    """Of the boxes, 0..1."""
    masks: dict[int, str] = field(default_factory=dict)
    """COCO's compressed form; an empty one: the file says that nothing is seen."""
    beliefs: dict[int, float] = field(default_factory=dict)
    """That the thing is in the picture, 0..1, where masks say it; else whether a mask is there."""
    unknown: set[int] = field(default_factory=set)
    """Rows in which nothing is said about its mask."""
    boxes_are_masks: bool = False
    """Whether the file has no mask of it at all: then its boxes are."""

    def is_known(self, row: int) -> bool:
        """Whether the file says where its mask is, or that there is none."""
        return (
            row in self.masks
            or (self.is_tracked and row not in self.unknown)
            or (self.boxes_are_masks and row in self.boxes)
        )


@dataclass(frozen=True)
class RecordedVideo:
    """One video of a file: its objects, and the frames of its rows."""

    names: tuple[str, ...]
    """Ids, names and paths of it, see video_names.py; none: it may be any video."""
    width: int
    height: int
    n_rows: int
    objects: Sequence[RecordedObject]
    pts: Sequence[int] | None = None
    t_s: Sequence[float] | None = None
    fps: float | None = None
    numbers: Sequence[int] | None = None
    """The rows' frame numbers, as the file counts them."""
    counts_from_zero: bool = False
    """Whether these are indices."""
    numbers_are_frames: bool = False
    """Whether they count the video's pictures, see RowTimes."""
    is_unnamed: bool = False
    """Whether it has at most a number in the file for a name, and so may be any video's."""

    @cached_property
    def by_row(self) -> Mapping[int, Sequence[int]]:
        """Which of `objects` have a box in a row, ascending: a file that follows nothing has one a
        box, and looking through all of them in every frame would cost the square of its length."""
        found: dict[int, list[int]] = defaultdict(list)
        for number, thing in enumerate(self.objects):
            for row in thing.boxes:
                found[row].append(number)
        return dict(found)


def plain_name(phrase: str) -> str:
    """A phrase or category without case, article and doubled spaces, for comparison."""
    words = phrase.casefold().split()
    return " ".join(words[1:] if len(words) > 1 and words[0] in {"a", "an", "the"} else words)


def video_of(
    video: Entry,
    size: tuple[int, int],
    objects: Sequence[RecordedObject],
    *,
    n_rows: int,
    pts: Sequence[Any] | None,
    t_s: Sequence[Any] | None,
    numbers: Sequence[int] | None,
    counts_from_zero: bool = False,
    numbers_are_frames: bool = False,
) -> RecordedVideo:
    names = names_of(video)
    number = () if video.get("id") is None else (str(video["id"]),)
    fps = video.get("fps")
    if fps is not None and not number_of(fps, where=f"video {names}", name="fps") > 0:
        raise UsageError(f"video {names}: fps {fps!r}, expected a positive number")
    return RecordedVideo(
        names or number,
        *size,
        n_rows,
        objects,
        pts,
        t_s,
        fps,
        numbers,
        counts_from_zero,
        numbers_are_frames,
        is_unnamed=not names,
    )


def names_of(video: Entry) -> tuple[str, ...]:
    """Every name under which a clip may ask for this video. An `id` that is a text is one where it
    has no other: beside names it only counts the entries of the file."""
    names = [video.get(key) for key in ("name", "source_id", "video_id", "uri")]
    names += [str(file_path(video["file_name"]))] if video.get("file_name") else []
    files = video.get("file_names")
    names += [folder_of(file) for file in files if file] if isinstance(files, list) else []
    given = [str(name) for name in names if name not in (None, "")]
    if not given and isinstance(video.get("id"), str):
        given = [video["id"]]
    return tuple(dict.fromkeys(given))


def folder_of(file: Any) -> str:
    """The folder of a picture, as far as its name tells; empty: it does not. Raises UsageError."""
    folder = str(file_path(file).parent)
    return "" if folder == "." else folder


def file_path(name: Any) -> PurePosixPath:
    """The path of a file, also of one that was named on Windows. Raises UsageError for what is no
    name."""
    if not isinstance(name, str):
        raise UsageError(f"found {name!r} for a file's name, expected a text")
    return PurePosixPath(name.replace("\\", "/"))


def length_of(video: Entry, *, where: str) -> int:
    files = video.get("file_names")
    length = video.get("length", len(files) if isinstance(files, list) else None)
    if type(length) is not int or length < 1:
        raise UsageError(f"{where}: length {length!r}, expected its number of frames")
    if isinstance(files, list) and len(files) != length:
        raise UsageError(f"{where}: length {length}, but {len(files)} file_names")
    return length


def ascending_numbers(files: Any, *, where: str) -> list[int] | None:
    """Frame numbers in the names of YouTube-VIS, whose order is that of the frames."""
    numbers = numbers_in(files) if files else None
    if numbers is not None and numbers != sorted(numbers):
        raise UsageError(f"{where}: file_names are not in the order of their numbers")
    return numbers


def frame_numbers(
    images: Sequence[Entry], *, where: str
) -> tuple[list[int] | None, Literal["frame_index", "frame_id", "frame", "file_name"]]:
    """The images' frame numbers, and the key that has them: explicit ones, or those in the names.
    Raises UsageError for numbers that repeat."""
    keys: tuple[Literal["frame_index", "frame_id", "frame"], ...]
    keys = ("frame_index", "frame_id", "frame")
    for key in keys:
        if all(image.get(key) is not None for image in images):
            numbers = [image[key] for image in images]
            if not all(type(number) is int for number in numbers):
                raise UsageError(f"{where}: {key} {numbers[0]!r}, expected whole numbers")
            twice = [number for number, n in Counter(numbers).items() if n > 1]
            if twice:
                raise UsageError(f"{where}: {key} {twice[0]} is there twice, expected each once")
            return numbers, key
    names = [image.get("file_name", "") for image in images]
    try:
        return (numbers_in(names) if all(names) else None), "file_name"
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error


def times_of_images(images: Sequence[Entry], key: str, *, where: str) -> list[Any] | None:
    """Raises UsageError where some of the images have the key and others do not."""
    having = [image for image in images if image.get(key) is not None]
    if having and len(having) < len(images):
        raise UsageError(
            f"{where}: {len(having)} of {len(images)} have {key}, expected all or none"
        )
    return times_of([image[key] for image in having] or None, where=where, name=key)


def times_of(values: Any, *, where: str, name: str) -> list[Any] | None:
    if values is None:
        return None
    if not isinstance(values, list):
        raise UsageError(f"{where}: {name} {values!r}, expected a list, one a frame")
    for value in values:
        number_of(value, where=where, name=name)
    return values
