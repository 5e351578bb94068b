"""The presence of an entity in every frame, read from a clip's tables; see geometry/presence.py."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from massannot.clip import Clip
from massannot.geometry.occlusion import I64, occluders_of_all
from massannot.geometry.presence import MaskPath, States, presence_of_all
from massannot.stages._track_arrays import numbers


def presences(clip: Clip) -> tuple[dict[int, States], dict[int, I64]]:
    """By entity, (T,) for each frame of `clip`: its presence, and the entity that hides it, NOTHING
    for none. From the masks and, where the clip has depth that can be compared between frames, from
    depth.

    seen: it has a mask; hidden: something is in front of it; left: it is outside of the picture;
    lost: it has no mask, and none of these is known.
    """
    paths = mask_paths(clip)
    depth = clip.depth.values if clip.depth is not None and clip.depth.kind != "affine" else None
    height, width = clip.frames.source_height, clip.frames.source_width
    area = clip.frames.area
    states = presence_of_all(paths, height=height, width=width, depth=depth, area=area)
    occluders = occluders_of_all(paths, states, height=height, width=width, depth=depth, area=area)
    return states, occluders


def mask_paths(clip: Clip) -> dict[int, MaskPath]:
    """The masks of every entity of a clip, by entity."""
    masks, n_frames = clip.table("masks"), len(clip)
    entities = numbers(clip.table("entities"), "entity").astype(np.int64)
    return {int(e): _path(masks, int(e), n_frames) for e in entities}


def _path(masks: pa.Table, entity: int, n_frames: int) -> MaskPath:
    mine = masks.filter(pa.array(numbers(masks, "entity") == entity))
    boxes = np.stack([numbers(mine, name) for name in ("x0", "y0", "x1", "y1")], axis=-1)
    columns = (mine[name].to_pylist() for name in ("frame", "counts", "area", "score"))
    rows = (
        (frame, counts, box, area, score)
        for (frame, counts, area, score), box in zip(zip(*columns, strict=True), boxes, strict=True)
    )
    return MaskPath.of(n_frames, rows)
