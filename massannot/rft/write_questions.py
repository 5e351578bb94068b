"""Imported questions as a manifest: JSONL or Parquet, by the name's ending, by id.

Other columns of their datasets become columns again. In Parquet a column of mixed kinds is text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from massannot import tables
from massannot.errors import UsageError
from massannot.io.question import Question

_NOT_SAID = ("question_id", "uri", "clip_id", "clip_ids", "further")


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
        said = [{name: row[name] for name in row if row[name] is not None} for row in rows]
        lines = [json.dumps(row, ensure_ascii=False, allow_nan=False) for row in said]
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
    said = question.row()
    further = json.loads(question.further) if question.further else {}
    video = question.uri if "://" in question.uri else os.path.relpath(question.uri, folder)
    own = {name: said[name] for name in said if name not in _NOT_SAID}
    own = {name: list(v) if isinstance(v, tuple) else v for name, v in own.items()}
    return {"video": video, "id": question.question_id, **own, **further}


def _row_types() -> dict[str, pa.DataType]:
    spec = tables.spec("questions")
    own = {c.name: c.type for c in spec.columns if c.name not in _NOT_SAID}
    return {"video": pa.string(), "id": pa.string(), **own}


def _column(name: str, values: list[Any]) -> pa.Array:
    type_ = _row_types().get(name)
    try:
        return pa.array(values, type_)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        texts = [v if v is None or isinstance(v, str) else json.dumps(v) for v in values]
        return pa.array(texts, pa.string())
