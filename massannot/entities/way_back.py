"""The ways of a clip's things back from where they were prompted, towards its first frame.

`go_back` takes all tracks in one pass over the clip's pictures; each joins at the frame in which it
was prompted, and leaves where its way ends: where its masks have been empty for long, where the
thing is known already (that frame is not run), or where it meets another track. Unusual: a track
that meets one which was lost before it began is that one, found again: the two become one, without
a comparison of looks. And where a thing was found beside its own mask, that mask had gone astray:
the way back replaces it up to where both agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from massannot.clip import Frames
from massannot.entities.track import EntityTrack, FrameMask, propagated, source_mask
from massannot.geometry import rle
from massannot.models.protocols import MaskSession

_MEET = 0.8
"""IoU from which on two tracks are at one thing."""


def go_back(
    frames: Frames, session: MaskSession, tracks: Sequence[EntityTrack], *, patience: int
) -> list[EntityTrack]:
    """The tracks, with their earlier masks, less those that turned out to be others.

    `patience`: empty masks after which a way ends. Raises BadModelOutput.
    """
    remaining = list(tracks)
    ways = {
        start.object_id: WayBack(start.frame, track, {} if start.corrects else None)
        for track in tracks
        for start in track.starts
    }
    for frame in range(max((way.start for way in ways.values()), default=0) - 1, -1, -1):
        active = {k: way for k, way in ways.items() if way.start > frame}
        for object_id in [k for k, way in active.items() if way.ends_at(frame)]:
            del active[object_id], ways[object_id]
        if not active:
            continue
        for masks in propagated(session, frames, frame, frame - 1, objects=sorted(active)):
            for object_id, mask, score in zip(masks.objects.tolist(), masks.masks, masks.score):
                source = source_mask(mask, frames=frames, score=score)
                way = active[object_id]
                if way.step(frame, source, remaining) or way.n_empty >= patience:
                    del ways[object_id]
    return remaining


@dataclass(eq=False)
class WayBack:
    """From the prompt of an object towards the first frame."""

    start: int
    track: EntityTrack
    others: dict[int, FrameMask] | None = None
    """Masks of a way that corrects, until it meets those of the way forward; None: it does not."""
    n_empty: int = 0

    def ends_at(self, frame: int) -> bool:
        """End the way where nothing is left to be asked in this frame and those before it; whether
        it ended. Where one that corrects has come to the sighting before, and never agreed with the
        way forward from there, each gets the half that is nearer to its own box."""
        if not _is_seen(self.track, frame):
            return False
        if self.others is None:
            return True
        if not self.track.is_sighted(frame):
            return False
        middle = (frame + self.start) / 2
        near = {at: mask for at, mask in self.others.items() if at >= middle and mask.area}
        self.track.masks.update(near)
        return True

    def step(self, frame: int, source: FrameMask, tracks: list[EntityTrack]) -> bool:
        """Take the mask of a frame; whether the way ends with it. A track that turns out to be
        another one leaves `tracks`."""
        if self.others is not None:
            return self.correct(frame, source)
        self.n_empty = 0 if source.area else self.n_empty + 1
        return _step(self.track, tracks, frame=frame, source=source)

    def correct(self, frame: int, source: FrameMask) -> bool:
        """Take the mask of a frame on a way that corrects; whether the way ends with it."""
        assert self.others is not None
        forward = self.track.masks.get(frame)
        if forward is not None and forward.agrees(source):
            self.track.masks.update(self.others)
            return True
        self.others[frame] = source
        return False


def _is_seen(track: EntityTrack, frame: int) -> bool:
    mask = track.masks.get(frame)
    return mask is not None and mask.area > 0


def _step(track: EntityTrack, tracks: list[EntityTrack], *, frame: int, source: FrameMask) -> bool:
    """Keep a mask of the way back; True where the way ends here."""
    if _is_seen(track, frame):
        return True
    if not source.area:
        track.masks.setdefault(frame, source)
        return False
    other = _met(track, tracks, frame=frame, source=source)
    if other is None:
        track.masks[frame] = source
        return False
    if other.visible_frames[-1] < track.visible_frames[0]:
        other.absorb(track)
        tracks.remove(track)
    return True


def _met(
    track: EntityTrack, tracks: Sequence[EntityTrack], *, frame: int, source: FrameMask
) -> EntityTrack | None:
    """The other track that shows the same thing in this frame."""
    for other in tracks:
        mask = other.masks.get(frame)
        if other is track or mask is None or not mask.area:
            continue
        if mask.meets(source) and rle.iou(mask.counts, source.counts) >= _MEET:
            return other
    return None
