"""T-GRPO's rewards and advantages, against a table worked out by hand."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massannot.rft.tgrpo import (
    Group,
    Scaling,
    TGRPOOptions,
    advantages,
    rewards,
    shuffled_order,
    shuffled_size,
)

HALF = (1.0, 1.0, 0.0, 0.0)
NONE = (0.0, 0.0)
ALL = (1.0, 1.0)
SOFT = (0.9, 0.5, 0.1, 0.05)


@dataclass(frozen=True)
class Row:
    """A group, and by hand: its gate, rewards, advantages unscaled and over its own deviation."""

    group: Group
    gate: bool | None
    total: tuple[float, ...]
    unscaled: tuple[float, ...]
    scaled: tuple[float, ...]


def group(
    ordered: tuple[float, ...],
    shuffled: tuple[float, ...],
    formats: tuple[float, ...] = (),
    n_tokens: tuple[int, ...] = (),
) -> Group:
    return Group(ordered=ordered, shuffled=shuffled, formats=formats, n_tokens=n_tokens)


ZEROS = (0.0, 0.0, 0.0, 0.0)
R = math.sqrt(3) / 2  # two of four apart: half the distance over sqrt(4 / 3) of it
BY_HAND = {
    "all wrong": Row(group(ZEROS, NONE), True, ZEROS, ZEROS, ZEROS),
    "all wrong, shuffled right": Row(group(ZEROS, ALL), False, ZEROS, ZEROS, ZEROS),
    "all right": Row(group((1.0,) * 4, ALL), True, (1.3,) * 4, ZEROS, ZEROS),
    "order helps": Row(
        group(HALF, NONE), True, (1.3, 1.3, 0, 0), (0.65, 0.65, -0.65, -0.65), (R, R, -R, -R)
    ),
    "order makes no difference": Row(
        group(HALF, (1.0, 0.0)), True, (1.3, 1.3, 0, 0), (0.65, 0.65, -0.65, -0.65), (R, R, -R, -R)
    ),
    "shuffled better": Row(
        group((1.0, 0.0, 0.0, 0.0), ALL),
        False,
        (1, 0, 0, 0),
        (0.75, -0.25, -0.25, -0.25),
        (1.5, -0.5, -0.5, -0.5),
    ),
    "shuffled better, but within mu": Row(  # 0.75 >= 0.8 * 0.9
        group((1.0, 1.0, 1.0, 0.0), (0.9, 0.9)),
        True,
        (1.3, 1.3, 1.3, 0),
        (0.325, 0.325, 0.325, -0.975),
        (0.5, 0.5, 0.5, -1.5),
    ),
    "one frame": Row(group(HALF, ()), None, (1, 1, 0, 0), (0.5, 0.5, -0.5, -0.5), (R, R, -R, -R)),
    "soft accuracy": Row(  # 0.1 is not above 0.1
        group(SOFT, (0.2, 0.2)),
        True,
        (1.2, 0.8, 0.1, 0.05),
        (0.6625, 0.2625, -0.4375, -0.4875),
        (1.18551, 0.46973, -0.78288, -0.87236),
    ),
    "soft accuracy, shuffled better": Row(  # 0.3875 < 0.8 * 0.6
        group(SOFT, (0.6, 0.6)),
        False,
        SOFT,
        (0.5125, 0.1125, -0.2875, -0.3375),
        (1.29223, 0.28366, -0.72491, -0.85098),
    ),
    "mixed format": Row(
        group(HALF, NONE, (1.0, 0.0, 1.0, 0.0)),
        True,
        (2.3, 1.3, 1, 0),
        (1.15, 0.15, -0.15, -1.15),
        (1.21446, 0.15841, -0.15841, -1.21446),
    ),
    "mixed format, shuffled better": Row(
        group(HALF, ALL, (1.0, 0.0, 1.0, 0.0)),
        False,
        (2, 1, 1, 0),
        (1, 0, 0, -1),
        (1.22474, 0, 0, -1.22474),
    ),
    "mixed format, all wrong": Row(
        group(ZEROS, NONE, HALF), True, (1, 1, 0, 0), (0.5, 0.5, -0.5, -0.5), (R, R, -R, -R)
    ),
    "constant format": Row(
        group(HALF, NONE, (1.0,) * 4),
        True,
        (2.3, 2.3, 1, 1),
        (0.65, 0.65, -0.65, -0.65),
        (R, R, -R, -R),
    ),
    "one of two right ones has the length": Row(
        group(HALF, NONE, (), (400, 600, 400, 100)),
        True,
        (1.5, 1.3, 0, 0),
        (0.8, 0.6, -0.7, -0.7),
        (0.98473, 0.73855, -0.86164, -0.86164),
    ),
    "the only right one has the length": Row(
        group((1.0, 0.0, 0.0, 0.0), NONE, (), (400,) * 4),
        True,
        (1.3, 0, 0, 0),
        (0.975, -0.325, -0.325, -0.325),
        (1.5, -0.5, -0.5, -0.5),
    ),
}
ROWS = pytest.mark.parametrize("row", BY_HAND.values(), ids=BY_HAND.keys())


@ROWS
def test_rewards_are_those_worked_out_by_hand(row: Row) -> None:
    found = rewards(row.group)
    assert found.gate is row.gate
    assert found.total == pytest.approx(row.total)


@ROWS
def test_advantages_are_those_worked_out_by_hand(row: Row) -> None:
    total = rewards(row.group).total
    (unscaled,) = advantages([total], scaling="none")
    (scaled,) = advantages([total], scaling="group", epsilon=0)
    assert unscaled == pytest.approx(row.unscaled)
    assert scaled == pytest.approx(row.scaled, abs=5e-6)


def test_advantages_over_a_batch_are_those_worked_out_by_hand() -> None:
    # mean 0.575, sum of squares 2.735, deviation sqrt(2.735 / 7) = 0.625071
    found = advantages([(1.3, 1.3, 0, 0), (1, 1, 0, 0)], scaling="batch", epsilon=0)
    assert found[0] == pytest.approx((1.03988, 1.03988, -1.03988, -1.03988), abs=5e-6)
    assert found[1] == pytest.approx((0.79991, 0.79991, -0.79991, -0.79991), abs=5e-6)


def test_the_numbers_of_video_r1s_setting() -> None:
    """Eight completions, three right: 1.2074 and -0.7244 with its epsilon of 1e-4."""
    (found,) = advantages([(1.0,) * 3 + (0.0,) * 5], scaling="group", epsilon=1e-4)
    assert found == pytest.approx([1.2074] * 3 + [-0.7244] * 5, abs=5e-5)


def test_the_parts_of_a_reward_are_told_apart() -> None:
    found = rewards(group(HALF, NONE, (1.0, 0.0, 1.0, 0.0), (400, 600, 400, 100)))
    assert found.accuracy == HALF
    assert found.formats == (1.0, 0.0, 1.0, 0.0)
    assert found.temporal == (0.3, 0.3, 0.0, 0.0)
    assert found.length == (0.2, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(("n_tokens", "bonus"), [(319, 0.0), (320, 0.2), (512, 0.2), (513, 0.0)])
def test_the_wanted_length_includes_both_its_ends(n_tokens: int, bonus: float) -> None:
    found = rewards(group((1.0, 1.0), NONE, (), (n_tokens, 1)))
    assert found.length == (bonus, 0.0)


WITHOUT = TGRPOOptions(alpha=0.0)
EXACTLY = st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=12)


@given(EXACTLY, st.sampled_from([0.0, 0.5, 1.0]))
def test_over_the_groups_own_deviation_the_bonus_cancels(
    accuracies: list[float], every_format: float
) -> None:
    """Accuracies of 0 and 1 and a constant format: the bonus stretches the rewards, no more."""
    one = group(tuple(accuracies), NONE, (every_format,) * len(accuracies))
    (with_bonus,) = advantages([rewards(one).total], scaling="group", epsilon=0)
    (without,) = advantages([rewards(one, options=WITHOUT).total], scaling="group", epsilon=0)
    assert with_bonus == pytest.approx(without, abs=1e-9)


ON, OFF = group(HALF, NONE), group(HALF, ALL)  # the same answers; order helps, order hurts


def pulls(groups: list[Group], *, scaling: Scaling, options: TGRPOOptions) -> list[float]:
    """The policy gradient of each group's right answer, for a policy that says it half the time:
    the mean of advantage times d log p / d logit, which is 1 - p for it and -p for the other."""
    found = advantages([rewards(g, options=options).total for g in groups], scaling=scaling)
    return [
        sum(a * (0.5 if right else -0.5) for a, right in zip(each, HALF, strict=True)) / 4
        for each in found
    ]


@pytest.mark.parametrize(("scaling", "ratio"), [("group", 1.0), ("batch", 1.3), ("none", 1.3)])
def test_the_gradient_favours_order_only_where_the_bonus_survives(
    scaling: Scaling, ratio: float
) -> None:
    helped, hurt = pulls([ON, OFF], scaling=scaling, options=TGRPOOptions())
    assert helped / hurt == pytest.approx(ratio, abs=2e-4)
    same, too = pulls([ON, OFF], scaling=scaling, options=WITHOUT)
    assert same == pytest.approx(too)


@pytest.mark.parametrize(
    ("groups", "survives"),
    [([ON, OFF], True), ([ON], False), ([ON, ON], False), ([OFF, OFF], False)],
    ids=["some pass", "one group", "all pass", "none passes"],
)
def test_over_a_batch_the_bonus_needs_groups_that_differ(
    groups: list[Group], survives: bool
) -> None:
    found, plain = (
        pulls(groups, scaling="batch", options=options) for options in (TGRPOOptions(), WITHOUT)
    )
    assert (found != pytest.approx(plain, abs=1e-3)) is survives


@pytest.mark.parametrize(
    "one",
    [group(SOFT, NONE), group(HALF, NONE, (1.0, 0.0, 1.0, 0.0))],
    ids=["soft accuracy", "mixed format"],
)
def test_soft_accuracy_and_mixed_format_keep_some_of_the_bonus(one: Group) -> None:
    (with_bonus,) = advantages([rewards(one).total], scaling="group", epsilon=0)
    (without,) = advantages([rewards(one, options=WITHOUT).total], scaling="group", epsilon=0)
    assert with_bonus != pytest.approx(without, abs=0.01)


GROUPS = st.lists(
    st.lists(st.floats(0, 3, allow_subnormal=False), min_size=1, max_size=8),
    min_size=1,
    max_size=4,
)


@given(GROUPS, st.sampled_from(["group", "batch", "none"]))
def test_the_advantages_of_a_group_add_up_to_nothing(
    groups: list[list[float]], scaling: Scaling
) -> None:
    for each in advantages(groups, scaling=scaling):
        assert sum(each) == pytest.approx(0, abs=1e-6)


@given(GROUPS, st.sampled_from(["group", "batch", "none"]), st.floats(-5, 5))
def test_what_all_of_a_group_earn_makes_no_difference_to_it(
    groups: list[list[float]], scaling: Scaling, more: float
) -> None:
    raised = [[reward + more for reward in each] for each in groups]
    for found, plain in zip(
        advantages(raised, scaling=scaling), advantages(groups, scaling=scaling), strict=True
    ):
        assert found == pytest.approx(plain, abs=1e-6)


@pytest.mark.parametrize("scaling", ["group", "batch", "none"])
@pytest.mark.parametrize("epsilon", [0.0, 1e-4])
def test_equal_rewards_give_exactly_no_advantage(scaling: Scaling, epsilon: float) -> None:
    for size in range(1, 40):
        for value in (0.1, 1.3, 2.3, 1 / 3):
            found = advantages([[value] * size], scaling=scaling, epsilon=epsilon)
            assert found == [[0.0] * size]


def test_a_single_completion_has_no_advantage() -> None:
    assert advantages([[1.0]], scaling="group") == [[0.0]]


@pytest.mark.parametrize(
    ("groups", "scaling", "said"),
    [([[1.0], []], "none", "without rewards"), ([[1.0]], "mean", "expected group, batch or none")],
)
def test_what_has_no_advantages_is_refused(
    groups: list[list[float]], scaling: Scaling, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        advantages(groups, scaling=scaling)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: group((), NONE), "no ordered completions"),
        (lambda: group(HALF, NONE, (1.0,)), "found 1 formats, expected 4"),
        (lambda: group(HALF, NONE, (), (1, 2)), "found 2 n_tokens, expected 4"),
        (lambda: group((1.0, math.nan), NONE), "expected finite"),
        (lambda: group(HALF, (math.inf,)), "expected finite"),
    ],
    ids=["empty", "formats", "tokens", "NaN", "infinite"],
)
def test_a_group_that_does_not_fit_together_is_refused(made: object, said: str) -> None:
    assert callable(made)
    with pytest.raises(ValueError, match=said):
        made()


@given(st.integers(2, 40), st.integers())
def test_a_shuffle_keeps_every_frame_and_is_never_the_identity(n_frames: int, seed: int) -> None:
    order = shuffled_order(n_frames, seed=seed)
    assert order is not None
    assert sorted(order) == list(range(n_frames))
    assert list(order) != list(range(n_frames))


@pytest.mark.parametrize("n_frames", [0, 1])
def test_one_frame_is_skipped(n_frames: int) -> None:
    assert shuffled_order(n_frames, seed=0) is None


def test_every_order_but_the_identity_is_equally_likely() -> None:
    found = Counter(shuffled_order(3, seed=f"run/{i}") for i in range(5000))
    assert len(found) == 5
    assert all(850 < times < 1150 for times in found.values())


def test_a_seed_gives_one_order_on_every_machine() -> None:
    assert shuffled_order(6, seed="0/12/q7") == shuffled_order(6, seed="0/12/q7")
    assert shuffled_order(4, seed=7) == (3, 1, 0, 2)


@pytest.mark.parametrize(("n", "half"), [(8, 4), (5, 2), (2, 1), (1, 1)])
def test_the_shuffled_group_is_half_as_large(n: int, half: int) -> None:
    assert shuffled_size(n) == half
