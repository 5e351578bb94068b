"""Masks through time, one number for each thing (`masks`, `entities`), its `looks`, and each
detection's fate.

From key frame to key frame: propagate the masks of all tracks, match the detections with them,
begin tracks for new things (entities/following.py, by the rules of entities/identity.py). At the
end one pass runs backwards, in which every track goes from where it was found to where it first can
be seen.

Boxes that a person or a file gave take another road (entities/given.py): all are kept. Masks that
were given are marked so, and have no rows for frames of which nothing was said.

Unusual: the session is never reset, and a track without detection lives on. A thing seen once is
believed if its score is high, or if no other key frame had the chance to contradict. Two passes
over the pictures are the most that a clip can cost, however many things appear late.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import ClassVar

import numpy as np
import pyarrow.compute as pc

from massannot.clip import Clip
from massannot.entities.between_bars import BetweenBars
from massannot.entities.following import DetectedBox, EntityFollowing
from massannot.entities.given import GivenFollowing
from massannot.entities.identity import IdentityOptions, joined_fragments
from massannot.entities.rows import with_entities
from massannot.entities.track import EntityTrack
from massannot.entities.way_back import go_back
from massannot.models.protocols import GivenMasks, MaskPropagator, MaskSession
from massannot.stages._stage import Stage


@dataclass(frozen=True)
class PropagateMasks(IdentityOptions, Stage):
    """Follows the detected things with `propagator` and gives each thing one entity."""

    _: KW_ONLY
    propagator: MaskPropagator
    _drawn: Mapping[int, str] = field(default_factory=dict, compare=False)
    """By detection, the mask that a person drew there: run lengths of the source picture."""

    reads: ClassVar[tuple[str, ...]] = ("frames", "phrases", "detections")
    writes: ClassVar[tuple[str, ...]] = ("phrases", "detections", "entities", "looks", "masks")

    def process(self, clip: Clip) -> Clip:
        """`clip` with its entities, their masks, and every detection decided.

        Raises BadModelOutput.
        """
        session = self.propagator.session(clip.frames)
        if "given" in clip.table("detections")["origin"].to_pylist():
            return self._given(clip, session)
        if clip.frames.has_bars and not isinstance(session, GivenMasks):
            session = BetweenBars(session, clip.frames)
        following = EntityFollowing(clip.frames, session, options=self)
        for key, boxes, _ in _undecided(clip):
            following.go_to(key)
            following.decide(key, boxes)
        following.go_to(len(clip) - 1)
        tracks = go_back(clip.frames, session, following.tracks, patience=self.backward_patience)
        diagonal = float(np.hypot(clip.frames.source_width, clip.frames.source_height))
        following.tracks = joined_fragments(tracks, options=self, diagonal=diagonal)
        believed = following.believed()
        for track in believed:
            _forget_unknown(track, session)
        return with_entities(clip, believed, reasons=following.reasons, origin=_origin(session))

    def _given(self, clip: Clip, session: MaskSession) -> Clip:
        """The boxes were given: all of them are kept."""
        following = GivenFollowing(clip.frames, session, options=self, drawn=self._drawn)
        for key, boxes, numbers in _undecided(clip):
            following.go_to(key, numbers)
            following.decide(key, boxes, numbers)
        following.go_to(len(clip) - 1)
        things = following.finished(patience=self.backward_patience)
        return with_entities(clip, things, reasons=following.reasons, origin=_origin(session))


def _origin(session: MaskSession) -> str:
    return "given" if isinstance(session, GivenMasks) else "propagated"


def _forget_unknown(track: EntityTrack, session: MaskSession) -> None:
    """Of given masks, drop the frames of which nothing was said."""
    if isinstance(session, GivenMasks):
        objects = [start.object_id for start in track.starts]
        for frame in list(track.masks):
            if not any(session.is_known(number, frame=frame) for number in objects):
                del track.masks[frame]


def _undecided(clip: Clip) -> Iterator[tuple[int, list[DetectedBox], list[int | None]]]:
    """Every frame with detections that nothing speaks against yet, these, in working pixels, and
    the numbers of their things."""
    table = clip.table("detections")
    table = table.filter(pc.is_null(table["rejected"]))
    boxes: dict[int, tuple[list[DetectedBox], list[int | None]]] = {}
    factor_x, factor_y = clip.frames.source_from_working
    for row in table.to_pylist():
        xyxy = (
            row["x0"] / factor_x,
            row["y0"] / factor_y,
            row["x1"] / factor_x,
            row["y1"] / factor_y,
        )
        box = DetectedBox(row["detection"], row["phrase"], row["score"], xyxy)
        of_frame, numbers = boxes.setdefault(row["frame"], ([], []))
        of_frame.append(box)
        numbers.append(row["track"])
    for frame, (of_frame, numbers) in sorted(boxes.items()):
        yield frame, of_frame, numbers
