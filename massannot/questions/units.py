"""Units of answers, and their factors to the base unit of each dimension.

Symbols are read in their exact case (Mm is not mm), words in any. An unknown unit is refused by
name: a guess would turn a right answer into a wrong one, silently.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import pi
from typing import Literal

from massannot.errors import BadQuestion

Dimension = Literal["length", "area", "time", "speed", "acceleration", "angle", "share", "pixels"]
BASES: dict[Dimension, str] = {
    "length": "m",
    "area": "m^2",
    "time": "s",
    "speed": "m/s",
    "acceleration": "m/s^2",
    "angle": "deg",
    "share": "",
    "pixels": "px",
}
"""The base unit of each dimension."""


class BadAnswer(BadQuestion):
    """An answer's text that is no answer of its question's kind."""

    reason = "bad_answer"


class UnknownUnit(BadAnswer):
    reason = "unknown_unit"


@dataclass(frozen=True)
class Unit:
    """One unit: `times` / `per` of its dimension's base unit, see BASES."""

    symbol: str
    dimension: Dimension
    times: float = 1.0
    per: float = 1.0  # apart from `times`: 75 / 100 is exact to the last bit, 75 * 0.01 need not be

    def to_base(self, value: float) -> float:
        return value * self.times / self.per

    def from_base(self, value: float) -> float:
        return value * self.per / self.times


def unit(name: str) -> Unit:
    """The unit of that symbol or word. Raises UnknownUnit."""
    match = _known(name)
    if match is None:
        raise UnknownUnit(
            f"unit: found {name.strip()[:40]!r}, expected one of {', '.join(_SYMBOLS)}"
        )
    return match


_UNITS = (
    Unit("m", "length"),
    Unit("cm", "length", per=100),
    Unit("mm", "length", per=1000),
    Unit("km", "length", times=1000),
    Unit("ft", "length", times=0.3048),
    Unit("inch", "length", times=0.0254),
    Unit("mile", "length", times=1609.344),
    Unit("m^2", "area"),
    Unit("cm^2", "area", per=10_000),
    Unit("ft^2", "area", times=0.09290304),
    Unit("s", "time"),
    Unit("ms", "time", per=1000),
    Unit("min", "time", times=60),
    Unit("h", "time", times=3600),
    Unit("m/s", "speed"),
    Unit("cm/s", "speed", per=100),
    Unit("km/h", "speed", per=3.6),
    Unit("mph", "speed", times=0.44704),
    Unit("ft/s", "speed", times=0.3048),
    Unit("m/s^2", "acceleration"),
    Unit("deg", "angle"),
    Unit("rad", "angle", times=180, per=pi),
    Unit("%", "share", per=100),
    Unit("px", "pixels"),
)
_SYMBOLS = {item.symbol: item for item in _UNITS}
_SYMBOLS |= {"m/s²": _SYMBOLS["m/s^2"], "°": _SYMBOLS["deg"], "m²": _SYMBOLS["m^2"]}
_SYMBOLS |= {"cm²": _SYMBOLS["cm^2"], "m2": _SYMBOLS["m^2"], "m/s2": _SYMBOLS["m/s^2"]}
_OTHER_WORDS = {
    "m": "metre metres meter meters",
    "cm": "centimetre centimetres centimeter centimeters",
    "mm": "millimetre millimetres millimeter millimeters",
    "km": "kilometre kilometres kilometer kilometers",
    "ft": "foot feet",
    "inch": "inches",
    "mile": "miles",
    "m^2": "sqm",
    "s": "second seconds sec secs",
    "ms": "millisecond milliseconds msec",
    "min": "minute minutes min mins",
    "h": "hour hours",
    "m/s": "m/sec m/second mps",
    "cm/s": "cm/sec",
    "ft/s": "ft/sec",
    "km/h": "kmh kph kmph km/hr km/hour",
    "m/s^2": "m/sec^2",
    "deg": "degree degrees deg",
    "rad": "radian radians rad",
    "%": "percent",
    "px": "pixel pixels",
}
_WORDS = {word: _SYMBOLS[to] for to, words in _OTHER_WORDS.items() for word in words.split()}
for _long, _short in (("metre", "m"), ("meter", "m"), ("centimetre", "cm"), ("centimeter", "cm")):
    _WORDS |= {f"square {_long}{end}": _SYMBOLS[f"{_short}^2"] for end in ("", "s")}
    _WORDS |= {f"{_long}{end} per second": _SYMBOLS[f"{_short}/s"] for end in ("", "s")}
_WORDS |= {
    "kilometres per hour": _SYMBOLS["km/h"],
    "kilometers per hour": _SYMBOLS["km/h"],
    "km per hour": _SYMBOLS["km/h"],
    "m per second": _SYMBOLS["m/s"],
    "miles per hour": _SYMBOLS["mph"],
    "feet per second": _SYMBOLS["ft/s"],
    "square feet": _SYMBOLS["ft^2"],
    "metres per second squared": _SYMBOLS["m/s^2"],
    "meters per second squared": _SYMBOLS["m/s^2"],
}


def unit_named_in(question: str) -> Unit | None:
    """The unit that a question asks for: "(in meters)", "measured in cm", "how many seconds".

    None where it names none, or two. "How many feet" may ask about legs and names none.
    """
    found = {_known(match[1] or match[2]) for match in _NAMED.finditer(question)} - {None}
    return found.pop() if len(found) == 1 else None


def _known(name: str) -> Unit | None:
    bare = " ".join(name.split())
    return _SYMBOLS.get(bare) or _WORDS.get(bare.casefold())


_LONGEST_FIRST = sorted({*_WORDS, *(s for s in _SYMBOLS if len(s) > 1)}, key=len, reverse=True)
_NAMES = "|".join(re.escape(name) for name in _LONGEST_FIRST)
_NAMED = re.compile(
    rf"\b(?:in|units?)(?:\s+of)?[:\s]\s*({_NAMES}|m|s)(?![\w/^²])"
    rf"|\bhow\s+many\s+(?!f(?:ee|oo)t)({_NAMES})(?![\w/^²])",
    re.IGNORECASE,
)
