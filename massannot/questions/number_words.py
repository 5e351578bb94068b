"""English number words, from "zero" to "nine hundred and ninety-nine", with "half" and "dozen"."""

from __future__ import annotations

import re

_WORDS = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen
"""
_ONES = _WORDS.split()
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_VALUES = {word: n for n, word in enumerate(_ONES)}
_VALUES |= {word: 10 * n for n, word in enumerate(_TENS, start=2)}

_SMALL = rf"(?:(?:{'|'.join(_TENS)})(?:[-\s](?:{'|'.join(_ONES[1:10])}))?|{'|'.join(_ONES[::-1])})"
PATTERN = (
    rf"\b(?:(?:a|{'|'.join(_ONES[1:10])})\s+hundred(?:\s+(?:and\s+)?{_SMALL})?"
    rf"|(?:a\s+)?dozen|{_SMALL}\s+and\s+a\s+half|{_SMALL}\s+point\s+{_SMALL}|{_SMALL}|half)\b"
)
"""A number in words, in small letters."""


def number_of(words: str) -> float | None:
    """The number that the words say; None for other words."""
    text = words.strip().rstrip(".").casefold()
    if not re.fullmatch(PATTERN, text):
        return None
    if text.endswith("dozen"):
        return 12.0
    if text == "half":
        return 0.5
    if " point " in text:
        whole, digits = (number_of(part) or 0.0 for part in text.split(" point "))
        return float(f"{whole:.0f}.{digits:.0f}")
    if text.endswith("and a half"):
        return (number_of(text.removesuffix("and a half")) or 0.0) + 0.5
    total = 0
    for word in re.findall(r"[a-z]+", text):
        if word == "hundred":
            total = 100 * max(total, 1)
        else:
            total += _VALUES.get(word, 0)
    return float(total)
