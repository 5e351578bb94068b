"""Questions of other datasets as rows of a manifest, their answers typed and checked.

The importer reads the formats of `import_formats`, and any other whose columns are named. Where a
dataset has no type of an answer, `answers.kind_of` infers it. A row that cannot be annotated or
judged is refused with its reason and the rest goes on; its video is not looked up. The manifest is
JSONL or Parquet, by the name's ending, in order of id; other columns become columns again, in
Parquet as text where their kinds are mixed.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa

from massannot import tables
from massannot.errors import BadQuestion, UsageError
from massannot.inputs.cells import TABLE_ENDINGS, Cells, read_cells
from massannot.inputs.manifest import is_manifest, read_rows, with_own_ids
from massannot.inputs.noun_phrases import noun_phrases
from massannot.inputs.question import Problem, Question
from massannot.questions.answers import answer_text, is_count, kind_of
from massannot.questions.import_formats import (
    FORMATS,
    Format,
    at_path,
    format_of,
    manifest_row,
)
from massannot.questions.question_view import expected_answer
from massannot.questions.units import unit
from massannot.storage.durable import write_over
from massannot.storage.parquet import write_plain

_NOT_WRITTEN = ("question_id", "uri", "clip_id", "clip_ids", "further")


def check_name(path: Path) -> None:
    """Raises UsageError for an ending that write_questions does not know."""
    if path.suffix not in (".jsonl", ".parquet"):
        raise UsageError(f"-o {path}: expected a name that ends in .jsonl or .parquet")


def write_questions(path: Path, questions: Sequence[Question]) -> None:
    """Videos are named relative to the file. Raises UsageError for another ending."""
    check_name(path)
    rows = [_row(question, path.parent) for question in questions]
    if path.suffix == ".jsonl":
        known = [{name: row[name] for name in row if row[name] is not None} for row in rows]
        lines = [json.dumps(row, ensure_ascii=False, allow_nan=False) for row in known]
        write_over(path, "".join(f"{line}\n" for line in lines).encode())
    else:
        names = list(dict.fromkeys(name for row in rows for name in row)) or list(_row_types())
        columns = {name: _column(name, [row.get(name) for row in rows]) for name in names}
        write_plain(path, pa.table(columns))


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

    def examples(self, n: int = 3) -> dict[str, list[Question]]:
        """n questions of each kind; answers that are written differently come first."""
        by_kind: dict[str, dict[str, list[Question]]] = defaultdict(lambda: defaultdict(list))
        for question in self.questions:
            shape = re.sub(r"\d+", "0", (question.answer or "")[:40])
            by_kind[str(question.problem_type)][shape].append(question)
        return {kind: _one_of_each(by_kind[kind].values())[:n] for kind in sorted(by_kind)}

    @property
    def reasons(self) -> Counter[str]:
        return Counter(q.problem.reason for q in self.refused if q.problem is not None)


def _one_of_each(groups: Iterable[list[Question]]) -> list[Question]:
    """The first of every group, then the second ones, and so on."""
    return [question for some in zip_longest(*groups) for question in some if question is not None]


def import_questions(
    files: Sequence[Path],
    *,
    form: str | None = None,
    mapped: Mapping[str, str] | None = None,
    videos: Path | None = None,
    find_entities: bool = False,
) -> Imported:
    """All rows of all files, by id. An id that several files give to different rows is told apart
    by the file's name: "val:7".

    `form`: a name of FORMATS; None to tell by each file's columns. `mapped`: a manifest's column,
    and the file's column, or a path inside one, that it is read from. `videos`: folder that their
    paths start from; None: the file's own. `find_entities`: a question that names none gets its
    noun phrases. Raises UsageError for a file that is none of these.
    """
    chosen = None if form is None else FORMATS[form]
    rows = [
        (file.stem, question)
        for file in files
        for question in _rows(file, chosen, mapped or {}, videos)
    ]
    tried = [_tried(question, find_entities) for question in with_own_ids(_told_apart(rows))]
    return Imported(
        tuple(question for question in tried if question.problem is None),
        tuple(question for question in tried if question.problem is not None),
    )


def _told_apart(rows: Sequence[tuple[str, Question]]) -> list[Question]:
    """The questions, those with an id that stands in several files under names of their own."""
    files: dict[str, set[str]] = defaultdict(set)
    contents: dict[str, set[tuple[object, ...]]] = defaultdict(set)
    for file, question in rows:
        files[question.question_id].add(file)
        contents[question.question_id].add((question.uri, question.question, question.answer))
    return [
        replace(question, question_id=f"{file}:{question.question_id}")
        if len(files[question.question_id]) > 1 and len(contents[question.question_id]) > 1
        else question
        for file, question in rows
    ]


def _rows(
    file: Path, form: Format | None, mapped: Mapping[str, str], videos: Path | None
) -> list[Question]:
    if not is_manifest(file.name):
        raise UsageError(f"{file}: expected a name that ends in one of {', '.join(TABLE_ENDINGS)}")
    cells = read_cells(file)
    columns = {name for row in cells for name in row}
    form = form or format_of(columns | set(mapped)) or _no_format(file, columns)
    for name, path in mapped.items():
        if all(at_path(row, path) is None for row in cells):
            raise UsageError(
                f"--map {name}={path}: found no such column in {file}, which has "
                f"{', '.join(sorted(columns)) or 'none'}; expected one of them, or a path inside "
                "one such as conversations.0.value"
            )
    read = [_read(row, form, mapped) for row in cells]
    questions = read_rows([row for row, _ in read], (videos or file.parent) / file.name)
    pairs = zip(questions, (error for _, error in read), strict=True)
    return [_refused(question, error) if error else question for question, error in pairs]


def _read(
    cells: Cells, form: Format, mapped: Mapping[str, str]
) -> tuple[Cells, BadQuestion | None]:
    """The row of a manifest, and the format's refusal of it."""
    try:
        return manifest_row(cells, form, mapped=mapped), None
    except BadQuestion as error:
        renamed = {form.names.get(name, name): value for name, value in cells.items()}
        return renamed, error


def _no_format(file: Path, columns: set[str]) -> NoReturn:
    """Raises UsageError with the way out."""
    known = "; ".join(f"{', '.join(sorted(f.telling))} ({f.name})" for f in FORMATS.values())
    nested = " (LLaVA's: --map question=conversations.0.value --map answer=conversations.1.value)"
    raise UsageError(
        f"{file}: found columns {sorted(columns) or 'none'}, expected those of a format: {known}; "
        "of any other say what is what: --map video=COLUMN --map question=COLUMN "
        f"--map answer=COLUMN{nested if 'conversations' in columns else ''}"
    )


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
        question = replace(question, unit=kind_of(answer, question=question.question)[1])
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


def read_as(question: Question) -> str:
    """The answer as it is judged, such as "3.2 m" or "B of 4: to the right"."""
    expected = expected_answer({**question.row(), "question_id": question.question_id})
    return answer_text(expected.value, options=expected.options, asked_unit=expected.unit)


def _refused(question: Question, error: BadQuestion) -> Question:
    message = str(error)
    named = (
        message
        if message.startswith("question ")
        else f"question {question.question_id}: {message}"
    )
    return replace(question, problem=Problem(error.reason, named))
