"""Events of being seen: appear, disappear, occlude, leave, re-enter, and vanish.

A thing without a mask that is neither behind something nor outside of the picture (presence.py)
has vanished, if its mask was whole until the end: what goes behind something or out of the picture
grows smaller first, and so does what a propagator slowly loses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from massannot.geometry.presence import HIDDEN, LEFT, LOST, SEEN, MaskPath, States

F64 = NDArray[np.float64]

_RULES = {HIDDEN: "covered", LEFT: "border", LOST: "no_cause", SEEN: "mask"}
_BEFORE = 5
"""Frames among which a whole mask is looked for."""
_WHOLE = 0.55
"""Share of its usual area that the last mask of something that vanishes has."""
_WHOLE_WIDTH = 0.12
_LONG = 3
"""Frames without a mask that a propagator may lose a thing for."""
_LEAST_PX = 40
"""Area of a mask below which nothing vanishes: it may be lost."""


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
        if now == LOST and before == SEEN:
            score = _vanishes(path, states, frame)
            if score >= 0.5:
                yield SightEvent("vanish", frame, "no_cause", score)


def _vanishes(path: MaskPath, states: States, frame: int) -> float:
    """How far the last mask was a whole one."""
    until = frame + int(np.argmax(np.r_[states[frame:] != LOST, True]))
    recent = path.area[max(0, frame - _BEFORE) : frame]
    recent = recent[recent > 0]
    if until - frame < _LONG or len(recent) < 2 or recent.max() < _LEAST_PX:
        return 0.0
    share = float(path.area[frame - 1] / np.median(recent))
    return float(1 / (1 + np.exp(-(share - _WHOLE) / _WHOLE_WIDTH)))
