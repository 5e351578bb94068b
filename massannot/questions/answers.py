"""Answers as typed values: a choice, a number with its unit, yes or no, a clock hour, an interval,
or free text.

This reader is strict: a text with two readings ("1,5", "yes and no", "3 Mm") is refused, because an
answer that hedges must not be rewarded. `lenient_answers` reads what a person would accept, for
scoring, and truths that the strict one does not read. `kind_of` infers the kind of an answer where
a dataset has none, and prefers free text: a kind needs the whole text to read as it and, for
numbers and times, a unit or a question that needs none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal, get_args

from massannot.errors import BadQuestion
from massannot.questions.number_words import number_of
from massannot.questions.units import BadAnswer, Dimension, UnknownUnit, unit, unit_named_in


def kind_of(
    answer: str | None,
    *,
    question: str | None = None,
    options: Sequence[str] | None = None,
    asked_unit: str | None = None,
) -> tuple[Kind, str | None]:
    """(kind, unit): the unit is the given one, the one behind the number, or the one that the
    question asks for.

    "10:00" is an hour where the question asks for a direction, "[3.5, 4.5]" a span where it asks
    for a time, "ten" a number where it asks how many. Raises UnknownUnit for a number and a word
    that is no unit, where the question asks for a measure: as free text, "200 m" would be wrong
    where "1 furlong" is true.
    """
    if options:
        return "multiple_choice", None
    text, question = (answer or "").strip(), question or ""
    if asked_unit is not None:
        return ("interval" if _is_interval(text, asked_unit) else "number"), asked_unit
    if _is_hour(text, question):
        return "clock", None
    if _is_span(text, question):
        return "interval", None
    if _reads(text, "yes_no"):
        return "yes_no", None
    if _reads(text, "number"):
        named = unit_named_in(question)
        return "number", named.symbol if named else None
    if number_of(text) is not None and re.search(r"\bhow\s+many\b|\bnumber\s+of\b", question, re.I):
        return "number", None
    written = re.fullmatch(r"[+−-]?[\d.,]+\s*(\D.*?)\.?", text)
    if written is None:
        return "text", None
    try:
        symbol = unit(written[1]).symbol
    except UnknownUnit as error:
        if _asks_for_a_measure(question) and len(written[1].split()) == 1:
            raise UnknownUnit(f"{error}; or say problem_type text") from None
        return "text", None
    return ("number", symbol) if _reads(text, "number", asked_unit=symbol) else ("text", None)


def _is_hour(text: str, question: str) -> bool:
    """Whether the text is an hour of the clock's face, as a direction."""
    if re.search(r"o\s?['’]?\s?clock", text, re.IGNORECASE):
        return _reads(text, "clock")
    asks = re.search(r"\bdirection|\bclock\b|\bhour\b|o['’]?clock", question, re.IGNORECASE)
    return text.endswith(":00") and asks is not None and _reads(text, "clock")


def _is_span(text: str, question: str) -> bool:
    """Whether the text is two times: in seconds, or where the question asks for a time."""
    if not _reads(text, "interval"):
        return False
    asks = re.search(
        r"\bwhen\b|\b(?:time|times|timestamps?|interval|span|seconds?|period)\b",
        question,
        re.IGNORECASE,
    )
    written = re.search(r"\d\s*(?:s|sec|secs|second|seconds)[\])]?\.?$", text)
    return written is not None or (asks is not None and re.search(r"\d,\d", text) is None)


def is_count(answer: str, *, kind: str | None, asked_unit: str | None) -> bool:
    """Whether the answer is a whole number of things, so that no tolerance applies. `kind` may be
    Video-R1's."""
    number = kind in ("number", "numerical") and asked_unit is None
    whole = re.fullmatch(r"\d+\.?", answer.strip()) is not None
    return number and (whole or number_of(answer) is not None)


def _is_interval(text: str, asked_unit: str) -> bool:
    """Whether the text is two times, in a unit of time; "1,5" may as well be one number."""
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


Kind = Literal["multiple_choice", "number", "yes_no", "clock", "interval", "text"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Choice:
    index: int
    """Of the option, from 0."""


@dataclass(frozen=True)
class Number:
    value: float
    """In the base unit of its dimension: m, s, m/s, m/s^2, deg (not wrapped), 1, px."""
    dimension: Dimension | None = None


@dataclass(frozen=True)
class YesNo:
    yes: bool


@dataclass(frozen=True)
class Clock:
    hour: int
    """1..12; 12 is straight on."""


@dataclass(frozen=True)
class TimeInterval:
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Text:
    text: str


Answer = Choice | Number | YesNo | Clock | TimeInterval | Text


def parse(
    text: str, *, kind: Kind, options: Sequence[str] = (), asked_unit: str | None = None
) -> Answer:
    """The typed value of an answer's text.

    `options`: the choices. `asked_unit`: the unit of the question, and so of a bare number.
    Raises BadAnswer for a text that is no such answer, UnknownUnit for an unknown unit, ValueError
    for an unknown kind.
    """
    bare = text.strip()
    if kind == "multiple_choice":
        return parse_choice(bare, options=options)
    if kind == "number":
        return parse_number(bare, asked_unit=asked_unit)
    if kind == "yes_no":
        return parse_yes_no(bare)
    if kind == "clock":
        return parse_clock(bare)
    if kind == "interval":
        return parse_interval(bare, asked_unit=asked_unit or "s")
    if kind == "text":
        return parse_text(bare)
    raise ValueError(f"answer: found kind {kind!r}, expected one of {', '.join(KINDS)}")


def answer_text(
    answer: Answer, *, options: Sequence[str] = (), asked_unit: str | None = None
) -> str:
    """The answer in one canonical form, which `parse` reads again; a choice with its words."""
    if isinstance(answer, Choice):
        return f"{_LETTERS[answer.index]}. {bare_options(options)[answer.index]}"
    if isinstance(answer, Number):
        wanted = unit(asked_unit) if asked_unit else None
        value = wanted.from_base(answer.value) if wanted else answer.value
        return f"{value:.10g}{f' {wanted.symbol}' if wanted else ''}"
    if isinstance(answer, YesNo):
        return "yes" if answer.yes else "no"
    if isinstance(answer, Clock):
        return f"{answer.hour} o'clock"
    if isinstance(answer, TimeInterval):
        return f"{answer.start_s:g} to {answer.end_s:g} s"
    return answer.text


def parse_choice(text: str, *, options: Sequence[str]) -> Choice:
    """From "B", "(B)", "B.", "to the left", or "B) to the left", where the two must agree."""
    bare = bare_options(options)
    letters = _LETTERS[: len(bare)]
    key = _key(text)
    if key in map(_key, bare):
        return Choice([_key(option) for option in bare].index(key))
    match = re.fullmatch(r"\(?([A-Za-z])(?:[).:]+|$)\s*(.*)", text, re.DOTALL)
    if match is None or match[1].upper() not in letters:
        raise _refusal("choice", text, f"one of {', '.join(letters)} or an option's words")
    index = letters.index(match[1].upper())
    if match[2] and _key(match[2]) != _key(bare[index]):
        raise _refusal("choice", text, f"after {letters[index]}: {bare[index]!r}")
    return Choice(index)


def bare_options(options: Sequence[str]) -> tuple[str, ...]:
    """Options without the letters that some datasets write before each.

    Raises BadQuestion for fewer than 2 or more than 26, for an empty one, for two that read the
    same, and for an option that is another option's letter.
    """
    bare = [option.strip() for option in options]
    lettered = [re.fullmatch(r"\(?([A-Z])[).:]\s*(.+)", option, re.DOTALL) for option in bare]
    if all(match and match[1] == letter for match, letter in zip(lettered, _LETTERS, strict=False)):
        bare = [match[2].strip() for match in lettered if match]
    if not 2 <= len(bare) <= len(_LETTERS):
        raise BadQuestion(f"options: found {len(bare)}, expected 2 to {len(_LETTERS)}")
    keys = [_key(option) for option in bare]
    if "" in keys or len(set(keys)) < len(keys):
        raise BadQuestion(f"options: found {bare}, expected different ones, none of them empty")
    letters = [letter.lower() for letter in _LETTERS[: len(bare)]]
    for index, key in enumerate(keys):
        if key in letters and key != letters[index]:
            raise BadQuestion(
                f"options: found {bare[index]!r} at {letters[index].upper()}, which is another "
                "option's letter, expected words"
            )
    return tuple(bare)


def parse_number(text: str, *, asked_unit: str | None = None) -> Number:
    """From "3.5", "-1,234.5 m", "2e-3 km/h". A bare number is in the asked unit.

    A unit of another dimension than the asked one, and any unit where none was asked, is refused:
    a count has none.
    """
    wanted = unit(asked_unit) if asked_unit else None
    match = re.fullmatch(rf"([+-]?{_MAGNITUDE})\s*(.*?)\.?", text.replace("−", "-"), re.DOTALL)
    if match is None:
        raise _refusal("number", text, "digits, then a unit or nothing")
    written = unit(match[2]) if match[2] else wanted
    dimension = wanted.dimension if wanted else None
    if written is not None and written.dimension != dimension:
        raise _refusal("number", text, f"a {dimension}" if dimension else "a number without a unit")
    value = float(match[1].replace(",", ""))
    value = written.to_base(value) if written else value
    if not isfinite(value):
        raise _refusal("number", text, "a finite number")
    return Number(value, dimension)


def parse_yes_no(text: str) -> YesNo:
    """From "yes", "No.", "true", "Yes, it bounces."; the first word decides, and is not taken back
    by what follows it."""
    match = re.match(r"(yes|no|true|false)\s*(?:$|[.,;:!])(.*)", text, re.IGNORECASE | re.DOTALL)
    if match is None:
        raise _refusal("yes or no", text, "yes or no as the first word")
    yes = match[1].lower() in ("yes", "true")
    other = r"\b(?:no|not|false|never)\b|n['’]t\b" if yes else r"\b(?:yes|true)\b"
    if re.search(rf"{other}|{_HEDGES}", match[2], re.IGNORECASE):
        raise _refusal("yes or no", text, "one of the two, without its opposite behind it")
    return YesNo(yes)


_HEDGES = (
    r"\b(?:maybe|perhaps|possibly|probably|sometimes|partly|partially|unsure|unclear|unknown"
    r"|depends)\b|\bnot\s+(?:sure|certain|clear)\b|\b(?:cannot|can['’]t)\s+tell\b"
)


def parse_clock(text: str) -> Clock:
    """From "3", "3 o'clock", "3:00", "in the direction of 3 o'clock".

    Source of the words: STKit's answers (arXiv 2503.19355).
    """
    match = re.fullmatch(
        r"(?:(?:in the direction of|towards?|at|to)\s+)?([0-9]{1,2})"
        r"\s*(?:o\s?['’]?\s?clock|:00)?\.?",
        text,
        re.IGNORECASE,
    )
    if match is None or not 1 <= int(match[1]) <= 12:
        raise _refusal("clock direction", text, "an hour from 1 to 12")
    return Clock(int(match[1]))


def parse_interval(text: str, *, asked_unit: str = "s") -> TimeInterval:
    """From "3.5 to 4.5 s", "[3.5, 4.5]", "from 3 s until 0.1 min". A unit at the end is both's."""
    match = re.fullmatch(
        rf"\[?\s*(?:(?:from|between)\s+)?({_TIME})\s*([a-z]+)?\s*(?:,|-|–|to|until|and)"
        rf"\s*({_TIME})\s*([a-z]+)?\s*\]?\s*([a-z]+)?\.?",
        text,
        re.IGNORECASE,
    )
    if match is None:
        raise _refusal("time interval", text, 'two times, as in "3.5 to 4.5 s"')
    last = match[4] or match[5] or asked_unit
    start = parse_number(f"{match[1]} {match[2] or last}", asked_unit="s")
    end = parse_number(f"{match[3]} {last}", asked_unit="s")
    if end.value <= start.value:
        raise _refusal("time interval", text, "an end after its start")
    return TimeInterval(start.value, end.value)


def parse_text(text: str) -> Text:
    if not text:
        raise _refusal("text", text, "at least one character")
    return Text(text)


_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MAGNITUDE = (  # groups of three behind commas, or none: "1,5" could be 1.5 and is refused
    r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9,])(?:\.[0-9]+)?|[0-9]+(?![0-9,]*,[0-9])(?:\.[0-9]+)?|\.[0-9]+)"
    r"(?:[eE][+-]?[0-9]+)?"
)
_TIME = r"[0-9]*\.?[0-9]+"  # no comma: it stands between the two


def _key(text: str) -> str:
    """The form in which two texts of the same option are equal."""
    return " ".join(text.split()).rstrip(".").casefold()


def _refusal(what: str, text: str, expected: str) -> BadAnswer:
    shown = text if len(text) <= 80 else text[:77] + "..."
    return BadAnswer(f"{what}: found {shown!r}, expected {expected}")
