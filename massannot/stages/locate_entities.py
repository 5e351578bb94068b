"""The position of each entity in each frame: the table `positions`.

The position is the component-wise median of the entity's points that are MEASURED in the frame, in
the camera of the frame and in the world: p_world = world_from_cam @ p_cam. Where too few are
measured, the points that are at least seen stand for them (a small thing is all outline, and depth
on an outline is no measurement), and while something hides the entity its interpolated points; the
row says interpolated. Once the entity has left the picture it is absent: no mask there, and the
mask before or after the gap touches the picture's border.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from massannot import tables
from massannot.clip import Clip
from massannot.geometry.camera import apply, inverse
from massannot.geometry.motion import Centres, surface_centre
from massannot.stages._stage import Stage
from massannot.stages._track_arrays import (
    SpaceTracks,
    camera_arrays,
    numbers,
    picture_tracks,
    space_tracks,
    words,
)

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True)
class LocateEntities(Stage):
    """One row per entity and frame, present or not."""

    min_points: int = 3
    """Points that a centre needs: with fewer a single wrong one is the median."""
    border: float = 0.01
    """Distance from the picture's border, as a share of its width and height, within which a mask
    touches it: masks are drawn at the models' smaller size."""

    reads: ClassVar[tuple[str, ...]] = (
        "frames",
        "entities",
        "masks",
        "tracks_xy",
        "tracks_xyz",
        "cameras",
    )
    writes: ClassVar[tuple[str, ...]] = ("positions",)

    def process(self, clip: Clip) -> Clip:
        """`clip` with `positions`, which has no rows where nothing was lifted."""
        spec, lifted = tables.spec("positions"), clip.table("tracks_xyz")
        entities = numbers(clip.table("entities"), "entity").astype(np.int64)
        if lifted.num_rows == 0 or len(entities) == 0:
            return clip.with_table("positions", spec.empty())
        tracks, pictures = space_tracks(clip), picture_tracks(clip)
        world_from_cam = inverse(camera_arrays(clip)[1])
        columns: list[dict[str, Any]] = []
        for entity in entities:
            gone = _has_left(clip, int(entity), border=self.border)
            centres = self._centres(
                tracks.of(int(entity)), pictures.of(int(entity)).visible, gone=gone
            )
            columns.append(
                {
                    "entity": np.full(len(clip), entity),
                    **_columns(centres, world_from_cam),
                    "measured": centres.measured,
                    "present": centres.present,
                }
            )
        joined = {name: np.concatenate([c[name] for c in columns]) for name in columns[0]}
        n_rows = len(joined["frame"])
        table = spec.from_columns(
            {
                **{name: values for name, values in joined.items() if name not in _FLAGS},
                "clip_id": [clip.clip_id] * n_rows,
                "scale_type": [lifted["scale_type"][0].as_py()] * n_rows,
                "state": _states(joined["measured"], joined["present"]),
            }
        )
        return clip.with_table("positions", table)

    def _centres(self, points: SpaceTracks, visible: Bool, *, gone: Bool) -> Centres:
        """One entity's centres; `visible` (T, N) points, `gone` (T,) frames."""
        seen = visible & np.isfinite(points.xyz[..., 0])
        too_few = points.measured.sum(axis=1) < self.min_points
        seen_instead = too_few & (seen.sum(axis=1) >= self.min_points)
        left_out = (seen_instead | gone)[:, None] & ~seen
        xyz = np.where(left_out[..., None], np.nan, points.xyz)
        return surface_centre(xyz, points.measured, min_points=self.min_points)


_FLAGS = ("measured", "present")


def _columns(centres: Centres, world_from_cam: F64) -> dict[str, Any]:
    world = apply(world_from_cam, centres.xyz)
    return {
        "frame": np.arange(len(centres.xyz)),
        **{f"{axis}_cam": centres.xyz[:, i] for i, axis in enumerate("xyz")},
        **{f"{axis}_world": world[:, i] for i, axis in enumerate("xyz")},
        "spread": centres.spread,
        "n_points": centres.n_measured,
    }


def _states(measured: Bool, present: Bool) -> list[str]:
    return np.where(measured, "measured", np.where(present, "interpolated", "lost")).tolist()


def _has_left(clip: Clip, entity: int, *, border: float) -> Bool:
    """(T,) whether the entity is outside the picture, as far as its masks tell."""
    masks = clip.table("masks")
    masks = masks.filter(pa.array(numbers(masks, "entity") == entity))
    frame = numbers(masks, "frame").astype(np.int64)
    n_frames = len(clip)
    visible, hidden, touches = (np.zeros(n_frames, np.bool_) for _ in range(3))
    visible[frame] = words(masks, "state", "visible")
    hidden[frame] = words(masks, "state", "occluded")
    touches[frame] = _touches_border(clip, masks, border=border)
    if not visible.any():
        return np.zeros(n_frames, np.bool_)
    number = np.arange(n_frames)
    before = np.maximum.accumulate(np.where(visible, number, -1))
    after = np.minimum.accumulate(np.where(visible, number, n_frames)[::-1])[::-1]
    left = (before >= 0) & touches[before]
    returns = (after < n_frames) & touches[np.minimum(after, n_frames - 1)]
    return ~visible & ~hidden & (left | returns)


def _touches_border(clip: Clip, masks: pa.Table, *, border: float) -> Bool:
    """Per row, whether the mask's box comes near an edge of the picture; false for empty masks."""
    width, height = clip.frames.source_width, clip.frames.source_height
    x0, y0, x1, y1 = (numbers(masks, name) for name in ("x0", "y0", "x1", "y1"))
    with np.errstate(invalid="ignore"):
        across = (x0 <= border * width) | (x1 >= (1 - border) * width)
        return across | (y0 <= border * height) | (y1 >= (1 - border) * height)
