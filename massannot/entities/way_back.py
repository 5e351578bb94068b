"""The way back: every track from where it was found to the first frame in which it can be seen.

All tracks go in one pass over the clip's pictures, each joining at the frame in which it was
prompted. One ends where its masks have been empty for long, where the thing is known already, or
where it meets another track. Unusual: a track that meets one which was lost before it began is that
one, found again: the two become one, and no looks need to be trusted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from massannot.clip import Frames
from massannot.entities.track import EntityTrack, FrameMask, propagated, source_mask
from massannot.geometry import rle
from massannot.models.protocols import MaskSession

_LONGEST_PART = 32
"""Frames after which tracks that have ended leave the pass."""
_MEET = 0.8
"""IoU from which on two tracks are at one thing."""


def go_back(
    frames: Frames, session: MaskSession, tracks: Sequence[EntityTrack], *, patience: int
) -> list[EntityTrack]:
    """The tracks, with their earlier masks, less those that turned out to be others.

    `patience`: empty masks after which a way ends. Raises BadModelOutput.
    """
    kept = list(tracks)
    way = {start.object_id: (start.frame, track) for track in tracks for start in track.starts}
    n_empty = dict.fromkeys(way, 0)
    for first, end in _downwards({frame for frame, _ in way.values()}):
        active = {object_id: track for object_id, (frame, track) in way.items() if frame > first}
        if not active:
            continue
        for masks in propagated(session, frames, first, end, objects=sorted(active)):
            for object_id, mask, score in zip(masks.objects.tolist(), masks.masks, masks.score):
                if object_id not in active:
                    continue
                found = source_mask(mask, frames=frames, score=score)
                n_empty[object_id] = 0 if found.area else n_empty[object_id] + 1
                ended = _step(active[object_id], kept, frame=masks.frame, found=found)
                if ended or n_empty[object_id] >= patience:
                    del active[object_id], way[object_id]
            if not active:
                break
    return kept


def _downwards(starts: set[int]) -> Iterator[tuple[int, int]]:
    """Parts (first, end), descending, end exclusive, that break below every start."""
    bounds = sorted({start - 1 for start in starts} | {-1}, reverse=True)
    for first, end in pairwise(bounds):
        for frame in range(first, end, -_LONGEST_PART):
            yield frame, max(frame - _LONGEST_PART, end)


def _step(track: EntityTrack, tracks: list[EntityTrack], *, frame: int, found: FrameMask) -> bool:
    """Keep a mask found on the way back; whether the way ends here."""
    known = track.masks.get(frame)
    if known is not None and known.area:
        return True
    if not found.area:
        track.masks.setdefault(frame, found)
        return False
    other = _met(track, tracks, frame=frame, found=found)
    if other is None:
        track.masks[frame] = found
        return False
    if other.visible_frames[-1] < track.visible_frames[0]:
        other.absorb(track)
        tracks.remove(track)
    return True


def _met(
    track: EntityTrack, tracks: Sequence[EntityTrack], *, frame: int, found: FrameMask
) -> EntityTrack | None:
    """The other track that shows the same thing in this frame."""
    for other in tracks:
        mask = other.masks.get(frame)
        if other is track or mask is None or not mask.area:
            continue
        if _boxes_meet(mask, found) and rle.iou(mask.counts, found.counts) >= _MEET:
            return other
    return None


def _boxes_meet(mask: FrameMask, other: FrameMask) -> bool:
    if mask.box_xyxy is None or other.box_xyxy is None:
        return False
    ax0, ay0, ax1, ay1 = mask.box_xyxy
    bx0, by0, bx1, by1 = other.box_xyxy
    return ax0 < bx1 and bx0 < ax1 and ay0 < by1 and by0 < ay1
