"""How a thing.s speed changes for a viewer, step by step (DSR Suite)."""

from __future__ import annotations

from collections.abc import Iterator

from massannot.questions.ask.family import AskedFamily, Proposal, Sight
from massannot.questions.ask.procedures import ORBIT, VIEWPOINTS, numbered, viewed
from massannot.questions.ask.program import StateSequence, Viewpoint

LEAST = 0.5
"""As a share of the mean speed."""
SAY = numbered({"up": "It speeds up.", "down": "It slows down."})


def _propose(sight: Sight, viewpoint: Viewpoint) -> Iterator[Proposal]:
    for thing, viewer, words, things in viewed(sight, viewpoint):
        program = StateSequence("speed", thing, viewer, viewpoint, 0, sight.last, LEAST)
        text = f"{words}, how does the speed of {{0}} change?"
        yield Proposal(text, things, program)


FAMILIES = tuple(
    AskedFamily(
        f"dsr_speed_{viewpoint}",
        "Spatial Dynamics",
        "multiple_choice",
        lambda sight, viewpoint=viewpoint: _propose(sight, viewpoint),  # type: ignore[misc]
        choices=ORBIT,
        say=SAY,
        thresholds={"least": LEAST},
    )
    for viewpoint in VIEWPOINTS
)
