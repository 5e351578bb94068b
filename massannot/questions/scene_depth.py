"""Exact points in space of scenes that are asked about, for `export geometry`.

Depth and ids of the thumbnails lie beside them, in `pictures/<clip_id>.safetensors`, where
`questions scenes --depth-maps` kept them; else the scene is simulated and rendered once more. The
camera stands still, so its axes are the world's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from massannot.dataset.point_clouds import NOTHING, PointCloud
from massannot.geometry.camera import unproject
from massannot.questions.scene_story import Story
from massannot.scenes.render import render
from massannot.scenes.world import Scene
from massannot.storage.safetensors_file import read_safetensors, write_safetensors

Array = NDArray[Any]


def keep_depth(path: Path, story: Story, frames: Sequence[int]) -> None:
    """Write what `scene_point_cloud` needs of these frames."""
    assert story.scene is not None
    write_safetensors(path, _seen(story.scene, frames), about={"uri": f"{story.seed}/{story.view}"})


def scene_point_cloud(
    path: Path, scene: Scene | None, frames: Sequence[int], *, grid: tuple[int, int]
) -> PointCloud:
    """The points at the centres of a grid of (columns, rows), from the file where it has these
    frames, else of the scene, which may be None only then."""
    seen: dict[str, Array] = {}
    if path.exists():
        seen = read_safetensors(path)[0]
    if not set(frames) <= set(seen.get("frames", ())):
        if scene is None:
            raise ValueError(f"{path}: found no depth of frames {frames}, expected it or the scene")
        seen = _seen(scene, frames)
    rows_of = [seen["frames"].tolist().index(frame) for frame in frames]
    depth, ids = seen["depth_m"][rows_of], seen["ids"][rows_of]
    height, width = depth.shape[1:]
    across = ((np.arange(grid[0]) + 0.5) * width / grid[0])[None].repeat(grid[1], 0)
    down = ((np.arange(grid[1]) + 0.5) * height / grid[1])[:, None].repeat(grid[0], 1)
    xy = np.stack([across, down], axis=-1).reshape(-1, 2)
    row, column = xy[:, 1].astype(int), xy[:, 0].astype(int)
    z = depth[:, row, column]
    intrinsics = np.repeat(seen["intrinsics"][None].astype(np.float64), len(frames), axis=0)
    xyz = unproject(np.broadcast_to(xy, (len(frames), *xy.shape)), z, intrinsics[:, None])
    return PointCloud(
        frames=np.array(frames, np.int32),
        xy=xy.astype(np.float32),
        xyz=xyz.astype(np.float32),
        valid=np.isfinite(z),
        sigma=np.zeros(z.shape, np.float32),
        entity=ids[:, row, column].astype(np.int32) + NOTHING,
        intrinsics=intrinsics,
        cam_from_world=np.repeat(np.eye(4)[None], len(frames), axis=0),
        reference="world",
        scale_type="metric",
    )


def _seen(scene: Scene, frames: Sequence[int]) -> dict[str, Array]:
    pictures = [render(scene, frame) for frame in frames]
    lens = scene.camera.lens
    return {
        "frames": np.array(frames, np.int32),
        "depth_m": np.stack([picture.depth_m for picture in pictures]).astype(np.float32),
        "ids": np.stack([picture.ids for picture in pictures]),
        "intrinsics": np.array([lens.focal_px, lens.focal_px, lens.cx, lens.cy], np.float32),
    }
