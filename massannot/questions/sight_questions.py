"""Questions about scenes that pictures answer and no geometry: which thing is there, its colour, on
which side of the picture it is, and where it was first.

Where a body may be hidden by the other or is cut by the picture's edge, and where it hardly moves
across the picture, nobody asks. A body is named by its colour, so where both have one, neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from massannot.questions.scene_story import Story
from massannot.scenes.shapes import SHAPE_NAMES
from massannot.scenes.world import COLOUR_NAMES as COLOUR_NAMES

Draft = tuple[str, tuple[int, ...], str | float, tuple[float, ...]]
"""Text, entities, value and numbers of a question, see SceneQuestion."""

SIDES = ("on the left", "on the right")
COMES_FROM = ("farther to the left", "farther to the right")
LEAST_FROM_MIDDLE = 0.15
"""Half widths of the picture: nearer to its middle, a thing is on no side."""
LEAST_ACROSS = 0.2
"""Half widths of the picture: less is no motion across it."""


def is_there(story: Story) -> Iterator[Draft]:
    """A colour, of either body."""
    if story.colours and _both_seen(story):
        for colour in COLOUR_NAMES:
            text = f"Is one of the two things {colour}?"
            yield text, (0, 1), "yes" if colour in story.colours else "no", ()


def is_shape(story: Story) -> Iterator[Draft]:
    if _both_seen(story):
        for shape in SHAPE_NAMES:
            text = f"Is one of the two things a {shape}?"
            yield text, (0, 1), "yes" if shape in story.shapes else "no", ()


def on_side(story: Story) -> Iterator[Draft]:
    for entity, colour in _named(story):
        for when, frame in (("start", 0), ("end", -1)):
            x = story.picture_x(frame, entity)
            if x is not None and abs(x) >= LEAST_FROM_MIDDLE:
                text = f"At the {when}, on which side of the picture is the {colour} thing?"
                yield text, (entity,), SIDES[x > 0], ()


def comes_from(story: Story) -> Iterator[Draft]:
    """The same pictures in another order have another answer."""
    for entity, colour in _named(story):
        first, last = story.picture_x(0, entity), story.picture_x(-1, entity)
        if first is not None and last is not None and abs(last - first) >= LEAST_ACROSS:
            text = f"Where in the picture was the {colour} thing first, compared with the end?"
            yield text, (entity,), COMES_FROM[first > last], ()


def described(story: Story, frames: Sequence[int]) -> str:
    """What is where in each of these pictures: every body's colour, and how far across the picture
    it is, in tenths of eight columns ("0.0" to "0.7"); NOWHERE: outside, cut or hidden."""
    said = []
    for frame in frames:
        for entity, colour in enumerate(story.colours):
            x = story.picture_x(frame, entity)
            said += [colour, NOWHERE if x is None else f"0.{min(7, int((x + 1) / 2 * 8))}"]
    return " ".join(said)


NOWHERE = "9.9"


def _named(story: Story) -> Iterator[tuple[int, str]]:
    if len(set(story.colours)) == len(story.names):
        yield from enumerate(story.colours)


def _both_seen(story: Story) -> bool:
    """In the first picture or the last one, each whole."""
    return all(
        any(story.picture_x(frame, entity) is not None for frame in (0, -1))
        for entity in range(len(story.names))
    )
