"""Whether a thing does something: leaves, comes back, bounces, rests, vanishes (physics)."""

from __future__ import annotations

from collections.abc import Iterator

from massannot.questions.ask.family import AskedFamily, Proposal, Sight
from massannot.questions.ask.program import Happens

DEEDS = (
    ("leave the picture", ("leave",)),
    ("come back into the picture", ("re_enter",)),
    ("come to rest", ("stop",)),
    ("bounce", ("rebound",)),
    ("get hidden behind something", ("occlude",)),
    ("touch another of the things", ("contact_begin",)),
    ("vanish without a cause", ("vanish",)),
    ("jump from one place to another", ("teleport",)),
    ("get pushed upwards in the air by nothing", ("upward_acceleration",)),
)


def _propose(sight: Sight) -> Iterator[Proposal]:
    for words, kinds in DEEDS:
        if any(kind in sight.kinds for kind in kinds):  # else nobody looked for it
            for thing in sight.things:
                program = Happens(kinds, thing.entity)
                yield Proposal(f"Does {{0}} {words}?", (thing.entity,), program)


FAMILIES = (AskedFamily("event_happens", "Motion", "yes_no", _propose, choices=("yes", "no")),)
