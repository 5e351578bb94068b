"""From when to when a thing moves towards an hour of the clock (STKit)."""

from __future__ import annotations

from collections.abc import Iterator

from massannot.questions.ask.family import AskedFamily, Proposal, Sight
from massannot.questions.ask.program import When

STEP_S = 0.3


def _propose(sight: Sight) -> Iterator[Proposal]:
    n = sight.frames_in(STEP_S)
    if sight.last < 3 * n:
        return
    for thing in sight.movers:
        for hour in range(1, 13):
            text = (
                "Seen from above, with 12 o'clock being the direction in which {0} moves at first: "
                f"from when to when does it move in the direction of {hour} o'clock"
                f"{sight.frame_words}?"
            )
            program = When(thing.entity, hour, n, sight.reference)
            yield Proposal(text, (thing.entity,), program)


FAMILIES = (
    AskedFamily("direction_timestamp", "Temporal Dynamics", "interval", _propose, unit="s"),
)
