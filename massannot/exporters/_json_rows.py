"""Rows as JSON, for trainers that read it: one a line, or one list of all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from massannot.errors import UsageError


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{_text(row)}\n" for row in rows)


def write_list(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """A line a row, so that two exports can be compared line by line."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("[")
        file.writelines(f"{',' if n else ''}\n{_text(row)}" for n, row in enumerate(rows))
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


def _text(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, allow_nan=False)


def _parsed(text: str, path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{path}: not JSON: {error}") from error
    return found
