"""How far a thing travels along its way, in metres (STKit)."""

from __future__ import annotations

from collections.abc import Iterator

from massannot.questions.ask.family import AskedFamily, Proposal, Sight
from massannot.questions.ask.program import Displacement, Path


def _propose(sight: Sight) -> Iterator[Proposal]:
    for thing in sight.movers:
        text = f"How far does {{0}} travel in all, along its way{sight.frame_words}?"
        way, net = (make(thing.entity, sight.reference) for make in (Path, Displacement))
        yield Proposal(text, (thing.entity,), way, agree=(net,))


FAMILIES = (
    AskedFamily("travelled_distance", "Motion", "number", _propose, needs_metres=True, unit="m"),
)
