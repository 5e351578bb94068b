"""Scores of a foreign model's answers: a row a category, with its interval and mean errors."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from massannot.counts import counted
from massannot.errors import UsageError
from massannot.questions.answer_files import read_answers, read_questions
from massannot.rft import scores
from massannot.rft.foreign_answers import (
    Judge,
    Judged,
    judgeable,
    judged_answers,
    mean_errors,
)
from massannot.rft.rewards import Reader


@dataclass(frozen=True)
class ForeignScores:
    rows: tuple[scores.AnswerScore, ...]
    errors: Mapping[str, list[tuple[str, float, int]]]
    """By category: (unit, mean absolute error, answers)."""
    judged: tuple[Judged, ...]
    notes: tuple[str, ...]


def score(
    file: Path,
    *,
    data: Path,
    reader: Reader = "lenient",
    rule: str = "ours",
    judge: Judge | None = None,
    answered_only: bool = False,
    seed: int = 0,
) -> ForeignScores:
    """Every question of the data, judged by the file's answers. Raises UsageError, see
    `foreign_answers`."""
    questions, wrong = judgeable(read_questions(data))
    if not questions:
        raise UsageError(f"{data}: found no question that can be judged: {wrong[0]}")
    answers = read_answers(file)
    known = {row["question_id"] for row in questions}
    missing = sorted(known - set(answers))
    if answered_only:
        questions = [row for row in questions if row["question_id"] in answers] or questions
    judged = judged_answers(questions, answers, reader=reader, rule=rule, judge=judge)
    rows = scores.scores([each.answered for each in judged], seed=seed)
    notes = []
    if missing:
        fate = "left out" if answered_only else "counted as wrong"
        have = counted(len(missing), "question has", many="questions have")
        notes.append(f"{have} no answer, as {missing[0]}: {fate}")
    others = [name for name in answers if name not in known]
    if others:
        are = counted(len(others), "answer is", many="answers are")
        notes.append(f"{are} to no question of {data}, as {others[0]}")
    if wrong:
        notes.append(f"{counted(len(wrong), 'question')} cannot be judged: {wrong[0]}")
    unread = sum(not each.read and bool(each.answered.said) for each in judged)
    if unread:
        were = counted(unread, "answer was", many="answers were")
        notes.append(f"{were} not read by the {reader} reader: counted as wrong")
    if judge is None and any(each.answered.problem_type == "text" for each in judged):
        notes.append(
            "free text is judged by the words it shares with the truth, which pays opposites; "
            "--judge names a better one"
        )
    return ForeignScores(tuple(rows), mean_errors(judged), tuple(judged), tuple(notes))


def as_text(found: ForeignScores) -> str:
    """A Markdown table, percent with 95 % intervals over videos."""
    lines = ["| | percent | mean error | answers read | questions |", "|---|---|---|---|---|"]
    for row in found.rows:
        read = sum(each.read for each in found.judged if _belongs(each, row))
        a = row.accuracy
        spread = "" if math.isnan(a.low) else f" ({100 * a.low:.1f} to {100 * a.high:.1f})"
        lines.append(
            f"| {scores.title(row)} | {100 * a.value:.1f}{spread} | {_errors(found, row)} "
            f"| {read} | {row.n_questions} |"
        )
    return "\n".join(lines) + "\n"


def as_json(found: ForeignScores) -> dict[str, Any]:
    """Unknown bounds are null."""
    return {
        "scores": [
            {
                "by": row.by,
                "what": row.what,
                "accuracy": {
                    name: None if math.isnan(value) else value
                    for name, value in asdict(row.accuracy).items()
                },
                "n_questions": row.n_questions,
                "mean_errors": [
                    {"unit": name, "mae": mae, "n": n} for name, mae, n in _of_row(found, row)
                ],
            }
            for row in found.rows
        ],
        "notes": list(found.notes),
    }


def write(found: ForeignScores, folder: Path) -> None:
    """scores.md, scores.json and judged.jsonl, a line a question."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scores.md").write_text(as_text(found))
    (folder / "scores.json").write_text(json.dumps(as_json(found), indent=1) + "\n")
    lines = [
        json.dumps({**asdict(each.answered), "read": each.read, "error": each.error})
        for each in found.judged
    ]
    (folder / "judged.jsonl").write_text("".join(f"{line}\n" for line in lines))


def _belongs(each: Judged, row: scores.AnswerScore) -> bool:
    if row.by == "source":
        return row.what in each.answered.sources
    what = {"category": each.answered.category, "answer type": each.answered.problem_type}
    return what.get(row.by, "all") == row.what


def _of_row(found: ForeignScores, row: scores.AnswerScore) -> list[tuple[str, float, int]]:
    return found.errors.get(row.what, []) if row.by in ("category", "all") else []


def _errors(found: ForeignScores, row: scores.AnswerScore) -> str:
    return ", ".join(f"{mae:.3g} {name}".strip() for name, mae, _ in _of_row(found, row))
