"""When a thing is not seen and why, in words, for the motion profile: from the table `positions`.

    1.20 s to 1.80 s hidden by hoop, from 2.00 s outside of the picture

A stretch lasts from the first frame in which the thing is not seen to the next one in which it is
seen again, or in which the reason is another. Hidden by what has no mask: "hidden".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

_REASONS = {"hidden": "hidden", "left": "outside of the picture", "lost": "not found"}

Absences = Mapping[int, str | None]
"""By frame; None: seen."""


def absences(tables: Mapping[str, pa.Table], names: Mapping[int, str]) -> dict[int, Absences]:
    """By entity: the reason why it is not seen in each frame. `names`: of entities in the text;
    what hides a thing and has none is not named."""
    positions = tables["positions"]
    columns = (positions[name].to_pylist() for name in ("entity", "frame", "state", "occluder"))
    found: dict[int, dict[int, str | None]] = {}
    for entity, frame, state, occluder in zip(*columns, strict=True):
        reason = _REASONS.get(state)
        if occluder in names:
            reason = f"{reason} by {names[occluder]}"
        found.setdefault(entity, {})[frame] = reason
    return {**found}


def absence_line(by_frame: Absences, times_s: Mapping[int, float], *, first: int, end: int) -> str:
    """The line about the frames [first, end), without its name; empty: it is seen throughout, or
    nothing is known of it. `times_s` of all the clip's frames."""
    inside = [frame for frame in range(first, end) if frame in by_frame]
    return ", ".join(_stretches(by_frame, inside, times_s))


def _stretches(
    by_frame: Absences, inside: list[int], times_s: Mapping[int, float]
) -> Iterator[str]:
    for reason, group in groupby(inside, key=lambda frame: by_frame[frame]):
        frames = list(group)
        if reason is None:
            continue
        begins, ends = frames[0] > inside[0], frames[-1] < inside[-1]
        start = f"{times_s[frames[0]]:.2f} s"
        if not begins and not ends:
            yield f"{reason} throughout"
        elif not ends:
            yield f"from {start} {reason}"
        elif not begins:
            yield f"until {times_s[frames[-1] + 1]:.2f} s {reason}"
        else:
            yield f"{start} to {times_s[frames[-1] + 1]:.2f} s {reason}"
