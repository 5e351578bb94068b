"""When a thing first does something (physics)."""

from __future__ import annotations

from collections.abc import Iterator

from massannot.questions.ask.family import AskedFamily, Proposal, Sight
from massannot.questions.ask.program import EventTime

DEEDS = (
    ("land on something", ("landing",)),
    ("leave the picture", ("leave",)),
    ("come to rest", ("stop",)),
    ("begin to move", ("start",)),
    ("reach its highest point", ("apex",)),
    ("disappear behind something", ("occlude",)),
)
EARLIEST_S = 0.3
"""Nobody sees before that what was before."""
WITHIN_S = 0.2


def _propose(sight: Sight) -> Iterator[Proposal]:
    for thing in sight.things:
        for words, kinds in DEEDS:
            if sight.has(kinds, thing.entity):
                text = f"How many seconds after the start does {{0}} first {words}?"
                yield Proposal(text, (thing.entity,), EventTime(kinds, thing.entity))


FAMILIES = (
    AskedFamily(
        "event_time",
        "Temporal Dynamics",
        "number",
        _propose,
        unit="s",
        tolerance_abs=WITHIN_S,
        thresholds={"earliest": EARLIEST_S, "within": WITHIN_S},
    ),
)
