"""How a thing's speed changes for a viewer, step by step (DSR Suite)."""

from massannot.questions.ask.procedures import changes_of

LEAST = 0.5
"""As a share of the mean speed."""

FAMILIES = changes_of(
    "speed",
    "dsr_speed",
    "how does the speed of {0} change?",
    least=LEAST,
    say={"up": "It speeds up.", "down": "It slows down."},
)
