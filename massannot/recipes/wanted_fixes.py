"""What people put right in a clip, as a retry wants it: places and masks, points, names, removals.

A mask says more than a box of the same thing in the same frame; its outlines there are parts of one
mask, and one without a pixel says that nothing of the thing is seen. A thing that was missing has
no number, then each box or mask is one to be matched with the others, or a number below 0, then all
of that number are one thing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from massannot.clip import Clip
from massannot.errors import BadMask, ClipError
from massannot.geometry import rle
from massannot.models.recorded.segmentations import counts_of
from massannot.tables.reviews import Fix


class CannotCorrect(ClipError):
    """What a person put right does not say enough, or cannot be followed."""

    reason = "cannot_correct"


@dataclass(frozen=True)
class Place:
    """Where a thing is in a frame."""

    entity: int | None
    frame: int
    box_xyxy: tuple[float, ...]
    counts: str | None = None
    """Its mask, run lengths of the source picture; None: a box alone was given."""


@dataclass(frozen=True)
class Wanted:
    """The fixes, by what they are."""

    places: tuple[Place, ...]
    unseen: frozenset[tuple[int, int]]
    """Things and frames in which nothing of them is seen."""
    points: tuple[Fix, ...]
    names: Mapping[int | None, str]
    """Entity to its right name."""
    removed: frozenset[int]
    """Things that are none."""

    @classmethod
    def of(cls, clip: Clip, fixes: Sequence[Fix]) -> Wanted:
        """Raises CannotCorrect for what no such clip can have."""
        known = clip.table("entities")["entity"].to_pylist()
        for fix in fixes:
            if not is_missing(fix["entity"]) and fix["entity"] not in known:
                raise CannotCorrect(f"a {fix['kind']} of entity {fix['entity']}: there is none")
            if not 0 <= fix.get("frame", 0) < len(clip):
                raise CannotCorrect(f"a {fix['kind']} in frame {fix['frame']} of {len(clip)}")
        removed = frozenset(fix["entity"] for fix in fixes if fix["kind"] == "remove")
        fixes = [fix for fix in fixes if fix["entity"] not in removed]
        places, unseen = _places(clip, fixes)
        wanted = cls(
            places=places,
            unseen=unseen,
            points=tuple(fix for fix in fixes if fix["kind"] == "point"),
            names={fix["entity"]: str(fix["name"]) for fix in fixes if fix["kind"] == "name"},
            removed=removed,
        )
        if any(is_missing(entity) for entity in wanted._touched - wanted.placed):
            raise CannotCorrect("a point of a thing that was missing, without a box or mask of it")
        return wanted

    @property
    def computes(self) -> bool:
        """Whether anything is made anew."""
        return bool(self._touched)

    @property
    def entities(self) -> list[int]:
        """Things that are there and are made anew."""
        return sorted(e for e in self._touched if e is not None and not is_missing(e))

    @property
    def placed(self) -> set[int | None]:
        return {place.entity for place in self.places}

    @property
    def kept(self) -> tuple[int, ...]:
        """Things made anew whose masks stand, but for frames in which they are not seen."""
        return tuple(entity for entity in self.entities if entity not in self.placed)

    @property
    def _touched(self) -> set[int | None]:
        points = {fix["entity"] for fix in self.points}
        return self.placed | points | {entity for entity, _ in self.unseen}


def is_missing(entity: int | None) -> bool:
    """Whether a fix is about a thing that was missing."""
    return entity is None or entity < 0


def _places(
    clip: Clip, fixes: Sequence[Fix]
) -> tuple[tuple[Place, ...], frozenset[tuple[int, int]]]:
    """Where things are, and where nothing of them is seen. Each mask of what was missing and has no
    number is a thing."""
    drawn: dict[tuple[int | None, int, int], list[Any]] = {}
    for number, fix in enumerate(fixes):
        if fix["kind"] == "mask":
            thing = number if fix["entity"] is None else 0
            drawn.setdefault((fix["entity"], fix["frame"], thing), []).append(fix["mask"])
    places = [
        Place(fix["entity"], fix["frame"], _inside(clip, fix["box"]))
        for fix in fixes
        if fix["kind"] == "box" and (fix["entity"], fix["frame"], 0) not in drawn
    ]
    unseen = set()
    size = {"height": clip.frames.source_height, "width": clip.frames.source_width}
    for (entity, frame, _), parts in drawn.items():
        counts = _joined(parts, frame=frame, **size)
        box = rle.box_xyxy(counts, **size)
        if box is not None:
            places.append(Place(entity, frame, box, counts))
        elif entity is None or any(part for part in parts if not isinstance(part, str)):
            raise CannotCorrect(f"the outline in frame {frame} holds no pixel of the picture")
        else:
            unseen.add((entity, frame))
    return tuple(places), frozenset(unseen)


def _joined(parts: Sequence[str | Sequence[float]], *, frame: int, height: int, width: int) -> str:
    """Run lengths of all outlines and run lengths together."""
    try:
        found = list(_run_lengths(parts, height=height, width=width))
    except BadMask as error:
        raise CannotCorrect(f"the mask in frame {frame}: {error}") from error
    if len(found) == 1:
        return found[0]
    together = np.zeros((height, width), np.bool_)
    for counts in found:
        together |= rle.decode(counts, height=height, width=width)
    return rle.encode(together)


def _run_lengths(
    parts: Sequence[str | Sequence[float]], *, height: int, width: int
) -> Iterator[str]:
    for part in parts:
        if isinstance(part, str):
            rle.check(part, height=height, width=width)
            yield part
        elif part:
            counts = counts_of([part], height=height, width=width)
            assert counts is not None  # it has corners
            yield counts


def _inside(clip: Clip, box_xyxy: Sequence[float]) -> tuple[float, ...]:
    size = [clip.frames.source_width, clip.frames.source_height] * 2
    box = np.clip(np.array(box_xyxy, np.float64), 0, size)
    if not (box[0] < box[2] and box[1] < box[3]):
        raise CannotCorrect(f"the box {box_xyxy} lies outside of the picture")
    return tuple(box.tolist())
