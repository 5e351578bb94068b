"""How a thing's distance from a viewer changes, step by step (DSR Suite)."""

from massannot.questions.ask.procedures import changes_of

LEAST = 0.12
"""As a share of the mean distance."""

FAMILIES = changes_of(
    "distance",
    "dsr_distance",
    "how does the distance to {0} change?",
    least=LEAST,
    say={"up": "It gets farther away.", "down": "It comes closer."},
)
