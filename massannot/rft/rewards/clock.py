"""clock: 1 for the right hour, else 0.

Source: STKit-Bench (arXiv 2503.19355), movement direction. `clock_circular` rewards being near.
"""

from __future__ import annotations

from massannot.questions.answers import Clock
from massannot.questions.expected import Expected
from massannot.rft.completion import Completion
from massannot.rft.said import said_and_true


def reward(completion: Completion, *, expected: Expected) -> float:
    said, true = said_and_true(completion, expected=expected, kind=Clock)
    return float(said == true)
