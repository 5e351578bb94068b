"""FrameMask: a mask of one frame as the `masks` table stores it; how a session's masks become one.

A mask lives as a picture only between these two functions: no array of frames x objects exists.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from massannot.errors import BadModelOutput
from massannot.geometry import rle
from massannot.pixels import Frames
from massannot.protocols import Bool, FrameMasks, MaskSession


class FrameMask(NamedTuple):
    """A mask in source pixels."""

    counts: str
    area: int
    box_xyxy: tuple[int, int, int, int] | None
    """Half-open; None for an empty mask."""
    score: float
    """Belief that the thing is in the picture, 0..1."""


def source_mask(mask: Bool, *, frames: Frames, score: float) -> FrameMask:
    """A mask (H, W) in working pixels, stretched to the source picture."""
    height, width = frames.source_height, frames.source_width
    counts = rle.encode(mask)
    if mask.shape != (height, width):
        counts = rle.resize_nearest(
            counts, height=mask.shape[0], width=mask.shape[1], to_height=height, to_width=width
        )
    box = rle.box_xyxy(counts, height=height, width=width)
    return FrameMask(counts, rle.area(counts), box, float(score))


def propagated(
    session: MaskSession, frames: Frames, first: int, end: int, *, objects: Sequence[int]
) -> Iterator[FrameMasks]:
    """session.propagate with every answer checked. Raises BadModelOutput."""
    step = 1 if end > first else -1
    expected = first
    shape = (len(objects), frames.height, frames.width)
    for masks in session.propagate(first=first, end=end, objects=objects):
        if masks.frame != expected or sorted(masks.objects.tolist()) != sorted(objects):
            raise BadModelOutput(
                f"propagator: found frame {masks.frame} with objects {masks.objects.tolist()}, "
                f"expected frame {expected} with {list(objects)}"
            )
        if masks.masks.shape != shape or masks.masks.dtype != np.bool_:
            raise BadModelOutput(
                f"propagator: found {masks.masks.dtype} {masks.masks.shape}, expected bool {shape}"
            )
        if not np.all((masks.score >= 0) & (masks.score <= 1)):
            raise BadModelOutput(f"propagator: scores {masks.score.tolist()}, expected 0..1")
        yield masks
        expected += step
    if expected != end:
        raise BadModelOutput(f"propagator: ended before frame {expected}, expected up to {end}")
