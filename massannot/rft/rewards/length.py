"""length: a bonus of 0.2 for a right answer of 320 to 512 tokens, else 0.

Source: Video-R1 (arXiv 2503.21776), `len_control`: right is an accuracy above 0.1. In T-GRPO the
bonus is paid only where more than one of the group is right; that rule needs the group and stands
in `tgrpo.length_bonus`.
"""

from __future__ import annotations

from massannot.errors import UsageError
from massannot.questions.expected import Expected
from massannot.rft import rewards
from massannot.rft.completion import Completion

BONUS = 0.2
TOKENS = (320, 512)
"""First and last length that is rewarded."""
RIGHT_ABOVE = 0.1


def reward(completion: Completion, *, expected: Expected) -> float:
    """Raises UsageError where nobody counted the tokens."""
    if completion.n_tokens is None:
        raise UsageError(
            "reward length: found no number of tokens; the trainer must give completion_ids (TRL) "
            "or extra_info['n_tokens'] (verl), or leave this reward out"
        )
    if not TOKENS[0] <= completion.n_tokens <= TOKENS[1]:
        return 0.0
    right = rewards.reward("accuracy")(completion, expected=expected) > RIGHT_ABOVE
    return BONUS if right else 0.0
