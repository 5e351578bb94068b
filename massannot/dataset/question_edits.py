"""What a reviewer changes in a question that is accepted: its text, category, span, and a sentence
that says what happens."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from massannot.errors import UsageError

TEXTS = ("question", "category", "event")
SPAN = ("start_s", "end_s")
EDITS = (*TEXTS, *SPAN)
LONGEST_TEXT = 2000


def checked_edits(values: Mapping[str, Any]) -> dict[str, Any]:
    """Every one of EDITS, null where it stays as it is. Raises UsageError naming a wrong one."""
    texts = {name: _text(name, values.get(name)) for name in TEXTS}
    start_s, end_s = (_seconds(name, values.get(name)) for name in SPAN)
    if (start_s is None) != (end_s is None):
        raise UsageError("start_s, end_s: found one of them, expected both or neither")
    if start_s is not None and end_s is not None and not start_s < end_s:
        raise UsageError(f"start_s: found {start_s:g}, expected less than end_s, {end_s:g}")
    return {**texts, "start_s": start_s, "end_s": end_s}


def _text(name: str, value: Any) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not 0 < len(value.strip()) <= LONGEST_TEXT:
        raise UsageError(f"{name}: expected a text of at most {LONGEST_TEXT} letters")
    return value.strip()


def _seconds(name: str, value: Any) -> float | None:
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value < math.inf:
        raise UsageError(f"{name}: found {value!r}, expected seconds from 0 on")
    return float(value)
