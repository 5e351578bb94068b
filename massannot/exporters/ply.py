"""ply: coloured point clouds, a file a frame, for MeshLab, Blender, CloudCompare and Open3D.

`<clip_id>/<frame>.ply`, binary, little endian: x y z (float), red green blue (uchar), entity (int,
-1 where nothing is), one point for each pixel of the stored depth that lies on no depth edge. The
points are in the clip's world, its first camera (x right, y down, z forward), so that the clouds of
a clip fit together; where the poses are not known, in each frame's own camera, and a comment in the
file says which. A clip needs depth stored with `annotate --depth-maps`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from massannot.dataset.arrays import WORLD_UNKNOWN, good_entities
from massannot.dataset.frames_again import clips_again
from massannot.dataset.point_clouds import PointCloud, evenly, point_cloud
from massannot.dataset.reading import Dataset
from massannot.errors import UsageError
from massannot.exporters import Exported, Options, quality_notes
from massannot.storage.durable import write_over

TABLES = ()
_POINT = np.dtype(
    [(axis, "<f4") for axis in "xyz"]
    + [(colour, "u1") for colour in ("red", "green", "blue")]
    + [("entity", "<i4")]
)
_TYPES = {"<f4": "float", "|u1": "uchar", "<i4": "int"}


@dataclass(frozen=True, kw_only=True)
class PlyOptions(Options):
    frames: Annotated[int, "At most so many a clip, evenly spaced; 0: all."] = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.frames < 0:
            raise UsageError(f"--frames: found {self.frames}, expected 0 or more")


OPTIONS = PlyOptions


def export(dataset: Dataset, folder: Path, *, options: PlyOptions = PlyOptions()) -> Exported:
    """Write <clip_id>/<frame>.ply. Clips without depth in space are left out, as are clips whose
    video is gone."""
    clouds, left_out, notes = {}, [], [*quality_notes(dataset, options)]
    for view in dataset.clips():
        entities = good_entities(view, min_quality=options.min_quality)
        try:
            cloud = point_cloud(view, evenly(len(view), options.frames), entities=entities)
        except UsageError as error:
            left_out.append(str(error))
            continue
        clouds[view.clip_id] = cloud
        if cloud.reference == "camera":
            notes.append(f"clip {view.clip_id}: points are in each frame's camera; {WORLD_UNKNOWN}")
    files = []
    for clip in clips_again(dataset.layout, set(clouds)):
        cloud = clouds.pop(clip.clip_id)
        columns_rows = np.floor(cloud.xy / clip.frames.source_from_working).astype(int)
        for number, frame in enumerate(cloud.frames):
            picture = clip.frames.pixels_THWC[frame]
            path = folder / clip.clip_id / f"{frame:05}.ply"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_over(path, _file(cloud, number, picture[columns_rows[:, 1], columns_rows[:, 0]]))
            files.append(path)
    left_out += [f"clip {clip_id}: its video cannot be read again" for clip_id in clouds]
    return Exported(tuple(sorted(files)), tuple(left_out), tuple(notes))


def load(folder: Path) -> dict[str, pa.Table]:
    """No table: a cloud is not what it was made from. Raises UsageError where none lies there."""
    if not any(folder.glob("*/*.ply")):
        raise UsageError(f"{folder}: holds no .ply")
    return {}


def _file(cloud: PointCloud, number: int, rgb: npt.NDArray[np.uint8]) -> bytes:
    valid = cloud.valid[number]
    points = np.empty(int(valid.sum()), _POINT)
    for axis, name in enumerate("xyz"):
        points[name] = cloud.xyz[number, valid, axis]
    for channel, name in enumerate(("red", "green", "blue")):
        points[name] = rgb[valid, channel]
    points["entity"] = cloud.entity[number, valid]
    unit = "metres" if cloud.scale_type == "metric" else "an unknown unit"
    header = [
        "ply",
        "format binary_little_endian 1.0",
        f"comment {unit}, {cloud.reference} (x right, y down, z forward)",
        f"element vertex {len(points)}",
    ]
    header += [f"property {_TYPES[_POINT[name].str]} {name}" for name in _POINT.names or ()]
    return "\n".join([*header, "end_header", ""]).encode() + points.tobytes()
