"""clock_circular: how near an hour is around the dial: 1 for the right one, 0 for the opposite one.

Definition: 1 - d / 6, d the hours between the two the shorter way round (11 and 1 are 2 apart).
Source: this project; the soft form of STKit-Bench's exact hour (arXiv 2503.19355).
"""

from __future__ import annotations

from massannot.questions.answers import Clock
from massannot.questions.expected import Expected
from massannot.rft.completion import Completion
from massannot.rft.said import said_and_true


def reward(completion: Completion, *, expected: Expected) -> float:
    said, true = said_and_true(completion, expected=expected, kind=Clock)
    if said is None:
        return 0.0
    one_way = (said.hour - true.hour) % 12
    return 1 - min(one_way, 12 - one_way) / 6
