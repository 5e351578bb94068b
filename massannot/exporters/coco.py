"""coco: boxes and masks as YouTube-VIS JSON, one `video` a clip, one annotation an entity.

`annotations.json` has what YouTube-VIS has, `segmentations` (COCO's compressed run lengths),
`bboxes` (x, y, width, height) and `areas`, one a frame and null where nothing is seen, and more
keys that its readers ignore: `pts` and `t_s` of the frames, by which `--boxes` and `--masks` find
them again, and per frame `states`, `scores` and `origins`. `file_names` are names; no picture is
written. A frame that two clips share is in the later one alone, unless `--shared-frames` asks for
it in both, by which `--masks` links things over clips again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa

from massannot import tables
from massannot.dataset.arrays import (
    good_entities,
    masks_by_frame,
    rows_of_entities,
    short_rows,
)
from massannot.dataset.reading import ClipView, Dataset
from massannot.dataset.touching import clips_once
from massannot.errors import UsageError
from massannot.exporters import Exported, Options, quality_notes
from massannot.geometry import rle
from massannot.storage.json_text import parsed

FILE = "annotations.json"
TABLES = ("entities", "masks")


@dataclass(frozen=True, kw_only=True)
class CocoOptions(Options):
    """The options of this format."""

    shared_frames: Annotated[bool, "Write a frame that two clips share in both of them."] = False


OPTIONS = CocoOptions


def export(dataset: Dataset, folder: Path, *, options: CocoOptions = CocoOptions()) -> Exported:
    """Write FILE into `folder`."""
    views = dataset.clips() if options.shared_frames else clips_once(dataset)
    texts = sorted({text for view in dataset.clips() for text in view.phrases})
    category_of = {text: number for number, text in enumerate(texts, start=1)}
    videos: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, view in enumerate(views, start=1):
        videos.append(_video(view, number))
        for annotation in _annotations(view, category_of, options.min_quality):
            annotations.append({"id": len(annotations) + 1, "video_id": number, **annotation})
    content = {
        "info": {"description": "massannot: entities of clips, YouTube-VIS layout", "version": "1"},
        "licenses": [],
        "videos": videos,
        "categories": [
            {"id": number, "name": text, "supercategory": "phrase"}
            for text, number in category_of.items()
        ],
        "annotations": annotations,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(json.dumps(content, ensure_ascii=False, allow_nan=False))
    return Exported((folder / FILE,), notes=quality_notes(dataset, options))


def load(folder: Path) -> dict[str, pa.Table]:
    """The tables `entities` and `masks`. Raises UsageError for a file that is not from here."""
    path = folder / FILE
    try:
        content = parsed(path.read_text())
        clip_of = {video["id"]: video["clip_id"] for video in content["videos"]}
        entities, masks = [], []
        for annotation in content["annotations"]:
            key = {"clip_id": clip_of[annotation["video_id"]], "entity": annotation["entity"]}
            entities.append({name: annotation[name] for name in _OF_ENTITY} | key)
            masks += [row | key for row in _mask_rows(annotation)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: not as `massannot export coco` writes it: {error!r}") from error
    return {
        "entities": tables.spec("entities").from_rows(entities),
        "masks": tables.spec("masks").from_rows(masks),
    }


_OF_ENTITY = tuple(n for n in tables.spec("entities").names if n not in {"clip_id", "entity"})


def _video(view: ClipView, number: int) -> dict[str, Any]:
    row, frames = view.row, view.table("frames")
    own_names = {"source_id": row["source_id"]} if row["source_id"] is not None else {}
    return {
        "id": number,
        "width": row["source_width"],
        "height": row["source_height"],
        "length": len(view),
        "name": Path(row["uri"]).stem,
        "file_names": [f"{view.clip_id}/{frame:05d}.jpg" for frame in range(len(view))],
        "clip_id": view.clip_id,
        "video_id": row["video_id"],
        "uri": row["uri"],
        **own_names,
        "pts": frames["pts"].to_pylist(),
        "t_s": frames["t_s"].to_pylist(),
    }


def _annotations(
    view: ClipView, category_of: Mapping[str, int], min_quality: float | None
) -> list[dict[str, Any]]:
    good = good_entities(view, min_quality=min_quality)
    masks = masks_by_frame(view, good)
    texts = view.phrases
    return [
        {
            "category_id": category_of[texts[entity["phrase"]]],
            "iscrowd": 0,
            "height": view.row["source_height"],
            "width": view.row["source_width"],
            "length": len(view),
            **{name: value for name, value in entity.items() if name != "clip_id"},
            **_by_frame(masks[entity["entity"]]),
        }
        for entity in short_rows(rows_of_entities(view, "entities", good))
    ]


def _by_frame(rows: Sequence[Mapping[str, Any] | None]) -> dict[str, list[Any]]:
    """Lists with one item a frame."""
    return {
        "segmentations": [_segmentation(row) if row and row["area"] else None for row in rows],
        "bboxes": [_xywh(row) if row and row["x0"] is not None else None for row in rows],
        "areas": [row["area"] if row and row["area"] else None for row in rows],
        "states": [row["state"] if row else None for row in rows],
        "scores": [row["score"] if row else None for row in rows],
        "origins": [row["origin"] if row else None for row in rows],
    }


def _segmentation(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"size": [row["height"], row["width"]], "counts": row["counts"]}


def _xywh(row: Mapping[str, Any]) -> list[float]:
    return [row["x0"], row["y0"], row["x1"] - row["x0"], row["y1"] - row["y0"]]


def _mask_rows(annotation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of `masks` without their keys; a frame without a state has none."""
    height, width = annotation["height"], annotation["width"]
    origins = annotation.get("origins", [None] * len(annotation["states"]))
    rows = []
    for frame, state in enumerate(annotation["states"]):
        if state is None:
            continue
        mask, box = annotation["segmentations"][frame], annotation["bboxes"][frame]
        x, y, box_width, box_height = box or (None,) * 4
        rows.append(
            {
                "frame": frame,
                "height": height,
                "width": width,
                "counts": mask["counts"]
                if mask
                else rle.encode(np.zeros((height, width), np.bool_)),
                "area": annotation["areas"][frame] or 0,
                "x0": x,
                "y0": y,
                "x1": None if x is None else x + box_width,
                "y1": None if y is None else y + box_height,
                "score": annotation["scores"][frame],
                "state": state,
                "origin": origins[frame],
            }
        )
    return rows
