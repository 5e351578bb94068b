"""How often a thing bounces, or touches another (physics)."""

from __future__ import annotations

from collections.abc import Iterator

from massannot.questions.ask.family import AskedFamily, Proposal, Sight
from massannot.questions.ask.program import Count

DEEDS = (("bounce", ("rebound",)), ("leave the picture", ("leave",)))


def _propose(sight: Sight) -> Iterator[Proposal]:
    for words, kinds in DEEDS:
        if any(kind in sight.kinds for kind in kinds):
            for thing in sight.things:
                program = Count(kinds, thing.entity)
                yield Proposal(f"How many times does {{0}} {words}?", (thing.entity,), program)


FAMILIES = (AskedFamily("event_count", "Counting", "multiple_choice", _propose, choices=(0, 1, 2)),)
