"""The surfaces and bodies under a clip's masks, for the stages that measure on them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from massannot.clip import Clip
from massannot.geometry.visible_surface import (
    Outline,
    bodies,
    outline_margin,
    over_usual,
    visible_surfaces,
)
from massannot.stages._track_arrays import camera_arrays, numbers, words

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class MaskedSurfaces:
    """The surfaces under the M masks of a clip that are not empty; NaN: not known.

    Places are in the camera of each mask's frame, in the unit of depth.
    """

    entity: I64
    frame: I64
    side_px: F64
    """(M,) larger side of the outline's box, source pixels."""
    xyz: F64
    """(M, 3) centre of the visible surface."""
    spread: F64
    """(M,) median distance of the samples from that centre."""
    valid_share: F64
    """(M,) share of the samples that have depth."""
    cut_share: F64
    """(M,) share of the box's outline that lies on the picture's border."""
    body_xyz: F64
    """(M, 3) centre of the body; known where the whole outline is seen."""
    body_size: F64
    """(M, 3) its extent along the camera's axes."""


def masked_surfaces(
    clip: Clip,
    depth_Thw: NDArray[np.float32],
    *,
    least_outline: float,
    entities: Collection[int] | None = None,
) -> MaskedSurfaces:
    """Of all entities, or of some. An outline of a smaller share than `least_outline` of the
    entity's usual area, at one distance, counts as partly hidden."""
    masks = clip.table("masks")
    wanted = words(masks, "state", "visible")
    if entities is not None:
        wanted &= np.isin(numbers(masks, "entity"), list(entities))
    masks = masks.filter(pa.array(wanted))
    entity = numbers(masks, "entity").astype(np.int64)
    frame = numbers(masks, "frame").astype(np.int64)
    boxes = np.column_stack([numbers(masks, side) for side in ("x0", "y0", "x1", "y1")])
    areas = numbers(masks, "area")
    outlines = [
        Outline(int(t), counts, *map(int, box))
        for t, counts, box in zip(frame, masks["counts"].to_pylist(), boxes, strict=True)
    ]
    size = (clip.frames.source_width, clip.frames.source_height)
    intrinsics = camera_arrays(clip)[0]
    surfaces = visible_surfaces(outlines, depth_Thw, intrinsics=intrinsics, picture_size=size)
    body = bodies(outlines, surfaces, areas=areas, intrinsics=intrinsics)
    cut = _cut_share(boxes, size)
    whole = (cut == 0) & (over_usual(areas * surfaces.xyz[:, 2] ** 2, entity) >= least_outline)
    return MaskedSurfaces(
        entity=entity,
        frame=frame,
        side_px=(boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0),
        xyz=surfaces.xyz,
        spread=surfaces.spread,
        valid_share=surfaces.valid_share,
        cut_share=cut,
        body_xyz=np.where(whole[:, None], body.xyz, np.nan),
        body_size=np.where(whole[:, None], body.size, np.nan),
    )


def _cut_share(boxes: F64, picture_size: tuple[int, int]) -> F64:
    """(M,) share of each box's outline that lies on the picture's border."""
    width, height = picture_size
    margin = outline_margin(picture_size)
    x0, y0, x1, y1 = boxes.T
    across, along = x1 - x0, y1 - y0
    on_border = (
        along * ((x0 < margin).astype(float) + (x1 > width - margin))
        + across * ((y0 < margin).astype(float) + (y1 > height - margin))
    )  # fmt: skip
    return np.asarray(on_border / np.maximum(2 * (across + along), 1))
