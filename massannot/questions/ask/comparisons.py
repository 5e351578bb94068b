"""Comparisons: which of two things has more of a quantity that has two readings, way and net."""

from __future__ import annotations

from collections.abc import Iterator

from massannot.questions.ask.family import RATIO, AskedFamily, Proposal, Sight
from massannot.questions.ask.program import Compare, Displacement, NetSpeed, Path, Speed


def comparison(
    name: str, words: str, way: type[Path | Speed], net: type[Displacement | NetSpeed]
) -> AskedFamily:
    """The family that asks `words` of two things of which one moves, where both readings agree."""

    def propose(sight: Sight) -> Iterator[Proposal]:
        for one, other in sight.pairs(sight.whole):
            if not (one.moves or other.moves):
                continue
            both = (one.entity, other.entity)
            by_way, by_net = (
                Compare(make(both[0], sight.reference), make(both[1], sight.reference))
                for make in (way, net)
            )
            text = f"{words}{sight.frame_words}, {{0}} or {{1}}?"
            yield Proposal(text, both, by_way, agree=(by_net,))

    return AskedFamily(
        name,
        "Motion",
        "multiple_choice",
        propose,
        choices=("first", "second"),
        say={"first": "{0}", "second": "{1}"},
        thresholds={"ratio": RATIO},
    )
