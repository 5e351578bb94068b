"""Answers as a person reads them: completions labelled by hand.

Each is labelled by what a person would accept. `seen` rows were there while the reader was written;
the others were labelled before it read them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from massannot.questions.expected_answer import ExpectedAnswer
from massannot.questions.number_words import number_of
from massannot.rft.rewards import Completion, Reader, accuracy

ROWS: list[dict[str, Any]] = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data/completions.jsonl").read_text().splitlines()
]


def is_right(row: dict[str, Any], reader: Reader) -> bool:
    expected = ExpectedAnswer(
        problem_type=row["kind"],
        solution=row["truth"],
        options=tuple(row.get("options", ())),
        unit=row.get("unit"),
        tolerance=0.02,
    )
    said = row["said"]
    if reader == "strict" and "<answer>" not in said:
        said = f"<answer>{said}</answer>"
    return accuracy(Completion(said, reader=reader), expected=expected) > 0.99


@pytest.mark.parametrize("seen", [True, False], ids=["seen", "unseen"])
def test_the_lenient_reader_agrees_with_a_person(seen: bool) -> None:
    rows = [row for row in ROWS if row["seen"] == seen]
    other = [row["said"] for row in rows if is_right(row, "lenient") != row["accept"]]
    assert len(other) <= 0.05 * len(rows), other


def test_the_strict_reader_accepts_nothing_that_a_person_would_refuse() -> None:
    assert [row["said"] for row in ROWS if is_right(row, "strict") and not row["accept"]] == []


def test_nor_does_it_accept_half_of_what_a_person_would() -> None:
    """It is strict on purpose; so these rows tell the two readers apart."""
    accepted = [row for row in ROWS if row["accept"]]
    assert sum(is_right(row, "strict") for row in accepted) < len(accepted) / 2


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("ten", 10),
        ("Twenty-one.", 21),
        ("two hundred and five", 205),
        ("a dozen", 12),
        ("two and a half", 2.5),
        ("one point four", 1.4),
        ("none", None),
        ("tent", None),
    ],
)
def test_number_words(words: str, number: float | None) -> None:
    assert number_of(words) == number


HEDGES = ["yes, no", "Yes. No.", "yes, maybe", "Yes, it does not", "no, yes", "No, perhaps"]


@pytest.mark.parametrize("said", HEDGES)
def test_an_answer_that_is_taken_back_is_no_answer(said: str) -> None:
    for truth in ("yes", "no"):
        expected = ExpectedAnswer("yes_no", truth)
        assert accuracy(Completion(f"<answer>{said}</answer>"), expected=expected) == 0
