"""interval_iou: what two time intervals share, of what they span together.

Definition: length of the intersection / length of the union. Source: STKit-Bench (arXiv 2503.19355)
counts a direction's time as right from IoU 0.5 on; the reward is the IoU itself, which says more.
"""

from __future__ import annotations

from massannot.questions.answers import Interval
from massannot.questions.expected import Expected
from massannot.rft.completion import Completion
from massannot.rft.said import said_and_true


def reward(completion: Completion, *, expected: Expected) -> float:
    said, true = said_and_true(completion, expected=expected, kind=Interval)
    if said is None:
        return 0.0
    shared = max(0.0, min(said.end_s, true.end_s) - max(said.start_s, true.start_s))
    return shared / (said.end_s - said.start_s + true.end_s - true.start_s - shared)
