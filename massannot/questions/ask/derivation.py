"""The derivation of an answer, as a person would write it: what follows, and how sure."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from massannot.counts import counted
from massannot.errors import UsageError
from massannot.questions.ask import program as p
from massannot.questions.ask.audit_answers import open_asked, problems_of, rows_asked_about
from massannot.questions.ask.derivation_sentences import Sentences, certainty
from massannot.questions.ask.run_program import ProgramRun

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
    names: dict[int, str]
    """Of the clip's things."""

    @property
    def options(self) -> tuple[str, ...]:
        """With their letters."""
        found = self.question["options"] or ()
        return tuple(f"{letter}. {option}" for letter, option in zip(ascii_uppercase, found))

    @property
    def text(self) -> str:
        lines = [self.question["question"], *(f"  {option}" for option in self.options)]
        lines += [f"Answer: {self.question['answer']}", ""]
        lines += [f"{i + 1}. {line}" for i, line in enumerate(self.lines)]
        lines += [f"WRONG: {problem}" for problem in self.problems]
        return "\n".join(lines)

    @property
    def as_json(self) -> dict[str, Any]:
        """The same for programs, with the rows that were read."""
        return {
            "question_id": self.question["question_id"],
            "question": self.question["question"],
            "options": list(self.question["options"] or ()),
            "answer": self.question["answer"],
            **{name: self.program[name] for name in ("family", "sigma", "margin", "basis")},
            **{name: json.loads(self.program[name]) for name in ("value", "program")},
            "lines": list(self.lines),
            "problems": list(self.problems),
            "evidence": list(self.evidence),
        }


def derivation(dest: Path, question_id: str, *, data: Path | None = None) -> Derivation:
    """Of the question whose id begins so. Raises UsageError where there is none, or several."""
    table = open_asked(dest).table_or_empty("question_programs")
    ids = [one for one in table["question_id"].to_pylist() if one.startswith(question_id)]
    shortest = min(ids, key=len, default="")
    if not ids or not all(one.startswith(shortest) for one in ids):  # twins begin with the same id
        raise UsageError(
            f"{dest}: found {counted(len(ids), 'question')} {question_id!r}, expected one"
        )
    (found,) = derivations(dest, [shortest], data=data)
    return found


def some_of_a_clip(dest: Path, count: int) -> list[str]:
    """Ids of at most `count` questions, of the clip about which most families ask: of each family
    one, then further ones, twins last."""
    asked = open_asked(dest)
    clip_of = {row["question_id"]: row["clip_id"] for row in asked.table("questions").to_pylist()}
    by_clip: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    rows = asked.table_or_empty("question_programs").to_pylist()
    for row in sorted(rows, key=lambda row: (row["twin_kind"] is not None, row["question_id"])):
        by_clip[clip_of[row["question_id"]]][row["family"]].append(row)
    if not by_clip:
        raise UsageError(f"{dest}: found no question with a program, expected some")
    families = max(by_clip.items(), key=lambda item: (len(item[1]), item[0]))[1]
    ordered = sorted(
        (row["twin_kind"] is not None, place, family, row["question_id"])
        for family, some in families.items()
        for place, row in enumerate(some)
    )
    return [question_id for *_, question_id in ordered[:count]]


def derivations(
    dest: Path, question_ids: Sequence[str], *, data: Path | None = None
) -> list[Derivation]:
    """Of these questions, in their order."""
    asked, wanted = open_asked(dest), pa.array(sorted(question_ids), pa.string())

    def rows_about(name: str) -> list[Row]:
        table = asked.table(name)
        found: list[Row] = table.filter(
            pc.is_in(table["question_id"], value_set=wanted)
        ).to_pylist()
        return found

    programs, questions = (
        {row["question_id"]: row for row in rows_about(name)}
        for name in ("question_programs", "questions")
    )
    evidence: dict[str, list[Row]] = defaultdict(list)
    for row in rows_about("question_evidence"):
        evidence[row["question_id"]].append(row)
    clip_ids = sorted({row["clip_id"] for row in questions.values()})
    rows_of = rows_asked_about(dest, data=data).of(clip_ids)
    return [
        _derivation(questions[one], programs[one], evidence[one], rows_of) for one in question_ids
    ]


def _derivation(question: Row, program: Row, evidence: list[Row], rows_of: Any) -> Derivation:
    rows = rows_of[question["clip_id"]]
    problems = tuple(problems_of(question, program, evidence, rows))
    if problems:
        return Derivation(question, program, tuple(evidence), (), problems, {})
    run = ProgramRun(rows.fresh())
    operation = p.from_json(program["program"])
    run.result(operation)
    further = json.loads(question["further"])
    colours = dict(zip(further.get("things") or (), further.get("boxes") or (), strict=False))
    sentences = Sentences(rows.fresh(), colours)
    lines = (*(sentences.of(step) for step in run.steps), certainty(program))
    return Derivation(question, program, tuple(evidence), lines, (), sentences.names)
