"""COCO and YouTube-VIS JSON as recorded videos: objects with boxes and masks, row by row.

YouTube-VIS: `videos` (id or name, width, height, length; `pts`, `t_s` or `fps` if it is not every
frame of the clip) and annotations with `segmentations` and `bboxes`, one a frame, null where the
object is not seen. COCO: `images` with `video_id` or a folder in `file_name`, and annotations that
share a `track_id`; without one, each annotation is an object of a single frame. Rows are the file's
own frames; matching.py finds those of a clip.

Masks are compressed or plain run lengths, or polygons. A polygon's mask is the pixels whose centres
lie inside; COCO's tool draws outlines up to a pixel wider.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from massannot.errors import BadMask, UsageError
from massannot.geometry import rle

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class RecordedObject:
    """One thing. `boxes` (x0 y0 x1 y1) and `counts` (COCO's compressed form) by row, in the file's
    own pixels; a row without either: not seen."""

    category: str
    score: float
    boxes: Mapping[int, Box]
    counts: Mapping[int, str]


@dataclass(frozen=True)
class RecordedVideo:
    """One video of a file: its objects, and the frames of its rows."""

    names: tuple[str, ...]
    width: int
    height: int
    n_rows: int
    objects: tuple[RecordedObject, ...]
    pts: Sequence[int] | None = None
    t_s: Sequence[float] | None = None
    fps: float | None = None
    numbers: Sequence[int] | None = None
    """The rows' frame numbers in the video, counted from 0."""


def read_json(path: str) -> list[RecordedVideo]:
    """Every video of a file. Raises UsageError for one that is of neither kind."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not a JSON file: {error}") from error
    try:
        if isinstance(content, dict) and "videos" in content and _by_video(content):
            return _youtube_vis(content)
        if isinstance(content, dict) and "images" in content:
            return _coco(content)
    except (KeyError, TypeError, ValueError, BadMask) as error:
        what = f"key {error} is missing" if isinstance(error, KeyError) else str(error)
        raise UsageError(f"{path}: not as COCO or YouTube-VIS have it: {what}") from error
    raise UsageError(
        f"{path}: expected COCO (images, annotations, categories) or YouTube-VIS JSON (videos, "
        "annotations, categories)"
    )


def plain_name(phrase: str) -> str:
    """A phrase or category without case, article and doubled spaces, for comparison."""
    words = phrase.casefold().split()
    return " ".join(words[1:] if len(words) > 1 and words[0] in {"a", "an", "the"} else words)


def _by_video(content: Mapping[str, Any]) -> bool:
    """YouTube-VIS's annotations are of videos; COCO-VID has videos too, but annotates images."""
    return all("video_id" in a and "image_id" not in a for a in content.get("annotations", []))


def _youtube_vis(content: Mapping[str, Any]) -> list[RecordedVideo]:
    categories = {category["id"]: category["name"] for category in content["categories"]}
    of_video: dict[Any, list[RecordedObject]] = {video["id"]: [] for video in content["videos"]}
    size = {video["id"]: (video["height"], video["width"]) for video in content["videos"]}
    for annotation in content["annotations"]:
        height, width = size[annotation["video_id"]]
        segmentations = annotation.get("segmentations") or []
        counts = {i: _counts(s, height, width) for i, s in enumerate(segmentations) if s}
        given = {i: _xyxy(box) for i, box in enumerate(annotation.get("bboxes") or []) if box}
        of_video[annotation["video_id"]].append(
            _object(annotation, categories, counts, given, height, width)
        )
    return [
        RecordedVideo(
            names=_names(video),
            width=video["width"],
            height=video["height"],
            n_rows=int(video.get("length") or len(video["file_names"])),
            objects=tuple(of_video[video["id"]]),
            pts=video.get("pts"),
            t_s=video.get("t_s"),
            fps=video.get("fps"),
            numbers=_numbers(video.get("file_names")),
        )
        for video in content["videos"]
    ]


def _coco(content: Mapping[str, Any]) -> list[RecordedVideo]:
    named = {video["id"]: video for video in content.get("videos", [])}
    images: dict[Any, list[Mapping[str, Any]]] = {}
    for image in content["images"]:
        folder = Path(image.get("file_name", "")).parent.name
        images.setdefault(image.get("video_id", folder), []).append(image)
    return [_coco_video(key, images[key], named.get(key, {}), content) for key in images]


def _coco_video(
    key: Any,
    images: Sequence[Mapping[str, Any]],
    video: Mapping[str, Any],
    content: Mapping[str, Any],
) -> RecordedVideo:
    """The video of some of the images, `key` being its id or folder, empty: it has none."""
    images = sorted(images, key=lambda image: (_number(image, 0), image.get("file_name", "")))
    row_of = {image["id"]: row for row, image in enumerate(images)}
    seen: dict[Any, list[Mapping[str, Any]]] = {}
    for annotation in content["annotations"]:
        if annotation["image_id"] in row_of:
            track = annotation.get("track_id", annotation.get("instance_id"))
            name = ("only here", annotation["id"]) if track is None else track
            seen.setdefault(name, []).append(annotation)

    categories = {category["id"]: category["name"] for category in content["categories"]}
    height, width = images[0]["height"], images[0]["width"]
    objects = []
    for sightings in seen.values():
        counts = {
            row_of[s["image_id"]]: _counts(s["segmentation"], height, width)
            for s in sightings
            if s.get("segmentation")
        }
        boxes = {row_of[s["image_id"]]: _xyxy(s["bbox"]) for s in sightings if s.get("bbox")}
        objects.append(_object(sightings[0], categories, counts, boxes, height, width))
    return RecordedVideo(
        names=_names({"id": key, **video} if key != "" else video),
        width=width,
        height=height,
        n_rows=len(images),
        objects=tuple(objects),
        pts=_all(images, "pts"),
        t_s=_all(images, "t_s"),
        fps=video.get("fps"),
        numbers=[_number(image, row) for row, image in enumerate(images)],
    )


def _object(
    annotation: Mapping[str, Any],
    categories: Mapping[int, str],
    counts: Mapping[int, str],
    given: Mapping[int, Box],
    height: int,
    width: int,
) -> RecordedObject:
    """An object whose boxes, where not given, are those of its masks."""
    boxes: dict[int, Box] = {}
    for row, mask in counts.items():
        box = rle.box_xyxy(mask, height=height, width=width)
        if box is not None:
            boxes[row] = box
    return RecordedObject(
        category=categories[annotation["category_id"]],
        score=float(annotation.get("score", 1.0)),
        boxes={**boxes, **given},
        counts={row: mask for row, mask in counts.items() if row in boxes},
    )


def _names(video: Mapping[str, Any]) -> tuple[str, ...]:
    """Every name under which a clip may ask for this video."""
    names = [video[key] for key in ("name", "source_id", "video_id", "id") if key in video]
    files = [video["file_name"]] if video.get("file_name") else []
    names += [Path(file).stem for file in files]
    folders = {Path(file).parent.name for file in video.get("file_names") or []}
    names += [folder for folder in folders if folder]
    return tuple(dict.fromkeys(str(name) for name in names))


def _number(image: Mapping[str, Any], otherwise: int) -> int:
    """The frame's number in its video."""
    for key in ("frame_index", "frame_id", "frame"):
        if key in image:
            return int(image[key])
    digits = re.findall(r"\d+", Path(image.get("file_name", "")).stem)
    return int(digits[-1]) if digits else otherwise


def _numbers(file_names: Sequence[str] | None) -> list[int] | None:
    if not file_names:
        return None
    return [_number({"file_name": name}, row) for row, name in enumerate(file_names)]


def _all(images: Sequence[Mapping[str, Any]], key: str) -> list[Any] | None:
    return [image[key] for image in images] if all(key in image for image in images) else None


def _xyxy(box_xywh: Sequence[float]) -> Box:
    x, y, width, height = (float(value) for value in box_xywh)
    return x, y, x + width, y + height


def _counts(segmentation: Any, height: int, width: int) -> str:
    """COCO's compressed form of a segmentation in any of its forms."""
    if isinstance(segmentation, list):
        return rle.encode(_filled(segmentation, height, width))
    counts = segmentation["counts"]
    if list(segmentation.get("size", (height, width))) != [height, width]:
        raise ValueError(f"mask of {segmentation['size']} in a picture of {[height, width]}")
    if isinstance(counts, str):
        rle.check(counts, height=height, width=width)
        return counts
    runs = np.asarray(counts, np.int64)
    if runs.sum() != height * width:
        raise ValueError(f"runs of {runs.sum()} pixels, expected {height} x {width}")
    ones = np.repeat(np.arange(runs.size) % 2 == 1, runs)
    return rle.encode(np.ascontiguousarray(ones.reshape(width, height).T))


def _filled(polygons: Sequence[Sequence[float]], height: int, width: int) -> NDArray[np.bool_]:
    """(H, W) the pixels whose centres lie in any of the polygons x0 y0 x1 y1 .., corner-origin."""
    mask = np.zeros((height, width), np.bool_)
    for polygon in polygons:
        mask |= _inside(np.asarray(polygon, np.float64).reshape(-1, 2), height, width)
    return mask


def _inside(corners: NDArray[np.float64], height: int, width: int) -> NDArray[np.bool_]:
    """Even-odd: a pixel is inside when an odd number of edges passes to the left of its centre."""
    crossings = np.zeros((height, width + 1), np.int64)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0)):
        if y0 == y1:
            continue
        rows = np.arange(
            max(0, int(np.ceil(min(y0, y1) - 0.5))),
            min(height, int(np.ceil(max(y0, y1) - 0.5))),
        )
        x = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
        crossings[rows, np.clip(np.ceil(x - 0.5), 0, width).astype(int)] += 1
    inside: NDArray[np.bool_] = np.cumsum(crossings[:, :width], axis=1) % 2 == 1
    return inside
