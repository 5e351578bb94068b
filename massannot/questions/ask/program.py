"""Programs: small typed trees of operations over the rows of one clip, and their JSON.

An operation is a frozen dataclass whose fields are numbers, words, other operations or tuples of
these. Its JSON is `{"op": "Path", "thing": 0, ...}`. A thing is the number of an entity, an
operation that chooses one, or CAMERA. Frames are those of the clip, both ends included.
Directions are seen from above the camera: its right and forward axes, for no clip says where up is.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from dataclasses import dataclass
from typing import Any, Literal

from massannot.errors import BadQuestion
from massannot.storage.json_text import parsed

VERSION = 2
"""Of the operations: it changes with what any of them gives."""
CAMERA = -1

Reference = Literal["camera", "world"]
How = Literal["mirrored", "reversed", "shifted"]
Viewpoint = Literal["absolute", "relative"]
FrontBy = Literal["front", "motion"]
Quantity = Literal["distance", "bearing", "speed"]


class Operation:
    """Base of every operation."""


@dataclass(frozen=True)
class Path(Operation):
    """Length of the way of a thing from its first to its last position."""

    thing: int | Operation
    reference: Reference


@dataclass(frozen=True)
class Speed(Operation):
    """Path by time."""

    thing: int | Operation
    reference: Reference


@dataclass(frozen=True)
class Displacement(Operation):
    """Distance of a thing's last position from its first."""

    thing: int | Operation
    reference: Reference


@dataclass(frozen=True)
class NetSpeed(Operation):
    """Displacement by time."""

    thing: int | Operation
    reference: Reference


@dataclass(frozen=True)
class Distance(Operation):
    """Distance of two things in one frame; either may be CAMERA."""

    one: int | Operation
    other: int | Operation
    frame: int


@dataclass(frozen=True)
class DirectionClock(Operation):
    """Hour of the step between two frames, 12 being that of the base, clockwise from above."""

    thing: int
    base: tuple[int, int]
    step: tuple[int, int]
    reference: Reference


@dataclass(frozen=True)
class When(Operation):
    """From when to when the steps of `stride` frames have that hour, see DirectionClock: the
    longest such stretch."""

    thing: int
    hour: int
    stride: int
    reference: Reference


@dataclass(frozen=True)
class Compare(Operation):
    """Which of two numbers is greater: first or second."""

    one: Operation
    other: Operation


@dataclass(frozen=True)
class DirectionsDiffer(Operation):
    """Whether two things' displacements differ by more than an angle: yes or no."""

    one: int
    other: int
    degrees: float
    reference: Reference


@dataclass(frozen=True)
class Count(Operation):
    """How many events of these kinds the thing has; None: anybody."""

    kinds: tuple[str, ...]
    thing: int | None


@dataclass(frozen=True)
class Happens(Operation):
    """Whether the thing has an event of these kinds: yes or no."""

    kinds: tuple[str, ...]
    thing: int


@dataclass(frozen=True)
class EventTime(Operation):
    """When the thing has its first event of these kinds, seconds after the video's first frame."""

    kinds: tuple[str, ...]
    thing: int | Operation


@dataclass(frozen=True)
class Order(Operation):
    """Numbers of the items, smallest value first."""

    items: tuple[Operation, ...]


@dataclass(frozen=True)
class StateSequence(Operation):
    """Phases in which a quantity of a thing, for a viewer, rises or falls: a list of up and down.

    distance: of the thing from the viewer. bearing: of the thing seen from the viewer, clockwise
    from above. speed: of the thing. Viewpoint absolute: the viewer stays where it was in frame
    `first`; relative: it is followed. `least`: the smallest rise that counts, as a share of the
    mean for distance and speed, in degrees for bearing.
    """

    quantity: Quantity
    thing: int
    viewer: int
    viewpoint: Viewpoint
    first: int
    last: int
    least: float


@dataclass(frozen=True)
class Turning(Operation):
    """Phases in which the front of a thing turns, from above: a list of up (clockwise) and down.

    by front: from the angles of its front that the rows hold; by motion: the front is taken to
    point where the thing moves. Viewpoint absolute: seen by who stays where the camera is at first;
    relative: by who moves along with the camera. `least`: the smallest turn that counts, degrees.
    """

    thing: int
    by: FrontBy
    viewpoint: Viewpoint
    first: int
    last: int
    least: float


@dataclass(frozen=True)
class Faster(Operation):
    """Who of two is faster, phase by phase: a list of first and second."""

    one: int
    other: int
    viewer: int
    viewpoint: Viewpoint
    first: int
    last: int
    least_ratio: float


@dataclass(frozen=True)
class Having(Operation):
    """The things that have an event of these kinds."""

    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Most(Operation):
    """The thing of a set for which a quantity is greatest: Path, Speed or Displacement."""

    of: Having
    by: Literal["Path", "Speed", "Displacement"]
    reference: Reference


@dataclass(frozen=True)
class FirstTo(Operation):
    """The thing that has an event of these kinds before all others."""

    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Gravity(Operation):
    """Whether a thing's flight has the acceleration of gravity: yes or no."""

    thing: int


@dataclass(frozen=True)
class Counterfactual(Operation):
    """The same program, had the video been mirrored left to right, played backwards, or begun at
    its middle, what was before following at the end (shifted)."""

    how: How
    of: Operation


OPERATIONS: dict[str, type[Operation]] = {
    name: each
    for name, each in vars(sys.modules[__name__]).items()
    if isinstance(each, type) and issubclass(each, Operation) and each is not Operation
}


def as_json(program: Operation) -> str:
    """One line, keys in the order of the fields; equal programs give equal text."""
    return json.dumps(_plain(program), separators=(",", ":"))


def from_json(text: str) -> Operation:
    """The program of `as_json`. Raises BadQuestion for anything else."""
    try:
        program = _built(parsed(text))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadQuestion(f"program: found {text[:200]!r}, expected operations: {error}") from error
    if not isinstance(program, Operation):
        raise BadQuestion(f"program: found {text[:200]!r}, expected an operation")
    return program


def children(program: Operation) -> tuple[Operation, ...]:
    """The operations that are fields, or items of fields, in order."""
    found: list[Operation] = []
    for each in dataclasses.fields(program):  # type: ignore[arg-type]
        value = getattr(program, each.name)
        items = value if isinstance(value, tuple) else (value,)
        found += [item for item in items if isinstance(item, Operation)]
    return tuple(found)


def depth(program: Operation) -> int:
    """1 for an operation over rows alone."""
    return 1 + max(map(depth, children(program)), default=0)


def with_things(program: Operation, instead: dict[int, int]) -> Operation:
    """The same program about other things."""
    changed: dict[str, Any] = {}
    for each in dataclasses.fields(program):  # type: ignore[arg-type]
        value = getattr(program, each.name)
        if each.name in _THINGS and isinstance(value, int):
            changed[each.name] = instead.get(value, value)
        elif isinstance(value, Operation):
            changed[each.name] = with_things(value, instead)
        elif isinstance(value, tuple) and any(isinstance(item, Operation) for item in value):
            changed[each.name] = tuple(with_things(item, instead) for item in value)
    return dataclasses.replace(program, **changed)  # type: ignore[type-var]


def things_of(program: Operation) -> tuple[int, ...]:
    """The entities that it names, each once, in order."""
    found: list[int] = []
    for each in dataclasses.fields(program):  # type: ignore[arg-type]
        value = getattr(program, each.name)
        if each.name in _THINGS and isinstance(value, int):
            found.append(value)
    found += [thing for child in children(program) for thing in things_of(child)]
    return tuple(dict.fromkeys(thing for thing in found if thing != CAMERA))


_THINGS = ("thing", "one", "other", "viewer")


def _plain(value: Any) -> Any:
    if isinstance(value, Operation):
        found = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}  # type: ignore[arg-type]
        return {"op": type(value).__name__, **{name: _plain(x) for name, x in found.items()}}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _built(value: Any) -> Any:
    if isinstance(value, dict):
        named = dict(value)
        return OPERATIONS[named.pop("op")](**{name: _built(x) for name, x in named.items()})
    if isinstance(value, list):
        return tuple(map(_built, value))
    return value
