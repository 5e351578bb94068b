"""Which of two things travels farther (STKit)."""

from __future__ import annotations

from collections.abc import Iterator

from massannot.questions.ask.family import RATIO, AskedFamily, Proposal, Sight
from massannot.questions.ask.program import Compare, Displacement, Path


def _propose(sight: Sight) -> Iterator[Proposal]:
    for one, other in sight.pairs(sight.whole):
        if not (one.moves or other.moves):
            continue
        both = (one.entity, other.entity)
        way, net = (
            Compare(make(both[0], sight.reference), make(both[1], sight.reference))
            for make in (Path, Displacement)
        )
        text = f"Which moves farther{sight.frame_words}, {{0}} or {{1}}?"
        yield Proposal(text, both, way, agree=(net,))


FAMILIES = (
    AskedFamily(
        "distance_comparison",
        "Motion",
        "multiple_choice",
        _propose,
        choices=("first", "second"),
        say={"first": "{0}", "second": "{1}"},
        thresholds={"ratio": RATIO},
    ),
)
