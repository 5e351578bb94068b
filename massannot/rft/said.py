"""What a completion answers, typed, next to the truth; None where it does not answer.

A truth of another kind than the reward judges is a mistake in the data, not a wrong answer, and is
refused.
"""

from __future__ import annotations

from typing import TypeVar

from massannot.errors import UsageError
from massannot.questions.answers import Answer, Number
from massannot.questions.expected import Expected
from massannot.questions.units import BadAnswer
from massannot.rft.completion import Completion

T = TypeVar("T", bound=Answer)


def said_and_true(
    completion: Completion, *, expected: Expected, kind: type[T]
) -> tuple[T | None, T]:
    """(said, true). Raises UsageError where the question's answer is not of this kind."""
    true = expected.value
    if not isinstance(true, kind):
        raise UsageError(
            f"reward for {kind.__name__}: found a question of type {expected.problem_type}; "
            "name the reward that fits it, or accuracy, which chooses"
        )
    try:
        said = None if completion.answer is None else expected.read(completion.answer)
    except BadAnswer:
        return None, true
    return (said if isinstance(said, kind) else None), true


def relative_error(said: Number, true: Number) -> float:
    """|said - true| / |true|; where the truth is 0, 0 for 0 and infinity for all else."""
    error = abs(said.value - true.value)
    if true.value == 0:
        return 0.0 if error == 0 else float("inf")
    return error / abs(true.value)
