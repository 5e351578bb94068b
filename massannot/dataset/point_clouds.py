"""Points in space of a clip's stored depth, with the thing that each lies on.

They are in the clip's world, its first camera, where the poses are known, else in each frame's own
camera, and `reference` says which. What lies on a depth edge mixes two surfaces and is not valid.
`sigma` is the standard deviation of the distance that all points of the clip share; what a single
reading adds to it is not known.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from massannot.counts import counted
from massannot.errors import UsageError
from massannot.geometry import rle
from massannot.geometry.camera import apply, inverse, unproject
from massannot.geometry.depth_sampling import sample_depth
from massannot.tables.cameras import cam_from_world, poses_are_known

if TYPE_CHECKING:
    from massannot.dataset.reading import ClipView

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
NOTHING = -1
"""The entity of a point on no entity."""


@dataclass(frozen=True, eq=False)
class PointCloud:
    """N points of each of T frames."""

    frames: npt.NDArray[np.int32]
    """(T,) numbers within the clip."""
    xy: F32
    """(N, 2) source pixels, origin at the picture's top-left corner."""
    xyz: F32
    """(T, N, 3) x right, y down, z forward; NaN where not valid."""
    valid: npt.NDArray[np.bool_]
    """(T, N)."""
    sigma: F32
    """(T, N) of the distance, in the unit of xyz; NaN: not known."""
    entity: npt.NDArray[np.int32]
    """(T, N); NOTHING: none."""
    intrinsics: F64
    """(T, 4) fx fy cx cy, source pixels."""
    cam_from_world: F64
    """(T, 4, 4); assumed where `reference` is camera."""
    reference: Literal["world", "camera"]
    scale_type: Literal["metric", "relative"]


def point_cloud(
    view: ClipView,
    frames: Sequence[int],
    *,
    grid: tuple[int, int] | None = None,
    entities: Collection[int] | None = None,
) -> PointCloud:
    """The points of some frames at the centres of a grid of (columns, rows) over the picture; None:
    a point for each pixel of the stored depth. `entities`: those that are named; None: all.

    Raises UsageError where no depth was stored, for affine depth, which has no places in space,
    and without cameras.
    """
    depth, scale_type = _depth(view, frames)
    cameras = view.table("cameras")
    if cameras.num_rows != len(view):
        raise UsageError(f"clip {view.clip_id}: found no cameras, expected one for each frame")
    size = view.row["source_width"], view.row["source_height"]
    xy = _centres(size, grid or (depth.shape[2], depth.shape[1]))
    everywhere = np.broadcast_to(xy, (len(frames), *xy.shape))
    samples = sample_depth(depth, everywhere, picture_size=size)
    rows = cameras.take(list(frames))
    intrinsics = np.stack([rows[name].to_numpy() for name in ("fx", "fy", "cx", "cy")], axis=1)
    poses = cam_from_world(rows)
    xyz = unproject(everywhere, samples.z, intrinsics[:, None])
    known = poses_are_known(cameras, camera_static=view.row["camera_static"])
    relative = view.row.get("range_rel_sd")
    sigma = np.linalg.norm(xyz, axis=-1) * (np.nan if relative is None else relative)
    if known:
        xyz = np.stack([apply(inverse(pose), of) for pose, of in zip(poses, xyz, strict=True)])
    valid = samples.reliable
    return PointCloud(
        frames=np.array(frames, np.int32),
        xy=xy.astype(np.float32),
        xyz=np.where(valid[..., None], xyz, np.nan).astype(np.float32),
        valid=valid,
        sigma=np.where(valid, sigma, np.nan).astype(np.float32),
        entity=_entities(view, frames, xy, entities),
        intrinsics=intrinsics,
        cam_from_world=poses,
        reference="world" if known else "camera",
        scale_type=scale_type,
    )


def evenly(n_frames: int, most: int) -> tuple[int, ...]:
    """At most so many frames of a clip, first and last among them; 0: all."""
    if most == 0 or n_frames <= most:
        return tuple(range(n_frames))
    if most == 1:
        return (0,)
    return tuple(round(i * (n_frames - 1) / (most - 1)) for i in range(most))


def _depth(view: ClipView, frames: Sequence[int]) -> tuple[F32, Literal["metric", "relative"]]:
    """((T, h, w), unit); NaN where invalid."""
    rows = view.table("depth_maps").to_pylist()
    if len(rows) != len(view):
        raise UsageError(
            f"clip {view.clip_id}: found {len(rows)} stored depth maps of "
            f"{counted(len(view), 'frame')}, expected all; annotate with --depth-maps"
        )
    if rows[0]["encoding"] != "depth":
        raise UsageError(
            f"clip {view.clip_id}: found inverse depth with an unknown offset, expected depth; "
            "annotate with a metric or relative depth model"
        )
    maps = []
    for frame in frames:
        row = rows[frame]
        stored = np.asarray(Image.open(io.BytesIO(row["png"])), np.float64)
        maps.append(np.where(stored == 0, np.nan, row["scale"] * stored + row["offset"]))
    return np.stack(maps).astype(np.float32), rows[0]["scale_type"]


def _centres(size: tuple[int, int], grid: tuple[int, int]) -> F64:
    """(N, 2), row by row."""
    across = (np.arange(grid[0]) + 0.5) * size[0] / grid[0]
    down = (np.arange(grid[1]) + 0.5) * size[1] / grid[1]
    return np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)


def _entities(
    view: ClipView, frames: Sequence[int], xy: F64, wanted: Collection[int] | None
) -> npt.NDArray[np.int32]:
    """(T, N): of things whose masks overlap, the smaller."""
    height, width = view.row["source_height"], view.row["source_width"]
    place = {frame: number for number, frame in enumerate(frames)}
    found = np.full((len(frames), len(xy)), NOTHING, np.int32)
    masks = [row for row in view.table("masks").to_pylist() if row["frame"] in place]
    for row in sorted(masks, key=lambda row: -row["area"]):
        if row["area"] and (wanted is None or row["entity"] in wanted):
            inside = rle.contains(row["counts"], xy, height=height, width=width)
            found[place[row["frame"]], inside] = row["entity"]
    return found
