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
    answer: str | None,
    *,
    question: str | None = None,
    options: Sequence[str] | None = None,
    asked_unit: str | None = None,
) -> tuple[Kind, str | None]:
    """(kind, unit): the unit is the given one, or the one written behind the number.

    Raises UnknownUnit for a number and a word that is no unit, where the question asks for a
    measure: as free text, "200 m" would be wrong where "1 furlong" is true.
    """
    if options:
        return "multiple_choice", None
    text = (answer or "").strip()
    if asked_unit is not None:
        return ("interval" if _is_interval(text, asked_unit) else "number"), asked_unit
    if re.fullmatch(r"[0-9]{1,2}\s*o\s?['’]?\s?clock\.?", text, re.IGNORECASE):
        return "clock", None
    if re.search(r"\d\s*(?:s|sec|secs|second|seconds)\]?\.?$", text) and _reads(text, "interval"):
        return "interval", None
    if _reads(text, "yes_no"):
        return "yes_no", None
    if _reads(text, "number"):
        return "number", None
    written = re.fullmatch(r"[+−-]?[\d.,]+\s*(\D.*?)\.?", text)
    if written is None:
        return "text", None
    try:
        symbol = unit(written[1]).symbol
    except UnknownUnit as error:
        if _asks_for_a_measure(question or "") and len(written[1].split()) == 1:
            raise UnknownUnit(f"{error}; or say problem_type text") from None
        return "text", None
    return ("number", symbol) if _reads(text, "number", asked_unit=symbol) else ("text", None)


def is_count(answer: str, *, kind: str | None, asked_unit: str | None) -> bool:
    """Whether the answer is a whole number of things, of which no share is near enough. `kind` may
    be Video-R1's."""
    number = kind in ("number", "numerical") and asked_unit is None
    return number and re.fullmatch(r"\d+\.?", answer.strip()) is not None


def _is_interval(text: str, asked_unit: str) -> bool:
    """Two times, where times are asked for; "1,5" may as well be one number."""
    times = _has(asked_unit, "time") and not _reads(text, "number", asked_unit=asked_unit)
    return times and re.search(r"\d,\d", text) is None and _reads(text, "interval")


def _has(asked_unit: str, dimension: str) -> bool:
    try:
        return unit(asked_unit).dimension == dimension
    except UnknownUnit:
        return False


def _asks_for_a_measure(question: str) -> bool:
    return re.search(_MEASURES, question, re.IGNORECASE) is not None


_MEASURES = (
    r"\bhow\s+(?:far|fast|quick|quickly|slow|long|high|tall|deep|wide|thick|large|big|heavy|close"
    r"|near)\b|\b(?:what|which)\b[^?.]*\b(?:distance|length|height|width|depth|size|speed|velocity"
    r"|acceleration|angle|duration|time)\b"
)


def _reads(text: str, kind: Kind, *, asked_unit: str | None = None) -> bool:
    try:
        parse(text, kind=kind, asked_unit=asked_unit)
    except BadAnswer:
        return False
    return True
