"""coco-images: boxes and masks as COCO JSON, an image a frame, for pycocotools and its readers.

`annotations.json` has COCO's `images`, `annotations` (`bbox`, `segmentation` as compressed run
lengths, `area`, `iscrowd` 0) and `categories`, one annotation a thing and frame that shows it. What
belongs together is told by `track_id`, counted over the file, and `video_id`, one a clip. More keys
that COCO's readers ignore: `pts` and `t_s` of the images, by which `--boxes` and `--masks` find
them again, and the list `things`, with the state of each in every frame. `file_name` is a name; no
picture is written. A frame that two clips share is in the later one alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
OPTIONS = Options

_OF_ENTITY = tuple(n for n in tables.spec("entities").names if n != "clip_id")


def export(dataset: Dataset, folder: Path, *, options: Options = Options()) -> Exported:
    """Write FILE into `folder`."""
    texts = sorted({text for view in dataset.clips() for text in view.phrases})
    category_of = {text: number for number, text in enumerate(texts, start=1)}
    content: dict[str, Any] = {
        "info": {"description": "massannot: entities of clips, an image a frame", "version": "1"},
        "licenses": [],
        "videos": [],
        "images": [],
        "categories": [
            {"id": number, "name": text, "supercategory": "phrase"}
            for text, number in category_of.items()
        ],
        "annotations": [],
        "things": [],
    }
    for view in clips_once(dataset):
        _add_clip(content, view, category_of, options.min_quality)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(json.dumps(content, ensure_ascii=False, allow_nan=False))
    return Exported((folder / FILE,), notes=quality_notes(dataset, options))


def load(folder: Path) -> dict[str, pa.Table]:
    """The tables `entities` and `masks`. Raises UsageError for a file that is not from here."""
    path = folder / FILE
    try:
        content = parsed(path.read_text())
        videos = {video["id"]: video for video in content["videos"]}
        frame_of = {image["id"]: image["frame_index"] for image in content["images"]}
        shown = {(a["track_id"], frame_of[a["image_id"]]): a for a in content["annotations"]}
        entities, masks = [], []
        for thing in content["things"]:
            video = videos[thing["video_id"]]
            key = {"clip_id": video["clip_id"], "entity": thing["entity"]}
            entities.append({name: thing[name] for name in _OF_ENTITY} | key)
            masks += [row | key for row in _mask_rows(thing, video, shown)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path}: not as `massannot export coco-images` writes it: {error!r}"
        ) from error
    return {
        "entities": tables.spec("entities").from_rows(entities),
        "masks": tables.spec("masks").from_rows(masks),
    }


def _add_clip(
    content: dict[str, Any],
    view: ClipView,
    category_of: Mapping[str, int],
    min_quality: float | None,
) -> None:
    row, number, first = view.row, len(content["videos"]) + 1, len(content["images"]) + 1
    size = {"width": row["source_width"], "height": row["source_height"]}
    own_names = {"source_id": row["source_id"]} if row["source_id"] is not None else {}
    names = {"name": Path(row["uri"]).stem, "video_id": row["video_id"], **own_names}
    content["videos"].append({"id": number, **names, "clip_id": view.clip_id, **size})
    for frame in view.table("frames").to_pylist():
        content["images"].append(
            {
                "id": first + frame["frame"],
                "video_id": number,
                "file_name": f"{view.clip_id}/{frame['frame']:05d}.jpg",
                **size,
                "frame_index": frame["frame"],
                "pts": frame["pts"],
                "t_s": frame["t_s"],
            }
        )
    good = good_entities(view, min_quality=min_quality)
    masks = masks_by_frame(view, good)
    for entity in short_rows(rows_of_entities(view, "entities", good)):
        category = category_of[view.phrases[entity["phrase"]]]
        of_frames = masks[entity["entity"]]
        thing = {"id": len(content["things"]) + 1, "video_id": number, "category_id": category}
        content["things"].append(
            {
                **thing,
                **{name: entity[name] for name in _OF_ENTITY},
                **{
                    f"{name}s": [mask and mask[name] for mask in of_frames]
                    for name in ("state", "score", "origin")
                },
            }
        )
        for frame, mask in enumerate(of_frames):
            if mask and mask["area"]:
                content["annotations"].append(
                    {
                        "id": len(content["annotations"]) + 1,
                        "image_id": first + frame,
                        "category_id": category,
                        "track_id": thing["id"],
                        "score": entity["score"],
                        **_shown(mask),
                    }
                )


def _shown(mask: Mapping[str, Any]) -> dict[str, Any]:
    x0, y0 = mask["x0"], mask["y0"]
    return {
        "bbox": [x0, y0, mask["x1"] - x0, mask["y1"] - y0],
        "segmentation": {"size": [mask["height"], mask["width"]], "counts": mask["counts"]},
        "area": mask["area"],
        "iscrowd": 0,
    }


def _mask_rows(
    thing: Mapping[str, Any],
    video: Mapping[str, Any],
    shown: Mapping[tuple[int, int], Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """The rows of `masks` without their keys; a frame without a state has none."""
    size = {"height": video["height"], "width": video["width"]}
    empty = rle.encode(np.zeros((video["height"], video["width"]), np.bool_))
    rows = []
    for frame, state in enumerate(thing["states"]):
        if state is None:
            continue
        found = shown.get((thing["id"], frame))
        x, y, width, height = found["bbox"] if found else (None,) * 4
        rows.append(
            {
                "frame": frame,
                **size,
                "counts": found["segmentation"]["counts"] if found else empty,
                "area": found["area"] if found else 0,
                "x0": x,
                "y0": y,
                "x1": None if x is None else x + width,
                "y1": None if y is None else y + height,
                "score": thing["scores"][frame],
                "state": state,
                "origin": thing["origins"][frame],
            }
        )
    return rows
