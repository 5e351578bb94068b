"""How fast a thing is on average, in metres a second (STKit)."""

from __future__ import annotations

from collections.abc import Iterator

from massannot.questions.ask.family import AskedFamily, Proposal, Sight
from massannot.questions.ask.program import NetSpeed, Speed


def _propose(sight: Sight) -> Iterator[Proposal]:
    for thing in sight.movers:
        text = f"What is the average speed of {{0}} along its way{sight.frame_words}?"
        way, net = (make(thing.entity, sight.reference) for make in (Speed, NetSpeed))
        yield Proposal(text, (thing.entity,), way, agree=(net,))


FAMILIES = (
    AskedFamily("travelling_speed", "Motion", "number", _propose, needs_metres=True, unit="m/s"),
)
