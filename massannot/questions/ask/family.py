"""Family: one kind of question, and Sight: what a family sees of a clip when it proposes some.

A family is one file in `families/`, or anywhere else, with `FAMILIES`, a tuple of `AskedFamily`.
It yields proposals, a text and a program; whether a proposal is asked is decided elsewhere, by how
sure the answer is, whether other readings of the text agree, and how often each answer occurs.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from massannot.plugins import Registry
from massannot.questions.answers import Kind
from massannot.questions.ask.cited_rows import ClipRows, Row
from massannot.questions.ask.fronts import WITH_A_FRONT
from massannot.questions.ask.program import FrontBy, Operation, Reference
from massannot.questions.shown_video import BOX_RGB

REGISTRY = Registry(
    "question family",
    Path(__file__).parent / "families",
    "massannot.questions.ask.families",
    plural="question families",
)
LEAST_M = 0.1
"""Less is no motion, in metres."""
LEAST_SHARE = 0.04
"""Less is no motion, as a share of the distance from the camera."""
RATIO = 1.25
"""Two lengths nearer than this are a tie."""
WHOLE_SHARE = 0.9
"""Of the frames, in which a thing's outline is neither cut nor hidden."""
BOX_COLOURS = tuple(BOX_RGB)


@dataclass(frozen=True)
class Proposal:
    text: str
    """With {0}, {1} for the things."""
    things: tuple[int, ...]
    program: Operation
    choices: tuple[Any, ...] = ()
    """Values to choose from; none: the family's."""
    agree: tuple[Operation, ...] = ()
    """Other readings of the text: each must give the same value (a number within 15 %)."""
    until_frame: int | None = None
    """Last frame that may be shown; None: all may be."""
    answer: Any = None
    """Of the program, as JSON has it, where somebody said one: another is not asked."""


@dataclass(frozen=True)
class AskedFamily:
    """One kind of question."""

    name: str
    category: str
    """As MASS-Bench and VideoHallu name them."""
    kind: Kind
    propose: Callable[[Sight], Iterator[Proposal]]
    needs_metres: bool = False
    unit: str | None = None
    tolerance_abs: float | None = None
    choices: tuple[Any, ...] = ()
    say: Mapping[Any, str] = field(default_factory=dict)
    """Words for values, with {0}, {1} for the things; others are written as they are."""
    thresholds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SeenThing:
    entity: int
    phrase: str
    """As asked for."""
    whole: bool
    """In the picture from the first to the last frame, its outline neither cut nor hidden."""
    moves: bool
    """Farther than nothing."""
    named: bool
    """The only thing of its phrase."""

    @property
    def noun(self) -> str:
        return self.phrase.split()[-1].casefold() if self.phrase.split() else ""


class Sight:
    """A clip, as far as a family needs it to propose. Nothing that it reads is evidence."""

    def __init__(
        self, rows: ClipRows, *, reference: Reference | Literal["auto"], boxes: bool = False
    ):
        """`reference` auto: the world where the camera's poses are known."""
        self._rows = rows.fresh()
        self.clip_id = rows.clip_id
        if reference == "auto":
            known = {row["reference"] for row in self._rows.rows("motions", role="subject")}
            reference = "world" if "world" in known else "camera"
        self.reference: Reference = reference
        self.boxes = boxes

    @cached_property
    def clip(self) -> Row:
        return self._rows.row("clips", role="clip")

    @cached_property
    def t_s(self) -> list[float]:
        return [row["t_s"] for row in self._rows.rows("frames", role="clip")]

    @property
    def last(self) -> int:
        """The last frame."""
        return len(self.t_s) - 1

    def boxes_of(self, thing: int) -> list[tuple[float, ...]]:
        """t_s, x0, y0, x1, y1 of its visible part, by frame."""
        rows = self._rows.rows("masks", thing, role="witness")
        return [
            (self.t_s[row["frame"]], *(row[side] for side in ("x0", "y0", "x1", "y1")))
            for row in rows
            if row["x0"] is not None
        ]

    def frames_in(self, seconds: float) -> int:
        """At least one."""
        usual = (self.t_s[-1] - self.t_s[0]) / max(self.last, 1)
        return max(1, round(seconds / usual)) if usual else 1

    @property
    def metric(self) -> bool:
        return bool(self.clip["scale_type"] == "metric")

    @property
    def still(self) -> bool:
        """Whether the camera is known to stand still."""
        return bool(self.clip["camera_static"])

    @property
    def frame_words(self) -> str:
        """What a motion is relative to, where that is not plain."""
        if self.still:
            return ""
        return (
            ", relative to the ground" if self.reference == "world" else ", relative to the camera"
        )

    @cached_property
    def kinds(self) -> Counter[str]:
        """Kinds of events."""
        return Counter(row["kind"] for row in self._rows.rows("events", role="event"))

    def has(self, kinds: tuple[str, ...], thing: int) -> bool:
        events = self._rows.rows("events", role="event")
        return any(row["kind"] in kinds and takes_part(row, thing) for row in events)

    @cached_property
    def things(self) -> tuple[SeenThing, ...]:
        """That may be spoken of."""
        phrases = {row["phrase"]: row for row in self._rows.rows("phrases", role="name")}
        found = []
        for row in self._rows.rows("entities", role="name"):
            phrase = phrases[row["phrase"]]
            named = phrase["n_entities"] == 1
            if not (named or self.boxes):
                continue
            found.append(
                SeenThing(
                    row["entity"],
                    phrase["text"],
                    row["entity"] in self._whole,
                    self._moves(row["entity"]),
                    named,
                )
            )
        return tuple(found)

    def front_by(self, thing: SeenThing) -> FrontBy | None:
        """Where the direction of its front comes from; None: it has none, or nobody knows."""
        if self._rows.rows("orientations", thing.entity, role="subject"):
            return "front"
        rows = self._rows.rows("positions", thing.entity, role="subject")
        if rows and all(row.get("front_x") is not None for row in rows):
            return "front"
        return "motion" if thing.noun in WITH_A_FRONT and thing.moves else None

    @property
    def movers(self) -> tuple[SeenThing, ...]:
        """Things that are whole and move."""
        return tuple(thing for thing in self.things if thing.whole and thing.moves)

    @property
    def whole(self) -> tuple[SeenThing, ...]:
        return tuple(thing for thing in self.things if thing.whole)

    def pairs(self, things: tuple[SeenThing, ...]) -> Iterator[tuple[SeenThing, SeenThing]]:
        """Each two, in both orders."""
        return itertools.permutations(things, 2)

    def _moves(self, entity: int) -> bool:
        rows = self._rows.rows("motions", entity, role="subject")
        rows = [row for row in rows if row["reference"] == self.reference]
        if not rows:
            return False
        path = sum(row["path"] for row in rows)
        far = sum(rows[0][f"first_{a}"] ** 2 for a in "xyz") ** 0.5
        return bool(path >= LEAST_SHARE * far and (not self.metric or path >= LEAST_M))

    @cached_property
    def _whole(self) -> set[int]:
        """Of those in the picture all the time."""
        width, height = self.clip["source_width"], self.clip["source_height"]
        boxes: dict[int, dict[int, tuple[float, ...]]] = {}
        for row in self._rows.rows("masks", role="witness"):
            if row["x0"] is not None and row["state"] == "visible":
                box = tuple(row[side] for side in ("x0", "y0", "x1", "y1"))
                boxes.setdefault(row["entity"], {})[row["frame"]] = box
        depth = {
            (row["entity"], row["frame"]): row["z_cam"]
            for row in self._rows.rows("positions", role="witness")
            if row["z_cam"] is not None
        }
        bodies = Counter(
            row["entity"]
            for row in self._rows.rows("positions", role="witness")
            if row["body_x"] is not None
        )
        if bodies:  # the outline was judged when the positions were made
            n_least = WHOLE_SHARE * (self.last + 1)
            return {e for e, n in bodies.items() if n >= n_least and len(boxes[e]) > self.last}
        whole = set()
        for entity, mine in boxes.items():
            if len(mine) <= self.last:
                continue
            if any(x0 < 1 or y0 < 1 or x1 > width - 1 or y1 > height - 1
                   for x0, y0, x1, y1 in mine.values()):  # fmt: skip
                continue
            if not any(
                other != entity and _hides(entity, other, frame, mine, theirs, depth)
                for other, theirs in boxes.items()
                for frame in mine
            ):
                whole.add(entity)
        return whole


def _hides(
    entity: int,
    other: int,
    frame: int,
    mine: dict[int, tuple[float, ...]],
    theirs: dict[int, tuple[float, ...]],
    depth: dict[tuple[int, int], float],
) -> bool:
    """Whether the other's box lies over this one's and it is not clearly behind."""
    if frame not in theirs or (entity, frame) not in depth:
        return (entity, frame) not in depth
    a, b = mine[frame], theirs[frame]
    apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    behind = depth.get((other, frame), 0.0) > depth[entity, frame]
    return not apart and not behind


def takes_part(event: Row, thing: int | None) -> bool:
    """Whether a thing does, None: anything. A contact that is asked for is one of two things: with
    the floor or a wall it is no event of theirs."""
    if event["kind"].startswith("contact_") and len(event["entities"]) < 2:
        return False
    return thing is None or thing in event["entities"]


def families_of(names: tuple[str, ...]) -> tuple[AskedFamily, ...]:
    """Of those files, or `FILE:NAME` of one of them; no names: all of ours. Raises UsageError."""
    from massannot.errors import UsageError

    found: list[AskedFamily] = []
    for name in names or REGISTRY.names():
        file, _, one = name.partition(":")
        declared = REGISTRY.attribute(file, "FAMILIES")
        chosen = [family for family in declared if one in ("", family.name)]
        if not chosen:
            has = ", ".join(family.name for family in declared)
            raise UsageError(f"question family {name}: found {has} there, expected {one!r}")
        found += chosen
    return tuple(found)
