"""regression: how near a number is, falling linearly to 0 at an error as large as the truth.

Definition: 1 - min(1, |said - true| / |true|). Source: Video-R1 (arXiv 2503.21776), problem type
"regression". Where the truth is 0, 1 for 0, else 0.
"""

from __future__ import annotations

from massannot.questions.answers import Number
from massannot.questions.expected import Expected
from massannot.rft.completion import Completion
from massannot.rft.said import relative_error, said_and_true


def reward(completion: Completion, *, expected: Expected) -> float:
    said, true = said_and_true(completion, expected=expected, kind=Number)
    return 0.0 if said is None else 1 - min(1.0, relative_error(said, true))
