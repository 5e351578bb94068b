"""Whether a thing in the air moves as gravity has it (MASS: Physical Abnormality Detection)."""

from __future__ import annotations

from collections.abc import Iterator

from massannot.questions.ask.family import AskedFamily, Proposal, Sight
from massannot.questions.ask.program import Gravity


def _propose(sight: Sight) -> Iterator[Proposal]:
    for thing in sight.things:
        if sight.has(("flight",), thing.entity):
            text = "While nothing touches {0}, does it move as gravity on Earth has it?"
            yield Proposal(text, (thing.entity,), Gravity(thing.entity))


FAMILIES = (
    AskedFamily(
        "physical_abnormality",
        "Physical Abnormality Detection",
        "yes_no",
        _propose,
        needs_metres=True,
        choices=("yes", "no"),
        thresholds={"gravity": 9.81},
    ),
)
