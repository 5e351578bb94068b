"""Answers as a person reads them, for scoring models that keep to no form.

"**B**", "The answer is B.", "about 1.41 m/s", "\\boxed{10/3}", "ten" and "in the 10 o'clock
direction" are answers; so is a completion without <answer> tags. What a person would not take for
one answer is refused as by the strict reader: two options, a range, "yes and no", a bound ("less
than 3 m"). Reinforcement uses the strict reader of `answers`: a policy learns what is paid.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isclose, isfinite
from typing import TypeVar

from massannot.counts import counted
from massannot.questions.answers import (
    Answer,
    Choice,
    Clock,
    Kind,
    Number,
    TimeInterval,
    YesNo,
    bare_options,
    parse,
)
from massannot.questions.number_words import PATTERN as WORDS
from massannot.questions.number_words import number_of
from massannot.questions.units import BadAnswer, Unit, UnknownUnit, unit


def read_leniently(
    text: str, *, kind: Kind, options: Sequence[str] = (), asked_unit: str | None = None
) -> Answer:
    """The typed value of a completion's answer. Raises BadAnswer where a person would see none, or
    more than one."""
    said = _plain(final_answer(text))
    try:
        return parse(said, kind=kind, options=options, asked_unit=asked_unit)
    except BadAnswer:
        pass
    if kind == "multiple_choice":
        return _choice(said, options)
    if kind == "number":
        return _number(said, asked_unit)
    if kind == "yes_no":
        return _yes_no(said)
    if kind == "clock":
        return _clock(said)
    if kind == "interval":
        return _interval(said)
    raise _refusal(said)


def final_answer(text: str) -> str:
    """The part of a completion that gives the answer: what <answer> tags hold, what is boxed, what
    follows "the answer is", else all of it but its thinking. Raises BadAnswer for several that
    differ."""
    tagged = re.findall(r"<answer>(.*?)(?:</answer>|$)", text, re.DOTALL | re.IGNORECASE)
    if len({" ".join(part.split()) for part in tagged}) > 1:
        raise BadAnswer(f"answer: found {len(tagged)} that differ, expected one")
    if tagged:
        text = tagged[-1]
    elif "</think>" in text:
        text = text.rpartition("</think>")[2]
    elif "<think>" in text:
        raise BadAnswer("answer: found a thought without its end, expected an answer")
    boxed = re.findall(r"\\boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}", text)
    if len({" ".join(part.split()) for part in boxed}) > 1:
        raise BadAnswer(f"answer: found {counted(len(boxed), 'box')} that differ, expected one")
    if boxed:
        return str(boxed[-1]).strip()
    lines = [line for line in text.split("\n") if line.strip()]
    stated = [match[1] for line in lines for match in _STATED.finditer(line)]
    if stated and stated[-1].strip(" *_`$"):
        return str(stated[-1]).strip()
    return text.strip()


_STATED = re.compile(
    r"(?:\b(?:final|correct|right|my)\s+)?\b(?:answer|option|choice)\b[\s*_]*"
    r"(?:(?:would|should|must)\s+be|is|:|=)[\s*_:]*(?!not\b)(.+?)$",
    re.IGNORECASE,
)


def _plain(text: str) -> str:
    """Without Markdown, LaTeX and quotes around it."""
    text = re.sub(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"\1/\2", text)
    text = re.sub(r"\\(?:text|mathrm|mathbf|textbf)\s*\{([^{}]*)\}", r" \1", text)
    text = re.sub(r"\^\s*\{?\\circ\}?", " deg", text)
    text = re.sub(r"\\(?:approx|sim)\b", "about", text)
    text = re.sub(r"\\[,;: ()\[\]]|[*`$]|\\", " ", text).replace("−", "-")
    return " ".join(text.split()).strip(" \"'“”‘’_").removesuffix("!")


def _choice(text: str, options: Sequence[str]) -> Choice:
    bare = bare_options(options)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(bare)]
    stated = re.split(r"\b(?:because|since)\b", text)[0]
    if re.search(
        rf"\b(?:either|neither|both)\b|\bnot\s+(?:option\s+)?\(?[{letters}]\b"
        rf"|\b[{letters}]\)?\s*(?:\bor\b|\band\b|[/&])\s*(?:option\s+)?\(?[{letters}]\b",
        stated,
    ):
        raise _refusal(text)
    first = re.match(rf"\(?([{letters}])(?:\)|\b)(?![’'\w])(.*)", text, re.DOTALL)
    if first and not (first[1] in "AI" and re.match(r"\s+[a-z]", first[2]) and text[0] != "("):
        return _letter_and_rest(letters.index(first[1]), first[2], bare, letters)
    for pattern in (
        rf"\b(?:option|choice|answer|letter)\s+\(?([{letters}])\b",
        rf"\(([{letters}])\)",
        rf"\b(?:it['’]s|is|choose|pick|select|with|say|be)\s+([{letters}])(?=[\s.,;:)]|$)(?!\s+[a-z])",
        rf"(?:^|\s)([{letters.replace('A', '').replace('I', '')}])\.?$",
    ):
        found = set(re.findall(pattern, text, re.IGNORECASE if "option" in pattern else 0))
        if found:
            return Choice(letters.index(_only({letter.upper() for letter in found}, text)))
    if len(text.split()) > _SENTENCE:
        raise _refusal(text)
    if re.search(r"\b(?:not|none)\b|n['’]t\b", text, re.IGNORECASE):
        raise _refusal(text)
    named = _options_named(text, bare)
    if not named:
        key = _words(text)
        named = {n for n, option in enumerate(bare) if key and f" {key} " in f" {_words(option)} "}
    return Choice(_only(named, text))


_SENTENCE = 25
"""Words; an option's words in a longer text may be said of anything."""


def _letter_and_rest(index: int, rest: str, bare: Sequence[str], letters: str) -> Choice:
    """The option of a letter that begins the text, if what follows does not name another."""
    if re.match(rf"\s*(?:or|and|[/&,;|])\s*(?:option\s+)?\(?[{letters}]\b(?!['’])", rest):
        raise _refusal(letters[index] + rest)
    said = re.split(r"\b(?:because|since|as|so|where|not|rather|instead)\b", rest)[0]
    others = _options_named(said, bare)
    if others and index not in others:
        raise _refusal(letters[index] + rest)
    return Choice(index)


def _options_named(text: str, bare: Sequence[str]) -> set[int]:
    """The options whose words stand in the text; "to the left" is not also "left"."""
    left, named = f" {_words(text)} ", set()
    for n in sorted(range(len(bare)), key=lambda n: -len(bare[n])):
        words = f" {_words(bare[n])} "
        if words.strip() and words in left:
            named.add(n)
            left = left.replace(words, "  ")
    return named


def _words(text: str) -> str:
    return " ".join(re.findall(r"[\w'’.]+", text.casefold().replace(".", " ")))


def _number(text: str, asked_unit: str | None) -> Number:
    wanted = unit(asked_unit) if asked_unit else None
    dimension = wanted.dimension if wanted else None
    alone = re.fullmatch(rf"[+-]?{_DIGITS}\s*([a-z]+)\.?", text, re.IGNORECASE)
    if wanted and alone:  # the strict reader would have known the unit
        raise _refusal(text)
    text = re.sub(r"(?:±|\+/-)\s*[\d.]+\s*%?", " ", text)
    text = re.split(r"=|≈|\bi\.e\.", text)[-1]
    if _BOUND.search(text) or _RANGE.search(text):
        raise _refusal(text)
    quantities = [_quantity(match) for match in _QUANTITY.finditer(text)]
    measured = [(v, u) for v, u in quantities if u is not None and u.dimension == dimension]
    values = [u.to_base(v) for v, u in measured if u is not None]
    if not values:  # in the unit asked for; or a measure where the question names no unit
        bare = [v for v, u in quantities if u is None]
        values = [wanted.to_base(v) if wanted else v for v in bare]
    if not values and wanted is None:
        values = [v for v, _ in quantities]
    if not values or not all(isclose(v, values[0], rel_tol=0.02) for v in values):
        raise _refusal(text)
    if not isfinite(values[0]):
        raise _refusal(text)
    return Number(values[0], dimension)


_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+,\d{1,2}(?!\d)|\d*\.?\d+)(?:e[+-]?\d+)?"
_VALUE = rf"(?:(?<![\w.])[+-]?{_DIGITS}(?:\s*/\s*{_DIGITS})?|{WORDS})"
_QUANTITY = re.compile(
    rf"({_VALUE})\s*((?:square\s+)?[a-z°%²]+[\^²2]*(?:\s*/\s*[a-z]+[\^²2]*|\s+per\s+[a-z]+(?:\s+squared)?)?)?",
    re.IGNORECASE,
)
_RANGE = re.compile(
    rf"{_VALUE}\s*(?:[a-z/]+\s*)?(?:-|–|—|~|\bto\b|\bor\b|\band\b)\s*{_VALUE}", re.IGNORECASE
)
_BOUND = re.compile(
    r"\b(?:less|more|fewer|greater|larger|smaller|longer|shorter)\s+than\b|[<>≤≥]"
    r"|\b(?:at\s+(?:least|most)|up\s+to|no\s+more|between|not|under|over)\s+(?:about\s+)?[+-]?[\d.]",
    re.IGNORECASE,
)


def _quantity(match: re.Match[str]) -> tuple[float, Unit | None]:
    """A number with the unit behind it; other words behind it are no unit."""
    written = match[2] or ""
    for name in (written, written.split()[0] if written else ""):
        try:
            return _value(match[1]), unit(name) if name else None
        except UnknownUnit:
            continue
    return _value(match[1]), None


def _value(text: str) -> float:
    words = number_of(text)
    if words is not None:
        return words
    above, _, below = (part.strip() for part in text.partition("/"))
    value = _decimal(above)
    if below:
        divisor = _decimal(below)
        return value / divisor if divisor else float("nan")
    return value


def _decimal(text: str) -> float:
    if re.fullmatch(r"[+-]?\d+,\d{1,2}", text):
        return float(text.replace(",", "."))
    return float(text.replace(",", ""))


def _yes_no(text: str) -> YesNo:
    yes = set(re.findall(r"\b(?:yes|yeah|yep|true)\b", text, re.IGNORECASE))
    no = set(re.findall(r"\b(?:no|nope|false)\b", text, re.IGNORECASE))
    if re.search(
        r"\b(?:maybe|perhaps|unsure|unclear|depends|sometimes)\b|\bnot sure\b", text, re.I
    ):
        raise _refusal(text)
    if bool(yes) != bool(no) and len(text.split()) <= _SENTENCE:
        return YesNo(bool(yes))
    if yes or no:
        raise _refusal(text)
    verb = r"(?:does|do|is|are|did|was|were|will|can|has|have)"
    if re.search(rf"\b{verb}(?:\s+not\b|n['’]t\b)", text, re.IGNORECASE):
        return YesNo(False)
    if re.fullmatch(rf"(?:it|he|she|they|the\s+[\w ]+?)\s+{verb}\.?", text, re.IGNORECASE):
        return YesNo(True)
    raise _refusal(text)


def _clock(text: str) -> Clock:
    if re.search(r"\b(?:half|quarter)\b", text, re.IGNORECASE):
        raise _refusal(text)
    text = re.sub(WORDS, lambda match: f"{number_of(match[0]):g}", text.casefold())
    if re.search(r"\d\s*(?:-|–|—|~|to|or|and)\s*\d|\b(?:between|not)\b|:(?!00)", text):
        raise _refusal(text)
    hours = re.findall(r"(?<![\d.])(\d{1,2})(?:\s*o\s?['’]?\s?clock|:00|[-\s]hour)", text)
    hours = hours or re.findall(r"(?<![\d.])(\d{1,2})(?![\d.]*\d)", text)
    hour = int(_only(set(hours), text))
    if not 1 <= hour <= 12:
        raise _refusal(text)
    return Clock(hour)


def _interval(text: str) -> TimeInterval:
    if re.search(r"\bframes?\b|\b(?:not|or|around|before|after)\b", text, re.IGNORECASE):
        raise _refusal(text)
    times = re.findall(
        r"(?:(\d+):)?(\d*\.?\d+)\s*(min(?:utes?|s)?|m?s(?:ec(?:onds?|s)?)?)?\b", text, re.IGNORECASE
    )
    if len(times) != 2:
        raise _refusal(text)
    last = times[1][2]
    start, end = (
        unit(name or last or "s").to_base(float(value)) + 60 * float(minutes or 0)
        for minutes, value, name in times
    )
    if end <= start:
        raise _refusal(text)
    return TimeInterval(start, end)


def _only(found: set[_T], text: str) -> _T:
    if len(found) != 1:
        raise _refusal(text)
    return next(iter(found))


_T = TypeVar("_T")


def _refusal(text: str) -> BadAnswer:
    shown = text if len(text) <= 80 else text[:77] + "..."
    return BadAnswer(f"answer: found {shown!r}, expected one that a person would accept as one")
