"""Points of every entity, and of the background, through the clip: `tracks_xy`.

An entity's frames in sight are cut into views of at most 64 frames, anew after every absence, and
each view gives its share of the points, chosen in the frame with the largest mask. So things that
come late, return, or turn round have points wherever they are seen. All points go to the tracker in
one call.

Unusual: 64 points of the background ride along as entity -1, chosen in the first, middle and last
frame where no entity ever is and where there is texture: on them the camera, the depth and the
noise are tested.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from massannot import tables
from massannot.clip import Clip
from massannot.geometry import rle
from massannot.geometry.point_choice import choose_points, texture
from massannot.models.protocols import F32, F64, I32, Bool, PointTracker
from massannot.stages._stage import Stage
from massannot.stages._track_arrays import BACKGROUND, free_of_bars, tracks_xy_table

_VIEW_FRAMES = 64
_MOST_VIEWS = 8
_SAME_VIEW_GAP = 2
"""Frames out of sight that do not end a view."""
_FROM_BAR_PX = 6
"""Working pixels from a black bar, whose edge would hold a point where it is."""
_TEXTURE_WIDTH = 480
_OPEN_SHARE = 0.2
"""Of the picture that must lie outside all boxes; with less, only the frame's own masks count."""


@dataclass(frozen=True)
class TrackPoints(Stage):
    """Chooses points and follows them with `tracker`."""

    tracker: PointTracker
    max_per_entity: int = 64
    max_per_clip: int = 512
    """For all entities together; each gets the same share."""
    n_background: int = 64

    reads: ClassVar[tuple[str, ...]] = ("frames", "entities", "masks")
    writes: ClassVar[tuple[str, ...]] = ("tracks_xy",)

    def process(self, clip: Clip) -> Clip:
        """`clip` with `tracks_xy`. Raises BadModelOutput."""
        spec = tables.spec("tracks_xy")
        masks = _InSight.of(clip.table("masks"))
        entities = clip.table("entities")["entity"].to_pylist()
        share = min(self.max_per_entity, self.max_per_clip // max(len(entities), 1))
        chosen = [(BACKGROUND, self._background(clip, masks))]
        chosen += [(entity, self._of_entity(masks, entity, share)) for entity in entities]
        queries = np.concatenate([points for _, points in chosen])
        if not len(queries):
            return clip.with_table("tracks_xy", spec.empty())
        owner = np.repeat([entity for entity, _ in chosen], [len(points) for _, points in chosen])
        number = np.concatenate([np.arange(len(points)) for _, points in chosen])

        table = tracks_xy_table(
            clip, self.tracker, queries_txy=queries, entities=owner, points=number
        )
        return clip.with_table("tracks_xy", table)

    def _of_entity(self, masks: _InSight, entity: int, n_points: int) -> F64:
        """Queries (N, 3) frame, x, y of an entity, source pixels."""
        rows = np.flatnonzero(masks.entity == entity)
        views = _views(masks.frame[rows])
        parts = []
        for view, n_of_view in zip(views, _shares(n_points, [len(view) for view in views])):
            row = rows[view][np.argmax(masks.area[rows[view]])]
            points = choose_points(masks.mask(row), n_of_view)
            parts.append(np.c_[np.full(len(points), masks.frame[row]), points])
        return np.concatenate([np.zeros((0, 3)), *parts])

    def _background(self, clip: Clip, masks: _InSight) -> F64:
        """Queries (N, 3) outside of the entities, source pixels."""
        frames = clip.frames
        last = len(clip) - 1
        chosen = sorted({0, last // 2, last}) if last >= 0 else []
        ever = masks.boxes_free(frames.height, frames.width, frames.source_from_working)
        picture_area = free_of_bars(frames, margin=_FROM_BAR_PX)
        ever &= picture_area
        parts = [np.zeros((0, 3))]
        for frame, n_points in zip(chosen, _shares(self.n_background, [1] * len(chosen))):
            free = ever
            if np.count_nonzero(ever) < _OPEN_SHARE * np.count_nonzero(picture_area):
                free = masks.free_at(frame, frames.height, frames.width) & picture_area
            picture = frames.pixels(frame, frame + 1)[0]
            points = choose_points(free, n_points, preference=_texture(picture))
            points = points * frames.source_from_working
            parts.append(np.c_[np.full(len(points), frame), points])
        return np.concatenate(parts)


@dataclass(frozen=True, eq=False)
class _InSight:
    """The masks that are not empty, in columns (M,)."""

    entity: I32
    frame: I32
    area: I32
    boxes: F32
    counts: list[str]
    height: int
    width: int

    @classmethod
    def of(cls, table: pa.Table) -> _InSight:
        table = table.filter(pc.greater(table["area"], 0))
        boxes = [table[name].to_numpy() for name in ("x0", "y0", "x1", "y1")]
        return cls(
            entity=table["entity"].to_numpy(),
            frame=table["frame"].to_numpy(),
            area=table["area"].to_numpy(),
            boxes=np.stack(boxes, axis=1),
            counts=table["counts"].to_pylist(),
            height=table["height"][0].as_py() if len(table) else 0,
            width=table["width"][0].as_py() if len(table) else 0,
        )

    def mask(self, row: int) -> Bool:
        """(H, W) in source pixels."""
        return rle.decode(self.counts[row], height=self.height, width=self.width)

    def boxes_free(self, height: int, width: int, source_from_working: F64) -> Bool:
        """Working pixels (height, width) in no box of any frame."""
        free = np.ones((height, width), np.bool_)
        boxes = self.boxes / np.tile(source_from_working, 2)
        low, high = np.floor(boxes[:, :2]).astype(int), np.ceil(boxes[:, 2:]).astype(int)
        for (x0, y0), (x1, y1) in zip(low.tolist(), high.tolist()):
            free[y0:y1, x0:x1] = False
        return free

    def free_at(self, frame: int, height: int, width: int) -> Bool:
        """Working pixels (height, width) outside of the masks of one frame."""
        free = np.ones((height, width), np.bool_)
        for row in np.flatnonzero(self.frame == frame):
            counts = rle.resize_nearest(
                self.counts[row],
                height=self.height,
                width=self.width,
                to_height=height,
                to_width=width,
            )
            free &= ~rle.decode(counts, height=height, width=width)
        return free


def _texture(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(H, W) texture of a picture; of a large one, of every few pixels in each direction."""
    step = max(1, picture.shape[1] // _TEXTURE_WIDTH)
    coarse = texture(picture[::step, ::step])
    return coarse.repeat(step, 0).repeat(step, 1)[: picture.shape[0], : picture.shape[1]]


def _views(frame: I32) -> list[NDArray[np.int64]]:
    """Positions in `frame` (ascending), cut after absences and every 64 frames; the longest ones,
    in order of time."""
    stretches = np.split(np.arange(len(frame)), np.flatnonzero(np.diff(frame) > _SAME_VIEW_GAP) + 1)
    views = []
    for stretch in stretches:
        if len(stretch):
            views += np.array_split(stretch, -(-len(stretch) // _VIEW_FRAMES))
    longest = sorted(range(len(views)), key=lambda i: (-len(views[i]), i))[:_MOST_VIEWS]
    return [views[i] for i in sorted(longest)]


def _shares(total: int, weights: list[int]) -> list[int]:
    """`total` in whole parts, half of it equal, half by weight."""
    if not weights:
        return []
    parts = np.array([0.5 / len(weights) + 0.5 * w / sum(weights) for w in weights])
    return np.diff(np.floor(np.cumsum(parts) * total + 1e-9), prepend=0).astype(int).tolist()
