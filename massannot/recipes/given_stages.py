"""Stages that put what people gave of a clip in the place of what models find: boxes, masks that
stand, frames in which a thing is not seen, points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from massannot import tables
from massannot.clip import Clip
from massannot.entities.rows import STATE_OF
from massannot.geometry import rle
from massannot.geometry.presence import SEEN, presence_of_all
from massannot.models.protocols import PointTracker
from massannot.recipes.wanted_fixes import CannotCorrect
from massannot.stages._presence import mask_paths
from massannot.stages._stage import Stage
from massannot.stages._track_arrays import numbers, tracks_xy_table, with_columns
from massannot.tables.reviews import Fix


@dataclass(frozen=True)
class GivenDetections(Stage):
    """The boxes to follow, which nobody has decided yet."""

    _detections: pa.Table
    _phrases: pa.Table
    reads: ClassVar[tuple[str, ...]] = ("frames",)
    writes: ClassVar[tuple[str, ...]] = ("phrases", "detections")

    def process(self, clip: Clip) -> Clip:
        clip = clip.with_table("phrases", self._phrases)
        return clip.with_table("detections", self._detections)


@dataclass(frozen=True)
class KeptMasks(Stage):
    """Things whose masks stand, of which something else was given, behind those with boxes."""

    _standing: Clip
    _entities: tuple[int, ...]
    reads: ClassVar[tuple[str, ...]] = ("entities",)
    writes: ClassVar[tuple[str, ...]] = ("entities", "looks", "masks")

    def process(self, clip: Clip) -> Clip:
        first = clip.table("entities").num_rows
        for name in self.writes:
            standing = self._standing.table(name)
            mine = standing.filter(np.isin(numbers(standing, "entity"), self._entities))
            moved = [first + self._entities.index(e) for e in mine["entity"].to_pylist()]
            both = pa.concat_tables([clip.table(name), with_columns(mine, entity=moved)])
            clip = clip.with_table(name, both)
        return clip


@dataclass(frozen=True)
class UnseenFrames(Stage):
    """Frames in which people say that nothing of a thing is seen: its mask is empty there, as
    given. Whether it is hidden or absent its masks before and after say."""

    _unseen: frozenset[tuple[int, int]]
    _kept: tuple[int, ...]
    reads: ClassVar[tuple[str, ...]] = ("detections", "entities", "frames", "masks")
    writes: ClassVar[tuple[str, ...]] = ("entities", "masks")

    def process(self, clip: Clip) -> Clip:
        """Raises CannotCorrect for a thing that is left without a mask."""
        if not self._unseen:
            return clip
        found = things_of(clip, self._kept)
        height, width = clip.frames.source_height, clip.frames.source_width
        empty = rle.encode(np.zeros((height, width), np.bool_))
        of_mask = {"height": height, "width": width, "counts": empty, "area": 0, "score": 0.0}
        of_mask |= {"state": "absent", "origin": "given"}
        rows = {(row["entity"], row["frame"]): row for row in clip.table("masks").to_pylist()}
        for entity, frame in self._unseen:
            key = {"clip_id": clip.clip_id, "entity": found[entity], "frame": frame}
            rows[found[entity], frame] = {**key, **of_mask}
        clip = _with_masks(clip, rows)
        presences = presence_of_all(
            mask_paths(clip), height=height, width=width, area=clip.frames.area
        )
        for entity, frame in self._unseen:
            number = found[entity]
            first = next((f for f, state in enumerate(presences[number]) if state == SEEN), None)
            if first is None:
                raise CannotCorrect(f"entity {entity} is seen in no frame then; remove it instead")
            if frame > first:
                rows[number, frame]["state"] = STATE_OF[presences[number][frame]]
        clip = _with_masks(clip, rows)
        return clip.with_table("entities", _with_ends(clip.table("entities"), rows.values()))


def _with_masks(clip: Clip, rows: Mapping[tuple[int, int], Mapping[str, Any]]) -> Clip:
    return clip.with_table("masks", tables.spec("masks").from_rows([rows[k] for k in sorted(rows)]))


def _with_ends(entities: pa.Table, masks: Iterable[Mapping[str, Any]]) -> pa.Table:
    """`entities` with the first and last frame of their masks."""
    seen: dict[int, list[int]] = {}
    for row in masks:
        if row["area"]:
            seen.setdefault(row["entity"], []).append(row["frame"])
    numbers = entities["entity"].to_pylist()
    return with_columns(
        entities,
        first_frame=[min(seen[number]) for number in numbers],
        last_frame=[max(seen[number]) for number in numbers],
    )


@dataclass(frozen=True)
class GivenPoints(Stage):
    """The points that people gave, followed behind those that were chosen."""

    _tracker: PointTracker = field(compare=False)
    _points: tuple[Fix, ...]
    _kept: tuple[int, ...]
    reads: ClassVar[tuple[str, ...]] = ("detections", "tracks_xy")
    writes: ClassVar[tuple[str, ...]] = ("tracks_xy",)

    def process(self, clip: Clip) -> Clip:
        """Raises BadModelOutput."""
        tracks = clip.table("tracks_xy")
        found = things_of(clip, self._kept)
        entity, point, queries = list[int](), list[int](), list[list[float]]()
        n_points = {e: tracks["entity"].to_pylist().count(e) for e in found.values()}
        for fix in self._points:
            number = found.get(fix["entity"])
            if number is None:
                continue
            entity.append(number)
            point.append(n_points[number])
            queries.append([fix["frame"], *fix["point"]])
            n_points[number] += 1
        if not queries:
            return clip
        given = tracks_xy_table(
            clip,
            self._tracker,
            queries_txy=np.array(queries, np.float64),
            entities=np.array(entity, np.int32),
            points=np.array(point, np.int32),
        )
        return clip.with_table("tracks_xy", pa.concat_tables([tracks, given]))


def things_of(made: Clip, kept: Sequence[int]) -> dict[int | None, int]:
    """The touched things' numbers among the new ones; None: one that was missing, unnumbered."""
    detections = made.table("detections")
    pairs = zip(detections["track"].to_pylist(), detections["entity"].to_pylist(), strict=True)
    found = {track: entity for track, entity in pairs if entity is not None}
    first = made.table("entities").num_rows - len(kept)
    return found | {entity: first + number for number, entity in enumerate(kept)}
