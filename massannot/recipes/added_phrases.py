"""A clip whose rows stand, asked for further phrases: their things are made beside those there."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from massannot.clip import Clip, Phrase
from massannot.recipes.beside import joined, made_beside
from massannot.stages._stage import Pipeline, StageTime
from massannot.stages._track_arrays import with_columns


def with_phrases(
    pipeline: Pipeline,
    clip: Clip,
    texts: Sequence[str],
    *,
    times: list[StageTime] | None = None,
) -> Clip:
    """`clip`, which has its tables, with the phrases and their things. Raises StageFailed."""
    phrases, entities = clip.table("phrases"), clip.table("entities")
    asked = dataclasses.replace(clip, phrases=tuple(Phrase(text) for text in texts))
    made = made_beside(pipeline, asked, lambda stage: (stage,), times=times)
    new = made.table("phrases")
    before = max((n or 0 for n in phrases["added"].to_pylist()), default=0)
    made = made.with_table("phrases", with_columns(new, added=[before + 1] * new.num_rows))
    first = 1 + max(entities["entity"].to_pylist(), default=-1)
    entity_of = {n: first + n for n in made.table("entities")["entity"].to_pylist()}
    phrase_of = {n: phrases.num_rows + n for n in new["phrase"].to_pylist()}
    return joined(pipeline, clip, made, entity_of=entity_of, phrase_of=phrase_of)
