"""Which way a thing moves at the end, as an hour of a clock on which it began at 12 (STKit)."""

from __future__ import annotations

from collections.abc import Iterator

from massannot.questions.ask.family import AskedFamily, Proposal, Sight
from massannot.questions.ask.program import DirectionClock

STEP_S = 0.5


def _propose(sight: Sight) -> Iterator[Proposal]:
    n = sight.frames_in(STEP_S)
    if sight.last < 2 * n:
        return
    for thing in sight.movers:
        program = DirectionClock(
            thing.entity, (0, n), (sight.last - n, sight.last), sight.reference
        )
        text = (
            "Seen from above, with 12 o'clock being the direction in which {0} moves in the first "
            f"{STEP_S} s: in which direction does it move in the last {STEP_S} s"
            f"{sight.frame_words}?"
        )
        yield Proposal(text, (thing.entity,), program)


FAMILIES = (AskedFamily("movement_direction", "Spatial Dynamics", "clock", _propose),)
