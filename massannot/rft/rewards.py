"""Rewards: a function each, found by its name, or by `path/to/file.py:function` or
`package.module:function` where it is not one of ours.

A reward is a pure function `(completion, *, expected) -> float` of the standard library, 0 to 1
unless its docstring says otherwise; a completion without one readable answer gets 0. The docstring
gives the definition and its source. A function of this file with `@_reward` is one more reward.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp
from typing import Literal, Protocol, TypeVar, cast

from massannot import plugins
from massannot.errors import UsageError
from massannot.questions.answers import Answer, Choice, Clock, Number, Text, TimeInterval, YesNo
from massannot.questions.expected_answer import ACCURACIES, Box, ExpectedAnswer
from massannot.questions.units import BadAnswer, unit
from massannot.rft.citations import box_iou, citations

Reader = Literal["strict", "lenient"]


@dataclass(frozen=True)
class Completion:
    """The text that a model generated, and its number of tokens."""

    text: str
    n_tokens: int | None = None
    """As the trainer counted them; None: not counted."""
    reader: Reader = "strict"
    """strict for reinforcement, lenient for scoring: see questions/lenient_answers."""

    @property
    def answer(self) -> str | None:
        """The text between the only <answer> and the only </answer>; None without such a pair.

        Video-R1 takes the first of several. Here several are none: a model that writes each option
        once has not answered.
        """
        parts = re.split(r"(</?answer>)", self.text)
        if parts[1::2] != ["<answer>", "</answer>"]:
            return None
        return parts[2].strip()

    def answer_to(self, expected: ExpectedAnswer) -> Answer | None:
        """The typed answer to this question; None where the reader finds none."""
        try:
            if self.reader == "lenient":
                return expected.read_leniently(self.text)
            return None if self.answer is None else expected.read(self.answer)
        except BadAnswer:
            return None


class Reward(Protocol):
    """The worth of a completion."""

    def __call__(self, completion: Completion, *, expected: ExpectedAnswer) -> float: ...


_REWARDS: dict[str, Reward] = {}
_R = TypeVar("_R", bound=Callable[..., float])


def names() -> tuple[str, ...]:
    """The rewards of this file, in alphabetical order."""
    return tuple(sorted(_REWARDS))


def reward(name: str) -> Reward:
    """The reward of a name, of `FILE.py:FUNCTION` or of `MODULE:FUNCTION`. Raises UsageError with
    the names there are."""
    if plugins.is_outside(name):
        return cast(Reward, plugins.outside_object(name, kind="reward"))
    if name not in _REWARDS:
        raise UsageError(
            f"no reward {name!r}; rewards: {', '.join(names())}, or a function of yours such as "
            "./mine.py:brevity"
        )
    return _REWARDS[name]


def label(name: str) -> str:
    """The reward's name in a trainer's log, without the file or module it comes from."""
    return name.rpartition(":")[2]


def _reward(function: _R) -> _R:
    _REWARDS[function.__name__] = function
    return function


@_reward
def accuracy(completion: Completion, *, expected: ExpectedAnswer) -> float:
    """The reward that `expected.accuracy` names, else the first of its kind in
    `expected.ACCURACIES`.

    Source: Video-R1 (arXiv 2503.21776) chooses by `problem_type` in the same way.
    """
    name = expected.accuracy or ACCURACIES[expected.problem_type][0]
    return reward(name)(completion, expected=expected)


@_reward
def multiple_choice(completion: Completion, *, expected: ExpectedAnswer) -> float:
    """1 for the right option, by its letter or its words, else 0.

    Source: Video-R1 (arXiv 2503.21776) compares the strings; here "B", "(b)" and the option's words
    are the same answer.
    """
    answer, truth = _answer_and_truth(completion, expected=expected, kind=Choice)
    return float(answer == truth)


@_reward
def yes_no(completion: Completion, *, expected: ExpectedAnswer) -> float:
    """1 for the right one of yes and no, else 0.

    Source: exact match, as for a choice of two.
    """
    answer, truth = _answer_and_truth(completion, expected=expected, kind=YesNo)
    return float(answer == truth)


@_reward
def numeric(completion: Completion, *, expected: ExpectedAnswer) -> float:
    """1 within the tolerance, after conversion to one unit, else 0.

    Definition: |answer - truth| <= max(tolerance * |truth|, tolerance_abs). Source: STKit-Bench
    (arXiv 2503.19355) calls distances and speeds right within 25 %. Video-R1's form (equal to two
    decimals) is tolerance 0, tolerance_abs 0.005.
    """
    answer, truth = _answer_and_truth(completion, expected=expected, kind=Number)
    if answer is None:
        return 0.0
    absolute = expected.tolerance_abs
    if expected.unit:
        absolute = unit(expected.unit).to_base(absolute)
    allowed = max(expected.tolerance * abs(truth.value), absolute)
    return float(abs(answer.value - truth.value) <= allowed + _ROUNDING * abs(truth.value))


# A conversion rounds: 125 cm must not miss 1 m by the last bit.
_ROUNDING = 1e-9


@_reward
def mean_relative_accuracy(completion: Completion, *, expected: ExpectedAnswer) -> float:
    """The share of ten thresholds that a number keeps.

    Definition: the mean over theta = 0.50, 0.55, ..., 0.95 of
    [|answer - truth| / |truth| <= 1 - theta]. Source: VSI-Bench (arXiv 2412.14171), as its
    evaluator counts. Where the truth is 0, 1 for 0, else 0.
    """
    percent = _error_percent(completion, expected=expected)
    return sum(percent <= 100 - theta + _ROUNDING for theta in _PERCENTS) / len(_PERCENTS)


@_reward
def mean_relative_accuracy_below(completion: Completion, *, expected: ExpectedAnswer) -> float:
    """The share of ten thresholds that a number stays below.

    Definition: as `mean_relative_accuracy`, with < in the place of <=. Source: Video-R1 (arXiv
    2503.21776), as its evaluation counts problems of type "regression".
    """
    percent = _error_percent(completion, expected=expected)
    return sum(percent < 100 - theta - _ROUNDING for theta in _PERCENTS) / len(_PERCENTS)


def _error_percent(completion: Completion, *, expected: ExpectedAnswer) -> float:
    """Of the truth; infinite without an answer."""
    answer, truth = _answer_and_truth(completion, expected=expected, kind=Number)
    return float("inf") if answer is None else 100 * _relative_error(answer, truth)


_PERCENTS = range(50, 100, 5)


@_reward
def regression(completion: Completion, *, expected: ExpectedAnswer) -> float:
    """Nearness of a number, falling linearly to 0 at an error as large as the truth.

    Definition: 1 - min(1, |answer - truth| / |truth|). Source: Video-R1 (arXiv 2503.21776), problem
    type "regression". Where the truth is 0, 1 for 0, else 0.
    """
    answer, truth = _answer_and_truth(completion, expected=expected, kind=Number)
    return 0.0 if answer is None else 1 - min(1.0, _relative_error(answer, truth))


@_reward
def clock(completion: Completion, *, expected: ExpectedAnswer) -> float:
    """1 for the right hour, else 0; `clock_circular` rewards near ones too.

    Source: STKit-Bench (arXiv 2503.19355), movement direction.
    """
    answer, truth = _answer_and_truth(completion, expected=expected, kind=Clock)
    return float(answer == truth)


@_reward
def clock_circular(completion: Completion, *, expected: ExpectedAnswer) -> float:
    """Nearness of an hour around the dial: 1 for the right one, 0 for the opposite one.

    Definition: 1 - d / 6, d the hours between the two the shorter way round (11 and 1 are 2 apart).
    Source: this project; the soft form of STKit-Bench's exact hour (arXiv 2503.19355).
    """
    answer, truth = _answer_and_truth(completion, expected=expected, kind=Clock)
    if answer is None:
        return 0.0
    one_way = (answer.hour - truth.hour) % 12
    return 1 - min(one_way, 12 - one_way) / 6


@_reward
def interval_iou(completion: Completion, *, expected: ExpectedAnswer) -> float:
    """Length of the intersection of two time intervals / length of their union.

    Source: STKit-Bench (arXiv 2503.19355) counts a direction's time as right from IoU 0.5 on; the
    reward is the IoU itself, which tells more answers apart.
    """
    answer, truth = _answer_and_truth(completion, expected=expected, kind=TimeInterval)
    if answer is None:
        return 0.0
    shared = max(0.0, min(answer.end_s, truth.end_s) - max(answer.start_s, truth.start_s))
    return shared / (answer.end_s - answer.start_s + truth.end_s - truth.start_s - shared)


@_reward
def rouge_mean(completion: Completion, *, expected: ExpectedAnswer) -> float:
    """Words, pairs of words and words in order that a free text shares with the truth.

    Definition: the mean of the F1 of ROUGE-1, ROUGE-2 and ROUGE-L (Lin 2004, one truth, one
    sentence, beta 1). Source: Video-R1 (arXiv 2503.21776), problem type "free-form". It stems
    English words; here words are compared as they stand, in small letters, in any script. Where the
    truth has one word there are no pairs, and the mean is over ROUGE-1 and ROUGE-L: the right word
    alone is worth 1.
    """
    answer, truth = _answer_and_truth(completion, expected=expected, kind=Text)
    return 0.0 if answer is None else rouge(answer.text, truth.text)


def rouge(answer: str, truth: str) -> float:
    """`rouge_mean` of two texts; 0 where either has no word."""
    a, b = words(answer), words(truth)
    scores = [rouge_n(a, b, n=1), rouge_l(a, b)]
    if len(b) > 1:
        scores.append(rouge_n(a, b, n=2))
    return sum(scores) / len(scores)


def words(text: str) -> list[str]:
    """The words of a text in small letters."""
    return re.findall(r"\w+", text.casefold())


def rouge_n(answer: Sequence[str], truth: Sequence[str], *, n: int) -> float:
    """F1 of the runs of n words, each counted as often as it stands in both."""
    a, b = (
        Counter(tuple(text[i : i + n]) for i in range(len(text) - n + 1))
        for text in (answer, truth)
    )
    return _f1((a & b).total(), a.total(), b.total())


def rouge_l(answer: Sequence[str], truth: Sequence[str]) -> float:
    """F1 of the longest common subsequence."""
    # lengths[j]: of the longest one of the words read of `answer` and the first j of `truth`.
    lengths = [0] * (len(truth) + 1)
    for word in answer:
        before = 0
        for j, other in enumerate(truth, start=1):
            above = lengths[j]
            lengths[j] = before + 1 if word == other else max(above, lengths[j - 1])
            before = above
    return _f1(lengths[-1], len(answer), len(truth))


def _f1(n_shared: int, n_answer: int, n_truth: int) -> float:
    """2PR / (P + R), with P = shared / answer and R = shared / truth."""
    return 2 * n_shared / (n_answer + n_truth) if n_answer + n_truth else 0.0


@_reward
def format(completion: Completion, *, expected: ExpectedAnswer) -> float:
    """1 for <think>..</think> and then <answer>..</answer>, each once and nothing else, else 0.

    Source: Video-R1 (arXiv 2503.21776), whose pattern also lets tags repeat inside; here a second
    answer costs the reward. White space around the two is allowed, an empty answer is not.
    """
    parts = re.split(r"(</?(?:think|answer)>)", completion.text)
    outside = "".join(parts[0::4])  # before, between and after the two
    return float(parts[1::2] == _TAGS and not outside.strip() and bool(completion.answer))


_TAGS = ["<think>", "</think>", "<answer>", "</answer>"]


LENGTH_BONUS = 0.2
LENGTH_TOKENS = (320, 512)
"""First and last length that is rewarded."""
RIGHT_ABOVE = 0.1


@_reward
def length(completion: Completion, *, expected: ExpectedAnswer) -> float:
    """A bonus of 0.2 for a right answer of 320 to 512 tokens, else 0.

    Source: Video-R1 (arXiv 2503.21776), `len_control`: right is an accuracy above 0.1. In T-GRPO
    the bonus is paid only where more than one of the group is right; that rule needs the group and
    stands in `tgrpo.length_bonus`. Raises UsageError where the tokens were not counted.
    """
    if completion.n_tokens is None:
        raise UsageError(
            "reward length: found no number of tokens; the trainer must give completion_ids (TRL) "
            "or extra_info['n_tokens'] (verl), or leave this reward out"
        )
    if not LENGTH_TOKENS[0] <= completion.n_tokens <= LENGTH_TOKENS[1]:
        return 0.0
    return LENGTH_BONUS if accuracy(completion, expected=expected) > RIGHT_ABOVE else 0.0


@_reward
def evidence_time(completion: Completion, *, expected: ExpectedAnswer) -> float:
    """Nearness of the cited times to those at which the evidence is visible.

    Definition: `time_nearness` at sigma 1 s; 0 where nothing is cited or nothing is true. Source:
    Open-o3 Video (arXiv 2510.20579), thinking temporal reward. Its sigma falls from 4 s to 1 s in
    training; here it is 1 s throughout.
    """
    cited = citations(completion.text)
    times = [citation.t_s for citation in cited if citation.t_s is not None]
    return time_nearness(times, expected.evidence_times_s, sigma_s=1.0)


def time_nearness(cited_s: Sequence[float], true_s: Sequence[float], *, sigma_s: float) -> float:
    """The mean over cited times of exp(-d^2 / (2 sigma^2)), d the seconds to the nearest true
    time."""
    if not cited_s or not true_s:
        return 0.0
    distances = [min(abs(t - true) for true in true_s) for t in cited_s]
    return sum(exp(-(d**2) / (2 * sigma_s**2)) for d in distances) / len(distances)


@_reward
def evidence_box(completion: Completion, *, expected: ExpectedAnswer) -> float:
    """Overlap of the cited boxes with the evidence at the times they are cited for.

    Definition: the mean over cited boxes of the best IoU with a true box of the nearest true time,
    counted as 0 from 1 s away on; 0 where nothing is cited or nothing is true. A box without a time
    counts only where the evidence has one time. Source: Open-o3 Video (arXiv 2510.20579), thinking
    spatial reward.
    """
    true_times = {t_s for t_s, _ in expected.evidence_boxes}
    alone = next(iter(true_times)) if len(true_times) == 1 else None
    cited = [item for item in citations(completion.text) if item.box is not None]
    if not cited or not true_times:
        return 0.0
    return sum(
        0.0
        if time is None or item.box is None
        else _overlap(time, item.box, expected.evidence_boxes)
        for item in cited
        for time in [alone if item.t_s is None else item.t_s]
    ) / len(cited)


_GATE_S = 1.0


def _overlap(t_s: float, box: Box, truth: Sequence[tuple[float, Box]]) -> float:
    distance = min(abs(t - t_s) for t, _ in truth)
    if distance >= _GATE_S:
        return 0.0
    return max(box_iou(box, other) for t, other in truth if abs(t - t_s) == distance)


_A = TypeVar("_A", bound=Answer)


def _answer_and_truth(
    completion: Completion, *, expected: ExpectedAnswer, kind: type[_A]
) -> tuple[_A | None, _A]:
    """The completion's answer, typed (None where it has none), and the truth.

    Raises UsageError where the truth is of another kind than the reward judges: that is a mistake
    in the data, not a wrong answer.
    """
    truth = expected.value
    if not isinstance(truth, kind):
        raise UsageError(
            f"reward for {kind.__name__}: found a question of type {expected.problem_type}; "
            "name the reward that fits it, or accuracy, which chooses"
        )
    answer = completion.answer_to(expected)
    return (answer if isinstance(answer, kind) else None), truth


def _relative_error(answer: Number, truth: Number) -> float:
    """|answer - truth| / |truth|; where the truth is 0, 0 for 0 and infinity for all else."""
    error = abs(answer.value - truth.value)
    if truth.value == 0:
        return 0.0 if error == 0 else float("inf")
    return error / abs(truth.value)
