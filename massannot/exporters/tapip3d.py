"""tapip3d: pictures, depth and tracks as TAPIP3D's and SpatialTrackerV2's viewers open them.

One npz a clip. Their keys and conventions: `video` (T, 3, H, W) in 0..1, `depths` (T, H, W) with 0
where invalid, `intrinsics` (T, 3, 3) of that picture size with whole numbers at pixel centres,
`extrinsics` (T, 4, 4) world to camera, `coords` (T, N, 3) in the world, `visibs` (T, N),
`query_points` (N, 4) as t, x, y, z in the world. World is the clip's first camera. The pictures are
as large as the depth that was stored (the table `depth_maps`), or LONG_SIDE without it, and depth
is then 0 everywhere. `coords_cam`, `state`, `entity`, `point`, `scale_type` and `clip_id` are ours
and ignored there. The format cannot leave the world out: where it is not known, the poses are the
assumed ones, and a note says so. A frame that two clips share is in the later one's file alone.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from massannot import tables
from massannot.clip import Clip
from massannot.dataset.arrays import (
    WORLD_UNKNOWN,
    LiftedTracks,
    good_entities,
    lifted_tracks,
    tracks_table,
)
from massannot.dataset.frames_again import clips_again
from massannot.dataset.reading import ClipView, Dataset
from massannot.dataset.touching import clips_once, own_view
from massannot.errors import UsageError
from massannot.exporters import Exported, Options, quality_notes

TABLES = ("tracks_xyz",)
OPTIONS = Options
LONG_SIDE = 336
"""What SpatialTrackerV2 saves at most; viewers are slow above it."""

Array = npt.NDArray[Any]


def export(dataset: Dataset, folder: Path, *, options: Options = Options()) -> Exported:
    """Write <clip_id>.npz into `folder`. Clips without lifted points are left out, as are clips
    whose video is gone."""
    folder.mkdir(parents=True, exist_ok=True)
    lifted, left_out, notes = {}, [], [*quality_notes(dataset, options)]
    for view in clips_once(dataset):
        tracks = lifted_tracks(view, entities=good_entities(view, min_quality=options.min_quality))
        if tracks is None:
            left_out.append(f"clip {view.clip_id}: no lifted points of such entities")
        else:
            lifted[view.clip_id] = tracks
            if not tracks.world_known:
                notes.append(f"clip {view.clip_id}: coords have assumed poses; {WORLD_UNKNOWN}")
    files = []
    for clip in clips_again(dataset.layout, set(lifted)):
        tracks = lifted.pop(clip.clip_id)
        view = own_view(dataset.clip(clip.clip_id), len(tracks.xyz))
        arrays = _arrays(view, clip, tracks)
        files.append(folder / f"{clip.clip_id}.npz")
        np.savez_compressed(files[-1], **arrays)  # type: ignore[arg-type]
    left_out += [f"clip {clip_id}: its video cannot be read again" for clip_id in lifted]
    return Exported(tuple(sorted(files)), tuple(left_out), tuple(notes))


def load(folder: Path) -> dict[str, pa.Table]:
    """The table `tracks_xyz` of our own files. Raises UsageError for others."""
    parts = [tables.spec("tracks_xyz").empty()]
    for path in sorted(folder.glob("*.npz")):
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in _OURS}
        except (OSError, ValueError, KeyError) as error:
            raise UsageError(f"{path}: not from `massannot export tapip3d`: {error}") from error
        parts.append(
            tracks_table(
                clip_id=str(arrays["clip_id"]),
                entity=arrays["entity"],
                point=arrays["point"],
                xyz=arrays["coords_cam"],
                state=arrays["state"],
                scale_type=str(arrays["scale_type"]),
            )
        )
    if len(parts) == 1:
        raise UsageError(f"{folder}: holds no .npz")
    return {"tracks_xyz": tables.spec("tracks_xyz").checked(pa.concat_tables(parts))}


_OURS = ("coords_cam", "state", "entity", "point", "scale_type", "clip_id")


def _arrays(view: ClipView, clip: Clip, tracks: LiftedTracks) -> dict[str, Array]:
    depths = _depths(view)
    if depths is None:
        factor = min(1.0, LONG_SIDE / max(clip.frames.width, clip.frames.height))
        size = (
            max(1, round(clip.frames.height * factor)),
            max(1, round(clip.frames.width * factor)),
        )
        depths = np.zeros((len(view), *size), np.float32)
    height, width = depths.shape[1:]
    world = tracks.xyz_world
    n_points = len(tracks.entity)
    return {
        "video": _video(clip.frames.pixels(0, len(view)), width=width, height=height),
        "depths": depths,
        "intrinsics": _intrinsics(view, tracks.intrinsics, width=width, height=height),
        "extrinsics": tracks.cam_from_world.astype(np.float32),
        "coords": world.astype(np.float32),
        "visibs": tracks.visible,
        "query_points": np.column_stack(
            [tracks.query_frame, world[tracks.query_frame, np.arange(n_points)]]
        ).astype(np.float32),
        "coords_cam": tracks.xyz,
        "state": tracks.state,
        "entity": tracks.entity,
        "point": tracks.point,
        "scale_type": np.array(tracks.scale_type),
        "clip_id": np.array(view.clip_id),
    }


def _depths(view: ClipView) -> npt.NDArray[np.float32] | None:
    """(T, H, W) stored depth, 0 where invalid; None where none was stored, or inverse depth."""
    rows = view.table("depth_maps").to_pylist()
    if len(rows) != len(view) or any(row["encoding"] != "depth" for row in rows):
        return None
    maps = []
    for row in rows:
        stored = np.asarray(Image.open(io.BytesIO(row["png"])), np.float64)
        maps.append(np.where(stored == 0, 0.0, row["scale"] * stored + row["offset"]))
    return np.stack(maps).astype(np.float32)


def _video(pixels_THWC: npt.NDArray[np.uint8], *, width: int, height: int) -> Array:
    """(T, 3, H, W) float32 0..1, averaged down."""
    pictures = [
        np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BOX))
        for picture in pixels_THWC
    ]
    return np.stack(pictures).transpose(0, 3, 1, 2).astype(np.float32) / 255


def _intrinsics(view: ClipView, fx_fy_cx_cy: Array, *, width: int, height: int) -> Array:
    """(T, 3, 3) for pictures of another size; whole numbers are pixel centres."""
    x, y = width / view.row["source_width"], height / view.row["source_height"]
    matrices = np.zeros((len(fx_fy_cx_cy), 3, 3), np.float32)
    matrices[:, 0, 0], matrices[:, 1, 1] = fx_fy_cx_cy[:, 0] * x, fx_fy_cx_cy[:, 1] * y
    matrices[:, 0, 2] = fx_fy_cx_cy[:, 2] * x - 0.5
    matrices[:, 1, 2] = fx_fy_cx_cy[:, 3] * y - 0.5
    matrices[:, 2, 2] = 1
    return matrices
