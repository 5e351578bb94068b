"""To which side a thing moves for a viewer, step by step (DSR Suite)."""

from __future__ import annotations

from collections.abc import Iterator

from massannot.questions.ask.family import AskedFamily, Proposal, Sight
from massannot.questions.ask.procedures import ORBIT, VIEWPOINTS, numbered, viewed
from massannot.questions.ask.program import StateSequence, Viewpoint

LEAST = 10.0
"""In degrees."""
SAY = numbered(
    {
        "up": "It moves clockwise around the viewer (to the right in front of it).",
        "down": "It moves anticlockwise around the viewer (to the left in front of it).",
    }
)


def _propose(sight: Sight, viewpoint: Viewpoint) -> Iterator[Proposal]:
    for thing, viewer, words, things in viewed(sight, viewpoint):
        program = StateSequence("bearing", thing, viewer, viewpoint, 0, sight.last, LEAST)
        text = f"{words}, seen from above, which way round does {{0}} go?"
        yield Proposal(text, things, program)


FAMILIES = tuple(
    AskedFamily(
        f"dsr_direction_{viewpoint}",
        "Spatial Dynamics",
        "multiple_choice",
        lambda sight, viewpoint=viewpoint: _propose(sight, viewpoint),  # type: ignore[misc]
        choices=ORBIT,
        say=SAY,
        thresholds={"least": LEAST},
    )
    for viewpoint in VIEWPOINTS
)
