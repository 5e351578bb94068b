"""cvat: tracks of boxes, and masks, as CVAT's XML for video 1.1, a file a film.

Into CVAT: make a task of the film with the labels in `labels.json` (the Raw tab), all frames, and
upload `NAME.xml` as annotations, `CVAT 1.1`. Back: export the task as `CVAT for video 1.1`, put its
`annotations.xml` beside `NAME.frames.json`, and give it to `massannot review OUT --from`, which
takes what was changed for corrections, or to `--boxes` and `--masks`.

Frames are numbers of the film's pictures, which are counted by decoding it; `NAME.frames.json` has
the time of each, and which things of which rows were written. A frame that was not annotated has no
key frame, so that CVAT draws a box there in a straight line; a thing ends with a box that is
`outside` one frame after the last that shows it. CVAT has no tracks of masks: each mask is a track
of its own, and the attributes `clip` and `entity` say whose it is. `--no-masks` writes boxes alone,
which are quicker to put right. A frame that two clips share is in the later one alone.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np
import pyarrow as pa

from massannot import tables
from massannot.dataset import record as run_record
from massannot.dataset.arrays import good_entities, masks_by_frame, rows_of_entities
from massannot.dataset.reading import ClipView, Dataset
from massannot.dataset.reviews_of_run import hash_of_rows
from massannot.dataset.touching import clips_once
from massannot.errors import ClipError, UsageError
from massannot.exporters import Exported, Options, quality_notes
from massannot.geometry import rle
from massannot.inputs.span import VideoSource
from massannot.models.recorded.cvat_files import TIMES_ENDING, UNKNOWN
from massannot.models.recorded.cvat_xml import read_task
from massannot.storage.json_text import parsed
from massannot.tables.masks import ORIGINS, STATES
from massannot.video.film_times import film_times

LABELS = "labels.json"
TABLES = ("masks",)


@dataclass(frozen=True, kw_only=True)
class CvatOptions(Options):
    """The options of this format."""

    masks: Annotated[bool, "Write masks beside the boxes."] = True


OPTIONS = CvatOptions


def export(dataset: Dataset, folder: Path, *, options: CvatOptions = CvatOptions()) -> Exported:
    """Write `NAME.xml` and `NAME.frames.json` a film, and LABELS. A film that cannot be read any
    more is left out: nobody knows its frames' numbers."""
    by_film: dict[tuple[str, str], list[ClipView]] = {}
    for view in clips_once(dataset):
        by_film.setdefault((view.row["uri"], view.row["video_id"]), []).append(view)
    record = run_record.read(dataset.layout)
    origin = None if record is None else record.spec.get("folder")
    folder.mkdir(parents=True, exist_ok=True)
    texts = sorted({text for view in dataset.clips() for text in view.phrases})
    (folder / LABELS).write_text(json.dumps([_label(text) for text in texts], indent=1))
    files, left_out = [folder / LABELS], []
    stems = Counter(Path(uri).stem for uri, _ in by_film)
    for (uri, video_id), views in by_film.items():
        try:
            pts = film_times(VideoSource(uri), folder=origin)
        except (ClipError, UsageError, OSError) as error:
            left_out.append(f"{uri}: the numbers of its frames are not known: {error}")
            continue
        number_of = {time: number for number, time in enumerate(pts)}
        times = {t for view in views for t in view.table("frames")["pts"].to_pylist()}
        if not times <= number_of.keys():
            left_out.append(f"{uri}: is not the film that was annotated: other times of its frames")
            continue
        stem = Path(uri).stem
        name = stem if stems[stem] == 1 else f"{stem}-{video_id[:8]}"
        rows = {v.clip_id: hash_of_rows(dataset.clip(v.clip_id)) for v in views}
        files += _write_film(folder, name, views, pts, number_of, rows, options)
    return Exported(tuple(files), tuple(left_out), quality_notes(dataset, options))


def load(folder: Path) -> dict[str, pa.Table]:
    """The table `masks`. Raises UsageError for files that are not from here, masks and all."""
    try:
        parsed((folder / LABELS).read_text())
        rows = [
            row
            for path in sorted(folder.glob(f"*{TIMES_ENDING}"))
            for row in _rows_of(path, parsed(path.read_text()))
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{folder}: not as `massannot export cvat` writes it: {error!r}"
        ) from error
    return {"masks": tables.spec("masks").from_rows(rows)}


def _label(text: str) -> dict[str, Any]:
    """A label as CVAT's constructor takes it, in its Raw tab."""
    kept = [("clip", False, "text", [""]), ("entity", False, "text", [""])]
    changing = [
        ("state", True, "select", [*STATES, UNKNOWN]),
        ("score", True, "text", [""]),
        ("origin", True, "select", ["", *ORIGINS]),
    ]
    return {
        "name": text,
        "attributes": [
            {"name": n, "mutable": m, "input_type": kind, "default_value": v[0], "values": v}
            for n, m, kind, v in (*kept, *changing)
        ],
    }


def _write_film(
    folder: Path,
    name: str,
    views: Sequence[ClipView],
    pts: list[int],
    number_of: Mapping[int, int],
    rows_hashes: Mapping[str, str],
    options: CvatOptions,
) -> list[Path]:
    first = views[0].row
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    _add_task(root, name, first, len(pts), views)
    clips: dict[str, list[int]] = {}
    things: dict[str, list[int]] = {view.clip_id: [] for view in views}
    for view in views:
        numbers = [number_of[t] for t in view.table("frames")["pts"].to_pylist()]
        clips[view.clip_id] = numbers
        for label, entity, rows in _things(view, options.min_quality):
            things[view.clip_id].append(entity)
            common = {"clip": view.clip_id, "entity": str(entity)}
            _add_boxes(root, label, common, rows, numbers, end=len(pts))
            if options.masks:
                _add_masks(root, label, common, rows, numbers, end=len(pts))
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    xml, times = folder / f"{name}.xml", folder / f"{name}{TIMES_ENDING}"
    xml.write_text(f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n', encoding="utf-8")
    film = {
        "xml": xml.name,
        "video_id": first["video_id"],
        "source_id": first["source_id"],
        "time_base": [first["time_base_num"], first["time_base_den"]],
        "pts": pts,
        "clips": clips,
        "things": things,
        "masks": options.masks,
        "rows_hashes": rows_hashes,
    }
    times.write_text(json.dumps(film))
    return [xml, times]


def _add_task(
    root: Element, name: str, clip: Mapping[str, Any], n_frames: int, views: Sequence[ClipView]
) -> None:
    task = SubElement(SubElement(root, "meta"), "task")
    for key, value in (
        ("name", name),
        ("size", n_frames),
        ("mode", "interpolation"),
        ("overlap", 0),
        ("start_frame", 0),
        ("stop_frame", n_frames - 1),
    ):
        SubElement(task, key).text = str(value)
    labels = SubElement(task, "labels")
    for text in sorted({text for view in views for text in view.phrases}):
        label = SubElement(labels, "label")
        SubElement(label, "name").text = text
    size = SubElement(task, "original_size")
    SubElement(size, "width").text = str(clip["source_width"])
    SubElement(size, "height").text = str(clip["source_height"])
    SubElement(task, "source").text = Path(clip["uri"]).name


def _things(
    view: ClipView, min_quality: float | None
) -> Iterator[tuple[str, int, list[dict[str, Any] | None]]]:
    """Label, entity, and its row of `masks` by frame; None where there is none."""
    good = good_entities(view, min_quality=min_quality)
    rows = masks_by_frame(view, good)
    for entity in rows_of_entities(view, "entities", good).to_pylist():
        yield view.phrases[entity["phrase"]], entity["entity"], rows[entity["entity"]]


def _add_boxes(
    root: Element,
    label: str,
    common: Mapping[str, str],
    rows: Sequence[Mapping[str, Any] | None],
    numbers: Sequence[int],
    *,
    end: int,
) -> None:
    """A key frame for each annotated frame, and one after each last frame that shows the thing."""
    boxes = [_box_of(row) for row in rows]
    shown = next((box for box in boxes if box is not None), (0.0, 0.0, 1.0, 1.0))
    track = _new_track(root, label)
    for index, (row, box, number) in enumerate(zip(rows, boxes, numbers, strict=True)):
        state = UNKNOWN if row is None else row["state"]
        values = {"state": state, "score": "", "origin": ""}
        if row is not None:
            values |= {"score": repr(row["score"]), "origin": row["origin"] or ""}
        hidden = state == "occluded"
        _add_box(track, number, box or shown, box is None, hidden, {**common, **values})
        shown = box or shown
        following = numbers[index + 1] if index + 1 < len(numbers) else end
        ends = index + 1 == len(numbers) or boxes[index + 1] is None
        if box is not None and ends and number + 1 < following:
            closing = {**common, "state": UNKNOWN, "score": "", "origin": ""}
            _add_box(track, number + 1, box, True, False, closing)


def _box_of(row: Mapping[str, Any] | None) -> tuple[float, ...] | None:
    if row is None or not row["area"]:
        return None
    return row["x0"], row["y0"], row["x1"], row["y1"]


def _add_box(
    track: Element,
    number: int,
    box: Sequence[float],
    outside: bool,
    occluded: bool,
    attributes: Mapping[str, str],
) -> None:
    corners = dict(zip(("xtl", "ytl", "xbr", "ybr"), map(repr, box), strict=True))
    _add_shape(track, "box", number, outside, occluded, corners, attributes)


def _add_masks(
    root: Element,
    label: str,
    common: Mapping[str, str],
    rows: Sequence[Mapping[str, Any] | None],
    numbers: Sequence[int],
    *,
    end: int,
) -> None:
    for row, number in zip(rows, numbers, strict=True):
        if row is None or not row["area"]:
            continue
        track, form = _new_track(root, label), _cvat_mask(row)
        _add_shape(track, "mask", number, False, False, form, common)
        if number + 1 < end:
            _add_shape(track, "mask", number + 1, True, False, form, common)


def _cvat_mask(row: Mapping[str, Any]) -> dict[str, str]:
    """Run lengths along the rows of the mask's own box, the first of zeros."""
    size = {"height": row["height"], "width": row["width"]}
    box = rle.box_xyxy(row["counts"], **size)
    assert box is not None
    flat = rle.decode_box(row["counts"], box, **size).ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.r_[0, edges, flat.size]).tolist()
    x0, y0, x1, y1 = box
    return {
        "rle": ", ".join(map(str, [0, *runs] if flat[0] else runs)),
        "left": str(x0),
        "top": str(y0),
        "width": str(x1 - x0),
        "height": str(y1 - y0),
    }


def _new_track(root: Element, label: str) -> Element:
    number = str(len(root) - 2)  # after version and meta
    return SubElement(root, "track", {"id": number, "label": label, "source": "manual"})


def _add_shape(
    track: Element,
    kind: str,
    number: int,
    outside: bool,
    occluded: bool,
    form: Mapping[str, str],
    attributes: Mapping[str, str],
) -> None:
    flags = {"keyframe": "1", "outside": str(int(outside)), "occluded": str(int(occluded))}
    shape = SubElement(track, kind, {"frame": str(number), **flags, **form, "z_order": "0"})
    for name, value in attributes.items():
        SubElement(shape, "attribute", {"name": name}).text = value


def _rows_of(path: Path, film: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    task = read_task(path.parent / film["xml"])
    size = {"height": task.height, "width": task.width}
    frame_of = {
        clip: {n: frame for frame, n in enumerate(numbers)}
        for clip, numbers in film["clips"].items()
    }
    counts = {
        (shape.attributes["clip"], shape.attributes["entity"], shape.frame): shape.counts
        for track in task.tracks
        for shape in track.shapes
        if shape.counts is not None and not shape.outside
    }
    empty = rle.encode(np.zeros((task.height, task.width), np.bool_))
    for track in task.tracks:
        for shape in track.shapes:
            clip, entity = shape.attributes["clip"], shape.attributes["entity"]
            if shape.box is None or shape.attributes["state"] == UNKNOWN:
                continue
            mask = empty if shape.outside else counts[clip, entity, shape.frame]
            box = (None,) * 4 if shape.outside else shape.box
            yield {
                "clip_id": clip,
                "entity": int(entity),
                "frame": frame_of[clip][shape.frame],
                **size,
                "counts": mask,
                "area": rle.area(mask or empty),
                **dict(zip(("x0", "y0", "x1", "y1"), box, strict=True)),
                "score": float(shape.attributes["score"]),
                "state": shape.attributes["state"],
                "origin": shape.attributes["origin"] or None,
            }
