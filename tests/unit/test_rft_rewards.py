"""Each reward equals what its definition gives by hand."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massannot.errors import BadQuestion, UsageError
from massannot.questions.answers import Number, Text
from massannot.questions.expected_answer import ACCURACIES, ExpectedAnswer
from massannot.rft import rewards
from massannot.rft.rewards import (
    Completion,
    box_iou,
    rouge,
    rouge_l,
    rouge_n,
    time_nearness,
    words,
)
from massannot.rft.trl_rewards import reward_functions
from massannot.rft.verl_rewards import compute_score

SIDES = ("left", "right", "up")
CHOICE = ExpectedAnswer("multiple_choice", "B", options=SIDES)
METRES = ExpectedAnswer("number", "2 m", unit="m")
ZERO = ExpectedAnswer("number", "0", unit="m")
YES = ExpectedAnswer("yes_no", "yes")
CLOCK = ExpectedAnswer("clock", "11")
INTERVAL = ExpectedAnswer("interval", "2 to 4 s")
TEXT = ExpectedAnswer("text", "the ball falls")


def answered(text: str, *, thinking: str = "so", n_tokens: int | None = None) -> Completion:
    return Completion(f"<think>{thinking}</think><answer>{text}</answer>", n_tokens)


WORTH: list[tuple[str, ExpectedAnswer, str, float]] = [
    ("multiple_choice", CHOICE, "B", 1.0),
    ("multiple_choice", CHOICE, "(b)", 1.0),
    ("multiple_choice", CHOICE, "right", 1.0),
    ("multiple_choice", CHOICE, "A", 0.0),
    ("multiple_choice", CHOICE, "A or B", 0.0),
    ("multiple_choice", CHOICE, "", 0.0),
    ("yes_no", YES, "Yes.", 1.0),
    ("yes_no", YES, "no", 0.0),
    ("yes_no", YES, "yes and no", 0.0),
    # 25 % of 2 m
    ("numeric", METRES, "2.5", 1.0),
    ("numeric", METRES, "1.5 m", 1.0),
    ("numeric", METRES, "250 cm", 1.0),
    ("numeric", ExpectedAnswer("number", "0.3 m", unit="m"), "37.5 cm", 1.0),  # 0.375 - 0.3 > 0.075
    ("numeric", METRES, "2.51", 0.0),
    ("numeric", METRES, "1.49", 0.0),
    ("numeric", METRES, "2 s", 0.0),
    ("numeric", METRES, "2 parsecs", 0.0),
    ("numeric", METRES, "two", 0.0),
    ("numeric", ExpectedAnswer("number", "-2"), "-2.5", 1.0),
    ("numeric", ExpectedAnswer("number", "-2"), "2", 0.0),
    ("numeric", ExpectedAnswer("number", "3", tolerance=0), "3", 1.0),
    ("numeric", ExpectedAnswer("number", "3", tolerance=0), "3.001", 0.0),
    ("numeric", ZERO, "0", 1.0),
    ("numeric", ZERO, "0.001", 0.0),
    ("numeric", ExpectedAnswer("number", "0", unit="cm", tolerance_abs=5), "0.05 m", 1.0),
    ("numeric", ExpectedAnswer("number", "0", unit="cm", tolerance_abs=5), "6", 0.0),
    # the larger of the two tolerances
    ("numeric", ExpectedAnswer("number", "10", tolerance=0.1, tolerance_abs=0.5), "11", 1.0),
    ("numeric", ExpectedAnswer("number", "10", tolerance=0.01, tolerance_abs=0.5), "10.5", 1.0),
    # errors of 0, 2, 12, 24, 49, 50.5 percent keep 10, 10, 8, 6, 1, 0 thresholds
    ("mean_relative_accuracy", METRES, "2", 1.0),
    ("mean_relative_accuracy", METRES, "2.04", 1.0),
    ("mean_relative_accuracy", METRES, "2.24", 0.8),
    ("mean_relative_accuracy", METRES, "1.52", 0.6),
    ("mean_relative_accuracy", METRES, "2.98", 0.1),
    ("mean_relative_accuracy", METRES, "0.99", 0.0),
    ("mean_relative_accuracy", METRES, "much", 0.0),
    ("mean_relative_accuracy", ZERO, "0", 1.0),
    ("mean_relative_accuracy", ZERO, "1", 0.0),
    # errors of 5, 10, 50 percent lie on a threshold: VSI-Bench counts it, Video-R1 does not
    ("mean_relative_accuracy", METRES, "2.1", 1.0),
    ("mean_relative_accuracy", METRES, "2.2", 0.9),
    ("mean_relative_accuracy", METRES, "1", 0.1),
    ("mean_relative_accuracy_below", METRES, "2.1", 0.9),
    ("mean_relative_accuracy_below", METRES, "2.2", 0.8),
    ("mean_relative_accuracy_below", METRES, "1", 0.0),
    ("mean_relative_accuracy_below", METRES, "much", 0.0),
    ("regression", METRES, "2", 1.0),
    ("regression", METRES, "1.5", 0.75),
    ("regression", METRES, "300 cm", 0.5),
    ("regression", METRES, "9", 0.0),
    ("regression", METRES, "-2", 0.0),
    ("regression", METRES, "much", 0.0),
    ("regression", ZERO, "0", 1.0),
    ("regression", ZERO, "0.1", 0.0),
    ("clock", CLOCK, "11 o'clock", 1.0),
    ("clock", CLOCK, "12", 0.0),
    ("clock", CLOCK, "23", 0.0),
    ("clock_circular", CLOCK, "11", 1.0),
    ("clock_circular", CLOCK, "12", 5 / 6),
    ("clock_circular", CLOCK, "1", 4 / 6),
    ("clock_circular", CLOCK, "10", 5 / 6),
    ("clock_circular", CLOCK, "5", 0.0),
    ("clock_circular", CLOCK, "left", 0.0),
    ("interval_iou", INTERVAL, "2 to 4", 1.0),
    ("interval_iou", INTERVAL, "3 to 5", 1 / 3),
    ("interval_iou", INTERVAL, "2.5 to 3.5", 0.5),
    ("interval_iou", INTERVAL, "0 to 8", 0.25),
    ("interval_iou", INTERVAL, "4 to 6", 0.0),
    ("interval_iou", INTERVAL, "5 to 6", 0.0),
    ("interval_iou", INTERVAL, "4 to 2", 0.0),
    # F1 of 3 of 4+3 words, 2 of 3+2 pairs, 3 of 4+3 in order
    ("rouge_mean", TEXT, "The ball falls down.", (6 / 7 + 4 / 5 + 6 / 7) / 3),
    ("rouge_mean", TEXT, "the ball falls", 1.0),
    ("rouge_mean", TEXT, "it bounces", 0.0),
    ("rouge_mean", TEXT, "", 0.0),
]


@pytest.mark.parametrize(("name", "expected", "said", "worth"), WORTH)
def test_a_reward_is_what_its_definition_gives(
    name: str, expected: ExpectedAnswer, said: str, worth: float
) -> None:
    found = rewards.reward(name)(answered(said), expected=expected)
    assert found == pytest.approx(worth, abs=1e-12)


@pytest.mark.parametrize("name", sorted({name for names in ACCURACIES.values() for name in names}))
def test_without_one_answer_there_is_no_reward(name: str) -> None:
    truth = next(expected for each, expected, _, _ in WORTH if each == name)
    right = truth.solution
    judge = rewards.reward(name)
    assert judge(answered(right), expected=truth) == 1.0
    for text in (
        right,
        f"<answer>{right}",
        f"<answer>{right}</answer><answer>{right}</answer>",
        f"</answer>{right}<answer>",
        "",
    ):
        assert judge(Completion(text), expected=truth) == 0.0


@pytest.mark.parametrize(
    ("expected", "said", "worth"),
    [
        (CHOICE, "B", 1.0),
        (METRES, "2.5", 1.0),
        (ExpectedAnswer("number", "2", accuracy="regression"), "2.5", 0.75),
        (ExpectedAnswer("number", "2", accuracy="mean_relative_accuracy"), "2.24", 0.8),
        (YES, "yes", 1.0),
        (CLOCK, "12", 0.0),
        (ExpectedAnswer("clock", "11", accuracy="clock_circular"), "12", 5 / 6),
        (INTERVAL, "3 to 5", 1 / 3),
        (TEXT, "the ball falls", 1.0),
    ],
)
def test_accuracy_is_the_reward_of_the_question_or_of_its_kind(
    expected: ExpectedAnswer, said: str, worth: float
) -> None:
    found = rewards.reward("accuracy")(answered(said), expected=expected)
    assert found == pytest.approx(worth)


def test_a_reward_refuses_a_question_of_another_kind() -> None:
    with pytest.raises(UsageError, match="found a question of type yes_no"):
        rewards.reward("numeric")(answered("yes"), expected=YES)


# Lin 2004's own example, and cases where the three differ.
ROUGE = [
    ("police kill the gunman", "police killed the gunman", Fraction(3, 4), Fraction(1, 3), 0.75),
    ("the gunman kill police", "police killed the gunman", Fraction(3, 4), Fraction(1, 3), 0.5),
    ("the the the", "the ball", Fraction(2, 5), Fraction(0), 0.4),
    ("b a", "a b", Fraction(1), Fraction(0), 0.5),
    ("a b a b", "a b", Fraction(2, 3), Fraction(1, 2), Fraction(2, 3)),
    ("!!!", "a b", Fraction(0), Fraction(0), 0),
]


@pytest.mark.parametrize(("said", "true", "one", "two", "longest"), ROUGE)
def test_rouge_is_counted_as_defined(
    said: str, true: str, one: Fraction, two: Fraction, longest: float
) -> None:
    a, b = words(said), words(true)
    assert rouge_n(a, b, n=1) == pytest.approx(float(one))
    assert rouge_n(a, b, n=2) == pytest.approx(float(two))
    assert rouge_l(a, b) == pytest.approx(float(longest))
    assert rouge(said, true) == pytest.approx(float(one + two + Fraction(longest)) / 3)


@pytest.mark.parametrize(
    ("said", "worth"), [("Ball", 1.0), ("a ball", 2 / 3), ("hoop", 0.0)], ids=["it", "more", "not"]
)
def test_a_truth_of_one_word_has_no_pairs(said: str, worth: float) -> None:
    assert rouge(said, "ball") == pytest.approx(worth)


def longest_slowly(a: list[str], b: list[str]) -> int:
    if not a or not b:
        return 0
    if a[0] == b[0]:
        return 1 + longest_slowly(a[1:], b[1:])
    return max(longest_slowly(a[1:], b), longest_slowly(a, b[1:]))


LETTERS = st.lists(st.sampled_from("abc"), max_size=6)


@given(LETTERS, LETTERS)
def test_words_in_order_are_those_of_the_longest_common_subsequence(
    a: list[str], b: list[str]
) -> None:
    both = len(a) + len(b)
    assert rouge_l(a, b) == (2 * longest_slowly(a, b) / both if both else 0.0)
    assert rouge_l(a, b) <= rouge_n(a, b, n=1)


@pytest.mark.parametrize(
    ("text", "worth"),
    [
        ("<think>a</think><answer>b</answer>", 1.0),
        (" <think>a\nb</think>\n\n<answer>\nb</answer>\n", 1.0),
        ("<think></think><answer>b</answer>", 1.0),
        ("<answer>b</answer>", 0.0),
        ("<think>a</think>b", 0.0),
        ("<answer>b</answer><think>a</think>", 0.0),
        ("<think>a</think> so <answer>b</answer>", 0.0),
        ("well <think>a</think><answer>b</answer>", 0.0),
        ("<think>a</think><answer>b</answer> done", 0.0),
        ("<think>a</think><answer>b</answer><answer>c</answer>", 0.0),
        ("<think>a</think><answer> </answer>", 0.0),
        ("<think>a<answer>b</answer></think>", 0.0),
        ("", 0.0),
    ],
)
def test_the_format_is_one_thought_and_one_answer(text: str, worth: float) -> None:
    assert rewards.reward("format")(Completion(text), expected=YES) == worth


@pytest.mark.parametrize(
    ("said", "n_tokens", "worth"),
    [
        ("yes", 319, 0.0),
        ("yes", 320, 0.2),
        ("yes", 512, 0.2),
        ("yes", 513, 0.0),
        ("no", 400, 0.0),
    ],
    ids=["short", "first", "last", "long", "wrong"],
)
def test_a_right_answer_of_the_wanted_length_is_worth_a_bonus(
    said: str, n_tokens: int, worth: float
) -> None:
    assert rewards.reward("length")(answered(said, n_tokens=n_tokens), expected=YES) == worth


def test_a_length_that_nobody_counted_is_refused() -> None:
    with pytest.raises(UsageError, match="completion_ids"):
        rewards.reward("length")(answered("yes"), expected=YES)


BOXES = ((1.0, (0.0, 0.0, 10.0, 10.0)), (1.0, (20.0, 0.0, 30.0, 10.0)), (3.0, (0.0, 0.0, 4.0, 4.0)))
SEEN = ExpectedAnswer("yes_no", "yes", evidence_times_s=(1.0, 5.0), evidence_boxes=BOXES)


@pytest.mark.parametrize(
    ("thinking", "worth"),
    [
        ("at <t>1.0</t>s", 1.0),
        ("at <t>2</t>s", math.exp(-0.5)),
        ("<t>1</t> and <t>7</t>", (1 + math.exp(-2)) / 2),
        ("<t>3</t>", math.exp(-2)),
        ("at 1.0 s", 0.0),
        ("<t>now</t>", 0.0),
    ],
    ids=["exact", "a second off", "two times", "between both", "without a tag", "no number"],
)
def test_cited_times_are_worth_a_gaussian_of_their_distance(thinking: str, worth: float) -> None:
    found = rewards.reward("evidence_time")(answered("yes", thinking=thinking), expected=SEEN)
    assert found == pytest.approx(worth)


def test_a_wide_sigma_forgives_more() -> None:
    assert time_nearness([5.0], (1.0,), sigma_s=4.0) == pytest.approx(math.exp(-0.5))


@pytest.mark.parametrize(
    ("thinking", "worth"),
    [
        ("<obj>a</obj><box>[0,0,10,10]</box>at<t>1</t>s", 1.0),
        ("<box>[5, 0, 15, 10]</box>at<t>1.9</t>s", 1 / 3),
        ("<box>[20,0,30,5]</box> at <t>0.5</t>", 0.5),
        ("<box>[0,0,4,4]</box>at<t>3</t>s <box>[0,0,4,4]</box>at<t>9</t>s", 0.5),
        ("<box>[0,0,10,10]</box>at<t>0</t>s", 0.0),
        ("<box>[10,10,0,0]</box>at<t>1</t>s", 0.0),
        ("<box>[0,0,10,10]</box>", 0.0),
        ("<t>1</t>", 0.0),
        ('[{"bbox_2d": [0, 0, 10, 10], "label": "a", "time": 1.0}]', 1.0),
        ('{"bbox_2d": [0, 0, 10, 5], "time": "00:01"} <box>[0,0,4,4]</box>at<t>3</t>', 0.75),
        ('```json\n{"bbox_2d": [0, 0, 10, 10]}\n``` at <t>1</t>s', 0.0),
        ('{"bbox_2d": [0, 0, 10, 10]} at <t>1</t>s', 1.0),
        ('{"bbox_2d": [0, 0, "x", 10], "time": 1}', 0.0),
    ],
    ids=[
        *("exact", "half", "second box", "two", "too early", "inside out", "no time", "no box"),
        *("Qwen", "both notations", "apart from its time", "JSON and a time", "no numbers"),
    ],
)
def test_cited_boxes_are_worth_their_overlap_at_their_time(thinking: str, worth: float) -> None:
    found = rewards.reward("evidence_box")(answered("yes", thinking=thinking), expected=SEEN)
    assert found == pytest.approx(worth)


def test_a_box_without_a_time_counts_where_the_evidence_has_one_time() -> None:
    one = ExpectedAnswer("yes_no", "yes", evidence_boxes=BOXES[:2])
    said = answered("yes", thinking='{"bbox_2d": [20, 0, 30, 10]}')
    assert rewards.reward("evidence_box")(said, expected=one) == 1.0
    assert rewards.reward("evidence_box")(said, expected=SEEN) == 0.0


@pytest.mark.parametrize("name", ["evidence_time", "evidence_box"])
def test_without_true_evidence_nothing_is_rewarded(name: str) -> None:
    said = answered("yes", thinking="<box>[0,0,1,1]</box>at<t>1</t>")
    assert rewards.reward(name)(said, expected=YES) == 0.0


SIDE = st.tuples(st.integers(0, 8), st.integers(1, 5))
BOX = st.tuples(SIDE, SIDE).map(
    lambda box: (box[0][0], box[1][0], box[0][0] + box[0][1], box[1][0] + box[1][1])
)


@given(BOX, BOX)
def test_overlap_of_boxes_is_that_of_their_pixels(
    a: tuple[int, int, int, int], b: tuple[int, int, int, int]
) -> None:
    one, other = (
        {(x, y) for x in range(x0, x1) for y in range(y0, y1)} for x0, y0, x1, y1 in (a, b)
    )
    assert box_iou(a, b) == len(one & other) / len(one | other)


ROWS: list[tuple[dict[str, Any], ExpectedAnswer]] = [
    (
        {
            "problem_type": "multiple choice",
            "solution": "<answer>B</answer>",
            "options": ["A. left", "B. right"],
            "path": "v.mp4",
        },
        ExpectedAnswer("multiple_choice", "<answer>B</answer>", options=("A. left", "B. right")),
    ),
    ({"problem_type": "numerical", "solution": 3, "unit": None}, ExpectedAnswer("number", "3")),
    (
        {"problem_type": "regression", "solution": "3"},
        ExpectedAnswer("number", "3", accuracy="regression"),
    ),
    ({"problem_type": "free-form", "solution": "it falls"}, ExpectedAnswer("text", "it falls")),
    (
        {"problem_type": "clock", "solution": "3", "evidence_boxes": [[1, 0, 0, 4, 5]]},
        ExpectedAnswer("clock", "3", evidence_boxes=((1.0, (0.0, 0.0, 4.0, 5.0)),)),
    ),
]


@pytest.mark.parametrize(("row", "expected"), ROWS)
def test_a_trainers_row_says_what_is_expected(
    row: dict[str, Any], expected: ExpectedAnswer
) -> None:
    assert ExpectedAnswer.from_row(row) == expected


def test_tags_around_the_truth_are_not_part_of_it() -> None:
    assert ExpectedAnswer("text", "<answer> it falls </answer>").value == Text("it falls")
    assert ExpectedAnswer("number", "<answer>3 m</answer>", unit="cm").value == Number(
        3.0, "length"
    )


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"solution": "3"}, "found no problem_type"),
        ({"problem_type": "number", "solution": None}, "found no solution"),
        ({"problem_type": "essay", "solution": "3"}, "found 'essay'"),
        ({"problem_type": "multiple_choice", "solution": "D", "options": SIDES}, "found 'D'"),
        ({"problem_type": "multiple_choice", "solution": "A"}, "options: found 0"),
        ({"problem_type": "number", "solution": "3 ells", "unit": "m"}, "found 'ells'"),
        ({"problem_type": "number", "solution": "3", "unit": "ell"}, "found 'ell'"),
        ({"problem_type": "number", "solution": "3", "tolerance": -1.0}, "tolerance: found -1"),
        ({"problem_type": "number", "solution": "3", "accuracy": "clock"}, "accuracy: found"),
        ({"problem_type": "yes_no", "solution": "yes", "evidence_boxes": [[1, 2]]}, "x0, y0"),
        ({"problem_type": "yes_no", "solution": "yes", "evidence_boxes": [[0, 3, 0, 1, 2]]}, "x0"),
    ],
)
def test_a_truth_that_cannot_be_judged_is_refused(row: dict[str, Any], said: str) -> None:
    with pytest.raises(BadQuestion, match=said):
        ExpectedAnswer.from_row(row)


def test_a_reward_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(UsageError, match=r"accuracy.*yes_no"):
        rewards.reward("kindness")


@pytest.mark.parametrize("name", rewards.names())
def test_a_reward_is_a_function_of_its_name_that_gives_its_source(name: str) -> None:
    judge = rewards.reward(name)
    assert judge is getattr(rewards, name)
    assert "Source:" in (judge.__doc__ or "")


OWN_REWARD = """
def brevity(completion, *, expected):
    return 1 / len(completion.text.split())
"""


def test_a_reward_from_outside_of_the_package_is_scored_as_ours_are(tmp_path: Path) -> None:
    file = tmp_path / "my_rewards.py"
    file.write_text(OWN_REWARD)
    name = f"{file}:brevity"
    assert rewards.reward(name)(Completion("a b c d"), expected=YES) == 0.25
    (of_trl,) = reward_functions([name])
    assert of_trl.__name__ == "brevity"
    row = {"problem_type": ["yes_no"], "solution": ["yes"]}
    assert of_trl(prompts=["?"], completions=["a b"], **row) == [0.5]
    score = compute_score("any", "a b", "yes", {"problem_type": "yes_no"}, rewards=[name])
    assert score == {"score": 0.5, "brevity": 0.5}


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("./absent.py:brevity", "reward ./absent.py: found no such file"),
        ("massannot.rft.rewards", "expected path/to/file.py:NAME"),
        ("massannot.rft.rewards:kindness", "found no 'kindness'"),
    ],
)
def test_a_reward_from_outside_that_is_not_there_is_refused(name: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=re.escape(sentence)):
        rewards.reward(name)
