"""How the front of a thing turns for a viewer, step by step (DSR Suite)."""

from __future__ import annotations

from collections.abc import Iterator

from massannot.questions.ask.family import Proposal, Sight
from massannot.questions.ask.procedures import ORBIT, camera_words, for_viewpoints
from massannot.questions.ask.program import Turning, Viewpoint

LEAST = 20.0
"""In degrees."""
SAY = {"up": "It turns clockwise.", "down": "It turns anticlockwise."}


def _propose(sight: Sight, viewpoint: Viewpoint) -> Iterator[Proposal]:
    for thing in sight.whole:
        by = sight.front_by(thing)
        if by is None:
            continue
        program = Turning(thing.entity, by, viewpoint, 0, sight.last, LEAST)
        said = ", taking its front to point where it moves" if by == "motion" else ""
        text = (
            f"{camera_words(viewpoint)}, seen from above, which way does the front of {{0}} "
            f"turn{said}?"
        )
        yield Proposal(text, (thing.entity,), program)


FAMILIES = for_viewpoints(
    "dsr_orientation", _propose, choices=ORBIT, say=SAY, thresholds={"least": LEAST}
)
"""Things without a front are not asked about."""
