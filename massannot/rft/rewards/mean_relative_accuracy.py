"""mean_relative_accuracy: the share of ten thresholds that a number passes.

Definition: the mean over theta = 0.50, 0.55, ..., 0.95 of [|said - true| / |true| < 1 - theta].
Source: VSI-Bench (arXiv 2412.14171); SpaceVista uses it too. Where the truth is 0, 1 for 0, else 0.
"""

from __future__ import annotations

from massannot.questions.answers import Number
from massannot.questions.expected import Expected
from massannot.rft.completion import Completion
from massannot.rft.said import relative_error, said_and_true

PERCENTS = range(50, 100, 5)


def reward(completion: Completion, *, expected: Expected) -> float:
    said, true = said_and_true(completion, expected=expected, kind=Number)
    if said is None:
        return 0.0
    error_percent = 100 * relative_error(said, true)
    return sum(error_percent < 100 - percent for percent in PERCENTS) / len(PERCENTS)
