"""Rules of identity: which detections show one thing, a known thing, or a thing that came back.

Rules over the sightings and tracks of one key frame, in this order:
1. `without_duplicates`: boxes of one frame that show the same thing leave the best one.
2. `known_things`: one-to-one, by the overlap of the detection's mask with the mask that was
   propagated to this frame; phrase and looks decide where overlap does not.
3. `returned_things`: what is left, one-to-one, with things out of sight, by looks, size and place,
   and with those in doubt (doubts.py), by looks and size.
Whatever is left then is new, unless it covers a thing that is followed already. At the clip's end
`joined_fragments` asks the third question once more, with all that was seen since.

Unusual: a match never replaces a propagated mask (unless `renew` says so, or the track is in
doubt), and so a box around half of a thing does no harm. The phrase is a vote, not a gate:
detectors confuse phrases more often than masks confuse things.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from massannot.entities.track import EntityTrack, FrameMask, Sighting, box_centre
from massannot.geometry.assignment import best_pairs
from massannot.geometry.region import Region
from massannot.models.protocols import F32

Pairs = list[tuple[Sighting, EntityTrack]]


@dataclass(frozen=True)
class IdentityOptions:
    """Thresholds of the rules; fields of the stage propagate_masks."""

    max_entities: int = 20
    """Things kept in a clip, by their best detection score."""
    same_overlap: float = 0.3
    """Least overlap of a detection's mask with the mask propagated to its frame. Low, since the
    assignment is one-to-one: the well-known 0.8 loses small, thin and half-hidden things."""
    duplicate_overlap: float = 0.7
    """Overlap from which on two detections of a frame are one thing, whatever their phrases."""
    same_look: float = 0.75
    """Least likeness (geometry/appearance.py) of a thing that returns."""
    sure_score: float = 0.5
    """Detection score that is believed without a second detection."""
    max_unseen: int = 2
    """Key frames that do not detect a thing, though its mask is there, after which it is given up
    unless it was confirmed before."""
    chance_frames: int = 64
    """A thing detected once, with a lower score, is believed if it can be seen in at most so many
    frames: two intervals between key frames, so that it hardly had a second chance."""
    backward_patience: int = 32
    """Empty masks after which the way back ends: one interval between key frames."""
    renew: bool = False
    """Whether a thing that is detected again is followed afresh from there: for propagators whose
    memory is worse than their prompts. Otherwise a box around half of a thing does no harm."""


_NESTED = 0.8
"""Share of the smaller mask inside the larger: a part of the thing, or a box around several."""
_SMALLEST_PART = 0.05
"""Of the larger one's area: less is another thing, or a mask that has run over the picture."""
_PHRASE_WEIGHT = 0.15
_LOOK_WEIGHT = 0.15
_PLACE_WEIGHT = 0.1
CLEARLY = 0.1
"""Difference of looks from which on one of two things is clearly the more similar one."""
CLEAR_AGREEMENT = 0.03
"""Of `agreement`, from which on one of two tracks clearly fits better: the looks of look-alikes in
long rendered scenes differ by 0.02 to 0.04, their widths by half a doubling and more."""
_SIZE_WEIGHT = 0.1
_SMALLER_WEIGHT = 0.05
"""Instead of it for a track in doubt of which less is seen: another thing may hide the rest."""
_ASIDE_WEIGHT = 0.1
"""Of the picture's diagonal between a detection and the mask of a track in doubt."""
_MOST_DOUBLINGS = 2.0
"""Of the width, or halvings, against the greatest width seen."""
_REACH = 0.15
_REACH_PER_FRAME = 0.03
"""Of the picture's diagonal: how far a thing may have come while out of sight."""
_COINCIDE = 0.8
"""IoU from which on two tracks follow one thing."""
_JUMP = 0.25
"""Of a thing's width: how much further it moves in one frame when its mask jumps."""


def without_duplicates(
    sightings: Sequence[Sighting], *, options: IdentityOptions
) -> tuple[list[Sighting], list[Sighting]]:
    """Unique and duplicate sightings of one frame. Of duplicates the one with the better score
    stays and remembers the phrases of the others."""
    unique: list[Sighting] = []
    duplicates: list[Sighting] = []
    for sighting in sorted(sightings, key=lambda s: (-s.score, s.detection)):
        better = [
            other
            for other in unique
            if same_place(
                sighting.region,
                other.region,
                same_phrase=sighting.phrase == other.phrase,
                overlap=options.duplicate_overlap,
            )
        ]
        for other in better:
            other.hear(sighting)
        (duplicates if better else unique).append(sighting)
    return unique, duplicates


def same_place(region: Region, other: Region, *, same_phrase: bool, overlap: float) -> bool:
    """Whether two masks cover one thing; with one phrase, a part of it or several is enough."""
    if same_phrase and min(region.area, other.area) >= _SMALLEST_PART * max(
        region.area, other.area
    ):
        return region.nested(other) >= _NESTED or region.overlap(other) >= overlap
    return region.overlap(other) >= overlap


def known_things(
    sightings: Sequence[Sighting], tracks: Sequence[EntityTrack], *, options: IdentityOptions
) -> Pairs:
    """Sightings of things that are in sight and followed, one-to-one."""

    def worth(sighting: Sighting, track: EntityTrack) -> float:
        assert track.region is not None
        same_phrase = sighting.phrase == track.phrase
        if not same_place(
            sighting.region, track.region, same_phrase=same_phrase, overlap=options.same_overlap
        ):
            return np.nan
        return (
            sighting.region.overlap(track.region)
            + _PHRASE_WEIGHT * same_phrase
            + _LOOK_WEIGHT * track.likeness(sighting.look)
        )

    return _pairs(sightings, [t for t in tracks if t.region is not None], worth)


def returned_things(
    sightings: Sequence[Sighting],
    tracks: Sequence[EntityTrack],
    *,
    in_doubt: Mapping[int, Region],
    options: IdentityOptions,
    diagonal: float,
) -> Pairs:
    """Sightings of things that were out of sight or are in doubt, one-to-one. `in_doubt`: the mask
    of a track in doubt by its id(), see doubts.py. `diagonal`: of the source picture."""

    def worth(sighting: Sighting, track: EntityTrack) -> float:
        size = _doublings(
            track.masks.values(), sighting.mask, cut_off=sighting.region.touches_border
        )
        same_phrase = sighting.phrase == track.phrase
        region = in_doubt.get(id(track))
        if region is None:
            return _return_worth(
                track,
                tracks,
                look=sighting.look,
                size=size,
                frame=sighting.frame,
                mask=sighting.mask,
                same_phrase=same_phrase,
                options=options,
                diagonal=diagonal,
            )
        if not _may_be(track, tracks, look=sighting.look, size=size, options=options):
            return np.nan
        stays = CLEAR_AGREEMENT / 2 * lies_on(sighting, region, options=options)
        aside = sighting.region.distance(region) / float(np.hypot(region.height, region.width))
        against = _PHRASE_WEIGHT * (not same_phrase) + _ASIDE_WEIGHT * aside
        return 1 + agreement(sighting, track) + stays - against

    return _pairs(sightings, [t for t in tracks if t.region is None], worth)


def lies_on(sighting: Sighting, region: Region, *, options: IdentityOptions) -> bool:
    """Whether a detection is where a track's mask is."""
    return same_place(sighting.region, region, same_phrase=True, overlap=options.same_overlap)


def agreement(sighting: Sighting, track: EntityTrack) -> float:
    """How well a detection's look and size fit those of a track's detections: 1 is best."""
    size = _doublings(
        (known.mask for known in track.sightings),
        sighting.mask,
        cut_off=sighting.region.touches_border,
    )
    weight = _SIZE_WEIGHT if size > 0 else _SMALLER_WEIGHT
    return track.likeness(sighting.look) - weight * abs(size)


def joined_fragments(
    tracks: Sequence[EntityTrack], *, options: IdentityOptions, diagonal: float
) -> list[EntityTrack]:
    """The tracks, where one ended before another began and both are one thing, as one.

    A thing that returns may show too little of itself to be known at once. Here it is judged by its
    largest sighting, where `returned_things` had but the first.
    """

    def worth(later: EntityTrack, earlier: EntityTrack) -> float:
        first = later.visible_frames[0]
        if earlier.visible_frames[-1] >= first:
            return np.nan
        best = max(later.sightings, key=lambda s: s.region.area)
        return _return_worth(
            earlier,
            [track for track in tracks if track is not later],
            look=best.look,
            size=_doublings(earlier.masks.values(), best.mask, cut_off=best.region.touches_border),
            frame=first,
            mask=later.masks[first],
            same_phrase=later.phrase == earlier.phrase,
            options=options,
            diagonal=diagonal,
        )

    seen = [track for track in tracks if track.visible_frames]
    if not seen:
        return list(tracks)
    matrix = np.array([[worth(later, earlier) for earlier in seen] for later in seen])
    pairs = [(seen[row], seen[column]) for row, column in zip(*best_pairs(matrix, least=1e-6))]
    gone = set()
    for later, earlier in sorted(pairs, key=lambda pair: -pair[0].visible_frames[0]):
        earlier.absorb(later)
        gone.add(id(later))
    return [track for track in tracks if id(track) not in gone]


def _return_worth(
    track: EntityTrack,
    tracks: Sequence[EntityTrack],
    *,
    look: F32,
    size: float,
    frame: int,
    mask: FrameMask,
    same_phrase: bool,
    options: IdentityOptions,
    diagonal: float,
) -> float:
    """The worth of `track`, one of `tracks`, coming back as `mask` in `frame`; NaN: it cannot."""
    if not _may_be(track, tracks, look=look, size=size, options=options):
        return np.nan
    last, last_mask = track.last_seen()
    here = box_centre(mask)
    way = float(np.linalg.norm(here - box_centre(last_mask))) / diagonal
    if way > _REACH + _REACH_PER_FRAME * abs(frame - last):
        return np.nan
    aside = float(np.linalg.norm(here - track.expected_at(frame))) / diagonal
    against = _SIZE_WEIGHT * abs(size) + _PHRASE_WEIGHT * (not same_phrase)
    return 1 + track.likeness(look) - against - _PLACE_WEIGHT * (way + min(aside, 1.0))


def _may_be(
    track: EntityTrack,
    tracks: Sequence[EntityTrack],
    *,
    look: F32,
    size: float,
    options: IdentityOptions,
) -> bool:
    """Whether looks and size allow that what was seen is `track`, one of `tracks`."""
    likeness = track.likeness(look)
    closest = max(other.likeness(look) for other in tracks)
    if abs(size) > _MOST_DOUBLINGS or likeness < closest - CLEARLY:
        return False
    return likeness - _SIZE_WEIGHT * abs(size) >= options.same_look


def coinciding(tracks: Sequence[EntityTrack]) -> list[tuple[EntityTrack, EntityTrack]]:
    """Pairs of tracks, the earlier born first, that have come to follow one thing."""
    pairs = []
    for i, first in enumerate(tracks):
        for second in tracks[i + 1 :]:
            if first.region is None or second.region is None:
                continue
            if first.region.iou(second.region) >= _COINCIDE:
                pairs.append((first, second))
    return pairs


def has_jumped(
    track: EntityTrack,
    other: EntityTrack,
    *,
    met: int,
    like_itself: float,
    other_like_itself: float,
) -> bool:
    """Whether it is `track` that came over to the thing of `other`, in frame `met`, not the other
    way round: the one that looks less like itself now; if equal, the one that moved further in that
    frame; if equal, `other`, the later born. Likenesses 0..1, to the own sightings."""
    if abs(like_itself - other_like_itself) > CLEARLY:
        return like_itself < other_like_itself
    return track.step_at(met) > other.step_at(met) + _JUMP * track.masks[met].area ** 0.5


def _doublings(known: Iterable[FrameMask], mask: FrameMask, *, cut_off: bool) -> float:
    """How often the mask's width is twice the greatest one known, negative for halvings; none of
    these where the picture's edge may hide the rest."""
    largest = max(other.area for other in known)
    doublings = 0.5 * float(np.log2(mask.area / largest))
    return 0.0 if doublings < 0 and cut_off else doublings


def _pairs(
    sightings: Sequence[Sighting],
    tracks: Sequence[EntityTrack],
    worth: Callable[[Sighting, EntityTrack], float],
) -> Pairs:
    """The one-to-one pairs of greatest total worth; NaN: no pair."""
    if not sightings or not tracks:
        return []
    matrix: NDArray[np.float64] = np.array([[worth(s, t) for t in tracks] for s in sightings])
    rows, columns = best_pairs(matrix, least=1e-6)
    return [(sightings[row], tracks[column]) for row, column in zip(rows, columns)]
