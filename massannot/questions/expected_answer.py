"""The true answer of a question, typed, with the options of its judgement: units, tolerances,
evidence.

It is built once a question, where an unreadable truth is refused, so that no reward meets one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from massannot.errors import BadQuestion
from massannot.questions.answers import KINDS, Answer, Kind, bare_options, parse
from massannot.questions.lenient_answers import read_leniently
from massannot.questions.units import BadAnswer, UnknownUnit

Box = tuple[float, float, float, float]

# Which rewards can judge a kind of answer; the first does where nothing is said.
ACCURACIES: Mapping[Kind, tuple[str, ...]] = {
    "multiple_choice": ("multiple_choice",),
    "number": (
        "numeric",
        "mean_relative_accuracy",
        "mean_relative_accuracy_below",
        "regression",
    ),
    "yes_no": ("yes_no",),
    "clock": ("clock", "clock_circular"),
    "interval": ("interval_iou",),
    "text": ("rouge_mean",),
}


@dataclass(frozen=True)
class ExpectedAnswer:
    problem_type: Kind
    solution: str
    """The true answer as text; Video-R1's <answer> tags around it are allowed."""
    options: tuple[str, ...] = ()
    unit: str | None = None
    """That the question asks for, and that a bare number is in."""
    tolerance: float = 0.25
    """Of the true value. STKit calls a distance or a speed right within 25 % (arXiv 2503.19355)."""
    tolerance_abs: float = 0.0
    """In `unit`. Without it, no answer but the exact one is right where the truth is 0."""
    accuracy: str | None = None
    """The reward that judges this answer, see ACCURACIES; None: the first of its kind."""
    evidence_times_s: tuple[float, ...] = ()
    """When what answers the question is to be seen."""
    evidence_boxes: tuple[tuple[float, Box], ...] = ()
    """(time in seconds, x0 y0 x1 y1 half-open), in the coordinates that the prompt speaks of."""
    value: Answer = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.problem_type not in KINDS:
            raise BadQuestion(
                f"problem_type: found {self.problem_type!r}, expected one of {', '.join(KINDS)}"
            )
        judges = ACCURACIES[self.problem_type]
        if self.accuracy is not None and self.accuracy not in judges:
            raise BadQuestion(
                f"accuracy: found {self.accuracy!r} for {self.problem_type}, "
                f"expected one of {', '.join(judges)}"
            )
        for name in ("tolerance", "tolerance_abs"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise BadQuestion(f"{name}: found {value}, expected a finite number of at least 0")
        if self.problem_type == "multiple_choice":
            bare_options(self.options)
        object.__setattr__(self, "value", self._truth(self._bare_solution()))

    def read(self, text: str) -> Answer:
        """`text` as an answer to this question. Raises BadAnswer."""
        return parse(text, kind=self.problem_type, options=self.options, asked_unit=self.unit)

    def read_leniently(self, text: str) -> Answer:
        """`text`, a whole completion, as a person reads it. Raises BadAnswer."""
        return read_leniently(
            text, kind=self.problem_type, options=self.options, asked_unit=self.unit
        )

    def _truth(self, text: str) -> Answer:
        """The solution, which its author may have written in words. Raises BadAnswer."""
        try:
            return self.read(text)
        except UnknownUnit:
            raise
        except BadAnswer as error:
            try:
                return self.read_leniently(text)
            except BadAnswer:
                raise error from None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> ExpectedAnswer:
        """From a trainer's row, whose columns have the names of the fields.

        null is the field's default; a column of another name is not looked at, since a dataset has
        columns of its own. `problem_type` may be Video-R1's. Raises BadQuestion.
        """
        given = {name: row[name] for name in COLUMNS if row.get(name) is not None}
        missing = [name for name in ("problem_type", "solution") if name not in given]
        if missing:
            raise BadQuestion(f"question: found no {' and no '.join(missing)}, expected both")
        kind, accuracy = _VIDEO_R1.get(given["problem_type"], (given["problem_type"], None))
        given["problem_type"] = kind
        given.setdefault("accuracy", accuracy)
        given["solution"] = str(given["solution"])
        for name in ("options", "evidence_times_s"):
            given[name] = tuple(given.get(name, ()))
        given["evidence_boxes"] = tuple(map(_timed_box, given.get("evidence_boxes", ())))
        return cls(**given)

    def _bare_solution(self) -> str:
        match = re.fullmatch(r"\s*<answer>(.*)</answer>\s*", self.solution, re.DOTALL)
        return match[1] if match else self.solution


# Columns of a trainer's row about the answer.
COLUMNS = tuple(each.name for each in fields(ExpectedAnswer) if each.init)

# How Video-R1 names its problems, as kind and reward.
_VIDEO_R1: Mapping[str, tuple[Kind, str | None]] = {
    "multiple choice": ("multiple_choice", None),
    "numerical": ("number", None),
    "regression": ("number", "regression"),
    "free-form": ("text", None),
}


def _timed_box(row: Sequence[float]) -> tuple[float, Box]:
    """From [t, x0, y0, x1, y1]: tables have flat lists."""
    if len(row) != 5 or not (row[1] < row[3] and row[2] < row[4]):
        raise BadQuestion(f"evidence_boxes: found {list(row)}, expected [t, x0, y0, x1, y1]")
    t, x0, y0, x1, y1 = map(float, row)
    if max(x1, y1) <= 1 and not (x0 == y0 == 0 and x1 == y1 == 1):
        raise BadQuestion(
            f"evidence_boxes: found {list(row)}, which are shares of a picture, expected pixels of "
            "the video; multiply by its width and height"
        )
    return t, (x0, y0, x1, y1)
