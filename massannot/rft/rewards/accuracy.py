"""accuracy: the question's own reward, or its kind's.

Definition: the value of the reward that `expected.accuracy` names; where it names none, the first
that `expected.ACCURACIES` has for the kind of answer. Source: Video-R1 (arXiv 2503.21776) chooses
by `problem_type` in the same way; what each reward is stands in its own file.
"""

from __future__ import annotations

from massannot.questions.expected import ACCURACIES, Expected
from massannot.rft import rewards
from massannot.rft.completion import Completion


def reward(completion: Completion, *, expected: Expected) -> float:
    name = expected.accuracy or ACCURACIES[expected.problem_type][0]
    return rewards.reward(name)(completion, expected=expected)
