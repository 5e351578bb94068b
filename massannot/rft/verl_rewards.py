"""verl: `compute_score`, for `custom_reward_function.path` (this file) and `.name`.

`ground_truth` is the solution; the other fields of `expected.Expected` stand in `extra_info` under
their names, with `n_tokens` where the length is rewarded. The result is a mapping: verl trains on
its "score" and logs the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from massannot.questions.expected_answer import ExpectedAnswer
from massannot.rft.rewards import Completion, label, reward


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    *,
    rewards: Sequence[str] = ("accuracy", "format"),
) -> dict[str, float]:
    """The sum of the rewards as "score", and each under its name.

    `rewards` can be set as `custom_reward_function.reward_kwargs.rewards`. `data_source` is verl's
    own and not read: the question's row says how its answer is judged.
    """
    row = {**(extra_info or {}), "solution": ground_truth}
    expected = ExpectedAnswer.from_row(row)
    completion = Completion(solution_str, row.get("n_tokens"))
    parts = {label(name): reward(name)(completion, expected=expected) for name in rewards}
    return {"score": sum(parts.values()), **parts}
