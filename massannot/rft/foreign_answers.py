"""Answers of a model that somebody else ran, judged by the questions they answer.

A question without an answer counts as wrong, because an answer that was lost must not raise a
score. `RULES` are the benches' own ways of counting.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from massannot.errors import BadQuestion, UsageError
from massannot.questions.answers import Clock, Number, TimeInterval
from massannot.questions.expected_answer import ExpectedAnswer
from massannot.questions.question_view import expected_answer
from massannot.questions.units import BASES
from massannot.rft.answer import Answered
from massannot.rft.rewards import Completion, Reader, accuracy, reward

Row = Mapping[str, Any]
Judge = Callable[[str, str, str], float]
"""(question, true answer, completion) to 0..1."""


@dataclass(frozen=True)
class Judged:
    """One question, with the answer's distance from the truth."""

    answered: Answered
    read: bool
    """Whether the reader found an answer of the question's kind."""
    error: float | None = None
    """|answer - truth| of a number, hours around the dial, or the mean error of a span's ends; None
    where nothing was read."""
    unit: str | None = None
    """Of the error; None: the answer has no distance."""


def judged_answers(
    questions: Sequence[Row],
    answers: Mapping[str, str],
    *,
    reader: Reader,
    rule: str,
    judge: Judge | None = None,
) -> list[Judged]:
    """Every question, in order. Raises UsageError where no answer belongs to any of them, and
    BadQuestion for a truth that cannot be judged."""
    if not set(answers) & {row["question_id"] for row in questions}:
        some = ", ".join(list(answers)[:3])
        raise UsageError(
            f"answers: found ids such as {some or 'none'}, none of which is a question's, such as "
            f"{questions[0]['question_id']}; expected a column question_id"
        )
    return [_judged(row, answers.get(row["question_id"]), reader, rule, judge) for row in questions]


def _judged(row: Row, said: str | None, reader: Reader, rule: str, judge: Judge | None) -> Judged:
    expected = expected_answer(row)
    text = said or ""
    tagged = text if reader == "lenient" or "<answer>" in text else f"<answer>{text}</answer>"
    completion = Completion(tagged, reader=reader)
    answer = completion.answer_to(expected)
    if judge is not None and expected.problem_type == "text":
        right = judge(row["question"], expected.solution, text) if text else 0.0
    else:
        right = RULES[rule](completion, expected)
    error, name = _error(answer, expected)
    answered = Answered(
        condition=f"{rule}, {reader}",
        question_id=row["question_id"],
        group=row["uri"],
        category=row["category"] or "none",
        problem_type=expected.problem_type,
        solution=expected.solution,
        said=text,
        accuracy=right,
        format=float(answer is not None),
        sources=row["sources"],
    )
    return Judged(answered, answer is not None, error, name)


def _error(answer: object, expected: ExpectedAnswer) -> tuple[float | None, str | None]:
    """(error, its unit); (None, unit) where no answer was read."""
    truth = expected.value
    if isinstance(truth, Number):
        name = BASES[truth.dimension] if truth.dimension else ""
        return (abs(answer.value - truth.value) if isinstance(answer, Number) else None), name
    if isinstance(truth, Clock):
        if not isinstance(answer, Clock):
            return None, "h of the clock"
        one_way = (answer.hour - truth.hour) % 12
        return float(min(one_way, 12 - one_way)), "h of the clock"
    if isinstance(truth, TimeInterval):
        if not isinstance(answer, TimeInterval):
            return None, "s"
        ends = abs(answer.start_s - truth.start_s) + abs(answer.end_s - truth.end_s)
        return ends / 2, "s"
    return None, None


def mean_errors(judged: Sequence[Judged]) -> dict[str, list[tuple[str, float, int]]]:
    """By category and for "all": (unit, mean absolute error, number of answers read), a unit a
    row."""
    by_key: dict[tuple[str, str], list[float]] = defaultdict(list)
    for each in judged:
        if each.error is not None and each.unit is not None and math.isfinite(each.error):
            by_key[each.answered.category, each.unit].append(each.error)
            by_key["all", each.unit].append(each.error)
    found: dict[str, list[tuple[str, float, int]]] = defaultdict(list)
    for (category, name), errors in sorted(by_key.items()):
        found[category].append((name, sum(errors) / len(errors), len(errors)))
    return dict(found)


def _ours(completion: Completion, expected: ExpectedAnswer) -> float:
    return accuracy(completion, expected=expected)


def _vsi(completion: Completion, expected: ExpectedAnswer) -> float:
    """Numbers by mean relative accuracy with <=; the rest as ours."""
    if expected.problem_type != "number":
        return _ours(completion, expected)
    return reward("mean_relative_accuracy")(completion, expected=expected)


def _video_r1(completion: Completion, expected: ExpectedAnswer) -> float:
    """Numbers equal to two decimals, regressions by mean relative accuracy with <, and all but
    choices as free text."""
    if expected.problem_type == "multiple_choice":
        return reward("multiple_choice")(completion, expected=expected)
    if expected.problem_type == "number":
        if expected.accuracy is not None and expected.accuracy != "numeric":
            return reward("mean_relative_accuracy_below")(completion, expected=expected)
        answer, truth = completion.answer_to(expected), expected.value
        equal = isinstance(answer, Number) and isinstance(truth, Number)
        return float(equal and round(answer.value, 2) == round(truth.value, 2))  # type: ignore[union-attr]
    text = ExpectedAnswer("text", expected.solution)
    return reward("rouge_mean")(completion, expected=text)


def _stkit(completion: Completion, expected: ExpectedAnswer) -> float:
    """Numbers within 25 %, the exact hour, spans from an IoU of 0.5 on."""
    if expected.problem_type == "number":
        within = ExpectedAnswer("number", expected.solution, unit=expected.unit, tolerance=0.25)
        return reward("numeric")(completion, expected=within)
    if expected.problem_type == "clock":
        return reward("clock")(completion, expected=expected)
    if expected.problem_type == "interval":
        return float(reward("interval_iou")(completion, expected=expected) >= 0.5)
    return _ours(completion, expected)


RULES: Mapping[str, Callable[[Completion, ExpectedAnswer], float]] = {
    "ours": _ours,
    "vsi": _vsi,
    "video-r1": _video_r1,
    "stkit": _stkit,
}


def judgeable(questions: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """The questions whose truth can be judged, and a sentence for each of the others."""
    right, wrong = [], []
    for row in questions:
        try:
            expected_answer(row)
        except BadQuestion as error:
            wrong.append(str(error))
        else:
            right.append(row)
    return right, wrong
