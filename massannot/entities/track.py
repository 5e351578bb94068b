"""EntityTrack: one thing through the clip; Sighting: a detection of it; FrameMask: a mask of it.

Tracks are the only mutable values of the stages: `propagate_masks` fills them frame by frame and
turns them into tables at the end. Regions are in working pixels, FrameMask in source pixels, as the
table `masks` stores it. A mask lives as a picture only inside `source_mask` and `propagated`: no
array of frames x objects exists.

Unusual: a track is not a session's object. When the propagator loses a thing and the detector finds
it again, a new object of the session takes over and the track goes on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from massannot.clip import Frames
from massannot.errors import BadModelOutput
from massannot.geometry import rle
from massannot.geometry.appearance import similarity
from massannot.geometry.region import Region
from massannot.models.protocols import F32, Bool, BoxBatches, FrameMasks, MaskSession

_AGREE = 0.7
"""IoU from which on two masks say the same of a thing."""


class FrameMask(NamedTuple):
    """A mask in source pixels."""

    counts: str
    area: int
    box_xyxy: tuple[int, int, int, int] | None
    """Half-open; None for an empty mask."""
    score: float
    """Belief that the thing is in the picture, 0..1."""
    given: bool = False
    """Whether a person drew it: a model drew the others."""

    def meets(self, other: FrameMask) -> bool:
        """Whether the boxes of two masks of a frame share a pixel."""
        if self.box_xyxy is None or other.box_xyxy is None:
            return False
        ax0, ay0, ax1, ay1 = self.box_xyxy
        bx0, by0, bx1, by1 = other.box_xyxy
        return ax0 < bx1 and bx0 < ax1 and ay0 < by1 and by0 < ay1

    def agrees(self, other: FrameMask) -> bool:
        """Whether two masks of a thing in a frame say the same of it."""
        return self.meets(other) and rle.iou(self.counts, other.counts) >= _AGREE


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


def given_mask(counts: str, *, frames: Frames) -> tuple[Bool, FrameMask]:
    """A person's mask, run lengths of the source picture: (H, W) in working pixels, and as it is.
    Raises BadMask for one of another size."""
    height, width = frames.source_height, frames.source_width
    box = rle.box_xyxy(counts, height=height, width=width)
    source = FrameMask(counts, rle.area(counts), box, 1.0, given=True)
    size = {"to_height": frames.height, "to_width": frames.width}
    working = rle.resize_nearest(counts, height=height, width=width, **size)
    return rle.decode(working, height=frames.height, width=frames.width), source


def masks_of_boxes(
    session: MaskSession,
    frames: Frames,
    boxes_xyxy: Sequence[Sequence[float]],
    *,
    object_ids: Sequence[int],
    frame: int,
) -> Iterator[Bool]:
    """The masks (H, W) in working pixels of new objects of the session, prompted by boxes.

    Raises BadModelOutput.
    """
    boxes = np.array(boxes_xyxy, np.float32).reshape(-1, 4)
    if isinstance(session, BoxBatches):
        masks: Iterable[Bool] = session.add_boxes(object_ids, frame=frame, boxes_xyxy=boxes)
    else:
        masks = (
            session.add_box(object_id, frame=frame, box_xyxy=box)
            for object_id, box in zip(object_ids, boxes, strict=True)
        )
    for mask in masks:
        if mask.shape != (frames.height, frames.width) or mask.dtype != np.bool_:
            raise BadModelOutput(
                f"propagator: a box gave {mask.dtype} {mask.shape}, expected bool "
                f"({frames.height}, {frames.width})"
            )
        yield mask


def propagated(
    session: MaskSession, frames: Frames, first: int, end: int, *, objects: Sequence[int]
) -> Iterator[FrameMasks]:
    """The session's masks, frame by frame, each checked. Raises BadModelOutput."""
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


_RECENT_FRAMES = 48
_FITTED_FRAMES = 16
_NEARLY_WHOLE = 0.8


@dataclass(frozen=True, eq=False)
class Sighting:
    """A detection and the mask its box gives."""

    detection: int
    """Row of `detections`."""
    frame: int
    phrase: int
    score: float
    object_id: int
    """The session's object that the box started."""
    region: Region
    look: F32
    """Descriptor, see geometry/appearance.py."""
    mask: FrameMask
    heard: dict[int, float] = field(default_factory=dict)
    """Other phrases that a box of the same thing answered in this frame, and its best score."""

    def hear(self, other: Sighting) -> None:
        """Remember the phrase of `other`, a duplicate."""
        if other.phrase != self.phrase:
            self.heard[other.phrase] = max(other.score, self.heard.get(other.phrase, 0.0))


class TrackStart(NamedTuple):
    """The prompt of an object of the session: its way back to the clip's start begins here."""

    frame: int
    object_id: int
    corrects: bool = False
    """Whether the masks before had come to be somewhere else by then."""


@dataclass(eq=False)
class EntityTrack:
    """A thing: its sightings, its masks so far, the session's object that follows it now."""

    sightings: list[Sighting]
    starts: list[TrackStart]
    masks: dict[int, FrameMask] = field(default_factory=dict)
    object_id: int | None = None
    """None: nothing follows it any more; only its return revives it."""
    region: Region | None = None
    """At the present key frame; None: hidden or absent."""
    n_unseen: int = 0
    """Key frames with its mask and with detections, but none of it."""

    @classmethod
    def begin(cls, sighting: Sighting) -> EntityTrack:
        track = cls(sightings=[], starts=[])
        track.resume(sighting)
        return track

    def resume(self, sighting: Sighting) -> None:
        """Go on with the object that `sighting` started."""
        self.sightings.append(sighting)
        before = self.masks.get(sighting.frame)
        corrects = before is not None and before.area > 0 and not before.agrees(sighting.mask)
        self.starts.append(TrackStart(sighting.frame, sighting.object_id, corrects))
        self.object_id = sighting.object_id
        self.region = sighting.region
        self.masks[sighting.frame] = sighting.mask

    def absorb(self, other: EntityTrack) -> None:
        """Take over a track that turned out to be this one, later."""
        self.sightings += other.sightings
        self.starts += other.starts
        self.object_id = other.object_id
        self.n_unseen += other.n_unseen
        for frame, mask in other.masks.items():
            if mask.area or frame not in self.masks:
                self.masks[frame] = mask

    @property
    def phrase(self) -> int:
        """The phrase with the greatest sum of scores, those of duplicates too; the earlier one if
        equal."""
        votes: dict[int, float] = defaultdict(float)
        for sighting in self.sightings:
            for phrase, score in {**sighting.heard, sighting.phrase: sighting.score}.items():
                votes[phrase] += score
        return min(votes, key=lambda phrase: (-votes[phrase], phrase))

    @property
    def score(self) -> float:
        """Best detection score."""
        return max(sighting.score for sighting in self.sightings)

    @property
    def visible_frames(self) -> list[int]:
        """Frames with a mask that is not empty, ascending."""
        return sorted(frame for frame, mask in self.masks.items() if mask.area)

    def is_sighted(self, frame: int) -> bool:
        """Whether a box was there in which the thing was seen."""
        return any(sighting.frame == frame and sighting.mask.area for sighting in self.sightings)

    def likeness(self, look: F32) -> float:
        """0..1: how much `look` is like this thing at its most similar sighting."""
        return max(similarity(sighting.look, look) for sighting in self.sightings)

    def last_seen(self) -> tuple[int, FrameMask]:
        """The last frame with a mask, and the mask."""
        frame = self.visible_frames[-1]
        return frame, self.masks[frame]

    def expected_at(self, frame: int) -> NDArray[np.float64]:
        """(2,) where its centre would be at constant velocity, source pixels.

        The velocity is that before it was hidden in part: of the last frames whose mask is nearly
        as large as the largest one of the last seconds.
        """
        seen = self.visible_frames[-_RECENT_FRAMES:]
        largest = max(self.masks[t].area for t in seen)
        whole = [t for t in seen if self.masks[t].area >= _NEARLY_WHOLE * largest][-_FITTED_FRAMES:]
        centres = np.array([box_centre(self.masks[t]) for t in whole])
        if len(whole) < 2:
            return centres[-1]
        _, level = np.polyfit(np.array(whole) - frame, centres, 1)
        return level

    def step_at(self, frame: int) -> float:
        """Source pixels between the mask's box in `frame` and in the frame before; 0 where one of
        them is not there."""
        before, here = self.masks.get(frame - 1), self.masks.get(frame)
        if before is None or here is None or not before.area or not here.area:
            return 0.0
        return float(np.linalg.norm(box_centre(here) - box_centre(before)))


def box_centre(mask: FrameMask) -> NDArray[np.float64]:
    """(2,) middle of the box of a mask that is not empty, source pixels."""
    assert mask.box_xyxy is not None
    x0, y0, x1, y1 = mask.box_xyxy
    return np.array([(x0 + x1) / 2, (y0 + y1) / 2])
