"""The presence of an entity in every frame, read from a clip's tables; see geometry/presence.py."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from massannot.clip import Clip
from massannot.geometry.occlusion import I64, occluders_of_all
from massannot.geometry.presence import SEEN, MaskPath, States, presence_of_all
from massannot.stages._track_arrays import Tables, numbers, rows_by_entity


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


def finished_presences(clip: Tables, paths: Mapping[int, MaskPath]) -> dict[int, States]:
    """The same states of a finished clip with masks `paths`: those of `positions`; where nothing
    could be lifted, from the masks alone."""
    positions = clip.table("positions")
    if positions.num_rows == 0:
        row = clip.table("clips").to_pylist()[0]
        return presence_of_all(paths, height=row["source_height"], width=row["source_width"])
    entity, state = numbers(positions, "entity"), np.array(positions["state"].to_pylist())
    return {
        number: np.where(path.area > 0, SEEN, state[entity == number])
        for number, path in paths.items()
    }


def mask_paths(clip: Tables) -> dict[int, MaskPath]:
    """The masks of every entity of a clip, by entity."""
    masks, n_frames = rows_by_entity(clip.table("masks")), clip.table("frames").num_rows
    entities = numbers(clip.table("entities"), "entity").astype(np.int64).tolist()
    return {entity: _path(masks[entity], n_frames) for entity in entities}


def _path(mine: pa.Table, n_frames: int) -> MaskPath:
    boxes = np.stack([numbers(mine, name) for name in ("x0", "y0", "x1", "y1")], axis=-1)
    columns = (mine[name].to_pylist() for name in ("frame", "counts", "area", "score"))
    rows = (
        (frame, counts, box, area, score)
        for (frame, counts, area, score), box in zip(zip(*columns, strict=True), boxes, strict=True)
    )
    return MaskPath.of(n_frames, rows)
