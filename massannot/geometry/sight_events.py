"""Events of being seen: appear, disappear, occlude, leave, re-enter; see also departures.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from massannot.geometry.presence import HIDDEN, LEFT, LOST, SEEN, MaskPath, States

_RULES = {HIDDEN: "covered", LEFT: "border", LOST: "no_cause", SEEN: "mask"}


@dataclass(frozen=True)
class SightEvent:
    """One event; the frame is the first one after it."""

    kind: str
    frame: int
    rule: str
    score: float


def sight_events(path: MaskPath, states: States) -> Iterator[SightEvent]:
    """Of one thing, from its masks and its presence (T,), in order of time."""
    ever, had_left = False, False
    for frame in range(len(states)):
        now = str(states[frame])
        before = str(states[frame - 1]) if frame else now
        ever = ever or before == SEEN
        had_left = before != SEEN and (had_left or before == LEFT)
        if now == before:
            continue
        if now == SEEN:
            sure = float(path.score[frame])
            yield SightEvent("appear", frame, _RULES[before], sure)
            if had_left and ever:
                yield SightEvent("re_enter", frame, "back", sure)
        elif before == SEEN:
            sure = float(path.score[frame - 1])
            yield SightEvent("disappear", frame, _RULES[now], sure)
        if now == HIDDEN and before == SEEN:
            yield SightEvent("occlude", frame, "covered", float(path.score[frame - 1]))
        if now == LEFT and ever:
            yield SightEvent("leave", frame, "border", 1.0)
