"""Masks through time, one number for each thing (`masks`, `entities`), and each detection's fate.

From key frame to key frame: propagate the masks of all tracks, match the detections with them,
begin tracks for new things (entities/following.py, by the rules of entities/identity.py). At the
end one pass runs backwards, in which every track goes from where it was found to where it first can
be seen.

Unusual: the session is never reset, and a track without detection lives on. A thing seen once is
believed if its score is high, or if no other key frame had the chance to contradict. Two passes
over the pictures are the most that a clip can cost, however many things appear late.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np
import pyarrow.compute as pc

from massannot.clip import Clip
from massannot.entities.following import DetectedBox, EntityFollowing, go_back
from massannot.entities.identity import IdentityOptions, joined_fragments
from massannot.entities.rows import with_entities
from massannot.models.protocols import MaskPropagator
from massannot.stages._stage import Stage


@dataclass(frozen=True)
class PropagateMasks(IdentityOptions, Stage):
    """Follows the detected things with `propagator` and gives each thing one entity."""

    _: KW_ONLY
    propagator: MaskPropagator

    reads: ClassVar[tuple[str, ...]] = ("frames", "phrases", "detections")
    writes: ClassVar[tuple[str, ...]] = ("phrases", "detections", "entities", "masks")

    def process(self, clip: Clip) -> Clip:
        """`clip` with its entities, their masks, and every detection decided.

        Raises BadModelOutput.
        """
        session = self.propagator.session(clip.frames)
        following = EntityFollowing(clip.frames, session, options=self)
        for key, boxes in _undecided(clip):
            following.go_to(key)
            following.decide(key, boxes)
        following.go_to(len(clip) - 1)
        tracks = go_back(clip.frames, session, following.tracks, patience=self.backward_patience)
        diagonal = float(np.hypot(clip.frames.source_width, clip.frames.source_height))
        following.tracks = joined_fragments(tracks, options=self, diagonal=diagonal)
        return with_entities(clip, following.believed(), reasons=following.reasons)


def _undecided(clip: Clip) -> Iterator[tuple[int, list[DetectedBox]]]:
    """Every frame with detections that nothing speaks against yet, and these, in working pixels."""
    table = clip.table("detections")
    table = table.filter(pc.is_null(table["rejected"]))
    boxes: dict[int, list[DetectedBox]] = {}
    factor_x, factor_y = clip.frames.source_from_working
    for row in table.to_pylist():
        xyxy = (
            row["x0"] / factor_x,
            row["y0"] / factor_y,
            row["x1"] / factor_x,
            row["y1"] / factor_y,
        )
        box = DetectedBox(row["detection"], row["phrase"], row["score"], xyxy)
        boxes.setdefault(row["frame"], []).append(box)
    yield from sorted(boxes.items())
