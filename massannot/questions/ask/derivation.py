"""The derivation of an answer, as a person would write it: what follows, and how sure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatchmethod
from pathlib import Path
from typing import Any

from massannot.dataset.reading import open_dataset
from massannot.errors import UsageError
from massannot.questions.ask import program as p
from massannot.questions.ask.audit_answers import problems_of, source_of
from massannot.questions.ask.cited_rows import DatasetRows
from massannot.questions.ask.run_program import Derived, ProgramRun

Row = dict[str, Any]


@dataclass(frozen=True)
class Derivation:
    question: Row
    program: Row
    evidence: tuple[Row, ...]
    lines: tuple[str, ...]
    """One sentence a step, and one about how sure the answer is."""
    problems: tuple[str, ...]
    """What an audit finds."""

    @property
    def text(self) -> str:
        options = self.question["options"] or ()
        lines = [self.question["question"]]
        lines += [f"  {'ABCDEFGH'[i]}. {option}" for i, option in enumerate(options)]
        lines += [f"Answer: {self.question['answer']}", ""]
        lines += [f"{i + 1}. {line}" for i, line in enumerate(self.lines)]
        lines += [f"WRONG: {problem}" for problem in self.problems]
        return "\n".join(lines)


def derivation(dest: Path, question_id: str, *, data: Path | None = None) -> Derivation:
    """Of the question whose id begins so. Raises UsageError where there is none, or several."""
    asked = open_dataset(dest)
    found = [
        row
        for row in asked.table_or_empty("question_programs").to_pylist()
        if row["question_id"].startswith(question_id)
    ]
    if len(found) != 1 and not any(row["question_id"] == question_id for row in found):
        raise UsageError(f"{dest}: found {len(found)} questions {question_id!r}, expected one")
    program = min(found, key=lambda row: len(row["question_id"]))
    mine = program["question_id"]
    (question,) = (r for r in asked.table("questions").to_pylist() if r["question_id"] == mine)
    evidence = tuple(
        r for r in asked.table("question_evidence").to_pylist() if r["question_id"] == mine
    )
    clip_id = question["clip_id"]
    rows = DatasetRows(open_dataset(data or source_of(dest))).of([clip_id])[clip_id]
    problems = tuple(problems_of(question, program, evidence, rows))
    if problems:
        return Derivation(question, program, evidence, (), problems)
    run = ProgramRun(rows.fresh())
    run.result(p.from_json(program["program"]))
    names = _names(rows.fresh())
    return Derivation(question, program, evidence, _lines(run.steps, names, program), ())


def _names(rows: Any) -> dict[int, str]:
    phrases = {row["phrase"]: row["text"] for row in rows.rows("phrases", role="name")}
    entities = rows.rows("entities", role="name")
    named = {row["entity"]: f"{phrases[row['phrase']]} (thing {row['entity']})" for row in entities}
    return {**named, p.CAMERA: "the camera"}


def _lines(steps: Sequence[Derived], names: dict[int, str], program: Row) -> tuple[str, ...]:
    writer = _Sentences(names)
    lines = []
    for step in steps:
        line = f"{writer.of(step.operation)}: {_value(step.gives.value, names, step.operation)}"
        if step.gives.sigma is not None:
            line += f", give or take {step.gives.sigma:.2g}"
        lines.append(f"{line}.")
    return (*lines, _certainty(program))


def _certainty(program: Row) -> str:
    grounds = {
        "exact": "The rows are the truth of a simulated scene.",
        "calibrated": "The intervals held known truths as often as they say.",
        "internal": "The intervals are the clip's own evidence, a lower bound.",
        "none": "No interval is known; usual relative errors were taken.",
    }
    margin = program["margin"]
    limits = ", ".join(f"{k} {v:g}" for k, v in json.loads(program["thresholds"]).items())
    words = "Nothing in it is uncertain" if margin is None else (
        f"The nearest other answer is {margin:.1f} standard deviations away"
    )  # fmt: skip
    if limits:
        words += f" (thresholds: {limits})"
    return f"{words}. {grounds[program['basis']]}"


def _value(value: Any, names: dict[int, str], operation: p.Operation) -> str:
    if isinstance(operation, p.Most | p.FirstTo):
        return names[value]
    if isinstance(operation, p.Having):
        return ", ".join(names[thing] for thing in value) or "none"
    if isinstance(value, tuple):
        return ", then ".join(_value(item, {}, p.Operation()) for item in value) or "no change"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


class _Sentences:
    def __init__(self, names: dict[int, str]):
        self.names = names

    def thing(self, thing: int | p.Operation) -> str:
        return self.names.get(thing, "thing") if isinstance(thing, int) else "that thing"

    @singledispatchmethod
    def of(self, operation: p.Operation) -> str:
        return type(operation).__name__

    @of.register
    def _(self, q: p.Path) -> str:
        return f"Length of the way of {self.thing(q.thing)}, in the {q.reference}'s frame"

    @of.register
    def _(self, q: p.Speed) -> str:
        return f"Length of the way by time of {self.thing(q.thing)}, in the {q.reference}'s frame"

    @of.register
    def _(self, q: p.Displacement) -> str:
        return f"Distance of the last from the first position of {self.thing(q.thing)}"

    @of.register
    def _(self, q: p.NetSpeed) -> str:
        return f"Distance of the last from the first position of {self.thing(q.thing)} by time"

    @of.register
    def _(self, q: p.Distance) -> str:
        return f"Distance of {self.thing(q.one)} and {self.thing(q.other)} in frame {q.frame}"

    @of.register
    def _(self, q: p.DirectionClock) -> str:
        return (
            f"Hour of the step of {self.thing(q.thing)} from frame {q.step[0]} to {q.step[1]}, 12 "
            f"being that from frame {q.base[0]} to {q.base[1]}"
        )

    @of.register
    def _(self, q: p.When) -> str:
        return f"When {self.thing(q.thing)} moves towards {q.hour} o'clock, seconds"

    @of.register
    def _(self, q: p.Compare) -> str:
        return "The greater of the two"

    @of.register
    def _(self, q: p.DirectionsDiffer) -> str:
        both = f"{self.thing(q.one)} and {self.thing(q.other)}"
        return f"Whether {both} go more than {q.degrees:g} degrees apart"

    @of.register
    def _(self, q: p.Count) -> str:
        return f"Events {' or '.join(q.kinds)}" + (
            "" if q.thing is None else f" of {self.thing(q.thing)}"
        )

    @of.register
    def _(self, q: p.Happens) -> str:
        return f"Whether {self.thing(q.thing)} has an event {' or '.join(q.kinds)}"

    @of.register
    def _(self, q: p.EventTime) -> str:
        return f"Seconds until the first {' or '.join(q.kinds)} of {self.thing(q.thing)}"

    @of.register
    def _(self, q: p.Order) -> str:
        return "Order of these, by place, from 0"

    @of.register
    def _(self, q: p.StateSequence) -> str:
        how = "stays" if q.viewpoint == "absolute" else "is followed"
        return (
            f"How the {q.quantity} of {self.thing(q.thing)} changes for {self.thing(q.viewer)}, "
            f"which {how}, from frame {q.first} to {q.last}"
        )

    @of.register
    def _(self, q: p.Faster) -> str:
        return f"Who is faster, {self.thing(q.one)} (first) or {self.thing(q.other)} (second)"

    @of.register
    def _(self, q: p.Having) -> str:
        return f"Things with an event {' or '.join(q.kinds)}"

    @of.register
    def _(self, q: p.Most) -> str:
        return f"The one with the greatest {q.by.lower()}"

    @of.register
    def _(self, q: p.FirstTo) -> str:
        return f"The first with an event {' or '.join(q.kinds)}"

    @of.register
    def _(self, q: p.Gravity) -> str:
        return f"Whether the flights of {self.thing(q.thing)} have 9.81 m/s2"

    @of.register
    def _(self, q: p.Counterfactual) -> str:
        return "The same in the video " + ("mirrored" if q.how == "mirrored" else "backwards")
