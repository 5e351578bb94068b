"""A clip whose rows stand, with what people put right in it: the things they touched are made anew
from what they gave, and nothing else is.

A box is where the thing is in that frame: its mask is followed from there, and from no box that a
model found of it. A mask is the thing's mask in that frame, pixel by pixel, and is followed in
the same way; one without a pixel says that nothing of the thing is seen there. A box of no entity
is a thing that was missing; which phrase it answers, a name beside it says. A point lies on the
thing, and the tracker follows it as one more of its points. A name moves a thing to another phrase,
and a removal takes one away; for neither is anything computed. A thing keeps its number; the boxes
that a model found of it stay in `detections`, as duplicates of the person's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from massannot import tables
from massannot.clip import Clip
from massannot.recipes.beside import counted, is_of_things, joined, made_beside
from massannot.recipes.given_stages import (
    GivenDetections,
    GivenPoints,
    KeptMasks,
    UnseenFrames,
    things_of,
)
from massannot.recipes.wanted_fixes import CannotCorrect, Place, Wanted, is_missing
from massannot.stages._stage import Pipeline, Stage, StageFailed, StageTime
from massannot.stages._track_arrays import numbers, with_columns
from massannot.stages.detect_phrases import DetectPhrases
from massannot.stages.propagate_masks import PropagateMasks
from massannot.stages.track_points import TrackPoints
from massannot.tables.reviews import Fix

_BOX = ("x0", "y0", "x1", "y1")


def corrected(
    pipeline: Pipeline,
    clip: Clip,
    fixes: Sequence[Fix],
    *,
    times: list[StageTime] | None = None,
) -> Clip:
    """`clip`, which has its rows that stand, with the fixes. Raises StageFailed."""
    try:
        wanted = Wanted.of(clip, fixes)
        clip = _renamed(_without(clip, wanted.removed), wanted)
        if not wanted.computes:
            return counted(clip)
        clip, given = _with_given(clip, wanted)
        made = made_beside(pipeline, clip, _Instead(clip, wanted, given), times=times)
        entity_of = _numbers(made, clip, wanted)
        first_new = given.detections.num_rows - len(wanted.places)
        decided = _without_own_numbers(made.table("detections").slice(first_new))
        made = made.with_table("detections", decided)
    except CannotCorrect as error:
        raise StageFailed("correct", error) from error
    phrases = {number: number for number in clip.table("phrases")["phrase"].to_pylist()}
    return joined(
        pipeline, clip, made, entity_of=entity_of, phrase_of=phrases, gone=wanted.entities
    )


@dataclass(frozen=True)
class _Given:
    """What is followed."""

    detections: pa.Table
    """Boxes that nobody has decided yet."""
    drawn: Mapping[int, str]
    """By their rows, the masks that were drawn there."""
    unseen: frozenset[tuple[int, int]]
    """Things and frames in which nothing of them is seen."""


def _without(clip: Clip, gone: Collection[int]) -> Clip:
    """`clip` without things that are none: what was found of them is rejected."""
    if not gone:
        return clip
    for name, table in clip.tables.items():
        if not is_of_things(name):
            continue
        if name == "detections":
            rows = table.to_pylist()
            table = with_columns(
                table,
                entity=[None if r["entity"] in gone else r["entity"] for r in rows],
                rejected=["removed" if r["entity"] in gone else r["rejected"] for r in rows],
            )
        elif name == "events":
            stays = [not {*gone} & {*who} for who in table["entities"].to_pylist()]
            table = table.filter(pa.array(stays, pa.bool_()))
        elif "entity" in table.column_names:
            table = table.filter(~np.isin(numbers(table, "entity"), list(gone)))
        if "occluder" in table.column_names:
            hidden_by = [None if n in gone else n for n in table["occluder"].to_pylist()]
            table = with_columns(table, occluder=hidden_by)
        clip = clip.with_table(name, table)
    return clip


def _renamed(clip: Clip, wanted: Wanted) -> Clip:
    """`clip` with its things under their right phrases; a new one is added behind the others."""
    phrases, entities = clip.table("phrases"), clip.table("entities")
    numbers_of = {}
    for name in dict.fromkeys(wanted.names.values()):
        phrases, numbers_of[name] = _with_phrase(clip, phrases, name)
    of_entity = dict(
        zip(entities["entity"].to_pylist(), entities["phrase"].to_pylist(), strict=True)
    )
    of_entity |= {
        e: numbers_of[name]
        for e, name in wanted.names.items()
        if e is not None and not is_missing(e)
    }
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


def _with_given(clip: Clip, wanted: Wanted) -> tuple[Clip, _Given]:
    """`clip` whose detections of the touched things give way, and what is to be followed instead:
    first what people gave of the same thing in other frames before, which stays, then the
    person's."""
    detections, masks = clip.table("detections"), clip.table("masks")
    new = {(place.entity, place.frame) for place in wanted.places} | wanted.unseen
    masks = masks.filter(pc.fill_null(pc.equal(masks["origin"], "given"), False))
    before = {
        (row["entity"], row["frame"]): row["counts"] if row["area"] else None
        for row in masks.to_pylist()
        if row["entity"] in wanted.placed and (row["entity"], row["frame"]) not in new
    }
    rows, left, rejected = list[dict[str, Any]](), [], []
    drawn: dict[int, str] = {}
    for row in detections.to_pylist():
        key = row["entity"], row["frame"]
        touched = row["entity"] is not None and row["entity"] in wanted.placed
        gives_way = key in new or (touched and row["origin"] != "given")
        if touched and not gives_way:
            if counts := before.get(key):
                drawn[len(rows)] = counts
            rows.append({**row, "track": row["entity"]})
        left.append(None if gives_way else row["entity"])
        rejected.append("duplicate" if gives_way else row["rejected"])
    drawn |= {len(rows) + n: p.counts for n, p in enumerate(wanted.places) if p.counts}
    rows += [_box_row(clip, place, wanted) for place in wanted.places]
    undecided = {"clip_id": clip.clip_id, "entity": None, "rejected": None}
    given = tables.spec("detections").from_rows(
        [{**row, **undecided, "detection": number} for number, row in enumerate(rows)]
    )
    unseen = wanted.unseen | {key for key, counts in before.items() if counts is None}
    standing = with_columns(detections, entity=left, rejected=rejected)
    return clip.with_table("detections", standing), _Given(given, drawn, unseen)


def _box_row(clip: Clip, place: Place, wanted: Wanted) -> dict[str, Any]:
    return {
        "frame": place.frame,
        "phrase": _phrase_of(clip, place.entity, wanted),
        **dict(zip(_BOX, place.box_xyxy, strict=True)),
        "score": 1.0,
        "origin": "given",
        "track": place.entity,
    }


def _phrase_of(clip: Clip, entity: int | None, wanted: Wanted) -> int:
    """The phrase that a thing answers; of one that was missing, the named one or the only one."""
    table = clip.table("phrases") if is_missing(entity) else clip.table("entities")
    found = table.to_pylist()
    if not is_missing(entity):
        return int(next(row["phrase"] for row in found if row["entity"] == entity))
    texts = {row["text"].casefold(): int(row["phrase"]) for row in found}
    name = wanted.names.get(entity)
    if name is None and len(texts) != 1:
        raise CannotCorrect(
            f"a box of a thing that was missing: found no name beside it, expected one of "
            f"{[row['text'] for row in found]}"
        )
    return next(iter(texts.values())) if name is None else texts[name.strip().casefold()]


def _without_own_numbers(detections: pa.Table) -> pa.Table:
    """`detections` without the numbers below 0 of things that were missing: no file gave them."""
    tracks = [
        None if track is None or track < 0 else track for track in detections["track"].to_pylist()
    ]
    return with_columns(detections, track=tracks)


@dataclass(frozen=True)
class _Instead:
    """The stages of the recipe, with what was given in the place of what is looked for."""

    clip: Clip
    wanted: Wanted
    given: _Given

    def __call__(self, stage: Stage) -> Sequence[Stage]:
        kept = self.wanted.kept
        if isinstance(stage, DetectPhrases):
            return (GivenDetections(self.given.detections, self.clip.table("phrases")),)
        if isinstance(stage, PropagateMasks):
            stage = dataclasses.replace(stage, _drawn=self.given.drawn)
            return (stage, KeptMasks(self.clip, kept), UnseenFrames(self.given.unseen, kept))
        if isinstance(stage, TrackPoints):
            return (stage, GivenPoints(stage.tracker, self.wanted.points, kept))
        return (stage,)


def _numbers(made: Clip, clip: Clip, wanted: Wanted) -> dict[int, int]:
    """The numbers that new things get: their own, or, of those that were missing, the next."""
    lost = made.table("detections").filter(pc.is_null(made.table("detections")["entity"]))
    for row in lost.to_pylist():
        raise CannotCorrect(
            f"the box in frame {row['frame']}: nothing is seen in it that could be followed"
        )
    own = {
        n: e for e, n in things_of(made, wanted.kept).items() if e is not None and not is_missing(e)
    }
    following = 1 + max(clip.table("entities")["entity"].to_pylist(), default=-1)
    for number in made.table("entities")["entity"].to_pylist():
        if number not in own:
            own[number], following = following, following + 1
    return own
