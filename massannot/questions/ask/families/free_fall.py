"""Whether a thing is in free flight at some time (physics)."""

from __future__ import annotations

from collections.abc import Iterator

from massannot.questions.ask.family import AskedFamily, Proposal, Sight
from massannot.questions.ask.program import Happens


def _propose(sight: Sight) -> Iterator[Proposal]:
    if "flight" not in sight.kinds:
        return
    for thing in sight.whole:
        text = "Is {0} in free flight, touching nothing, for a fifth of a second or more?"
        yield Proposal(text, (thing.entity,), Happens(("flight",), thing.entity))


FAMILIES = (AskedFamily("free_fall", "Motion", "yes_no", _propose, choices=("yes", "no")),)
