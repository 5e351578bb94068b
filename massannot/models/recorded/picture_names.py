"""Frame numbers in the names of pictures, and the order that follows from them.

The number is the first part in which the names differ, if it is a number by itself in all of them:
`ball_mp4-0001_jpg.rf.cfcd20.jpg` is picture 1, whatever the hash. Where names differ in letters
first, they say nothing and the file's own order holds. Numbers are counted from 1 where the
smallest is 1, from 0 where it is 0; of a list that begins elsewhere nobody can tell.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from massannot.errors import UsageError

_PARTS = re.compile(r"\d+|\D+")
MOST_DIGITS = 18
"""Of a frame's number; more are part of a hash."""


def numbers_in(names: Sequence[str]) -> list[int] | None:
    """The numbers of pictures in their names; None where the names do not tell.

    Raises UsageError for a number that occurs twice.
    """
    for name in names:
        if not isinstance(name, str):
            raise UsageError(f"found {name!r} for a picture's name, expected a text")
    stems = [PurePosixPath(name.replace("\\", "/")).stem for name in names]
    parts = [_PARTS.findall(stem) for stem in stems]
    if len(names) == 1:
        digits = [part for part in parts[0] if _is_number(part)]
        return [int(digits[-1])] if digits else None
    for position in range(min(map(len, parts), default=0)):
        column = [row[position] for row in parts]
        if len(set(column)) == 1:
            continue
        if not all(map(_is_number, column)):
            return None
        ends = {row[position + 1][:1] if len(row) > position + 1 else "" for row in parts}
        if len(ends) > 1 or any(end.isalpha() for end in ends):
            return None  # digits of a word, a hash for instance
        numbers = [int(part) for part in column]
        first_with: dict[int, str] = {}
        for number, name in zip(numbers, names):
            if number in first_with:
                raise UsageError(
                    f"pictures {first_with[number]!r} and {name!r} are both number {number}; "
                    "expected a number a frame"
                )
            first_with[number] = name
        return numbers
    return None


def _is_number(part: str) -> bool:
    """Of a frame: no superscripts, and no hundred digits."""
    return part.isdecimal() and len(part) <= MOST_DIGITS


def order_of(numbers: Sequence[int] | None, n_pictures: int) -> list[int]:
    """Places of the pictures in the order of their numbers, else the file's own order."""
    if numbers is None:
        return list(range(n_pictures))
    return sorted(range(n_pictures), key=lambda place: numbers[place])


def from_zero(numbers: Sequence[int], *, first_number: int | None, where: str) -> list[int]:
    """The numbers counted from 0. `first_number`: the number of the video's first frame; None: to
    be read off the numbers. Raises UsageError where they do not tell."""
    first = first_number
    if first is None:
        first = min(numbers)
        if first not in (0, 1):
            raise UsageError(
                f"{where}: frame numbers begin with {first}: nobody can tell whether the video's "
                "first frame is 0 or 1; say it with first_number (--set detect.first_number=0, "
                "masks.first_number, depth.first_number), or give pts or t_s"
            )
    return [number - first for number in numbers]
