"""geometry: points in the world on a grid of each frame, for models that read geometry as tokens.

One `<clip_id>.safetensors` a clip, T frames evenly spaced, a grid of G x G points each: `points`
(T, G, G, 3) in the clip's world, its first camera (x right, y down, z forward), 0 where not `valid`
(T, G, G); `sigma` (T, G, G), the standard deviation of the distance that all points of the clip
share, NaN where not known; `entity` (T, G, G), -1 where nothing is; `cam_from_world` (T, 4, 4);
`intrinsics` (T, 4), fx fy cx cy of a picture of width and height 1; `frames` and `times_s` (T).
The file's metadata says unit, frame of reference and the entities' names. A clip needs depth stored
with `annotate --depth-maps`; scenes of `questions scenes` are rendered again. The exports for
trainers name these files in their column `geometry` with --geometry DEST.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa

from massannot.dataset.arrays import WORLD_UNKNOWN, good_entities
from massannot.dataset.point_clouds import PointCloud, evenly, point_cloud
from massannot.dataset.reading import ClipView, Dataset
from massannot.errors import UsageError
from massannot.exporters import Exported, Options, quality_notes
from massannot.questions.scene_dataset import PICTURES, SCHEME, picture_frames, scene_of
from massannot.questions.scene_depth import scene_point_cloud
from massannot.storage.safetensors_file import write_safetensors

TABLES = ()


@dataclass(frozen=True, kw_only=True)
class GeometryOptions(Options):
    frames: Annotated[int, "At most so many a clip, evenly spaced. DSR trains on 32."] = 32
    grid: Annotated[int, "Points along each side of the picture."] = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("frames", "grid"):
            if getattr(self, name) < 1:
                raise UsageError(f"--{name}: found {getattr(self, name)}, expected 1 or more")


OPTIONS = GeometryOptions


def export(
    dataset: Dataset, folder: Path, *, options: GeometryOptions = GeometryOptions()
) -> Exported:
    """Write <clip_id>.safetensors. Clips without depth in space are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    files, left_out, notes = [], [], [*quality_notes(dataset, options)]
    for view in dataset.clips():
        try:
            cloud = _cloud(dataset, view, options)
        except UsageError as error:
            left_out.append(str(error))
            continue
        if cloud.reference == "camera":
            notes.append(f"clip {view.clip_id}: points are in each frame's camera; {WORLD_UNKNOWN}")
        files.append(folder / f"{view.clip_id}.safetensors")
        _write(files[-1], view, cloud, options.grid)
    return Exported(tuple(sorted(files)), tuple(left_out), tuple(notes))


def load(folder: Path) -> dict[str, pa.Table]:
    """No table: points on a grid are not what they were read from. Raises UsageError where no file
    of this format lies."""
    if not any(folder.glob("*.safetensors")):
        raise UsageError(f"{folder}: holds no .safetensors")
    return {}


def _cloud(dataset: Dataset, view: ClipView, options: GeometryOptions) -> PointCloud:
    frames = evenly(len(view), options.frames)
    grid = (options.grid, options.grid)
    if view.row["uri"].startswith(SCHEME):
        path = Path(dataset.layout.out) / PICTURES / f"{view.clip_id}.safetensors"
        drawn = path.exists() and set(frames) <= set(picture_frames(len(view)))
        scene = None if drawn else scene_of(view.row["uri"])
        return scene_point_cloud(path, scene, frames, grid=grid)
    entities = good_entities(view, min_quality=options.min_quality)
    return point_cloud(view, frames, grid=grid, entities=entities)


def _write(path: Path, view: ClipView, cloud: PointCloud, grid: int) -> None:
    shape = (len(cloud.frames), grid, grid)
    size = view.row["source_width"], view.row["source_height"]
    times = view.table("frames")["t_s"].to_numpy()[cloud.frames]
    phrases = view.table("phrases")["text"].to_pylist()
    names = {
        str(row["entity"]): phrases[row["phrase"]] for row in view.table("entities").to_pylist()
    }
    arrays = {
        "points": np.nan_to_num(cloud.xyz).reshape(*shape, 3),
        "valid": cloud.valid.reshape(shape),
        "sigma": cloud.sigma.reshape(shape),
        "entity": cloud.entity.astype(np.int16).reshape(shape),
        "cam_from_world": cloud.cam_from_world.astype(np.float32),
        "intrinsics": (cloud.intrinsics / [*size, *size]).astype(np.float32),
        "frames": cloud.frames,
        "times_s": times.astype(np.float64),
    }
    about = {
        "clip_id": view.clip_id,
        "video_id": view.row["video_id"],
        "scale_type": cloud.scale_type,
        "reference": cloud.reference,
        "entities": json.dumps(names, ensure_ascii=False),
    }
    write_safetensors(path, arrays, about=about)
