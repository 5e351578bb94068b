"""CVAT's XML for video 1.1: the tracks of a file and their shapes, strictly.

A film's pictures are numbered from 0. A track's shapes are boxes, polygons or masks, one a frame; a
shape that is `outside` says that the thing is not seen from this frame on. A mask's run lengths go
along the rows of its own box (COCO's go down the columns of the picture) and begin with zeros.

Unusual: CVAT has no tracks of masks. It writes each mask as a track of its own, closed by an
outside shape, and of a longer track it keeps the first mask alone; what belongs to one thing is
told by the attribute `entity`, see exporters/cvat.py.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from massannot.errors import UsageError
from massannot.geometry import rle
from massannot.models.recorded.json_entries import Box
from massannot.models.recorded.segmentations import check_polygons, counts_of

_NOT_READ = ("polyline", "points", "ellipse", "cuboid", "skeleton")
_FLAGS = {"0": False, "1": True}


@dataclass(frozen=True)
class CvatShape:
    """A track in one frame. `box` x0 y0 x1 y1 and `counts` as they are, also where `outside`."""

    frame: int
    outside: bool
    occluded: bool
    box: Box | None
    counts: str | None
    """Of a mask or a polygon, COCO's compressed form."""
    attributes: Mapping[str, str]


@dataclass(frozen=True)
class CvatTrack:
    where: str
    label: str
    shapes: tuple[CvatShape, ...]
    """In order of their frames."""

    @cached_property
    def attributes(self) -> Mapping[str, str]:
        """Those of its first shape: CVAT's immutable ones are the same in all."""
        return self.shapes[0].attributes


@dataclass(frozen=True)
class CvatTask:
    """The tracks of one film."""

    path: Path
    film: str
    """The film's file, as CVAT names it."""
    width: int
    height: int
    frames: range
    """The numbers of the film's pictures that were annotated."""
    tracks: tuple[CvatTrack, ...]
    left_out: Counter[str]


def read_task(path: Path) -> CvatTask:
    """Raises UsageError for a file that is none of these, and for one that contradicts itself,
    naming the track."""
    root = _root(path)
    if root.find("image") is not None:
        raise UsageError(
            f"{path}: found images, expected tracks; export the task as 'CVAT for video 1.1'"
        )
    task = root.find("meta/task")
    if task is None:
        task = root.find("meta/job")
    if task is None:
        raise UsageError(
            f"{path}: found no meta/task, expected the export of one task; a project is exported "
            "task by task"
        )
    width, height = (_whole(task, f"original_size/{side}", path) for side in ("width", "height"))
    tracks, left_out, ids = [], Counter[str](), set()
    frames = _frames(task, path)
    for number, element in enumerate(root.iter("track")):
        name = element.get("id", str(number))
        where = f"{path}: track {name}"
        if name in ids:
            raise UsageError(f"{where} is there twice, expected each id once")
        ids.add(name)
        kinds = {child.tag for child in element}
        if strange := sorted(kinds & set(_NOT_READ)):
            left_out[f"track of {strange[0]}"] += 1
            continue
        tracks.append(_track(element, where, frames, (width, height)))
    film = _text(task, "source") or _text(task, "name") or ""
    return CvatTask(path, film, width, height, frames, tuple(tracks), left_out)


def _root(path: Path) -> ElementTree.Element:
    try:
        content = path.read_bytes()
        if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
            raise UsageError(f"{path}: found a document type, expected CVAT's XML, which has none")
        root = ElementTree.fromstring(content)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; expected an XML file of CVAT's") from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise UsageError(f"{path}: not an XML file: {error}") from error
    if root.tag != "annotations":
        raise UsageError(f"{path}: found <{root.tag}>, expected CVAT's <annotations>")
    if (version := root.findtext("version")) != "1.1":
        raise UsageError(f"{path}: found version {version!r} of CVAT's XML, expected '1.1'")
    return root


def _frames(task: ElementTree.Element, path: Path) -> range:
    """The annotated numbers; a task may begin late, and take every so-manieth picture."""
    size = _whole(task, "size", path)
    start = _whole(task, "start_frame", path) if _text(task, "start_frame") else 0
    step = (_text(task, "frame_filter") or "step=1").removeprefix("step=")
    if not step.isdecimal() or int(step) < 1:
        raise UsageError(f"{path}: frame_filter step={step}, expected a whole number from 1")
    stop = _whole(task, "stop_frame", path) if _text(task, "stop_frame") else start + size - 1
    frames = range(start, stop + 1, int(step))
    if not frames:
        raise UsageError(f"{path}: frames {start} to {stop}, expected at least one")
    return frames


def _track(
    element: ElementTree.Element, where: str, frames: range, size: tuple[int, int]
) -> CvatTrack:
    label = element.get("label")
    if not label:
        raise UsageError(f"{where} has no label")
    shapes: dict[int, CvatShape] = {}
    for child in element:
        shape = _shape(child, where, size)
        if shape.frame not in frames:
            raise UsageError(
                f"{where}: frame {shape.frame} is not among the task's {frames.start} to "
                f"{frames[-1]}" + (f" in steps of {frames.step}" if frames.step > 1 else "")
            )
        if shape.frame in shapes:
            raise UsageError(f"{where}: frame {shape.frame} is there twice, expected each once")
        shapes[shape.frame] = shape
    if not shapes:
        raise UsageError(f"{where} has no shape, expected boxes, polygons or masks")
    return CvatTrack(where, label, tuple(shapes[frame] for frame in sorted(shapes)))


def _shape(element: ElementTree.Element, where: str, size: tuple[int, int]) -> CvatShape:
    frame = element.get("frame", "")
    if not frame.isdecimal():
        raise UsageError(f"{where}: {element.tag} of frame {frame!r}, expected a whole number")
    where = f"{where}, frame {frame}"
    outside, occluded = (_flag(element, name, where) for name in ("outside", "occluded"))
    box = counts = None
    if element.tag == "box":
        box = _box(element, where, size, outside=outside)
    elif element.tag == "mask":
        counts = _mask_counts(element, where, size)
    elif element.tag == "polygon":
        counts = _polygon_counts(element, where, size)
    else:
        raise UsageError(f"{where}: found <{element.tag}>, expected box, polygon or mask")
    attributes = {a.get("name", ""): a.text or "" for a in element.findall("attribute")}
    return CvatShape(int(frame), outside, occluded, box, counts, attributes)


def _box(
    element: ElementTree.Element, where: str, size: tuple[int, int], *, outside: bool
) -> Box | None:
    if float(element.get("rotation", "0") or 0) % 360:
        raise UsageError(
            f"{where}: the box is turned by {element.get('rotation')} degrees, expected an upright "
            "one; draw it again, or draw a polygon"
        )
    x0, y0, x1, y1 = (_number(element, name, where) for name in ("xtl", "ytl", "xbr", "ybr"))
    if not outside and not (x0 < x1 and y0 < y1):
        raise UsageError(f"{where}: box {x0, y0, x1, y1} is empty, expected xtl < xbr, ytl < ybr")
    if not outside and (x0 >= size[0] or y0 >= size[1] or x1 <= 0 or y1 <= 0):
        raise UsageError(
            f"{where}: box {x0, y0, x1, y1} lies outside of the picture of {size[0]}x{size[1]}"
        )
    return x0, y0, x1, y1


def _mask_counts(element: ElementTree.Element, where: str, size: tuple[int, int]) -> str:
    left, top, width, height = (
        _pixels(element, name, where) for name in ("left", "top", "width", "height")
    )
    if left + width > size[0] or top + height > size[1]:
        raise UsageError(
            f"{where}: mask of {width}x{height} at {left}, {top} reaches beyond the picture of "
            f"{size[0]}x{size[1]}"
        )
    parts = [part.strip() for part in element.get("rle", "").split(",")]
    if not all(part.isdecimal() and len(part) < 12 for part in parts):
        raise UsageError(f"{where}: rle {element.get('rle', '')[:40]!r}, expected run lengths")
    runs = np.array(parts, np.int64)
    if runs.sum() != width * height:
        raise UsageError(
            f"{where}: rle of {runs.sum()} pixels, expected {width} x {height} = {width * height}"
        )
    mask = np.zeros((size[1], size[0]), np.bool_)
    inside = np.repeat(np.arange(runs.size) % 2 == 1, runs).reshape(height, width)
    mask[top : top + height, left : left + width] = inside
    return rle.encode(mask)


def _polygon_counts(element: ElementTree.Element, where: str, size: tuple[int, int]) -> str:
    try:
        flat = [float(v) for pair in element.get("points", "").split(";") for v in pair.split(",")]
        check_polygons([flat], height=size[1], width=size[0])
        counts = counts_of([flat], height=size[1], width=size[0])
    except ValueError as error:
        raise UsageError(f"{where}: polygon: {error}") from error
    assert counts is not None
    return counts


def _text(element: ElementTree.Element, path: str) -> str | None:
    found = element.findtext(path)
    return found.strip() if found and found.strip() else None


def _whole(element: ElementTree.Element, name: str, path: Path) -> int:
    text = _text(element, name)
    if text is None or not text.isdecimal():
        raise UsageError(f"{path}: {element.tag}/{name} is {text!r}, expected a whole number")
    return int(text)


def _pixels(element: ElementTree.Element, name: str, where: str) -> int:
    text = element.get(name, "")
    if not text.isdecimal():
        raise UsageError(f"{where}: {name} {text!r}, expected whole pixels")
    return int(text)


def _number(element: ElementTree.Element, name: str, where: str) -> float:
    text = element.get(name)
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"{where}: {name} {text!r}, expected a finite number")
    return value


def _flag(element: ElementTree.Element, name: str, where: str) -> bool:
    text = element.get(name, "0")
    if text not in _FLAGS:
        raise UsageError(f"{where}: {name} {text!r}, expected 0 or 1")
    return _FLAGS[text]
