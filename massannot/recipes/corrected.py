"""A clip whose rows stand, with what people put right in it: the things they touched are made anew
from what they gave, and nothing else is.

A box is where the thing is in that frame: its mask is followed from there, and from no box that a
model found of it. An outline is the thing's mask in that frame, pixel by pixel, and is followed in
the same way. A box of no entity is a thing that was missing; which phrase it answers, a name beside
it says. A point lies on the thing, and the tracker follows it as one more of its points. A
name moves a thing to another phrase, and nothing is computed. A thing keeps its number; the boxes
that a model found of it stay in `detections`, as duplicates of the person's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from massannot import tables
from massannot.clip import Clip
from massannot.errors import ClipError
from massannot.geometry import rle
from massannot.models.protocols import PointTracker
from massannot.models.recorded.segmentations import counts_of
from massannot.recipes.beside import counted, joined, made_beside
from massannot.stages._stage import Pipeline, Stage, StageFailed, StageTime
from massannot.stages._track_arrays import numbers, tracks_xy_table, with_columns
from massannot.stages.detect_phrases import DetectPhrases
from massannot.stages.propagate_masks import PropagateMasks
from massannot.stages.track_points import TrackPoints

Fix = Mapping[str, Any]
"""See docs/review.md: kind, entity, and frame and box, point or mask, or name."""
_BOX = ("x0", "y0", "x1", "y1")


class CannotCorrect(ClipError):
    """What a person put right does not say enough, or cannot be followed."""

    reason = "cannot_correct"


def corrected(
    pipeline: Pipeline,
    clip: Clip,
    fixes: Sequence[Fix],
    *,
    times: list[StageTime] | None = None,
) -> Clip:
    """`clip`, which has its rows that stand, with the fixes. Raises StageFailed."""
    try:
        wanted = _Wanted.of(clip, fixes)
        clip = _renamed(clip, wanted)
        if not wanted.places and not wanted.points:
            return counted(clip)
        clip, given, drawn = _with_given(clip, wanted)
        made = made_beside(pipeline, clip, _Instead(clip, wanted, given, drawn), times=times)
        entity_of = _numbers(made, clip, wanted)
        decided = made.table("detections").slice(given.num_rows - len(wanted.places))
        made = made.with_table("detections", decided)
    except CannotCorrect as error:
        raise StageFailed("correct", error) from error
    phrases = {number: number for number in clip.table("phrases")["phrase"].to_pylist()}
    return joined(
        pipeline, clip, made, entity_of=entity_of, phrase_of=phrases, gone=wanted.entities
    )


@dataclass(frozen=True)
class _Place:
    """Where a thing is in a frame."""

    entity: int | None
    frame: int
    box_xyxy: tuple[float, ...]
    counts: str | None = None
    """Its mask, run lengths of the source picture; None: a box alone was given."""


@dataclass(frozen=True)
class _Wanted:
    """The fixes, by what they are. An entity of None is the thing that was missing."""

    places: tuple[_Place, ...]
    points: tuple[Fix, ...]
    names: Mapping[int | None, str]
    """Entity to its right name."""

    @classmethod
    def of(cls, clip: Clip, fixes: Sequence[Fix]) -> _Wanted:
        known = {*clip.table("entities")["entity"].to_pylist(), None}
        for fix in fixes:
            if fix["entity"] not in known:
                raise CannotCorrect(f"a {fix['kind']} of entity {fix['entity']}: there is none")
            if not 0 <= fix.get("frame", 0) < len(clip):
                raise CannotCorrect(f"a {fix['kind']} in frame {fix['frame']} of {len(clip)}")
        points = tuple(fix for fix in fixes if fix["kind"] == "point")
        names = {fix["entity"]: str(fix["name"]) for fix in fixes if fix["kind"] == "name"}
        wanted = cls(tuple(_places(clip, fixes)), points, names)
        if None in {fix["entity"] for fix in points} - wanted.placed:
            raise CannotCorrect("a point of a thing that was missing, without a box of it")
        return wanted

    @property
    def entities(self) -> list[int]:
        """Things that are there and are made anew."""
        found = self.placed | {fix["entity"] for fix in self.points}
        return sorted(entity for entity in found if entity is not None)

    @property
    def placed(self) -> set[int | None]:
        return {place.entity for place in self.places}

    @property
    def seen(self) -> tuple[int, ...]:
        """Things of which only points were given: their masks stand."""
        return tuple(entity for entity in self.entities if entity not in self.placed)


def _places(clip: Clip, fixes: Sequence[Fix]) -> Iterator[_Place]:
    """Boxes, and masks of the outlines: those of one thing in one frame are parts of one mask,
    which says more than a box there. Each outline of what was missing is a thing."""
    outlines: dict[tuple[int | None, int, int], list[Any]] = {}
    for number, fix in enumerate(fixes):
        if fix["kind"] == "mask":
            thing = number if fix["entity"] is None else 0
            outlines.setdefault((fix["entity"], fix["frame"], thing), []).append(fix["mask"])
    for fix in fixes:
        if fix["kind"] == "box" and (fix["entity"], fix["frame"], 0) not in outlines:
            yield _Place(fix["entity"], fix["frame"], _inside(clip, fix["box"]))
    size = {"height": clip.frames.source_height, "width": clip.frames.source_width}
    for (entity, frame, _), polygons in outlines.items():
        counts = counts_of(polygons, **size)
        box = None if counts is None else rle.box_xyxy(counts, **size)
        if box is None:
            raise CannotCorrect(f"the outline in frame {frame} holds no pixel of the picture")
        yield _Place(entity, frame, box, counts)


def _inside(clip: Clip, box_xyxy: Sequence[float]) -> tuple[float, ...]:
    size = [clip.frames.source_width, clip.frames.source_height] * 2
    box = np.clip(np.array(box_xyxy, np.float64), 0, size)
    if not (box[0] < box[2] and box[1] < box[3]):
        raise CannotCorrect(f"the box {box_xyxy} lies outside of the picture")
    return tuple(box.tolist())


def _renamed(clip: Clip, wanted: _Wanted) -> Clip:
    """`clip` with its things under their right phrases; a new one is added behind the others."""
    phrases, entities = clip.table("phrases"), clip.table("entities")
    numbers_of = {}
    for name in dict.fromkeys(wanted.names.values()):
        phrases, numbers_of[name] = _with_phrase(clip, phrases, name)
    of_entity = dict(
        zip(entities["entity"].to_pylist(), entities["phrase"].to_pylist(), strict=True)
    )
    of_entity |= {e: numbers_of[name] for e, name in wanted.names.items() if e is not None}
    detections = clip.table("detections")
    whose = zip(detections["entity"].to_pylist(), detections["phrase"].to_pylist(), strict=True)
    asked = [of_entity[e] if e in wanted.names and e is not None else p for e, p in whose]
    clip = clip.with_table("phrases", phrases)
    clip = clip.with_table("entities", with_columns(entities, phrase=[*of_entity.values()]))
    return clip.with_table("detections", with_columns(detections, phrase=asked))


def _with_phrase(clip: Clip, phrases: pa.Table, name: str) -> tuple[pa.Table, int]:
    """The phrase of this text, added where it is missing, and its number."""
    for number, text in zip(
        phrases["phrase"].to_pylist(), phrases["text"].to_pylist(), strict=True
    ):
        if text.casefold() == name.strip().casefold():
            return phrases, number
    row = {
        "clip_id": clip.clip_id,
        "phrase": phrases.num_rows,
        "text": name.strip(),
        "origin": "prompt",
        "n_entities": 0,
    }
    return pa.concat_tables([phrases, tables.spec("phrases").from_rows([row])]), phrases.num_rows


def _with_given(clip: Clip, wanted: _Wanted) -> tuple[Clip, pa.Table, dict[int, str]]:
    """`clip` whose detections of the touched things give way, the boxes to follow instead, and by
    their rows the masks that were drawn there: first those that people gave of the same thing in
    other frames before, which stay, then the person's."""
    detections, masks = clip.table("detections"), clip.table("masks")
    new = {(place.entity, place.frame) for place in wanted.places}
    masks = masks.filter(pc.fill_null(pc.equal(masks["origin"], "given"), False))
    before = {
        (row["entity"], row["frame"]): row["counts"] for row in masks.to_pylist() if row["area"]
    }
    rows, left, rejected = list[dict[str, Any]](), [], []
    drawn: dict[int, str] = {}
    for row in detections.to_pylist():
        touched = row["entity"] is not None and row["entity"] in wanted.placed
        stays = row["origin"] == "given" and (row["entity"], row["frame"]) not in new
        if touched and stays:
            if counts := before.get((row["entity"], row["frame"])):
                drawn[len(rows)] = counts
            rows.append({**row, "track": row["entity"]})
        gives_way = touched and not stays
        left.append(None if gives_way else row["entity"])
        rejected.append("duplicate" if gives_way else row["rejected"])
    drawn |= {len(rows) + n: p.counts for n, p in enumerate(wanted.places) if p.counts}
    rows += [_box_row(clip, place, wanted) for place in wanted.places]
    undecided = {"clip_id": clip.clip_id, "entity": None, "rejected": None}
    given = tables.spec("detections").from_rows(
        [{**row, **undecided, "detection": number} for number, row in enumerate(rows)]
    )
    standing = with_columns(detections, entity=left, rejected=rejected)
    return clip.with_table("detections", standing), given, drawn


def _box_row(clip: Clip, place: _Place, wanted: _Wanted) -> dict[str, Any]:
    return {
        "frame": place.frame,
        "phrase": _phrase_of(clip, place.entity, wanted),
        **dict(zip(_BOX, place.box_xyxy, strict=True)),
        "score": 1.0,
        "origin": "given",
        "track": place.entity,
    }


def _phrase_of(clip: Clip, entity: int | None, wanted: _Wanted) -> int:
    """The phrase that a thing answers; of one that was missing, the named one or the only one."""
    table = clip.table("entities") if entity is not None else clip.table("phrases")
    found = table.to_pylist()
    if entity is not None:
        return int(next(row["phrase"] for row in found if row["entity"] == entity))
    texts = {row["text"].casefold(): int(row["phrase"]) for row in found}
    name = wanted.names.get(None)
    if name is None and len(texts) != 1:
        raise CannotCorrect(
            f"a box of a thing that was missing: found no name beside it, expected one of "
            f"{[row['text'] for row in found]}"
        )
    return next(iter(texts.values())) if name is None else texts[name.strip().casefold()]


@dataclass(frozen=True)
class _Instead:
    """The stages of the recipe, with what was given in the place of what is looked for."""

    clip: Clip
    wanted: _Wanted
    given: pa.Table
    drawn: Mapping[int, str]

    def __call__(self, stage: Stage) -> Sequence[Stage]:
        if isinstance(stage, DetectPhrases):
            return (GivenDetections(self.given, self.clip.table("phrases")),)
        if isinstance(stage, PropagateMasks):
            stage = dataclasses.replace(stage, _drawn=self.drawn)
            return (stage, SeenThings(self.clip, self.wanted.seen))
        if isinstance(stage, TrackPoints):
            return (stage, GivenPoints(stage.tracker, self.wanted.points, self.wanted.seen))
        return (stage,)


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
class SeenThings(Stage):
    """Things whose masks stand and of which a point was given, behind those with boxes."""

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
class GivenPoints(Stage):
    """The points that people gave, followed behind those that were chosen."""

    _tracker: PointTracker = field(compare=False)
    _points: tuple[Fix, ...]
    _seen: tuple[int, ...]
    reads: ClassVar[tuple[str, ...]] = ("detections", "tracks_xy")
    writes: ClassVar[tuple[str, ...]] = ("tracks_xy",)

    def process(self, clip: Clip) -> Clip:
        """Raises BadModelOutput."""
        tracks = clip.table("tracks_xy")
        found = _things(clip, self._seen)
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


def _things(made: Clip, seen: Sequence[int]) -> dict[int | None, int]:
    """The touched things' numbers among the new ones; None: the one that was missing."""
    detections = made.table("detections")
    pairs = zip(detections["track"].to_pylist(), detections["entity"].to_pylist(), strict=True)
    found = {track: entity for track, entity in pairs if entity is not None}
    first = made.table("entities").num_rows - len(seen)
    return found | {entity: first + number for number, entity in enumerate(seen)}


def _numbers(made: Clip, clip: Clip, wanted: _Wanted) -> dict[int, int]:
    """The numbers that new things get: their own, or, of those that were missing, the next."""
    lost = made.table("detections").filter(pc.is_null(made.table("detections")["entity"]))
    for row in lost.to_pylist():
        raise CannotCorrect(
            f"the box in frame {row['frame']}: nothing is seen in it that could be followed"
        )
    own = {n: e for e, n in _things(made, wanted.seen).items() if e is not None}
    following = 1 + max(clip.table("entities")["entity"].to_pylist(), default=-1)
    for number in made.table("entities")["entity"].to_pylist():
        if number not in own:
            own[number], following = following, following + 1
    return own
