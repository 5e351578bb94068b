"""What a flag's text means: rates, pairs, options of stages, paths."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from massannot.errors import UsageError

if TYPE_CHECKING:
    from massannot.recipes.spec import PoseChoice

POSE_CHOICES: Mapping[str, PoseChoice] = {
    "auto": "auto",
    "estimate": "estimate",
    "assume": "assume",
}


TypedBoxes = Annotated[
    list[str],
    typer.Option(
        metavar="[PHRASE@]2.4s:X0,Y0,X1,Y1",
        help="A box by hand, of one video: source pixels at a time; followed both ways.",
    ),
]


TypedPoints = Annotated[
    list[str],
    typer.Option(
        metavar="[PHRASE@]2.4s:X,Y",
        help="A point by hand, of one video: what is there is followed both ways.",
    ),
]


def rate(text: str) -> float:
    return _above_0(text, f"--fps {text}: expected frames a second above 0, or all")


def _above_0(text: str, refusal: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number < float("inf"):
        raise UsageError(refusal)
    return number


def pairs(texts: Sequence[str], form: str) -> list[tuple[str, str]]:
    return [pair(text, form) for text in texts]


def pair(text: str, form: str) -> tuple[str, str]:
    left, equals, right = text.partition("=")
    if not (left and equals and right):
        raise UsageError(f"{text!r}: expected {form}")
    return left, right


def stage_option(text: str) -> tuple[str, str]:
    name, value = pair(text, "--set STAGE.OPTION=VALUE")
    stage, dot, option = name.partition(".")  # the option may have dots of its own
    if not (stage and dot and option):
        raise UsageError(f"--set {text}: expected STAGE.OPTION=VALUE")
    return name, value


def camera_source(text: str) -> tuple[str | None, PoseChoice]:
    """The file, and what becomes of poses that it does not give."""
    path, _, last = text.rpartition(",")
    choice = POSE_CHOICES.get(last)
    return (text, "auto") if choice is None else (path or None, choice)


def known_sizes(texts: Sequence[str]) -> dict[str, float]:
    """PHRASE=METRES, each phrase as -p has it."""
    from massannot.inputs.phrase_list import phrases_of

    sizes: dict[str, float] = {}
    for text in texts:
        phrase, metres = pair(text, "--known-size PHRASE=METRES")
        size = _above_0(
            metres, f"--known-size {text}: expected metres above 0, as in 'a ball=0.24'"
        )
        for name in phrases_of([phrase]):
            if sizes.setdefault(name, size) != size:
                raise UsageError(f"--known-size: found two sizes of {name!r}, expected one")
    return sizes


def calibration_choice(text: str) -> str:
    return text if text in ("auto", "none") else os.path.abspath(text)


def absolute_file(name: str) -> str:
    """A plug-in's name; the path of a file holds from any working folder."""
    path, colon, rest = name.partition(":")
    return f"{os.path.abspath(path)}{colon}{rest}" if path.endswith(".py") else name
