"""What a flag's text means: rates, pairs, options of stages, paths."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from massannot.errors import UsageError

if TYPE_CHECKING:
    from massannot.recipes.spec import PoseChoice

POSE_CHOICES: Mapping[str, PoseChoice] = {
    "auto": "auto",
    "estimate": "estimate",
    "assume": "assume",
}


def rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 < rate < float("inf"):
        raise UsageError(f"--fps {text}: expected frames a second above 0, or all")
    return rate


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


def calibration_choice(text: str) -> str:
    return text if text in ("auto", "none") else os.path.abspath(text)


def absolute_file(name: str) -> str:
    """A plug-in's name; the path of a file holds from any working folder."""
    path, colon, rest = name.partition(":")
    return f"{os.path.abspath(path)}{colon}{rest}" if path.endswith(".py") else name
