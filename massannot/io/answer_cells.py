"""What a manifest says of an answer beside its text: its type, options, unit, tolerance, evidence.

Cells become typed values here and are not judged: whether an answer is one of its options is the
trainer's question (rft/expected.py), and a video is annotated either way. Lists are lists; in a CSV
they are JSON, or texts with ; or | between.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from massannot.errors import BadQuestion


def answer_cells(cells: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """The fields of io.question.Question by name; those without a cell are left out.

    Raises BadQuestion for a cell that is no such value.
    """
    return {
        name: read(cells[name], f"{where}: {name}")
        for name, read in _READERS.items()
        if name in cells
    }


def _text(value: Any, where: str) -> str:
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


_READERS: Mapping[str, Callable[[Any, str], Any]] = {
    "problem_type": _text,
    "options": _texts,
    "unit": _text,
    "tolerance": _number,
    "tolerance_abs": _number,
    "accuracy": _text,
    "evidence_times_s": _numbers,
    "evidence_boxes": _timed_boxes,
    "entity_spans": _spans,
}
ANSWER_COLUMNS = tuple(_READERS)
