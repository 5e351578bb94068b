"""What a file says of one video: its objects, with boxes and masks, row by row.

Rows are the file's own frames; recorded_rows.py finds which of them are a clip's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class RecordedObject:
    """One thing. `boxes` (x0 y0 x1 y1) and `counts` (COCO's compressed form) by row, in the file's
    own pixels; a row without either: not seen."""

    category: str
    score: float
    boxes: Mapping[int, Box]
    counts: Mapping[int, str]


@dataclass(frozen=True)
class RecordedVideo:
    """What a file says of one video: its objects, and which frames its rows are."""

    names: tuple[str, ...]
    width: int
    height: int
    n_rows: int
    objects: tuple[RecordedObject, ...]
    pts: Sequence[int] | None = None
    t_s: Sequence[float] | None = None
    fps: float | None = None
    numbers: Sequence[int] | None = None
    """The rows' frame numbers in the video, counted from 0."""


def plain_name(phrase: str) -> str:
    """A phrase or category without case, article and doubled spaces: what is compared."""
    words = phrase.casefold().split()
    return " ".join(words[1:] if len(words) > 1 and words[0] in {"a", "an", "the"} else words)
