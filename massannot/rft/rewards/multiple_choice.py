"""multiple_choice: 1 for the right option, by its letter or its words, else 0.

Source: Video-R1 (arXiv 2503.21776) compares the strings; here "B", "(b)" and the option's words are
the same answer.
"""

from __future__ import annotations

from massannot.questions.answers import Choice
from massannot.questions.expected import Expected
from massannot.rft.completion import Completion
from massannot.rft.said import said_and_true


def reward(completion: Completion, *, expected: Expected) -> float:
    said, true = said_and_true(completion, expected=expected, kind=Choice)
    return float(said == true)
