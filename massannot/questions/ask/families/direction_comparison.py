"""Whether two things move in different directions (STKit)."""

from __future__ import annotations

from collections.abc import Iterator

from massannot.questions.ask.family import AskedFamily, Proposal, Sight
from massannot.questions.ask.program import DirectionsDiffer

EDGE_DEG, ROOM_DEG = 60.0, 15.0
"""Directions are different beyond the edge; from so much below it to so much above nobody asks."""


def _propose(sight: Sight) -> Iterator[Proposal]:
    for one, other in sight.pairs(sight.movers):
        both = (one.entity, other.entity)
        program, low, high = (
            DirectionsDiffer(*both, EDGE_DEG + room, sight.reference)
            for room in (0.0, -ROOM_DEG, ROOM_DEG)
        )
        text = (
            "From start to end, do {0} and {1} move in different directions"
            f"{sight.frame_words}?"
        )
        yield Proposal(text, both, program, agree=(low, high))


FAMILIES = (
    AskedFamily(
        "direction_comparison",
        "Spatial Dynamics",
        "yes_no",
        _propose,
        choices=("yes", "no"),
        thresholds={"degrees": EDGE_DEG, "room": ROOM_DEG},
    ),
)
