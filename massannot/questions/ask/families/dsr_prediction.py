"""What a thing's distance from a viewer will do next, shown only what was before (DSR Suite)."""

from __future__ import annotations

from collections.abc import Iterator

from massannot.questions.ask.family import Proposal, Sight
from massannot.questions.ask.procedures import for_viewpoints, viewed
from massannot.questions.ask.program import StateSequence, Viewpoint

LEAST = 0.1
SHOWN = 0.6
"""Share of the frames."""
CHOICES = (("up",), ("down",))
SAY = {"up": "It gets farther away.", "down": "It comes closer."}


def _propose(sight: Sight, viewpoint: Viewpoint) -> Iterator[Proposal]:
    cut = round(SHOWN * sight.last)
    for thing, viewer, words, things in viewed(sight, viewpoint):
        program = StateSequence("distance", thing, viewer, viewpoint, cut, sight.last, LEAST)
        words = words.replace("{1} is at the start", "{1} is at the last moment shown")
        seconds = sight.t_s[sight.last] - sight.t_s[cut]
        text = f"{words}, what will the distance to {{0}} do in the next {seconds:.1f} s?"
        yield Proposal(text, things, program, until_frame=cut)


FAMILIES = for_viewpoints(
    "dsr_prediction",
    _propose,
    choices=CHOICES,
    say=SAY,
    thresholds={"least": LEAST, "shown": SHOWN},
)
