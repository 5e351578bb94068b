"""Which tracks may have exchanged their things since the last key frame, and what becomes of them.

A propagator that loses a thing behind another one goes on with the one in front, and two masks that
lie on one another may part the wrong way round. Detections tell: tracks in doubt are matched with
them by looks and size, and where their masks are counts little. Unusual: size is that in the
picture. Look-alikes are seldom equally large in it, and in the time that a thing is hidden by
another its size hardly changes.

A track is in doubt where its mask has lain on another's; where a detection on its mask is clearly
rather one of another thing that is in doubt or out of sight; and where it and another one would
fit each other's detections clearly better than their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from massannot.entities.identity import (
    CLEAR_AGREEMENT,
    IdentityOptions,
    Pairs,
    agreement,
    lies_on,
)
from massannot.entities.track import EntityTrack, FrameMask, Sighting
from massannot.geometry import rle
from massannot.geometry.appearance import describe
from massannot.geometry.region import Region

_LYING = 0.3
"""Share of the smaller mask inside the other from which on one lies on the other."""
_SAME = 0.5
"""IoU from which on two masks are of one thing, or share of the smaller one inside the other from
which on looks say whether they are."""


@dataclass(frozen=True, eq=False)
class Doubt:
    """A track in doubt, and what was taken from it: its object, its region at the key frame, and
    its masks from where the doubt begins."""

    track: EntityTrack
    object_id: int | None
    region: Region
    masks: dict[int, FrameMask]

    @classmethod
    def of(cls, track: EntityTrack, *, first: int) -> Doubt:
        """Take from a track that is in sight what it has from frame `first` on."""
        assert track.region is not None
        masks = {frame: track.masks.pop(frame) for frame in list(track.masks) if frame >= first}
        doubt = cls(track, track.object_id, track.region, masks)
        track.object_id = track.region = None
        return doubt

    def give_back(self) -> None:
        """The track goes on with what was taken from it."""
        self.track.masks.update(self.masks)
        self.track.object_id, self.track.region = self.object_id, self.region

    def is_unfounded(self, sighting: Sighting, *, options: IdentityOptions) -> bool:
        """Whether the track was detected where its mask is."""
        return lies_on(sighting, self.region, options=options)

    def is_lost(self, others: Pairs, picture: NDArray[np.uint8]) -> bool:
        """Whether the mask of a track that was not detected is that of another one, which was: one
        of `others`. `picture`: the key frame's."""
        look = describe(picture, self.region)
        likeness = self.track.likeness(look)
        return any(
            self.region.iou(sighting.region) >= _SAME
            or (self.region.nested(sighting.region) >= _SAME and other.likeness(look) > likeness)
            for sighting, other in others
        )


def doubts(
    tracks: Sequence[EntityTrack],
    sightings: Sequence[Sighting],
    *,
    first: int,
    options: IdentityOptions,
) -> list[Doubt]:
    """The tracks in doubt at a key frame with these sightings; `first` is the first frame after the
    key frame before. What each has since the doubt began is taken from it."""
    live = [track for track in tracks if track.region is not None]
    on = {
        id(track): [s for s in sightings if lies_on(s, track.region, options=options)]
        for track in live
        if track.region is not None
    }
    since: dict[int, int] = {}
    for track, other in combinations(live, 2):
        met = _first_met(track, other, first=first)
        if met is not None:
            for each in (track, other):
                since[id(each)] = min(met, since.get(id(each), met))
        elif _have_exchanged(track, on[id(track)], other, on[id(other)]):
            for each in (track, other):
                since[id(each)] = first
    out_of_sight = [t for t in tracks if t.region is None or id(t) in since]
    for track in live:
        if id(track) not in since and any(
            agreement(sighting, other) > agreement(sighting, track) + CLEAR_AGREEMENT
            for sighting in on[id(track)]
            for other in out_of_sight
        ):
            since[id(track)] = first
    return [Doubt.of(track, first=since[id(track)]) for track in live if id(track) in since]


def _first_met(track: EntityTrack, other: EntityTrack, *, first: int) -> int | None:
    """The first frame from `first` on in which one's mask lies on the other's; None: there is
    none."""
    for frame in sorted(frame for frame in track.masks if frame >= first):
        mask, of_other = track.masks[frame], other.masks.get(frame)
        if of_other is None or not mask.meets(of_other):
            continue
        shared = rle.intersection_area(mask.counts, of_other.counts)
        if shared >= _LYING * min(mask.area, of_other.area):
            return frame
    return None


def _have_exchanged(
    track: EntityTrack,
    sightings: Sequence[Sighting],
    other: EntityTrack,
    of_other: Sequence[Sighting],
) -> bool:
    """Whether looks and size say clearly that of two tracks each was detected on the other's mask;
    given are the sightings on each one's own."""
    return any(
        agreement(theirs, track) + agreement(own, other)
        > agreement(own, track) + agreement(theirs, other) + CLEAR_AGREEMENT
        for own in sightings
        for theirs in of_other
        if own is not theirs
    )
