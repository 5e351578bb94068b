"""What an answer's text means, and what is refused because it could mean two things."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massannot.errors import BadQuestion
from massannot.questions.answers import (
    KINDS,
    Answer,
    Choice,
    Clock,
    Kind,
    Number,
    Text,
    TimeInterval,
    YesNo,
    bare_options,
    parse,
)
from massannot.questions.units import BadAnswer, UnknownUnit

SIDES = ("to the left", "to the right", "up")
LETTERED = ("A. to the left", "B. to the right", "C. up")


@pytest.mark.parametrize("options", [SIDES, LETTERED], ids=["bare", "lettered"])
@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("B", 1),
        ("b", 1),
        ("(B)", 1),
        ("B.", 1),
        ("C) up", 2),
        ("A: To the left.", 0),
        ("to the  right", 1),
        (" Up. ", 2),
        ("B. to the right", 1),
    ],
)
def test_a_choice_is_a_letter_an_options_words_or_both(
    options: tuple[str, ...], text: str, index: int
) -> None:
    assert parse(text, kind="multiple_choice", options=options) == Choice(index)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("D", "expected one of A, B, C"),
        ("B. to the left", "expected after B: 'to the right'"),
        ("A or B", "expected one of A, B, C"),
        ("AB", "expected one of A, B, C"),
        ("B C", "expected one of A, B, C"),
        ("", "found ''"),
        ("right", "found 'right'"),
    ],
    ids=["no such letter", "another's words", "hedged", "two letters", "two", "nothing", "part"],
)
def test_an_answer_that_is_not_among_its_options_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadAnswer, match=said):
        parse(text, kind="multiple_choice", options=SIDES)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "found 0, expected 2"),
        (("one",), "found 1, expected 2"),
        (("left", "Left."), "different ones"),
        (("left", " "), "none of them empty"),
        (("B", "A"), "another option's letter"),
        (tuple(f"number {i}" for i in range(27)), "found 27"),
    ],
    ids=["none", "one", "twice", "empty", "letters swapped", "more than letters"],
)
def test_options_that_cannot_be_told_apart_are_refused(options: tuple[str, ...], said: str) -> None:
    with pytest.raises(BadQuestion, match=said):
        bare_options(options)


def test_letters_before_only_some_options_are_part_of_them() -> None:
    assert bare_options(("A. left", "right")) == ("A. left", "right")


NUMBERS: list[tuple[str, str | None, Number]] = [
    ("3.5", None, Number(3.5)),
    ("-3", None, Number(-3.0)),
    ("−3", None, Number(-3.0)),
    ("+.5", None, Number(0.5)),
    ("3.", None, Number(3.0)),
    ("12,345.5", None, Number(12345.5)),
    ("2e-3", None, Number(0.002)),
    ("3.5", "m", Number(3.5, "length")),
    ("75", "cm", Number(0.75, "length")),
    ("75 cm", "m", Number(0.75, "length")),
    ("3m", "cm", Number(3.0, "length")),
    ("1.2 km", "m", Number(1200.0, "length")),
    ("5 mm", "m", Number(0.005, "length")),
    ("2 metres.", "m", Number(2.0, "length")),
    ("2 Meters", "m", Number(2.0, "length")),
    ("250 ms", "s", Number(0.25, "time")),
    ("1.5 min", "s", Number(90.0, "time")),
    ("36 km/h", "m/s", Number(10.0, "speed")),
    ("36 kilometres per hour", "m/s", Number(10.0, "speed")),
    ("5 cm/s", "m/s", Number(0.05, "speed")),
    ("9.81 m/s²", "m/s^2", Number(9.81, "acceleration")),
    ("90°", "deg", Number(90.0, "angle")),
    ("30 %", "%", Number(0.3, "share")),
    ("12 px", "px", Number(12.0, "pixels")),
]


@pytest.mark.parametrize(("text", "asked", "number"), NUMBERS)
def test_a_number_is_read_into_its_dimensions_base_unit(
    text: str, asked: str | None, number: Number
) -> None:
    assert parse(text, kind="number", asked_unit=asked) == number


def test_half_a_turn_is_pi_in_radians() -> None:
    found = parse(str(math.pi), kind="number", asked_unit="rad")
    assert isinstance(found, Number)
    assert found.value == pytest.approx(180.0)


@pytest.mark.parametrize(
    ("text", "asked", "name"),
    [
        ("3 parsecs", "m", "parsecs"),
        ("3 Mm", "m", "Mm"),
        ("3 KM", "m", "KM"),
        ("3", "elle", "elle"),
    ],
    ids=["no such", "case of a symbol", "capitals", "asked for"],
)
def test_an_unknown_unit_is_refused_by_name(text: str, asked: str, name: str) -> None:
    with pytest.raises(UnknownUnit, match=f"found '{name}', expected one of m, cm, mm"):
        parse(text, kind="number", asked_unit=asked)


@pytest.mark.parametrize(
    ("text", "asked", "said"),
    [
        ("3 s", "m", "expected a length"),
        ("3 m", None, "expected a number without a unit"),
        ("1,5", None, "expected digits"),
        ("1234,567", None, "expected digits"),
        ("about 3", None, "expected digits"),
        ("", None, "expected digits"),
        ("nan", None, "expected digits"),
        ("inf", None, "expected digits"),
        ("1e999", None, "a finite number"),
        ("٣", None, "expected digits"),
    ],
)
def test_what_is_not_plainly_a_number_is_refused(text: str, asked: str | None, said: str) -> None:
    with pytest.raises(BadAnswer, match=said):
        parse(text, kind="number", asked_unit=asked)


@given(st.floats(-1e6, 1e6), st.sampled_from(["m", "cm", "mm", "km"]))
def test_a_written_number_comes_back(value: float, name: str) -> None:
    found = parse(f"{value!r} {name}", kind="number", asked_unit="m")
    per = {"m": 1.0, "cm": 0.01, "mm": 0.001, "km": 1000.0}[name]
    assert isinstance(found, Number)
    assert found.value == pytest.approx(value * per, rel=1e-12)


OTHERS: list[tuple[str, Kind, Answer]] = [
    ("yes", "yes_no", YesNo(True)),
    ("No.", "yes_no", YesNo(False)),
    ("TRUE", "yes_no", YesNo(True)),
    ("No, it does not bounce", "yes_no", YesNo(False)),
    ("3", "clock", Clock(3)),
    ("12 o'clock", "clock", Clock(12)),
    ("7 oclock", "clock", Clock(7)),
    ("in the direction of 10 o’clock.", "clock", Clock(10)),
    ("1:00", "clock", Clock(1)),
    ("3.5 to 4.5 s", "interval", TimeInterval(3.5, 4.5)),
    ("3.5-4.5", "interval", TimeInterval(3.5, 4.5)),
    ("[1,2]", "interval", TimeInterval(1.0, 2.0)),
    ("[100,200] s", "interval", TimeInterval(100.0, 200.0)),
    ("from 3 s until 0.1 min", "interval", TimeInterval(3.0, 6.0)),
    ("3 to 5 min", "interval", TimeInterval(180.0, 300.0)),
    ("between 2 and 4 seconds.", "interval", TimeInterval(2.0, 4.0)),
    ("It falls.", "text", Text("It falls.")),
]


@pytest.mark.parametrize(("text", "kind", "answer"), OTHERS)
def test_an_answer_is_read_as_its_kind(text: str, kind: Kind, answer: Answer) -> None:
    assert parse(text, kind=kind) == answer


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("yes and no", "yes_no"),
        ("yesterday", "yes_no"),
        ("", "yes_no"),
        ("0", "clock"),
        ("13", "clock"),
        ("3 or 4", "clock"),
        ("3:30", "clock"),
        ("5 to 3 s", "interval"),
        ("3 to 3 s", "interval"),
        ("3 s", "interval"),
        ("-1 to 3", "interval"),
        ("3 to 5 m", "interval"),
        ("  ", "text"),
    ],
)
def test_an_answer_of_another_kind_or_a_hedged_one_is_refused(text: str, kind: Kind) -> None:
    with pytest.raises(BadAnswer, match="found"):
        parse(text, kind=kind)


@given(st.text(max_size=60), st.sampled_from(KINDS))
def test_whatever_a_model_says_is_read_or_refused(text: str, kind: Kind) -> None:
    try:
        answer = parse(text, kind=kind, options=SIDES, asked_unit="s" if kind == "number" else None)
    except BadAnswer:
        return
    assert isinstance(answer, Choice | Number | YesNo | Clock | TimeInterval | Text)


def test_an_unknown_kind_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="expected one of multiple_choice"):
        parse("3", kind="essay")  # type: ignore[arg-type]
