"""Cells: the rows of a CSV, TSV, JSON, JSONL or Parquet file as they were written.

Column names are compared without case and surrounding blanks. An empty cell, null and NaN are the
same: nothing was written. A file that cannot be read as a table is refused as a whole, with the
line. Bytes that are no UTF-8 are kept (`surrogateescape`), so that one such row costs that row
alone: see inputs/question.with_valid_text.
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from massannot.counts import counted
from massannot.errors import UsageError
from massannot.inputs.text import START_BYTES, looks_binary
from massannot.storage.json_text import parsed

Cells = Mapping[str, Any]
"""Column to value, without empty cells."""


def read_cells(path: Path) -> list[Cells]:
    """Every row, whatever its columns. Raises UsageError for a file that is no such table."""
    try:
        rows = list(_READERS[path.suffix.lower()](path))
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except (OSError, pa.ArrowException, csv.Error) as error:
        raise UsageError(f"{path}: cannot be read as a manifest: {error}") from error
    return [_cells(row, where=f"{path}, row {n}") for n, row in enumerate(rows, start=1)]


def _cells(row: Mapping[str, Any], *, where: str) -> Cells:
    cells: dict[str, Any] = {}
    for name, value in row.items():
        column = name.strip().lower()
        if column in cells:
            raise UsageError(f"{where}: column {column!r} is there twice")
        if not _is_empty(value):
            cells[column] = value
    return cells


def _is_empty(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float) and math.isnan(value))


def _text(path: Path) -> str:
    content = path.read_bytes()
    if looks_binary(content[:START_BYTES]):
        raise UsageError(f"{path}: found a binary file or UTF-16, expected text in UTF-8")
    return content.decode("utf-8-sig", errors="surrogateescape")


def _tsv(path: Path) -> Iterator[Mapping[str, Any]]:
    return _csv(path, delimiter="\t")


def _csv(path: Path, *, delimiter: str = ",") -> Iterator[Mapping[str, Any]]:
    text = io.StringIO(_text(path), newline="")
    reader = csv.DictReader(text, strict=True, delimiter=delimiter)
    names = reader.fieldnames or ()
    other = next((mark for mark in ";\t," if len(names) == 1 and mark in names[0]), None)
    if other is not None:
        raise UsageError(
            f"{path}: found one column {names[0]!r}, expected columns separated by {delimiter!r}; "
            f"this file has {other!r} between them"
        )
    for name, n in Counter(names).items():
        if n > 1 and name:
            raise UsageError(f"{path}: found the column {name!r} more than once")
    for row in reader:
        if None in row:
            raise UsageError(
                f"{path}, line {reader.line_num}: more cells than the "
                f"{counted(len(row) - 1, 'column')}; "
                f'a cell with {"a comma" if delimiter == "," else "a tab"} needs "quotes"'
            )
        yield row


def _json(path: Path) -> Iterator[Mapping[str, Any]]:
    content = _parsed(_text(path), where=str(path))
    values = content.values() if isinstance(content, dict) else ()
    lists = [value for value in values if isinstance(value, list)]
    rows = lists[0] if len(lists) == 1 else content
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise UsageError(f"{path}: found {type(rows).__name__}, expected a list of objects")
    for number, row in enumerate(rows, start=1):
        yield _object(row, where=f"{path}, row {number}")


def _jsonl(path: Path) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if line.strip():
            where = f"{path}, line {number}"
            yield _object(_parsed(line, where=where), where=where)


def _parquet(path: Path) -> Iterator[Mapping[str, Any]]:
    table = pq.read_table(path, partitioning=None)
    columns = [_values(column) for column in table.columns]
    return (dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True))


def _values(column: pa.ChunkedArray) -> list[Any]:
    try:
        return column.to_pylist()
    except UnicodeDecodeError:  # Parquet's writers need not check their text
        return [_decoded(value) for value in column.cast(_as_bytes(column.type)).to_pylist()]


def _as_bytes(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_as_bytes(kind.value_type))
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return pa.large_binary() if is_text else kind


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    return value.decode(errors="surrogateescape") if isinstance(value, bytes) else value


def _parsed(text: str, *, where: str) -> Any:
    try:
        return parsed(text)
    except ValueError as error:
        raise UsageError(f"{where}: not JSON: {error}") from error


def _object(value: Any, *, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{where}: found {type(value).__name__}, expected an object")
    return value


_READERS = {
    ".csv": _csv,
    ".tsv": _tsv,
    ".json": _json,
    ".jsonl": _jsonl,
    ".parquet": _parquet,
}
TABLE_ENDINGS = tuple(_READERS)
