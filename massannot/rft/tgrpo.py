"""The reward arithmetic of T-GRPO (Video-R1, arXiv 2503.21776), as pure functions of lists.

A group is the completions of one prompt: G with its frames in order, and G/2 with them shuffled.
Right answers in the ordered group earn a bonus if order did not hurt.

Two things are unusual, and tested. Dividing by the group's own deviation takes the bonus out
again: with accuracies of 0 and 1 and a constant format the advantages are those without it,
exactly. The default scaling is therefore "batch", where the bonus makes groups that pass the gate
weigh more than those that do not; it has no effect in a batch of one group, or in one where all
pass. And the shuffle is never the identity, which a plain random permutation may be.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from massannot.rft.rewards import LENGTH_BONUS, LENGTH_TOKENS, RIGHT_ABOVE

Scaling = Literal["group", "batch", "none"]


@dataclass(frozen=True, kw_only=True)
class TGRPOOptions:
    """The defaults are Video-R1's, but for the scaling."""

    alpha: float = 0.3
    """The bonus of a right answer in order."""
    mu: float = 0.8
    """Order passes the gate with this share of the shuffled group's accuracy."""
    right_above: float = RIGHT_ABOVE
    """An accuracy above this is right."""
    length_bonus: float = LENGTH_BONUS
    length_tokens: tuple[int, int] = LENGTH_TOKENS
    scaling: Scaling = "batch"
    epsilon: float = 1e-4
    """Added to the deviation, as TRL and Video-R1 do."""


DEFAULTS = TGRPOOptions()


@dataclass(frozen=True, kw_only=True)
class Group:
    """One prompt's completions."""

    ordered: Sequence[float]
    """(G) accuracies with the frames in order."""
    shuffled: Sequence[float] = ()
    """(G/2) accuracies with the frames shuffled; empty: there was no order to shuffle."""
    formats: Sequence[float] = ()
    """(G) format rewards of the ordered ones; empty: not rewarded."""
    n_tokens: Sequence[int] = ()
    """(G) lengths of the ordered ones; empty: not rewarded."""

    def __post_init__(self) -> None:
        if not self.ordered:
            raise ValueError("group: found no ordered completions, expected at least one")
        for name in ("formats", "n_tokens"):
            n = len(getattr(self, name))
            if n not in (0, len(self.ordered)):
                raise ValueError(
                    f"group: found {n} {name}, expected {len(self.ordered)}, as many as ordered"
                )
        for name in ("ordered", "shuffled", "formats"):
            if not all(math.isfinite(value) for value in getattr(self, name)):
                raise ValueError(f"group: found {name} {getattr(self, name)}, expected finite ones")


@dataclass(frozen=True)
class Rewards:
    """The parts of each ordered completion's reward, (G) each; the trainer logs them."""

    accuracy: tuple[float, ...]
    formats: tuple[float, ...]
    temporal: tuple[float, ...]
    length: tuple[float, ...]
    gate: bool | None
    """None: one frame, nothing to compare."""

    @property
    def total(self) -> tuple[float, ...]:
        parts = (self.accuracy, self.formats, self.temporal, self.length)
        return tuple(sum(earned) for earned in zip(*parts, strict=True))


def rewards(group: Group, *, options: TGRPOOptions = DEFAULTS) -> Rewards:
    """The parts of every ordered completion's reward."""
    return Rewards(
        accuracy=tuple(group.ordered),
        formats=tuple(group.formats or _nothing(group)),
        temporal=tuple(temporal_bonus(group, options=options)),
        length=tuple(length_bonus(group, options=options)),
        gate=gate(group, options=options),
    )


def gate(group: Group, *, options: TGRPOOptions = DEFAULTS) -> bool | None:
    """mean(ordered) >= mu * mean(shuffled); None where nothing was shuffled.

    True also where both are 0, but then no completion is right.
    """
    if not group.shuffled:
        return None
    return _mean(group.ordered) >= options.mu * _mean(group.shuffled)


def temporal_bonus(group: Group, *, options: TGRPOOptions = DEFAULTS) -> list[float]:
    """alpha for each right one, if the gate is passed."""
    passed = gate(group, options=options)
    return [options.alpha if passed and right else 0.0 for right in _right(group, options=options)]


def length_bonus(group: Group, *, options: TGRPOOptions = DEFAULTS) -> list[float]:
    """A bonus for each right one of the wanted length, if more than one is right."""
    right = _right(group, options=options)
    if not group.n_tokens or sum(right) < 2:
        return _nothing(group)
    least, most = options.length_tokens
    return [
        options.length_bonus if is_right and least <= n <= most else 0.0
        for is_right, n in zip(right, group.n_tokens, strict=True)
    ]


def advantages(
    rewards_of_groups: Sequence[Sequence[float]],
    *,
    scaling: Scaling = DEFAULTS.scaling,
    epsilon: float = DEFAULTS.epsilon,
) -> list[list[float]]:
    """(groups, G): each reward minus its group's mean, divided by a deviation.

    `scaling`: "group", the group's own; "batch", that of all rewards; "none", by nothing. The
    deviation is that of a sample (n - 1) plus `epsilon`, 0 for a single reward, as in TRL.
    Raises ValueError for an unknown scaling or an empty group.
    """
    if scaling not in get_args(Scaling):
        raise ValueError(f"scaling: found {scaling!r}, expected group, batch or none")
    if not all(rewards_of_groups):
        raise ValueError("advantages: found a group without rewards, expected at least one in each")
    of_batch = _deviation([reward for group in rewards_of_groups for reward in group])
    of_groups = []
    for group in rewards_of_groups:
        by = 1.0
        if scaling != "none":
            by = (_deviation(group) if scaling == "group" else of_batch) + epsilon
            by = by or 1.0  # all rewards equal and no epsilon: every difference is 0 as it is
        mean = _mean(group)
        of_groups.append([(reward - mean) / by for reward in group])
    return of_groups


def shuffled_order(n_frames: int, *, seed: int | str) -> tuple[int, ...] | None:
    """The frame at each position; never the identity. None for fewer than two frames: skip it.

    Every other order is equally likely. A `seed` such as f"{run_seed}/{step}/{question_id}" gives a
    group the same order on every rank and after a resume.
    """
    if n_frames < 2:
        return None
    in_order = list(range(n_frames))
    order = list(in_order)
    chance = random.Random(seed)
    while order == in_order:  # drawn again, not patched, so that no order is likelier
        chance.shuffle(order)
    return tuple(order)


def shuffled_size(n_ordered: int) -> int:
    """The number of shuffled completions for G ordered ones: G // 2, at least 1."""
    return max(1, n_ordered // 2)


def _right(group: Group, *, options: TGRPOOptions) -> list[bool]:
    return [accuracy > options.right_above for accuracy in group.ordered]


def _nothing(group: Group) -> list[float]:
    return [0.0] * len(group.ordered)


def _mean(values: Sequence[float]) -> float:
    if min(values) == max(values):
        return values[0]  # the quotient may miss it by the last bit, and 0 / 0 become 1
    return math.fsum(values) / len(values)


def _deviation(values: Sequence[float]) -> float:
    if len(values) < 2:
        return 0.0
    mean = _mean(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
