"""Units of answers, and their factors to the base unit of each dimension.

Symbols are read in their exact case (Mm is not mm), words in any. An unknown unit is refused by
name: a guess would turn a right answer into a wrong one, silently.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Literal

from massannot.errors import BadQuestion

Dimension = Literal["length", "time", "speed", "acceleration", "angle", "share", "pixels"]


class BadAnswer(BadQuestion):
    """An answer's text that is no answer of its question's kind."""

    reason = "bad_answer"


class UnknownUnit(BadAnswer):
    reason = "unknown_unit"


@dataclass(frozen=True)
class Unit:
    """One unit: `times` / `per` of its dimension's base unit (m, s, m/s, m/s^2, deg, 1, px)."""

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
    bare = " ".join(name.split())
    match = _SYMBOLS.get(bare) or _WORDS.get(bare.casefold())
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
    Unit("s", "time"),
    Unit("ms", "time", per=1000),
    Unit("min", "time", times=60),
    Unit("h", "time", times=3600),
    Unit("m/s", "speed"),
    Unit("cm/s", "speed", per=100),
    Unit("km/h", "speed", per=3.6),
    Unit("m/s^2", "acceleration"),
    Unit("deg", "angle"),
    Unit("rad", "angle", times=180, per=pi),
    Unit("%", "share", per=100),
    Unit("px", "pixels"),
)
_SYMBOLS = {item.symbol: item for item in _UNITS}
_SYMBOLS |= {"m/s²": _SYMBOLS["m/s^2"], "°": _SYMBOLS["deg"]}
_OTHER_WORDS = {
    "m": "metre metres meter meters",
    "cm": "centimetre centimetres centimeter centimeters",
    "mm": "millimetre millimetres millimeter millimeters",
    "km": "kilometre kilometres kilometer kilometers",
    "s": "second seconds sec secs",
    "ms": "millisecond milliseconds msec",
    "min": "minute minutes min mins",
    "h": "hour hours",
    "km/h": "kmh kph",
    "deg": "degree degrees deg",
    "rad": "radian radians rad",
    "%": "percent",
    "px": "pixel pixels",
}
_WORDS = {word: _SYMBOLS[to] for to, words in _OTHER_WORDS.items() for word in words.split()}
_WORDS |= {
    "metres per second": _SYMBOLS["m/s"],
    "meters per second": _SYMBOLS["m/s"],
    "kilometres per hour": _SYMBOLS["km/h"],
    "kilometers per hour": _SYMBOLS["km/h"],
}
