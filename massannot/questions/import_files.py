"""Questions of other datasets as rows of a manifest, their answers typed and checked.

The importer reads VideoHallu's columns (CSV or JSON), Video-R1's JSON, and any manifest. Where a
dataset has no type of an answer, `answers.kind_of` infers it. A row that cannot be annotated or
judged is refused with its reason and the rest goes on; its video is not looked up. The manifest is
JSONL or Parquet, by the name's ending, in order of id; other columns become columns again, in
Parquet as text where their kinds are mixed.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from massannot import tables
from massannot.errors import BadQuestion, UsageError
from massannot.inputs.cells import TABLE_ENDINGS, Cells, read_cells
from massannot.inputs.manifest import is_manifest, read_rows, with_own_ids
from massannot.inputs.noun_phrases import noun_phrases
from massannot.inputs.question import Problem, Question
from massannot.questions.answers import is_count, kind_of
from massannot.questions.question_view import expected_answer
from massannot.questions.units import unit

_NOT_WRITTEN = ("question_id", "uri", "clip_id", "clip_ids", "further")


def check_name(path: Path) -> None:
    """Raises UsageError for an ending that write_questions does not know."""
    if path.suffix not in (".jsonl", ".parquet"):
        raise UsageError(f"-o {path}: expected a name that ends in .jsonl or .parquet")


def write_questions(path: Path, questions: Sequence[Question]) -> None:
    """Videos are named relative to the file. Raises UsageError for another ending."""
    check_name(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [_row(question, path.parent) for question in questions]
    if path.suffix == ".jsonl":
        known = [{name: row[name] for name in row if row[name] is not None} for row in rows]
        lines = [json.dumps(row, ensure_ascii=False, allow_nan=False) for row in known]
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    else:
        names = list(dict.fromkeys(name for row in rows for name in row)) or list(_row_types())
        columns = {name: _column(name, [row.get(name) for row in rows]) for name in names}
        pq.write_table(pa.table(columns), path, compression="zstd")


def write_refused(path: Path, refused: Sequence[Question]) -> None:
    """One line of JSON a row: its id, its class and why."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for question in refused:
            if question.problem is not None:
                row = {
                    "id": question.question_id,
                    "class": question.problem.reason,
                    "message": question.problem.message,
                }
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _row(question: Question, folder: Path) -> dict[str, Any]:
    cells = question.row()
    further = json.loads(question.further) if question.further else {}
    video = question.uri if "://" in question.uri else os.path.relpath(question.uri, folder)
    own = {name: cells[name] for name in cells if name not in _NOT_WRITTEN}
    own = {name: list(v) if isinstance(v, tuple) else v for name, v in own.items()}
    return {"video": video, "id": question.question_id, **own, **further}


def _row_types() -> dict[str, pa.DataType]:
    spec = tables.spec("questions")
    own = {c.name: c.type for c in spec.columns if c.name not in _NOT_WRITTEN}
    return {"video": pa.string(), "id": pa.string(), **own}


def _column(name: str, values: list[Any]) -> pa.Array:
    type_ = _row_types().get(name)
    try:
        return pa.array(values, type_)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        texts = [v if v is None or isinstance(v, str) else json.dumps(v) for v in values]
        return pa.array(texts, pa.string())


Format = Literal["videohallu", "video-r1", "manifest"]
FORMATS: tuple[Format, ...] = get_args(Format)

# What each format calls a manifest's columns; other columns are carried through.
_NAMES: Mapping[Format, Mapping[str, str]] = {
    "videohallu": {
        "rowid": "id",
        "video_path": "video",
        "prompt": "caption",
        "categorization-1": "category",
    },
    "video-r1": {
        "problem_id": "id",
        "path": "video",
        "problem": "question",
        "solution": "answer",
        "data_source": "category",
    },
    "manifest": {},
}
_TELLING: Mapping[Format, frozenset[str]] = {
    "manifest": frozenset({"video"}),
    "video-r1": frozenset({"problem", "path"}),
    "videohallu": frozenset({"video_path", "question"}),
}


class NotAboutAVideo(BadQuestion):
    """A row about an image or a text."""

    reason = "not_about_a_video"


class NoAnswer(BadQuestion):
    reason = "no_answer"


@dataclass(frozen=True)
class Imported:
    questions: tuple[Question, ...]
    refused: tuple[Question, ...]
    """With the problem of each."""

    @property
    def kinds(self) -> Counter[str]:
        return Counter(str(question.problem_type) for question in self.questions)

    @property
    def reasons(self) -> Counter[str]:
        return Counter(q.problem.reason for q in self.refused if q.problem is not None)


def import_questions(
    files: Sequence[Path],
    *,
    form: Format | None = None,
    videos: Path | None = None,
    find_entities: bool = False,
) -> Imported:
    """All rows of all files, by id.

    `form`: None to tell by each file's columns. `videos`: folder that their paths start from; None:
    the file's own. `find_entities`: a question that names none gets its noun phrases.
    Raises UsageError for a file that is none of these.
    """
    rows = [question for file in files for question in _rows(file, form, videos)]
    tried = [_tried(question, find_entities) for question in with_own_ids(rows)]
    return Imported(
        tuple(question for question in tried if question.problem is None),
        tuple(question for question in tried if question.problem is not None),
    )


def _rows(file: Path, form: Format | None, videos: Path | None) -> list[Question]:
    if not is_manifest(file.name):
        raise UsageError(f"{file}: expected a name that ends in one of {', '.join(TABLE_ENDINGS)}")
    cells = read_cells(file)
    form = form or _form(cells, file)
    named = [{_NAMES[form].get(name, name): row[name] for name in row} for row in cells]
    questions = read_rows(named, (videos or file.parent) / file.name)
    return [_of_form(*pair, form) for pair in zip(questions, cells, strict=True)]


def _form(rows: Sequence[Cells], file: Path) -> Format:
    columns = {name for row in rows for name in row}
    for form, telling in _TELLING.items():
        if telling <= columns:
            return form
    expected = "; ".join(f"{', '.join(sorted(names))} ({f})" for f, names in _TELLING.items())
    raise UsageError(
        f"{file}: found columns {sorted(columns) or 'none'}, expected those of a format: {expected}"
    )


def _of_form(question: Question, cells: Cells, form: Format) -> Question:
    """The question without the format's own additions, such as Video-R1's <answer> tags."""
    if form != "video-r1" or question.problem is not None:
        return question
    if cells.get("data_type", "video") != "video":
        error = NotAboutAVideo(f"found data_type {cells['data_type']!r}, expected video")
        return _refused(question, error)
    answer = re.fullmatch(r"\s*<answer>(.*)</answer>\s*", question.answer or "", re.DOTALL)
    return replace(question, answer=answer[1].strip() if answer else question.answer)


def _tried(question: Question, find_entities: bool) -> Question:
    """The question with its answer's type, or with its problem."""
    if question.problem is not None:
        return question
    try:
        if question.question is None:
            raise BadQuestion("found no question, expected one")
        if question.answer is None:
            raise NoAnswer("found no answer, expected one to be judged by")
        typed = _typed(question)
        expected = expected_answer({**typed.row(), "question_id": question.question_id})
    except BadQuestion as error:
        return _refused(question, error)
    typed = replace(typed, problem_type=expected.problem_type, accuracy=expected.accuracy)
    return _with_spans(typed, find_entities)


def _typed(question: Question) -> Question:
    """The question with the kind and unit of its answer; a count must be exact."""
    answer = question.answer or ""
    if question.problem_type is None:
        kind, asked_unit = kind_of(
            answer,
            question=question.question,
            options=question.options,
            asked_unit=question.unit,
        )
        question = replace(question, problem_type=kind, unit=asked_unit)
    elif question.unit is None and question.problem_type in ("number", "numerical", "regression"):
        question = replace(question, unit=kind_of(answer)[1])
    if question.unit is not None:
        question = replace(question, unit=unit(question.unit).symbol)
    counted = is_count(answer, kind=question.problem_type, asked_unit=question.unit)
    if counted and question.tolerance is None:
        question = replace(question, tolerance=0.0)
    return question


def _with_spans(question: Question, find_entities: bool) -> Question:
    """The question with the positions of its entities in its text."""
    text = question.question or ""
    if question.entities is None:
        if not find_entities:
            return question
        phrases = noun_phrases(text)
        spans = tuple(position for phrase in phrases for position in (phrase.start, phrase.end))
        return replace(question, entities=tuple(p.text for p in phrases), entity_spans=spans)
    if question.entity_spans is not None:
        return question
    named = (_span(entity, text) for entity in question.entities)
    return replace(question, entity_spans=tuple(position for span in named for position in span))


def _span(entity: str, text: str) -> tuple[int | None, int | None]:
    bare = re.sub(r"^(?:an?|the)\s+", "", entity, flags=re.IGNORECASE)
    match = re.search(rf"(?<!\w){re.escape(bare)}(?!\w)", text, re.IGNORECASE)
    return match.span() if match else (None, None)


def _refused(question: Question, error: BadQuestion) -> Question:
    message = str(error)
    named = (
        message
        if message.startswith("question ")
        else f"question {question.question_id}: {message}"
    )
    return replace(question, problem=Problem(error.reason, named))
