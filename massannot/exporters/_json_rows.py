"""Rows as JSON, for trainers that read it: one a line, or one list of all.

`datasets` types a file by its first 10 MB and gives up where a later row has more in it than null
or an empty list. So rows that are the first to hold something come first; the others keep their
order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from massannot.errors import UsageError


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]], pictures: Path) -> None:
    """`pictures`, where the rows' pictures lie, stays as it is: rows name them by their paths."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{_text(row)}\n" for row in _telling_first(rows))


def write_list(path: Path, rows: Iterable[Mapping[str, Any]], pictures: Path) -> None:
    """As write_lines; a line a row here too, so that two exports can be compared line by line."""
    found = _telling_first(rows)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("[")
        file.writelines(f"{',' if n else ''}\n{_text(row)}" for n, row in enumerate(found))
        file.write("\n]\n")


def load_lines(path: Path) -> list[dict[str, Any]]:
    """Raises UsageError for a file that is not JSON."""
    text = path.read_text(encoding="utf-8")
    return [_parsed(line, path) for line in text.split("\n") if line.strip()]


def load_list(path: Path) -> list[dict[str, Any]]:
    """Raises UsageError for a file that is not a list in JSON."""
    rows: Any = _parsed(path.read_text(encoding="utf-8"), path)
    if not isinstance(rows, list):
        raise UsageError(f"{path}: found {type(rows).__name__}, expected a list")
    return rows


def _telling_first(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    known: set[str] = set()
    first: list[Mapping[str, Any]] = []
    others: list[Mapping[str, Any]] = []
    for row in rows:
        told = {name for name, value in row.items() if value is not None and value != []}
        (others if told <= known else first).append(row)
        known |= told
    return first + others


def _text(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, allow_nan=False)


def _parsed(text: str, path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{path}: not JSON: {error}") from error
    return found
