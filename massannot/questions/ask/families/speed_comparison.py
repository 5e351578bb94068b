"""Which of two things is faster on average (STKit)."""

from massannot.questions.ask.comparisons import comparison
from massannot.questions.ask.program import NetSpeed, Speed

FAMILIES = (comparison("speed_comparison", "Which is faster on average", Speed, NetSpeed),)
