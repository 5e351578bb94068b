"""How fast a thing is on average, in metres a second (STKit)."""

from __future__ import annotations

from collections.abc import Iterator

from massannot.questions.ask.family import AskedFamily, Proposal, Sight
from massannot.questions.ask.program import Speed


def _propose(sight: Sight) -> Iterator[Proposal]:
    for thing in sight.movers:
        text = f"What is the average speed of {{0}} along its way{sight.frame_words}?"
        yield Proposal(text, (thing.entity,), Speed(thing.entity, sight.reference))


FAMILIES = (
    AskedFamily("travelling_speed", "Motion", "number", _propose, needs_metres=True, unit="m/s"),
)
