"""Other words for the questions of our families, for twins that must have the same answer."""

from __future__ import annotations

WORDS = (
    ("How far does {0} travel in all, along its way",
     "Following its way from the start to the end, how long is the way of {0}"),
    ("What is the average speed of {0} along its way",
     "How fast is {0} on average, counting all of the way that it goes"),
    ("What is the average speed, along its way, of the thing that first ",
     "How fast on average, counting all of its way, is that thing which before all others "),
    ("Which moves farther", "Of these two, which one goes the longer way"),
    ("Which is faster on average", "Of these two, which one has the higher average speed"),
    ("From start to end, do {0} and {1} move in different directions",
     "Compare where {0} and {1} end with where they start: are their directions different"),
    ("in which direction does it move in the last",
     "which hour points to where it moves during the last"),
    ("from when to when does it move in the direction of",
     "during which seconds does its motion point to"),
    ("how does the distance to {0} change?", "does {0} come closer or get farther away, in order?"),
    ("how does the speed of {0} change?", "does {0} get faster or slower, in order?"),
    ("which way round does {0} go?", "in which sense does {0} go around the viewer, in order?"),
    ("what will the distance to {0} do in the next",
     "how will {0} go on, nearer or farther, in the coming"),
    ("which is faster as time goes on, {0} or {1}?",
     "in the order of time, which of {0} and {1} has the higher speed?"),
    ("which way does the front of {0} turn", "in which sense, in order, does {0} turn its front"),
    ("How many times does {0}", "Count how often in the video {0} can be seen to"),
    ("How many seconds after the start does {0} first",
     "Counted in seconds from the first frame, when is {0} first seen to"),
    ("Which first ", "Who is the first of the two that "),
    ("which moves farthest", "which of them goes the longest way"),
)  # fmt: skip
"""The beginning or the middle of a question, and what may stand there instead."""


def paraphrase(text: str) -> str | None:
    """The question in other words. None: there are none."""
    for ours, other in WORDS:
        if ours in text:
            return text.replace(ours, other)
    return None
