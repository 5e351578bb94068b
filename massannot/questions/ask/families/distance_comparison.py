"""Which of two things travels farther (STKit)."""

from massannot.questions.ask.comparisons import comparison
from massannot.questions.ask.program import Displacement, Path

FAMILIES = (comparison("distance_comparison", "Which moves farther", Path, Displacement),)
