"""Question: one row of a manifest, as the table `questions` stores it.

A row with a caption or entities alone is a Question too. A row that cannot be used has a `problem`:
it is asked of no clip, and becomes a row of `failures`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from massannot.errors import NotUnicode
from massannot.inputs.text import escaped, is_unicode
from massannot.storage.json_text import parsed


@dataclass(frozen=True)
class Problem:
    """Why a row cannot be used."""

    reason: str
    """A short, stable word for counting: the `class` in `failures`."""
    message: str


@dataclass(frozen=True)
class Question:
    """One row of a manifest; `uri` is the video's address for this machine."""

    question_id: str
    uri: str
    source_id: str | None = None
    """The manifest's own id, if it gave one."""
    start_s: float | None = None
    end_s: float | None = None
    question: str | None = None
    answer: str | None = None
    category: str | None = None
    caption: str | None = None
    entities: tuple[str, ...] | None = None
    split: str | None = None
    license: str | None = None
    further: str | None = None
    """Every other column, as a JSON object."""
    problem: Problem | None = None
    problem_type: str | None = None
    """This and the following fields describe the answer, see questions/expected.py."""
    options: tuple[str, ...] | None = None
    unit: str | None = None
    tolerance: float | None = None
    tolerance_abs: float | None = None
    accuracy: str | None = None
    evidence_times_s: tuple[float, ...] | None = None
    evidence_boxes: tuple[float, ...] | None = None
    """t, x0, y0, x1, y1, one box after the other."""
    entity_spans: tuple[int | None, ...] | None = None
    """Start and end in the question for each of `entities`; None: the question does not name it."""
    source_kind: str | None = None
    """This and the next are of the video and stand in `videos`: real, generated or rendered."""
    generator: str | None = None

    def row(self, *, clip_ids: tuple[str, ...] = ()) -> dict[str, Any]:
        """The row of `questions`, answered by these clips in the order of time."""
        values = asdict(self)
        for name in ("source_id", "problem", "source_kind", "generator"):
            del values[name]
        clip_id = clip_ids[0] if clip_ids else None
        return {**values, "clip_id": clip_id, "clip_ids": list(clip_ids) or None}

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Question:
        values = parsed(text)
        for name in _TUPLES:
            if values.get(name) is not None:
                values[name] = tuple(values[name])
        if values["problem"] is not None:
            values["problem"] = Problem(**values["problem"])
        return cls(**values)


def with_valid_text(question: Question, *, where: str) -> Question:
    """The question as tables can hold it. Text that is no valid Unicode is spelt out, and a problem
    that names its fields. `where`: the file and row, for people."""
    valid: dict[str, Any] = {}
    for name, value in vars(question).items():
        if _is_broken(value):
            valid[name] = escaped(value)
        elif isinstance(value, tuple) and any(map(_is_broken, value)):
            valid[name] = tuple(escaped(v) if _is_broken(v) else v for v in value)
    if not valid:
        return question
    problem = question.problem or Problem(
        NotUnicode.reason,
        f"{where}: found text that is no valid Unicode in {', '.join(valid)}, expected UTF-8 and "
        "whole characters; write the row anew",
    )
    return replace(question, **valid, problem=problem)


def _is_broken(value: Any) -> bool:
    return isinstance(value, str) and not is_unicode(value)


_TUPLES = ("entities", "options", "evidence_times_s", "evidence_boxes", "entity_spans")
