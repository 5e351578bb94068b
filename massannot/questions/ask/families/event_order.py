"""Which of two things does something first: hits the floor, leaves, comes to rest (physics)."""

from __future__ import annotations

from collections.abc import Iterator

from massannot.questions.ask.family import AskedFamily, Proposal, Sight
from massannot.questions.ask.program import EventTime, Order

DEEDS = (
    ("lands on something", ("landing",)),
    ("leaves the picture", ("leave",)),
    ("comes to rest", ("stop",)),
    ("begins to move", ("start",)),
    ("reaches its highest point", ("apex",)),
    ("appears", ("appear",)),
)
CHOICES = ((0, 1), (1, 0))


def _propose(sight: Sight) -> Iterator[Proposal]:
    for one, other in sight.pairs(sight.things):
        both = (one.entity, other.entity)
        for words, kinds in DEEDS:
            if all(sight.has(kinds, thing) for thing in both):
                program = Order(tuple(EventTime(kinds, thing) for thing in both))
                yield Proposal(f"Which first {words}, {{0}} or {{1}}?", both, program)


FAMILIES = (
    AskedFamily(
        "event_order",
        "Temporal Dynamics",
        "multiple_choice",
        _propose,
        choices=CHOICES,
        say={(0, 1): "{0}", (1, 0): "{1}"},
    ),
)
