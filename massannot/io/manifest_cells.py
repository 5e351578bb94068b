"""Rows of a manifest file, cell by cell as they were written: CSV, JSON, JSONL or Parquet.

Column names are compared without case and surrounding blanks. An empty cell, null and NaN are the
same: nothing was said. A file that cannot be read as a table is refused as a whole, with the line.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from massannot.errors import UsageError

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
