"""Things made beside the rows of a clip that stand: the rest of its pipeline for a few more things.

What belongs to the clip and to no thing stays as it is: cameras, the factors on depth, the noise
floor, segments. Depth itself is estimated again, since it is in no table, and gets those factors.
The rows of other things are handed on untouched; new things and what belongs to them are numbered
after them. Events are looked for among all things, since one may hide or touch another, and those
in which a new thing takes part are added.

The result differs from asking for everything at once: a thing that stands is never joined with a
new one, the background was chosen around the first things alone, and of a place that a new thing
hides nobody says so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from massannot import tables
from massannot.clip import Clip, DepthKind, DepthMaps
from massannot.stages._stage import Pipeline, Stage, StageTime
from massannot.stages._track_arrays import BACKGROUND, numbers, with_columns
from massannot.stages.find_events import FindEvents
from massannot.stages.track_points import TrackPoints

OF_THINGS = ("entity", "entities", "phrase")
"""Columns of the tables that belong to things."""
FROM_PICTURES = {"frames", "cameras"}
"""What a stage reads that has seen no thing and no depth."""
Instead = Callable[[Stage], Sequence[Stage]]
"""The stages in the place of a stage of the recipe."""


def made_beside(
    pipeline: Pipeline, clip: Clip, instead: Instead, *, times: list[StageTime] | None = None
) -> Clip:
    """The new things alone, numbered from 0, with the tables of `clip` that belong to none. `clip`
    has its rows that stand. Raises StageFailed."""
    of_clip = {name: t for name, t in clip.tables.items() if not is_of_things(name)}
    last = max((i for i, s in enumerate(pipeline.stages) if _is_from_pictures(s)), default=-1)
    stages: list[Stage] = []
    for index, stage in enumerate(pipeline.stages):
        if isinstance(stage, TrackPoints):
            own = dataclasses.replace(stage, n_background=0)
            stages += [*instead(own), WithBackground.of(clip)]
        elif not isinstance(stage, FindEvents) and not _stays(stage):
            stages += instead(stage)
        if index == last:
            stages.append(AsItStands(MappingProxyType(of_clip)))
    beside = dataclasses.replace(pipeline, stages=tuple(stages), earlier=None)
    return beside.process(dataclasses.replace(clip, tables=MappingProxyType(of_clip)), times=times)


def joined(
    pipeline: Pipeline,
    clip: Clip,
    made: Clip,
    *,
    entity_of: Mapping[int, int],
    phrase_of: Mapping[int, int],
    gone: Collection[int] = (),
) -> Clip:
    """`clip` with the rows of `made` behind its own. `entity_of`, `phrase_of`: the numbers that
    those of `made` get; things of `gone` are replaced, so that their rows go."""
    n_detections = clip.table("detections").num_rows
    for name in pipeline.tables:
        if not is_of_things(name) or name == "events" or name not in made.tables:
            continue
        kept, new = clip.table(name), made.table(name)
        if name == "detections":
            new = with_columns(new, detection=[n_detections + n for n in range(new.num_rows)])
        elif "entity" in kept.column_names:
            kept = kept.filter(~np.isin(numbers(kept, "entity"), list(gone)))
            new = new.filter(pc.not_equal(new["entity"], BACKGROUND))
        for column, of in (("entity", entity_of), ("occluder", entity_of), ("phrase", phrase_of)):
            if column in new.column_names:
                moved = [None if n is None else of[n] for n in new[column].to_pylist()]
                new = with_columns(new, **{column: moved})
        if name == "phrases":
            there = pa.array(kept["phrase"].to_pylist(), pa.int32())
            new = new.filter(pc.invert(pc.is_in(new["phrase"], value_set=there)))
        clip = clip.with_table(name, pa.concat_tables([kept, new]))
    clip = counted(clip)
    for stage in pipeline.stages:
        if isinstance(stage, FindEvents):
            clip = _with_events(clip, stage, set(entity_of.values()), set(gone))
    return clip


def is_of_things(name: str) -> bool:
    """Whether rows of the table belong to things, or to what was asked for."""
    return bool({*OF_THINGS} & {*tables.spec(name).names}) and name != "questions"


def _stays(stage: Stage) -> bool:
    """Whether all that a stage of the recipe writes is the clip's and stays as it is."""
    return _writes_of_clip(stage) and not _is_from_pictures(stage)


def _is_from_pictures(stage: Stage) -> bool:
    return _writes_of_clip(stage) and bool(stage.writes) and {*stage.reads} <= FROM_PICTURES


def _writes_of_clip(stage: Stage) -> bool:
    return all(name == "depth" or not is_of_things(name) for name in stage.writes)


@dataclass(frozen=True)
class AsItStands(Stage):
    """The clip's own tables as they stand, and depth with the factors that stand in them."""

    _tables: Mapping[str, pa.Table]
    reads: ClassVar[tuple[str, ...]] = ("frames",)
    writes: ClassVar[tuple[str, ...]] = ("cameras", "clips", "depth", "depth_maps", "segments")

    def process(self, clip: Clip) -> Clip:
        for name in self.writes:
            if name in self._tables:
                clip = clip.with_table(name, self._tables[name])
        if clip.depth is None or "cameras" not in self._tables:
            return clip
        return clip.with_depth(_with_factors(clip.depth, clip))


def _with_factors(depth: DepthMaps, clip: Clip) -> DepthMaps:
    """The maps with the factors of `cameras`, in the unit of `clips`."""
    cameras = clip.table("cameras")
    (row,) = clip.table("clips").to_pylist()
    kind: DepthKind = row["scale_type"] or depth.kind
    if not cameras["depth_scale"].drop_null().length():
        return dataclasses.replace(depth, kind=kind)
    scale = np.nan_to_num(numbers(cameras, "depth_scale"), nan=1.0).astype(np.float32)
    shift = np.nan_to_num(numbers(cameras, "depth_shift")).astype(np.float32)
    values = depth.values * scale[:, None, None]
    if shift.any():
        values += shift[:, None, None]
        values[~(values > 0)] = np.nan
    return dataclasses.replace(
        depth,
        values=values,
        kind=kind,
        scale=scale,
        shift=shift,
        size_scale=row["size_scale"],
        size_scale_rel_sd=row["size_scale_rel_sd"],
    )


@dataclass(frozen=True)
class WithBackground(Stage):
    """The tracks of the background that stand, behind those of the new things."""

    _tracks: pa.Table
    reads: ClassVar[tuple[str, ...]] = ("tracks_xy",)
    writes: ClassVar[tuple[str, ...]] = ("tracks_xy",)

    @classmethod
    def of(cls, standing: Clip) -> WithBackground:
        tracks = standing.table("tracks_xy")
        return cls(tracks.filter(pc.equal(tracks["entity"], BACKGROUND)))

    def process(self, clip: Clip) -> Clip:
        tracks = pa.concat_tables([clip.table("tracks_xy"), self._tracks])
        return clip.with_table("tracks_xy", tracks)


def counted(clip: Clip) -> Clip:
    """`clip` whose `phrases` have the number of entities of each text."""
    phrases = clip.table("phrases")
    texts = dict(zip(phrases["phrase"].to_pylist(), phrases["text"].to_pylist(), strict=True))
    found = [texts[phrase] for phrase in clip.table("entities")["phrase"].to_pylist()]
    n_entities = [found.count(text) for text in texts.values()]
    return clip.with_table("phrases", with_columns(phrases, n_entities=n_entities))


def _with_events(clip: Clip, stage: FindEvents, new: set[int], gone: set[int]) -> Clip:
    """`events` without those of things that went, and with those in which new things take part."""
    standing, found = clip.table("events"), stage.events(clip)
    first = max(standing["event"].to_pylist(), default=-1) + 1
    kept = [not gone & set(who) for who in standing["entities"].to_pylist()]
    added = found.filter(pa.array([bool(new & set(w)) for w in found["entities"].to_pylist()]))
    added = with_columns(added, event=range(first, first + added.num_rows))
    return clip.with_table(
        "events", pa.concat_tables([standing.filter(pa.array(kept, pa.bool_())), added])
    )
