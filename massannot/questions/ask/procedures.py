"""Procedures: answers of numbered steps, and the viewers for whom they are asked (DSR Suite).

The options of a procedure are what the same program gives for the video as it is, backwards,
mirrored, or both: each of them is the answer for one of these videos, so that none stands out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from massannot.questions.ask.family import AskedFamily, Proposal, Sight
from massannot.questions.ask.program import CAMERA, Quantity, StateSequence, Viewpoint

VIEWPOINTS: tuple[Viewpoint, ...] = ("absolute", "relative")
ORBIT = (("up",), ("down",), ("up", "down"), ("down", "up"))


def for_viewpoints(
    name: str,
    propose: Callable[[Sight, Viewpoint], Iterator[Proposal]],
    *,
    choices: tuple[tuple[str, ...], ...],
    say: Mapping[str, str],
    thresholds: Mapping[str, float],
) -> tuple[AskedFamily, ...]:
    """The family for a viewer who stays, and for one who is followed."""
    return tuple(
        AskedFamily(
            f"{name}_{viewpoint}",
            "Spatial Dynamics",
            "multiple_choice",
            _seen_from(propose, viewpoint),
            choices=choices,
            say=numbered(say),
            thresholds=thresholds,
        )
        for viewpoint in VIEWPOINTS
    )


def _seen_from(
    propose: Callable[[Sight, Viewpoint], Iterator[Proposal]], viewpoint: Viewpoint
) -> Callable[[Sight], Iterator[Proposal]]:
    return lambda sight: propose(sight, viewpoint)


def changes_of(
    quantity: Quantity, name: str, words: str, *, least: float, say: Mapping[str, str]
) -> tuple[AskedFamily, ...]:
    """The families that ask how a quantity changes over the whole clip; `words` end the text."""

    def propose(sight: Sight, viewpoint: Viewpoint) -> Iterator[Proposal]:
        for thing, viewer, view, things in viewed(sight, viewpoint):
            program = StateSequence(quantity, thing, viewer, viewpoint, 0, sight.last, least)
            yield Proposal(f"{view}, {words}", things, program)

    return for_viewpoints(name, propose, choices=ORBIT, say=say, thresholds={"least": least})


def numbered(say: Mapping[str, str]) -> dict[Any, str]:
    """Words for procedures of one and of two steps that differ."""
    one = {(state,): f"1. {words}" for state, words in say.items()}
    two = {
        (a, b): f"1. {say[a][0].upper()}{say[a][1:]} 2. {say[b][0].upper()}{say[b][1:]}"
        for a in say
        for b in say
        if a != b
    }
    return one | two


def camera_words(viewpoint: Viewpoint) -> str:
    if viewpoint == "absolute":
        return "For somebody who stays where the camera is at the start"
    return "For somebody who moves along with the camera"


def viewed(sight: Sight, viewpoint: Viewpoint) -> Iterator[tuple[int, int, str, tuple[int, ...]]]:
    """Thing, viewer, how the view is put, and the things in the order of {0}, {1}."""
    for thing in sight.whole:
        if thing.moves or (viewpoint == "relative" and not sight.still):
            yield thing.entity, CAMERA, camera_words(viewpoint), (thing.entity,)
    for thing, viewer in sight.pairs(sight.whole):
        if not (thing.moves or (viewer.moves and viewpoint == "relative")):
            continue
        words = (
            "For somebody who stays where {1} is at the start"
            if viewpoint == "absolute"
            else "For somebody who moves along with {1}"
        )
        yield thing.entity, viewer.entity, words, (thing.entity, viewer.entity)
