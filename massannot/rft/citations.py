"""Evidence that a completion cites: times and boxes, in the notations of two families.

Open-o3 Video (arXiv 2510.20579): `<obj>ball</obj><box>[12,30,40,60]</box>at<t>3.2</t>s`, or a bare
`<t>3.2</t>`. Qwen: `{"bbox_2d": [12, 30, 40, 60], "label": "ball"}`, with a "time" in films. Boxes
are in the coordinates that the prompt speaks of.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from massannot.questions.expected_answer import Box


@dataclass(frozen=True)
class Citation:
    """A time, a box, or both."""

    t_s: float | None = None
    """None: Qwen's JSON gave a box alone."""
    box: Box | None = None


def citations(text: str) -> list[Citation]:
    """All that is cited, in order.

    A box in tags without a time, and any box turned inside out, is no evidence and is left out.
    """
    items = [*_tagged(text), *_json(text)]
    return [item for _, item in sorted(items, key=lambda pair: pair[0])]


def _tagged(text: str) -> Iterator[tuple[int, Citation]]:
    for match in _CITATION.finditer(_OBJECT_AND_TIME.sub(lambda m: " " * len(m[0]), text)):
        box = None
        if match["box"]:
            box = _box([float(value) for value in match["box"].split(",")])
        yield match.start(), Citation(float(match["t"]), box)


def _json(text: str) -> Iterator[tuple[int, Citation]]:
    for match in _OBJECT_AND_TIME.finditer(text):
        try:
            given = json.loads(match["object"])
        except ValueError:
            continue
        corners = given.get("bbox_2d")
        if not (isinstance(corners, list) and len(corners) == 4):
            continue
        if not all(type(corner) in (int, float) for corner in corners):
            continue
        time = float(match["t"]) if match["t"] else _time(given)
        box = _box([float(corner) for corner in corners])
        if box is not None:
            yield match.start(), Citation(time, box)


def _box(corners: list[float]) -> Box | None:
    x0, y0, x1, y1 = corners
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _time(given: dict[str, Any]) -> float | None:
    """Seconds, from 3.2, "3.2", "3.2 s" or "00:03.2"."""
    for name in ("time", "t", "t_s", "timestamp"):
        match = re.fullmatch(r"(?:(\d+):)?(\d+(?:\.\d+)?)\s*s?", str(given.get(name, "")).strip())
        if match:
            return 60 * float(match[1] or 0) + float(match[2])
    return None


_NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"
_TIME = rf"<t>\s*(?P<t>{_NUMBER})\s*s?\s*</t>"
_CITATION = re.compile(
    rf"(?:<box>\s*\[(?P<box>\s*{_NUMBER}\s*(?:,\s*{_NUMBER}\s*){{3}})\]\s*</box>\s*(?:at)?\s*)?"
    rf"{_TIME}"
)
_OBJECT_AND_TIME = re.compile(
    rf'(?P<object>\{{[^{{}}]*"bbox_2d"[^{{}}]*\}})(?:\s*(?:at)?\s*{_TIME})?'
)


def box_iou(a: Box, b: Box) -> float:
    """Intersection over union of two half-open boxes x0 y0 x1 y1."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    return shared / (_area(a) + _area(b) - shared)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
