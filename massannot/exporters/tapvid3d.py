"""tapvid3d: point tracks as TAPVid-3D's npz files, one a clip; its ground truth reads as truth.

The benchmark's names and conventions: `queries_xyt`, `tracks_XYZ` (T, N, 3) in metres in the camera
of each frame, `visibility`, `fx_fy_cx_cy`, `extrinsics_w2c`, `images_jpeg_bytes`. Whole numbers are
pixel centres there, half a pixel from ours. The intrinsics are the first frame's: the format has
room for no others. Extra keys (`state`, `entity`, `point`, `scale_type`, `clip_id`) say what the
format cannot: a relative clip has one unknown factor, which the benchmark's scaling finds. A clip
whose world is not known has no `extrinsics_w2c`. A frame that two clips share is in the later one's
file alone.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from massannot import tables
from massannot.dataset.arrays import (
    WORLD_UNKNOWN,
    LiftedTracks,
    good_entities,
    lifted_tracks,
    tracks_table,
)
from massannot.dataset.frames_again import clips_again
from massannot.dataset.reading import Dataset
from massannot.dataset.touching import clips_once
from massannot.errors import UsageError
from massannot.exporters import Exported, Options, quality_notes
from massannot.geometry.camera import center_from_corner
from massannot.tables._spec import POINT_STATES

TABLES = ("tracks_xyz",)
OPTIONS = Options
JPEG_QUALITY = 95


@dataclass(frozen=True, eq=False)
class TapVid3D:
    """A file's tracks: ground truth, or ours."""

    tracks_xyz: npt.NDArray[np.float32]
    """(T, N, 3) camera frame of each frame."""
    visibility: npt.NDArray[np.bool_]
    """(T, N)."""
    fx_fy_cx_cy: npt.NDArray[np.float64]
    """(4,) pixels, whole numbers are pixel centres."""
    queries_xyt: npt.NDArray[np.float32] | None
    """(N, 3) x, y in pixels of the original picture, and the frame."""
    extrinsics_w2c: npt.NDArray[np.float64] | None
    """(T, 4, 4), where the file has them."""


def export(dataset: Dataset, folder: Path, *, options: Options = Options()) -> Exported:
    """Write <clip_id>.npz into `folder`. A clip without lifted points is left out; a clip whose
    video is gone has no pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    lifted = {}
    left_out = []
    notes = [*quality_notes(dataset, options)]
    for view in clips_once(dataset):
        tracks = lifted_tracks(view, entities=good_entities(view, min_quality=options.min_quality))
        if tracks is None:
            left_out.append(f"clip {view.clip_id}: no lifted points of such entities")
        else:
            lifted[view.clip_id] = _arrays(view.clip_id, tracks)
            if not tracks.world_known:
                notes.append(f"clip {view.clip_id}: no extrinsics_w2c; {WORLD_UNKNOWN}")
    files = {}
    for clip in clips_again(dataset.layout, set(lifted)):
        arrays = lifted.pop(clip.clip_id)
        pictures = clip.frames.pixels(0, len(arrays["tracks_XYZ"]))
        jpegs = np.array([_jpeg(picture) for picture in pictures])  # dtype S
        files[clip.clip_id] = _write(folder, arrays, {"images_jpeg_bytes": jpegs})
    for clip_id, arrays in lifted.items():
        left_out.append(f"clip {clip_id}: its pictures; the video cannot be read again")
        files[clip_id] = _write(folder, arrays, {})
    return Exported(
        tuple(files[clip_id] for clip_id in sorted(files)), tuple(left_out), tuple(notes)
    )


def read(path: Path) -> TapVid3D:
    """The tracks of one file, the benchmark's or ours; for evaluate.tapvid3d.score. Raises
    UsageError for a file without them."""
    arrays = _read(path)
    missing = {"tracks_XYZ", "visibility", "fx_fy_cx_cy"} - set(arrays)
    if missing:
        raise UsageError(f"{path}: found {sorted(arrays)}, expected also {sorted(missing)}")
    tracks, visibility = arrays["tracks_XYZ"], arrays["visibility"].astype(bool)
    if tracks.shape != (*visibility.shape, 3):
        raise UsageError(
            f"{path}: found tracks_XYZ {tracks.shape}, visibility {visibility.shape}, expected "
            "(T, N, 3), (T, N)"
        )
    return TapVid3D(
        tracks.astype(np.float32),
        visibility,
        arrays["fx_fy_cx_cy"].astype(np.float64),
        arrays.get("queries_xyt"),
        arrays.get("extrinsics_w2c"),
    )


def load(folder: Path) -> dict[str, pa.Table]:
    """The table `tracks_xyz`. A file from elsewhere is a clip by its name, its points are those of
    entity 0, measured where visible, interpolated elsewhere. Raises UsageError."""
    parts = [tables.spec("tracks_xyz").empty()]
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise UsageError(f"{folder}: holds no .npz")
    for path in paths:
        tracks, more = read(path), _read(path)
        n_points = tracks.visibility.shape[1]
        hidden = POINT_STATES.index("interpolated")
        parts.append(
            tracks_table(
                clip_id=str(more.get("clip_id", path.stem)),
                entity=more.get("entity", np.zeros(n_points, np.int32)),
                point=more.get("point", np.arange(n_points, dtype=np.int32)),
                xyz=tracks.tracks_xyz,
                state=more.get("state", np.where(tracks.visibility, 0, hidden).astype(np.uint8)),
                scale_type=str(more.get("scale_type", "metric")),
            )
        )
    return {"tracks_xyz": tables.spec("tracks_xyz").checked(pa.concat_tables(parts))}


def _arrays(clip_id: str, tracks: LiftedTracks) -> dict[str, npt.NDArray[Any]]:
    n_points = len(tracks.entity)
    queries_xy = center_from_corner(tracks.xy[tracks.query_frame, np.arange(n_points)])
    fx, fy, cx, cy = tracks.intrinsics[0]
    return {
        "queries_xyt": np.column_stack([queries_xy, tracks.query_frame]).astype(np.float32),
        "tracks_XYZ": tracks.xyz,
        "visibility": tracks.visible,
        "fx_fy_cx_cy": np.array([fx, fy, *center_from_corner([cx, cy])]),
        **({"extrinsics_w2c": tracks.cam_from_world} if tracks.world_known else {}),
        "state": tracks.state,
        "entity": tracks.entity,
        "point": tracks.point,
        "scale_type": np.array(tracks.scale_type),
        "clip_id": np.array(clip_id),
    }


def _write(
    folder: Path,
    arrays: Mapping[str, npt.NDArray[Any]],
    more: Mapping[str, npt.NDArray[Any]],
) -> Path:
    path = folder / f"{arrays['clip_id']}.npz"
    np.savez_compressed(path, **arrays, **more)  # type: ignore[arg-type]
    return path


def _read(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Arrays by name but pictures: the benchmark pickles them, and pickles are never opened."""
    try:
        with np.load(path, allow_pickle=False) as file:
            names = [name for name in file.files if name != "images_jpeg_bytes"]
            return {name: file[name] for name in names}
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not an npz of plain arrays: {error}") from error


def _jpeg(picture: npt.NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="JPEG", quality=JPEG_QUALITY)
    return file.getvalue()
