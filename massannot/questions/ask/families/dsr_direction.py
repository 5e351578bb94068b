"""To which side a thing moves for a viewer, step by step (DSR Suite)."""

from massannot.questions.ask.procedures import changes_of

LEAST = 10.0
"""In degrees."""

FAMILIES = changes_of(
    "bearing",
    "dsr_direction",
    "seen from above, which way round does {0} go?",
    least=LEAST,
    say={
        "up": "It moves clockwise around the viewer (to the right in front of it).",
        "down": "It moves anticlockwise around the viewer (to the left in front of it).",
    },
)
