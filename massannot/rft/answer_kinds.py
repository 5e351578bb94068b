"""What kind of answer a text is, where a dataset does not say.

Careful on the side of free text: a kind is inferred only where the whole text reads as it and, for
numbers and times, where their unit is written or none is needed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from massannot.rft.answers import Kind, parse
from massannot.rft.units import BadAnswer, UnknownUnit, unit


def kind_of(
    answer: str | None, *, options: Sequence[str] | None = None, asked_unit: str | None = None
) -> tuple[Kind, str | None]:
    """(kind, unit): the unit is the given one, or the one written behind the number."""
    if options:
        return "multiple_choice", None
    if asked_unit is not None:
        return "number", asked_unit
    text = (answer or "").strip()
    if re.fullmatch(r"[0-9]{1,2}\s*o\s?['’]?\s?clock\.?", text, re.IGNORECASE):
        return "clock", None
    if re.search(r"\d\s*(?:s|sec|secs|second|seconds)\]?\.?$", text) and _reads(text, "interval"):
        return "interval", None
    if _reads(text, "yes_no"):
        return "yes_no", None
    if _reads(text, "number"):
        return "number", None
    written = re.fullmatch(r"[+−-]?[\d.,]+\s*(\D.*?)\.?", text)
    if written is not None:
        try:
            symbol = unit(written[1]).symbol
        except UnknownUnit:
            return "text", None
        if _reads(text, "number", asked_unit=symbol):
            return "number", symbol
    return "text", None


def is_count(answer: str, *, kind: str | None, asked_unit: str | None) -> bool:
    """Whether the answer is a whole number of things, of which no share is near enough. `kind` may
    be Video-R1's."""
    number = kind in ("number", "numerical") and asked_unit is None
    return number and re.fullmatch(r"\d+\.?", answer.strip()) is not None


def _reads(text: str, kind: Kind, *, asked_unit: str | None = None) -> bool:
    try:
        parse(text, kind=kind, asked_unit=asked_unit)
    except BadAnswer:
        return False
    return True
