"""verl: `compute_score`, for `custom_reward_function.path` (this file) and `.name`.

`ground_truth` is the solution; whatever else `expected.Expected` knows stands in `extra_info` under
the field's name, with `n_tokens` where the length is rewarded. The answer is a mapping: verl trains
on its "score" and logs the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from massannot.questions.expected import Expected
from massannot.rft.completion import Completion
from massannot.rft.rewards import reward


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
    own and is not looked at: the question says how its answer is judged.
    """
    row = {**(extra_info or {}), "solution": ground_truth}
    expected = Expected.from_row(row)
    completion = Completion(solution_str, row.get("n_tokens"))
    parts = {name: reward(name)(completion, expected=expected) for name in rewards}
    return {"score": sum(parts.values()), **parts}
