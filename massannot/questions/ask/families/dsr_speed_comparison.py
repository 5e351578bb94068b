"""Which of two things is faster for a viewer, step by step (DSR Suite)."""

from __future__ import annotations

from collections.abc import Iterator

from massannot.questions.ask.family import RATIO, Proposal, Sight
from massannot.questions.ask.procedures import camera_words, for_viewpoints
from massannot.questions.ask.program import CAMERA, Faster, Viewpoint

CHOICES = (("first",), ("second",), ("first", "second"), ("second", "first"))
SAY = {"first": "{0} is faster.", "second": "{1} is faster."}


def _propose(sight: Sight, viewpoint: Viewpoint) -> Iterator[Proposal]:
    if sight.reference == "camera" and viewpoint == "absolute":
        return
    for one, other in sight.pairs(sight.movers):
        both = (one.entity, other.entity)
        program = Faster(*both, CAMERA, viewpoint, 0, sight.last, RATIO)
        text = f"{camera_words(viewpoint)}, which is faster as time goes on, {{0}} or {{1}}?"
        yield Proposal(text, both, program)


FAMILIES = for_viewpoints(
    "dsr_speed_comparison", _propose, choices=CHOICES, say=SAY, thresholds={"ratio": RATIO}
)
