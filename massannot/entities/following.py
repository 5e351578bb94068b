"""Following entities through a clip, forward from key frame to key frame; then they go back to the
first frame in which each can be seen (way_back.py).

EntityFollowing holds the session and the tracks; the decisions are those of identity.py. Unusual:
every detection becomes an object of the session, since only its mask can be compared; objects that
turn out to be a known thing, or nothing, are removed again, and the known thing's own memory is not
touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from massannot.clip import Frames
from massannot.entities.doubts import Doubt, doubts
from massannot.entities.identity import (
    IdentityOptions,
    Pairs,
    coinciding,
    has_jumped,
    known_things,
    returned_things,
    same_place,
    without_duplicates,
)
from massannot.entities.track import (
    EntityTrack,
    FrameMask,
    Sighting,
    masks_of_boxes,
    propagated,
    source_mask,
)
from massannot.geometry import rle
from massannot.geometry.appearance import describe
from massannot.geometry.region import Region
from massannot.models.protocols import MaskSession


class EntityFollowing:
    """The tracks of one clip, and why detections have none (`reasons`, by row)."""

    def __init__(self, frames: Frames, session: MaskSession, *, options: IdentityOptions):
        self.tracks: list[EntityTrack] = []
        self.reasons: dict[int, str] = {}
        self._frames = frames
        self._session = session
        self._options = options
        self._decided = -1  # the last key frame
        self._done = -1  # everything is propagated up to this frame
        self._n_objects = 0

    def go_to(self, key: int) -> None:
        """Propagate every track to frame `key`, that one included. Raises BadModelOutput."""
        first, self._done = self._done + 1, key
        live = {t.object_id: t for t in self.tracks if t.object_id is not None}
        if not live or key < first:
            return
        for masks in propagated(self._session, self._frames, first, key + 1, objects=sorted(live)):
            for object_id, mask, score in zip(masks.objects.tolist(), masks.masks, masks.score):
                track = live[object_id]
                track.masks[masks.frame] = source_mask(mask, frames=self._frames, score=score)
                if masks.frame == key:
                    track.region = Region.of(mask)

    def decide(self, key: int, boxes: Sequence[DetectedBox]) -> None:
        """Match the detections of frame `key` with the tracks, or begin tracks for them."""
        options = self._options
        sightings = self._sightings(key, boxes)
        sightings, duplicates = without_duplicates(sightings, options=options)
        self._reject(duplicates, "duplicate")
        in_doubt = doubts(self.tracks, sightings, first=self._decided + 1, options=options)

        known = known_things(sightings, self.tracks, options=options)
        for sighting, track in known:
            self._see_again(track, sighting)
        rest = self._uncovered(_without(sightings, known))

        diagonal = float(np.hypot(self._frames.source_width, self._frames.source_height))
        regions = {id(doubt.track): doubt.region for doubt in in_doubt}
        returned = returned_things(
            rest, self.tracks, in_doubt=regions, options=options, diagonal=diagonal
        )
        self._settle(in_doubt, returned, key)
        self._part_merged_tracks(key)
        if sightings:
            self._count_unseen({id(track) for _, track in (*known, *returned)})
        for sighting in self._uncovered(_without(rest, returned)):
            self._begin(sighting)
        self._decided = key

    def believed(self) -> list[EntityTrack]:
        """The tracks that can be seen and are believed, the best `max_entities` of them.

        The detections of the others get their reason.
        """
        believed = []
        for track in self.tracks:
            if not track.visible_frames:
                self._reject(track.sightings, "empty_mask", forget=False)
            elif not self._is_believed(track):
                self._reject(track.sightings, "unconfirmed", forget=False)
            else:
                believed.append(track)
        believed.sort(key=lambda t: (-t.score, t.sightings[0].detection))
        for track in believed[self._options.max_entities :]:
            self._reject(track.sightings, "over_entity_limit", forget=False)
        return believed[: self._options.max_entities]

    def _sightings(self, key: int, boxes: Sequence[DetectedBox]) -> list[Sighting]:
        """The masks and looks of detections, less those with an empty mask, which is noted."""
        frames, first = self._frames, self._n_objects + 1
        self._n_objects += len(boxes)
        numbers = range(first, first + len(boxes))
        found = masks_of_boxes(
            self._session, frames, [box.xyxy for box in boxes], object_ids=numbers, frame=key
        )
        sightings = []
        for box, object_id, mask in zip(boxes, numbers, found, strict=True):
            region = Region.of(mask)
            source = source_mask(mask, frames=frames, score=1.0)
            if region is None or not source.area:
                self._session.remove(object_id)
                self.reasons[box.detection] = "empty_mask"
                continue
            look = describe(frames.pixels(key, key + 1)[0], region)
            sightings.append(
                Sighting(box.detection, key, box.phrase, box.score, object_id, region, look, source)
            )
        return sightings

    def _see_again(self, track: EntityTrack, sighting: Sighting) -> None:
        """Take note of a detection of a track where its mask is."""
        if self._options.renew:
            track.resume(sighting)
        else:
            track.sightings.append(sighting)
            self._session.remove(sighting.object_id)

    def _settle(self, in_doubt: Sequence[Doubt], returned: Pairs, key: int) -> None:
        """Go on with the tracks that were detected again, and with those in doubt, unless their
        masks are another's."""
        picture = self._frames.pixels(key, key + 1)[0]
        sighting_of = {id(track): sighting for sighting, track in returned}
        lost = {  # told before any track has learned from this key frame
            id(doubt.track)
            for doubt in in_doubt
            if id(doubt.track) not in sighting_of and doubt.is_lost(returned, picture)
        }
        for doubt in in_doubt:
            sighting = sighting_of.pop(id(doubt.track), None)
            if sighting is None:
                if id(doubt.track) not in lost:
                    doubt.give_back()
            elif doubt.is_unfounded(sighting, options=self._options):
                doubt.give_back()
                self._see_again(doubt.track, sighting)
            else:
                doubt.track.resume(sighting)
        for sighting, track in returned:
            if id(track) in sighting_of:
                track.resume(sighting)

    def _begin(self, sighting: Sighting) -> None:
        """A new track, if there is room for it or a weaker one makes room."""
        if len(self.tracks) >= self._options.max_entities:
            weakest = min(self.tracks, key=lambda t: (self._is_confirmed(t), t.score))
            sure = sighting.score >= self._options.sure_score
            if weakest.score >= sighting.score or (self._is_confirmed(weakest) and not sure):
                self._reject([sighting], "over_entity_limit")
                return
            self._drop(weakest, "over_entity_limit")
        self.tracks.append(EntityTrack.begin(sighting))

    def _count_unseen(self, seen: set[int]) -> None:
        """Count tracks that are in sight without a detection; drop those that stay unconfirmed."""
        for track in list(self.tracks):
            if track.region is None or id(track) in seen:
                continue
            track.n_unseen += 1
            if track.n_unseen >= self._options.max_unseen and not self._is_confirmed(track):
                self._drop(track, "unconfirmed")

    def _is_confirmed(self, track: EntityTrack) -> bool:
        return track.score >= self._options.sure_score or len(track.sightings) > 1

    def _is_believed(self, track: EntityTrack) -> bool:
        had_chance = len(track.visible_frames) > self._options.chance_frames
        return self._is_confirmed(track) or not (had_chance or track.n_unseen)

    def _part_merged_tracks(self, key: int) -> None:
        """Part two tracks that have come to follow one thing: one loses it, back to where they met.

        If the loser's own thing is elsewhere, its return will be found by its looks.
        """
        picture = self._frames.pixels(key, key + 1)[0]
        for first, second in coinciding(self.tracks):
            if first.region is None or second.region is None:  # one has lost to a third already
                continue
            met = key
            while _together(first.masks.get(met - 1), second.masks.get(met - 1)):
                met -= 1
            loser = second
            if has_jumped(
                first,
                second,
                met=met,
                like_itself=first.likeness(describe(picture, first.region)),
                other_like_itself=second.likeness(describe(picture, second.region)),
            ):
                loser = first
            for frame in range(met, key + 1):
                del loser.masks[frame]
            loser.object_id = loser.region = None
            if not loser.visible_frames:
                self._drop(loser, "duplicate")

    def _uncovered(self, sightings: Sequence[Sighting]) -> list[Sighting]:
        """The sightings that do not lie on a thing that is followed; the others are rejected."""
        covering = [sighting for sighting in sightings if self._covers_known(sighting)]
        self._reject(covering, "duplicate")
        return [sighting for sighting in sightings if sighting not in covering]

    def _covers_known(self, sighting: Sighting) -> bool:
        return any(
            track.region is not None
            and same_place(
                sighting.region,
                track.region,
                same_phrase=sighting.phrase == track.phrase,
                overlap=self._options.duplicate_overlap,
            )
            for track in self.tracks
        )

    def _drop(self, track: EntityTrack, reason: str) -> None:
        self._reject(track.sightings, reason, forget=False)
        for start in track.starts:
            self._session.remove(start.object_id)
        self.tracks.remove(track)

    def _reject(self, sightings: Sequence[Sighting], reason: str, *, forget: bool = True) -> None:
        for sighting in sightings:
            self.reasons[sighting.detection] = reason
            if forget:
                self._session.remove(sighting.object_id)


class DetectedBox(NamedTuple):
    """A detection: its row, and its box in working pixels."""

    detection: int
    phrase: int
    score: float
    xyxy: tuple[float, float, float, float]


def _without(sightings: Sequence[Sighting], pairs: Pairs) -> list[Sighting]:
    matched = {sighting.detection for sighting, _ in pairs}
    return [sighting for sighting in sightings if sighting.detection not in matched]


def _together(mask: FrameMask | None, other: FrameMask | None) -> bool:
    """Whether two tracks show one thing in a frame."""
    if mask is None or other is None or not mask.area or not other.area:
        return False
    return rle.iou(mask.counts, other.counts) >= 0.5
