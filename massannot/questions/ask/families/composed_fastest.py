"""Of the things that do something, which is the fastest, or goes farthest: two steps."""

from __future__ import annotations

from collections.abc import Iterator

from massannot.questions.ask.family import AskedFamily, Proposal, Sight
from massannot.questions.ask.program import Having, Most

DEEDS = (
    ("land on something", ("landing",)),
    ("leave the picture", ("leave",)),
    ("touch another thing", ("contact_begin",)),
    ("come to rest", ("stop",)),
)


def _propose(sight: Sight) -> Iterator[Proposal]:
    for words, kinds in DEEDS:
        those = [thing for thing in sight.things if sight.has(kinds, thing.entity)]
        if len(those) < 2 or not all(thing.whole for thing in those):
            continue
        ids = tuple(thing.entity for thing in those)
        fastest, farthest = (
            Most(Having(kinds), by, sight.reference) for by in ("Path", "Displacement")
        )
        text = f"Of the things that {words}, which moves farthest{sight.frame_words}?"
        yield Proposal(text, ids, fastest, choices=ids, agree=(farthest,))


FAMILIES = (AskedFamily("composed_fastest", "Reasoning", "multiple_choice", _propose),)
