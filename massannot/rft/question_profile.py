"""The motion profile of one question, and the rows of a clip that it is made of.

A clip is annotated once for all questions about it; of its entities a question's profile shows
those that the question and every question (-p) ask for, whoever else's phrase found them.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from massannot.io.clip_view import ClipView
from massannot.io.join_questions import texts_of
from massannot.io.kept_rows import good_entities, rows_of_entities
from massannot.motion_profile import Template, motion_profile


def profile_of_question(
    view: ClipView, question_id: str, *, template: Template, min_quality: float | None = None
) -> str:
    """What one clip says about one question."""
    tables = tables_of_question(view, question_id, min_quality=min_quality)
    return motion_profile(tables, template=template, min_quality=min_quality)


def tables_of_question(
    view: ClipView, question_id: str, *, min_quality: float | None = None
) -> Mapping[str, pa.Table]:
    """The clip's tables as `motion_profile` reads them.

    `entities` are all that the question asks for, so that "ball 2" is the same one whatever the
    quality; `motions` and `positions` are of those that are good enough.
    """
    phrases = _phrases_of(view, question_id)
    asked = pa.array(phrases["phrase"].to_pylist(), phrases["phrase"].type)
    entities = view.table("entities")
    entities = entities.filter(pc.is_in(entities["phrase"], value_set=asked))
    good = good_entities(view, min_quality=min_quality) & set(entities["entity"].to_pylist())
    return {
        "clips": view.table("clips"),
        "segments": view.table("segments"),
        "phrases": phrases,
        "entities": entities,
        "motions": rows_of_entities(view, "motions", good),
        "positions": rows_of_entities(view, "positions", good),
    }


def _phrases_of(view: ClipView, question_id: str) -> pa.Table:
    """The clip's phrases that say what this question asks for, whoever asked first."""
    phrases = view.table("phrases")
    wanted = pa.array(sorted(texts_of(question_id, phrases.to_pylist())), pa.string())
    return phrases.filter(pc.is_in(phrases["text"], value_set=wanted))
