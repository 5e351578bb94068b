"""Manifests: videos, spans and questions in a CSV, TSV, JSON, JSONL or Parquet file.

Columns are `video, id, start_s, end_s, caption, entities, question, answer, category, split,
license, source_kind, generator`, and ANSWER_COLUMNS; only `video` is needed, and every other column
is carried through. A relative video path is relative to the manifest. `entities`: see
phrase_list.py. Columns of SPAN_ALIASES count as `start_s` and `end_s`, in seconds too.

One bad row of many is a failure with a name, not a wrong command: it stays in `questions`, is asked
of no clip, and the rest goes on. A row that stands there twice counts once. Answers are typed here
and not judged: whether an answer is one of its options is the trainer's question
(questions/asked.py), and a video is annotated either way.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import math
import os
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from massannot.counts import counted
from massannot.errors import (
    BadPhrase,
    BadQuestion,
    ClipError,
    ImpossibleName,
    MassannotWarning,
    SpanOutsideVideo,
    UsageError,
)
from massannot.inputs.cells import TABLE_ENDINGS, Cells, read_cells
from massannot.inputs.phrase_list import split_phrases
from massannot.inputs.question import Problem, Question, with_valid_text
from massannot.inputs.text import escaped, refuse_impossible_name
from massannot.storage.json_text import parsed_cell
from massannot.storage.path import beside, lies_in, place
from massannot.storage.store import ForeignAddress, is_remote, store_of
from massannot.tables._spec import SOURCE_KINDS

TEXTS = (
    "question",
    "answer",
    "category",
    "caption",
    "split",
    "license",
    "source_kind",
    "generator",
)
SPAN_ALIASES = {
    name.format(end): f"{end}_s"
    for end in ("start", "end")
    for name in ("{}", "{}_sec", "{}_secs", "{}_second", "{}_seconds", "{}_time", "time_{}")
}
"""What other data sets call start_s and end_s."""
_WORDS_OF_SPANS = frozenset(
    {"start", "end", "begin", "stop", "span", "spans", "segment", "segments", "timestamps"}
)


class DuplicateId(ClipError):
    """Another row has this id and says something else."""

    reason = "duplicate_id"


class NoVideoNamed(ClipError):
    """A row without a video."""

    reason = "no_video"


class OutsideRoot(ClipError):
    """A row that names a video which this run may not read."""

    reason = "outside_root"


def is_manifest(source: str) -> bool:
    """Whether a source's name says that it is a manifest."""
    return source.lower().endswith(TABLE_ENDINGS)


def read_manifests(paths: Sequence[str], *, root: str | None = None) -> tuple[Question, ...]:
    """The rows of all manifests, in order of id; the same whether they stand in one file or two.

    `root`: a folder, here or in a bucket, that no video may lie outside of, links followed; a row
    that leads elsewhere is a failure, and nothing is read for it. Raises UsageError for a file that
    is no manifest and for a video at an address that cannot be read or has credentials in it.
    """
    files = [place(path) for path in paths]
    rows = [question for path in files for question in _manifest(path, root)]
    return with_own_ids(rows)


def _manifest(path: Path, root: str | None) -> list[Question]:
    rows = read_cells(path)
    if not any("video" in row for row in rows):
        columns = sorted({name for row in rows for name in row})
        raise UsageError(
            f"{path}: found {columns or 'no row'}, expected rows with a column 'video'; others are "
            "id, start_s, end_s, caption, entities, question, answer, category, split, license"
        )
    return read_rows(rows, path, root=root)


def read_rows(rows: Sequence[Cells], path: Path, *, root: str | None = None) -> list[Question]:
    """Rows that stand in file `path`, in its order; videos are relative to it.

    Warns of columns that look like spans and are only carried through.
    """
    rows = [_with_spans(row) for row in rows]
    columns = {name for row in rows for name in row}
    _warn_of_unused_spans(columns, path)
    return [
        _question(row, path, number, asks="question" in columns, root=root)
        for number, row in enumerate(rows, start=1)
    ]


def _with_spans(cells: Cells) -> Cells:
    """The cells with start_s and end_s under their own names; a row that names one of
    them twice keeps its names."""
    names = {name: SPAN_ALIASES[name] for name in cells if name in SPAN_ALIASES}
    if not names:
        return cells
    known = [*cells, *names.values()]
    return {
        names[name] if name in names and known.count(names[name]) == 1 else name: value
        for name, value in cells.items()
    }


def _warn_of_unused_spans(columns: set[str], path: Path) -> None:
    unused = [
        name for name in sorted(columns - KNOWN) if _WORDS_OF_SPANS & set(re.split(r"[\W_]+", name))
    ]
    if unused:
        warnings.warn(
            f"{path}: found {', '.join(map(repr, unused))}, which look like spans and are only "
            "carried through; spans are read from start_s and end_s, in seconds",
            MassannotWarning,
            stacklevel=2,
        )


def _question(
    cells: Cells, path: Path, number: int, *, asks: bool, root: str | None = None
) -> Question:
    where = f"{escaped(path.name)}, row {number}"
    further = {name: cells[name] for name in sorted(cells) if name not in KNOWN}
    uri, problem = _uri_or_problem(cells, path, where, root)
    question = Question(
        question_id=_text(cells.get("id")) or _hash(cells),
        uri=uri,
        problem=problem,
        source_id=_text(cells.get("id")),
        further=json.dumps(further, ensure_ascii=False, default=_plain) if further else None,
        **{name: _text(cells.get(name)) for name in TEXTS},  # type: ignore[arg-type]
    )
    if problem is None:
        question = _with_typed_cells(question, cells, where, asks=asks)
    return with_valid_text(question, where=where)


def _uri_or_problem(
    cells: Cells, path: Path, where: str, root: str | None
) -> tuple[str, Problem | None]:
    """The video's address. With a problem it is the message: reading such a video fails too."""
    try:
        return _uri(cells, path, where, root), None
    except ClipError as error:
        return str(error), Problem(error.reason, str(error))


def _uri(cells: Cells, path: Path, where: str, root: str | None) -> str:
    name = _text(cells.get("video"))
    if name is None:
        raise NoVideoNamed(f"{where}: no video")
    try:
        uri = beside(str(path), name)
        refuse_impossible_name(uri)
        store_of(uri)
    except ForeignAddress as error:
        raise ImpossibleName(f"{where}: {error}") from error
    except UsageError as error:
        raise UsageError(f"{path}, {where.rpartition(', ')[2]}: {error}") from error
    except ClipError as error:
        raise type(error)(f"{where}: {error}") from error
    uri = uri if is_remote(uri) else os.path.normpath(uri)
    if root is not None and not lies_in(uri, root):
        raise OutsideRoot(f"{where}: its video lies outside of --root")
    return uri


def _with_typed_cells(question: Question, cells: Cells, where: str, *, asks: bool) -> Question:
    """The question with its entities, span and answer, as far as they are sound, or its problem."""
    try:
        question = replace(question, entities=_entities(cells.get("entities"), where))
        question = replace(question, **answer_cells(cells, where=where))
        _check_spans(question, where)
        if question.source_kind not in (None, *SOURCE_KINDS):
            raise BadQuestion(
                f"{where}: found source_kind {question.source_kind!r}, expected one of "
                f"{', '.join(SOURCE_KINDS)}"
            )
        start_s, end_s = (_seconds(cells, name, where) for name in ("start_s", "end_s"))
        question = replace(question, start_s=start_s, end_s=end_s)
        if (start_s or 0) < 0 or (end_s is not None and end_s <= (start_s or 0)):
            raise SpanOutsideVideo(
                f"{where}: found a span of {start_s} to {end_s} s, expected 0 <= start_s < end_s"
            )
        if asks and question.question is None:
            raise BadQuestion(f"{where}: the question is null, though this manifest asks some")
    except ClipError as error:
        return replace(question, problem=Problem(error.reason, str(error)))
    return question


def _entities(value: Any, where: str) -> tuple[str, ...] | None:
    if value is None:
        return None
    try:
        return split_phrases(value)
    except BadPhrase as error:
        raise BadPhrase(f"{where}: entities: {error}") from error


def with_own_ids(rows: Sequence[Question]) -> tuple[Question, ...]:
    """In order of id. Equal rows once; of different rows with one id the first keeps it, the others
    are failures under a name of their own."""
    by_id: dict[str, Question] = {}
    for question in rows:
        first = by_id.get(question.question_id)
        if first is None:
            by_id[question.question_id] = question
        elif _without_row_number(first) != _without_row_number(question):
            own = f"{question.question_id} ({_digest(question.to_json())[:12]})"
            message = f"id {question.question_id!r} belongs to another row too; ids name one row"
            problem = question.problem or Problem(DuplicateId.reason, message)
            by_id[own] = replace(question, question_id=own, problem=problem)
    return tuple(sorted(by_id.values(), key=lambda q: q.question_id))


def _without_row_number(question: Question) -> Question:
    problem = question.problem and replace(question.problem, message="")
    return replace(question, problem=problem)


def answer_cells(cells: Cells, *, where: str) -> dict[str, Any]:
    """Fields of Question that describe the answer, by name; those without a cell are left out.

    Lists are lists; in a CSV they are JSON, or texts with ; or | between. Raises BadQuestion for a
    cell that is no such value.
    """
    return {
        name: read(cells[name], f"{where}: {name}")
        for name, read in _ANSWER_READERS.items()
        if name in cells
    }


def _answer_text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise BadQuestion(f"{where}: found {value!r}, expected a text")
    return value.strip()


def _number(value: Any, where: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or isinstance(value, bool):
        raise BadQuestion(f"{where}: found {value!r}, expected a number")
    return number + 0.0  # -0.0 is 0.0


def _list(value: Any, where: str) -> list[Any]:
    if isinstance(value, str):
        try:
            value = (
                parsed_cell(value) if value.lstrip().startswith("[") else re.split("[;|]", value)
            )
        except ValueError as error:
            raise BadQuestion(f"{where}: found {value!r}, which is no list: {error}") from error
    if not isinstance(value, list):
        raise BadQuestion(f"{where}: found {value!r}, expected a list")
    return value


def _texts(value: Any, where: str) -> tuple[str, ...]:
    """Options; a number among them is its text."""
    options = _list(value, where)
    return tuple(o.strip() if isinstance(o, str) else json.dumps(o) for o in options)


def _numbers(value: Any, where: str) -> tuple[float, ...]:
    return tuple(_number(item, where) for item in _list(value, where))


def _spans(value: Any, where: str) -> tuple[int | None, ...]:
    """Start and end of each entity, one after the other; null: the question does not name it."""
    ends = _list(value, where)
    if len(ends) % 2 or not all(end is None or type(end) is int for end in ends):
        raise BadQuestion(f"{where}: found {value!r}, expected a start and an end for each entity")
    return tuple(ends)


def _timed_boxes(value: Any, where: str) -> tuple[float, ...]:
    """From [[t, x0, y0, x1, y1], ...], or already one after the other."""
    rows = _list(value, where)
    flat = [number for row in rows for number in (row if isinstance(row, list) else [row])]
    sizes = {len(row) if isinstance(row, list) else 5 for row in rows}
    if sizes - {5} or len(flat) % 5:
        raise BadQuestion(f"{where}: found {value!r}, expected [[t, x0, y0, x1, y1], ...]")
    return _numbers(flat, where)


_ANSWER_READERS: Mapping[str, Callable[[Any, str], Any]] = {
    "problem_type": _answer_text,
    "options": _texts,
    "unit": _answer_text,
    "tolerance": _number,
    "tolerance_abs": _number,
    "accuracy": _answer_text,
    "evidence_times_s": _numbers,
    "evidence_boxes": _timed_boxes,
    "entity_spans": _spans,
}
ANSWER_COLUMNS = tuple(_ANSWER_READERS)
KNOWN = frozenset({"video", "id", "start_s", "end_s", "entities", *TEXTS, *ANSWER_COLUMNS})


def _check_spans(question: Question, where: str) -> None:
    """Raises BadQuestion for places that are not one of the question for each entity."""
    spans, text = question.entity_spans, question.question or ""
    if spans is None:
        return
    pairs = list(zip(spans[::2], spans[1::2], strict=True))
    inside = (pair == (None, None) or _is_inside(pair, text) for pair in pairs)
    if len(pairs) != len(question.entities or ()) or not all(inside):
        raise BadQuestion(
            f"{where}: found entity_spans {list(spans)}, expected a start and an end in the "
            f"question for each of {counted(len(question.entities or ()), 'entity')}, or null "
            "and null"
        )


def _is_inside(pair: tuple[int | None, int | None], text: str) -> bool:
    start, end = pair
    return start is not None and end is not None and 0 <= start < end <= len(text)


def _seconds(cells: Cells, name: str, where: str) -> float | None:
    value = cells.get(name)
    if value is None:
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not math.isfinite(seconds):
        raise BadQuestion(f"{where}: found {name} {value!r}, expected seconds")
    return seconds + 0.0  # -0.0 is 0.0


def _text(value: Any) -> str | None:
    """A cell as text: what is not text is written as JSON."""
    if value is None or isinstance(value, str):
        return value.strip() if value else None
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _hash(cells: Cells) -> str:
    """The id of a row that has none: blake2b-128 of what it says, whatever kind of file says it."""
    texts = {name: _text(cells[name]) for name in sorted(cells)}
    for name in ("start_s", "end_s"):
        if name in cells:
            try:
                texts[name] = repr(float(cells[name]))
            except (TypeError, ValueError):
                continue
    return _digest(json.dumps(texts, ensure_ascii=False))


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _plain(value: Any) -> Any:
    """What Parquet holds and JSON does not."""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return str(value)
