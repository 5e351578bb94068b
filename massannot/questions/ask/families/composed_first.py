"""How fast the thing is that does something first: two steps."""

from __future__ import annotations

from collections.abc import Iterator

from massannot.questions.ask.family import AskedFamily, Proposal, Sight
from massannot.questions.ask.program import FirstTo, NetSpeed, Speed

DEEDS = (
    ("lands on something", ("landing",)),
    ("leaves the picture", ("leave",)),
    ("touches another thing", ("contact_begin",)),
    ("comes to rest", ("stop",)),
)


def _propose(sight: Sight) -> Iterator[Proposal]:
    for words, kinds in DEEDS:
        those = [thing for thing in sight.things if sight.has(kinds, thing.entity)]
        if len(those) >= 2 and all(thing.whole and thing.moves for thing in those):
            way, net = (make(FirstTo(kinds), sight.reference) for make in (Speed, NetSpeed))
            text = (
                f"What is the average speed, along its way, of the thing that first {words}"
                f"{sight.frame_words}?"
            )
            yield Proposal(text, (), way, agree=(net,))


FAMILIES = (
    AskedFamily("composed_first", "Reasoning", "number", _propose, needs_metres=True, unit="m/s"),
)
