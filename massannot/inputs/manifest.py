"""Manifests: videos, spans and questions in a CSV, JSON, JSONL or Parquet file.

Columns are `video, id, start_s, end_s, caption, entities, question, answer, category, split,
license`, and `io.answer_cells.ANSWER_COLUMNS`; only `video` is needed, and every other column is
carried through. A relative video path is relative to the manifest. `entities` is a list, or a text
with ; or | or commas between.

One bad row of many is a failure with a name, not a wrong command: it stays in `questions`, is asked
of no clip, and the rest goes on. A row that stands there twice counts once.

Rows of a manifest file, cell by cell as they were written: CSV, JSON, JSONL or Parquet.

Column names are compared without case and surrounding blanks. An empty cell, null and NaN are the
same: nothing was said. A file that cannot be read as a table is refused as a whole, with the line.

What a manifest says of an answer beside its text: its type, options, unit, tolerance, evidence.

Cells become typed values here and are not judged: whether an answer is one of its options is the
trainer's question (rft/expected.py), and a video is annotated either way. Lists are lists; in a CSV
they are JSON, or texts with ; or | between.
"""

from __future__ import annotations

import csv
import datetime
import hashlib
import io
import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from massannot.errors import BadPhrase, BadQuestion, ClipError, SpanOutsideVideo, UsageError
from massannot.inputs.question import Problem, Question
from massannot.storage.path import beside, lies_in, place
from massannot.storage.store import is_remote, store_of

Cells = Mapping[str, Any]
"""Column to value, without those that say nothing."""

MANIFEST_ENDINGS = (".csv", ".json", ".jsonl", ".parquet")


def is_manifest(source: str) -> bool:
    """Whether a source's name says that it is a manifest."""
    return source.lower().endswith(MANIFEST_ENDINGS)


def read_cells(path: Path) -> list[Cells]:
    """Every row of a manifest. Raises UsageError for a file that is none."""
    cells = read_any_cells(path)
    if not any("video" in row for row in cells):
        found = sorted({name for row in cells for name in row})
        raise UsageError(
            f"{path}: found {found or 'no row'}, expected rows with a column 'video'; others are "
            "id, start_s, end_s, caption, entities, question, answer, category, split, license"
        )
    return cells


def read_any_cells(path: Path) -> list[Cells]:
    """Every row, whatever its columns. Raises UsageError for a file that is no such table."""
    try:
        rows = list(_READERS[path.suffix.lower()](path))
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError, pa.ArrowException, csv.Error) as error:
        raise UsageError(f"{path}: cannot be read as a manifest: {error}") from error
    return [_said(row, where=f"{path}, row {n}") for n, row in enumerate(rows, start=1)]


def _said(row: Mapping[str, Any], *, where: str) -> Cells:
    cells: dict[str, Any] = {}
    for name, value in row.items():
        plain = name.strip().lower()
        if plain in cells:
            raise UsageError(f"{where}: column {plain!r} is there twice")
        if not _is_nothing(value):
            cells[plain] = value
    return cells


def _is_nothing(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float) and math.isnan(value))


def _csv(path: Path) -> Iterator[Mapping[str, Any]]:
    text = path.read_text(encoding="utf-8-sig")
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    for row in reader:
        if None in row:
            raise UsageError(
                f"{path}, line {reader.line_num}: more cells than the {len(row) - 1} columns; "
                'a cell with a comma needs "quotes"'
            )
        yield row


def _json(path: Path) -> Iterator[Mapping[str, Any]]:
    found = _parsed(path.read_text(encoding="utf-8-sig"), where=str(path))
    lists = [v for v in found.values() if isinstance(v, list)] if isinstance(found, dict) else []
    rows = lists[0] if len(lists) == 1 else found
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise UsageError(f"{path}: found {type(rows).__name__}, expected a list of objects")
    for number, row in enumerate(rows, start=1):
        yield _object(row, where=f"{path}, row {number}")


def _jsonl(path: Path) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), start=1):
        if line.strip():
            where = f"{path}, line {number}"
            yield _object(_parsed(line, where=where), where=where)


def _parquet(path: Path) -> Iterator[Mapping[str, Any]]:
    yield from pq.read_table(path, partitioning=None).to_pylist()


def _parsed(text: str, *, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(f"{where}: not JSON: {error}") from error


def _object(value: Any, *, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{where}: found {type(value).__name__}, expected an object")
    return value


_READERS = {".csv": _csv, ".json": _json, ".jsonl": _jsonl, ".parquet": _parquet}


def answer_cells(cells: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """The fields of io.question.Question by name; those without a cell are left out.

    Raises BadQuestion for a cell that is no such value.
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
            value = json.loads(value) if value.lstrip().startswith("[") else re.split("[;|]", value)
        except ValueError as error:
            raise BadQuestion(f"{where}: found {value!r}, which is not JSON: {error}") from error
    if not isinstance(value, list):
        raise BadQuestion(f"{where}: found {value!r}, expected a list")
    return value


def _texts(value: Any, where: str) -> tuple[str, ...]:
    """Options; a number among them is its text."""
    found = _list(value, where)
    return tuple(one.strip() if isinstance(one, str) else json.dumps(one) for one in found)


def _numbers(value: Any, where: str) -> tuple[float, ...]:
    return tuple(_number(one, where) for one in _list(value, where))


def _spans(value: Any, where: str) -> tuple[int | None, ...]:
    """Start and end of each entity, one after the other; null: the question does not name it."""
    places = _list(value, where)
    if len(places) % 2 or not all(one is None or type(one) is int for one in places):
        raise BadQuestion(f"{where}: found {value!r}, expected a start and an end for each entity")
    return tuple(places)


def _timed_boxes(value: Any, where: str) -> tuple[float, ...]:
    """From [[t, x0, y0, x1, y1], ...], or already one after the other."""
    rows = _list(value, where)
    flat = [one for row in rows for one in (row if isinstance(row, list) else [row])]
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


TEXTS = ("question", "answer", "category", "caption", "split", "license")
KNOWN = frozenset({"video", "id", "start_s", "end_s", "entities", *TEXTS, *ANSWER_COLUMNS})


class DuplicateId(ClipError):
    """Another row has this id and says something else."""

    reason = "duplicate_id"


class NoVideoNamed(ClipError):
    """A row without a video."""

    reason = "no_video"


class OutsideRoot(ClipError):
    """A row that names a video which this run may not read."""

    reason = "outside_root"


def read_manifests(paths: Sequence[str], *, root: str | None = None) -> tuple[Question, ...]:
    """The rows of all manifests, in order of id; the same whether they stand in one file or two.

    `root`: a folder, here or in a bucket, that no video may lie outside of, links followed; a row
    that leads elsewhere is a failure, and nothing is read for it. Raises UsageError for a file that
    is no manifest and for a video at an address that cannot be read or has credentials in it.
    """
    files = [place(path) for path in paths]
    rows = [question for path in files for question in read_rows(read_cells(path), path, root=root)]
    return with_own_ids(rows)


def read_rows(rows: Sequence[Cells], path: Path, *, root: str | None = None) -> list[Question]:
    """Rows that stand in file `path`, in its order; videos are relative to it."""
    asks = any("question" in row for row in rows)
    return [
        _question(row, path, number, asks=asks, root=root) for number, row in enumerate(rows, 1)
    ]


def _question(
    cells: Cells, path: Path, number: int, *, asks: bool, root: str | None = None
) -> Question:
    where = f"{path.name}, row {number}"
    further = {name: cells[name] for name in sorted(cells) if name not in KNOWN}
    question = Question(
        question_id=_text(cells.get("id")) or _hash(cells),
        uri=_uri(cells, path, where),
        source_id=_text(cells.get("id")),
        further=json.dumps(further, ensure_ascii=False, default=_plain) if further else None,
        **{name: _text(cells.get(name)) for name in TEXTS},  # type: ignore[arg-type]
    )
    try:
        if "video" not in cells:
            raise NoVideoNamed(f"{where}: names no video")
        if root is not None and not lies_in(question.uri, root):
            outside = f"{where}: its video lies outside of --root"
            question = replace(question, uri=outside)
            raise OutsideRoot(outside)
        question = replace(question, entities=_entities(cells.get("entities"), where))
        question = replace(question, **answer_cells(cells, where=where))
        _check_spans(question, where)
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


def with_own_ids(rows: Sequence[Question]) -> tuple[Question, ...]:
    """In order of id. Equal rows once; of different rows with one id the first keeps it, the others
    are failures under a name of their own."""
    kept: dict[str, Question] = {}
    for question in rows:
        first = kept.get(question.question_id)
        if first is None:
            kept[question.question_id] = question
        elif _without_row_number(first) != _without_row_number(question):
            own = f"{question.question_id} ({_digest(question.to_json())[:12]})"
            message = f"id {question.question_id!r} belongs to another row too; ids name one row"
            problem = question.problem or Problem(DuplicateId.reason, message)
            kept[own] = replace(question, question_id=own, problem=problem)
    return tuple(sorted(kept.values(), key=lambda q: q.question_id))


def _without_row_number(question: Question) -> Question:
    problem = question.problem and replace(question.problem, message="")
    return replace(question, problem=problem)


def _uri(cells: Cells, path: Path, where: str) -> str:
    """A row that names no video is its own: reading it fails, and says so."""
    name = _text(cells.get("video"))
    if name is None:
        return f"{where}: no video"
    try:
        uri = beside(str(path), name)
        store_of(uri)
    except UsageError as error:
        raise UsageError(f"{path}, {where.rpartition(', ')[2]}: {error}") from error
    return uri if is_remote(uri) else os.path.normpath(uri)


def _entities(value: Any, where: str) -> tuple[str, ...] | None:
    """Phrases as the user wrote them. Raises BadPhrase for one that no detector can be asked for,
    whatever its vocabulary."""
    if value is None:
        return None
    if isinstance(value, str):
        value = _list_in(value)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadPhrase(f"{where}: found entities {value!r}, expected a list of texts")
    phrases = tuple(dict.fromkeys(re.sub(r"[\s.]+$", "", text.strip()) for text in value))
    for phrase in phrases:
        if not phrase:
            raise BadPhrase(f"{where}: found an empty entity, expected a noun phrase")
        if "." in phrase or "?" in phrase:
            raise BadPhrase(
                f"{where}: entity {phrase!r}: found {'.' if '.' in phrase else '?'!r} inside, "
                "which separates phrases; write it without, or as two entities"
            )
    return phrases


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
            f"question for each of {len(question.entities or ())} entities, or null and null"
        )


def _is_inside(pair: tuple[int | None, int | None], text: str) -> bool:
    start, end = pair
    return start is not None and end is not None and 0 <= start < end <= len(text)


def _list_in(text: str) -> Any:
    if text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return [part for part in re.split(r"[;|,]|\s\.\s", text) if part.strip(" .")]


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
    said = {name: _text(cells[name]) for name in sorted(cells)}
    for name in ("start_s", "end_s"):
        if name in cells:
            try:
                said[name] = repr(float(cells[name]))
            except (TypeError, ValueError):
                continue
    return _digest(json.dumps(said, ensure_ascii=False))


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _plain(value: Any) -> Any:
    """What Parquet holds and JSON does not."""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return str(value)
