"""yes_no: 1 for the right one of yes and no, else 0.

Source: exact match, as for a choice of two.
"""

from __future__ import annotations

from massannot.questions.answers import YesNo
from massannot.questions.expected import Expected
from massannot.rft.completion import Completion
from massannot.rft.said import said_and_true


def reward(completion: Completion, *, expected: Expected) -> float:
    said, true = said_and_true(completion, expected=expected, kind=YesNo)
    return float(said == true)
