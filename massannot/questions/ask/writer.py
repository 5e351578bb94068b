"""Writer: somebody's own function that writes questions with programs; what holds is asked.

`./mine.py:function` or `package.module:function` gets the rows of one clip, {table: [row, ...]},
and returns dictionaries: `question`; `program`, an operation or its JSON; `problem_type`; for a
choice `choices`, values as JSON has them, and `options`, their words; optional `unit` (m, m/s, s),
`tolerance_abs`, `answer` (a value, which must be the program's) and `things`, the entities that
{0}, {1} in the question name. Dropped are programs that give nothing, another answer, a value that
is no choice, or too small a margin. Such questions are not evened out: `questions check` says what
they give away.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from massannot import plugins
from massannot.errors import BadQuestion, UsageError
from massannot.questions.ask import program as p
from massannot.questions.ask.cited_rows import ClipRows
from massannot.questions.ask.family import AskedFamily, Proposal, Sight
from massannot.questions.ask.questions_of_clip import answered

Row = Mapping[str, Any]
KINDS = ("multiple_choice", "number", "yes_no", "clock", "interval")
_YES_NO = ("yes", "no")
_GIVES: dict[type[p.Operation], tuple[str, str | None]] = {
    p.Path: ("number", "m"),
    p.Displacement: ("number", "m"),
    p.Distance: ("number", "m"),
    p.Speed: ("number", "m/s"),
    p.NetSpeed: ("number", "m/s"),
    p.EventTime: ("number", "s"),
    p.Count: ("number", None),
    p.DirectionClock: ("clock", None),
    p.When: ("interval", "s"),
}
"""Kind and unit of what is no choice."""
_WRONG = (BadQuestion, ArithmeticError, LookupError, TypeError, ValueError, AttributeError)


@dataclass
class Writer:
    function: Callable[[Mapping[str, list[Row]]], Iterable[Row]]
    written: Counter[str] = field(default_factory=Counter)
    """By family, `written_KIND`, how many it wrote; `written_unread`: of no kind of ours."""

    def families(self, sight: Sight, rows: ClipRows) -> tuple[AskedFamily, ...]:
        """A family for each question that it wrote about a clip, empty where it cannot be read."""
        tables = {name: table.to_pylist() for name, table in rows.tables.items()}
        return tuple(self._family(row, rows) for row in self.function(tables))

    def _family(self, row: Row, rows: ClipRows) -> AskedFamily:
        kind = row.get("problem_type")
        name = f"written_{kind}" if kind in KINDS else "written_unread"
        self.written[name] += 1
        try:
            family, proposal = _read(row, name)
            answered(rows, proposal.program)
        except _WRONG:
            return AskedFamily(name, "Written", "text", lambda sight: iter(()))
        return replace(family, propose=lambda sight: iter((proposal,)))


def writer_of(name: str) -> Writer:
    """Raises UsageError for a name that leads to no function."""
    if not plugins.is_outside(name):
        raise UsageError(f"--writer {name}: expected ./mine.py:function or package.module:function")
    return Writer(cast(Any, plugins.outside_object(name, kind="writer")))


def _read(row: Row, name: str) -> tuple[AskedFamily, Proposal]:
    """Raises one of _WRONG for a row that is no question with a program."""
    kind, program = row["problem_type"], row["program"]
    if kind not in KINDS:
        raise BadQuestion(f"problem_type: found {kind!r}, expected one of {', '.join(KINDS)}")
    if not isinstance(program, p.Operation):
        program = p.from_json(program if isinstance(program, str) else json.dumps(program))
    unit = _unit_of(program, kind, row.get("unit"))
    text, things = str(row["question"]), row.get("things")
    if things is None:
        text, things = text.replace("{", "{{").replace("}", "}}"), p.things_of(program)
    choices = _YES_NO if kind == "yes_no" else tuple(map(_value, row.get("choices") or ()))
    say = dict(zip(choices, row.get("options") or map(str, choices), strict=True))
    family = AskedFamily(
        name,
        str(row.get("category") or "Written"),
        kind,
        lambda sight: iter(()),
        needs_metres=unit in ("m", "m/s"),
        unit=unit,
        tolerance_abs=row.get("tolerance_abs"),
        choices=choices,
        say={value: words.replace("{", "{{").replace("}", "}}") for value, words in say.items()},
    )
    return family, Proposal(text, tuple(things), program, answer=row.get("answer"))


def _unit_of(program: p.Operation, kind: str, unit: str | None) -> str | None:
    if kind in ("multiple_choice", "yes_no"):
        return None
    of_kind, of_program = _GIVES.get(type(program), (None, None))
    if of_kind != kind or unit not in (None, of_program):
        raise BadQuestion(f"found {kind} in {unit}, expected {of_kind} in {of_program}")
    return of_program


def _value(value: Any) -> Any:
    return tuple(map(_value, value)) if isinstance(value, list) else value
