"""Evidence that a completion cites: times, and boxes at times, in Open-o3 Video's notation.

`<obj>red ball</obj><box>[12,30,40,60]</box>at<t>3.2</t>s`, or a bare `<t>3.2</t>`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from massannot.questions.expected import Box


@dataclass(frozen=True)
class Cited:
    t_s: float
    box: Box | None = None


def cited(text: str) -> list[Cited]:
    """Every time cited, in order, with its box where one stands before it.

    A box without a time, or turned inside out, is not evidence and is left out.
    """
    found = []
    for match in _CITED.finditer(text):
        box = None
        if match["box"]:
            x0, y0, x1, y1 = (float(value) for value in match["box"].split(","))
            if x0 < x1 and y0 < y1:
                box = (x0, y0, x1, y1)
        found.append(Cited(float(match["t"]), box))
    return found


_NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"
_CITED = re.compile(
    rf"(?:<box>\s*\[(?P<box>\s*{_NUMBER}\s*(?:,\s*{_NUMBER}\s*){{3}})\]\s*</box>\s*(?:at)?\s*)?"
    rf"<t>\s*(?P<t>{_NUMBER})\s*s?\s*</t>"
)
