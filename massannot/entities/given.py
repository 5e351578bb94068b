"""Following what a person or a file gave: no box is dropped, no two things are made one.

Boxes of one number (`track`) are one thing, whatever the masks say. Boxes without a number are
matched with the things before, one-to-one, by the rules of identity.py: overlap with the mask
that came along or with the box of the frame before, then looks; a box that matches nothing is a
thing of its own. No score, limit or doubled place refuses one.

A thing is prompted afresh at each of its boxes, so that between two boxes the mask comes from the
earlier one; where it comes out beside the later one's, that one's way back corrects it, up to where
both agree or to the box before (way_back.py). Before its first box, and where it was lost, one pass
runs backwards too. A mask that a person drew is the prompt in its box's place, and stays as it is.
Of masks that a file gave only those frames are kept of which something is known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from massannot.clip import Frames
from massannot.entities.following import DetectedBox
from massannot.entities.identity import IdentityOptions, known_things, returned_things
from massannot.entities.track import (
    EntityTrack,
    FrameMask,
    Sighting,
    given_mask,
    masks_of_boxes,
    propagated,
    source_mask,
)
from massannot.entities.way_back import WayBack
from massannot.geometry.appearance import describe
from massannot.geometry.region import Region
from massannot.models.protocols import GivenMasks, MaskSession

_AT_ONCE = 64
"""Objects propagated together: of given things there is no limit, and each mask is a picture."""


class GivenFollowing:
    """The things of one clip, and why detections have none (`reasons`, by row). `drawn`: by row,
    the mask that a person drew, run lengths of the source picture."""

    def __init__(
        self,
        frames: Frames,
        session: MaskSession,
        *,
        options: IdentityOptions,
        drawn: Mapping[int, str],
    ):
        self.reasons: dict[int, str] = {}
        self._drawn = drawn
        self._tracks: list[EntityTrack] = []
        self._by_number: dict[int, EntityTrack] = {}
        self._frames = frames
        self._session = session
        self._options = options
        self._done = -1  # everything is propagated up to this frame
        self._n_objects = 0
        self._ways: dict[int, WayBack] = {}
        """By object, those that are to be gone."""

    def go_to(self, key: int, numbers: Collection[int | None] = ()) -> None:
        """Propagate every thing to frame `key`, that one included, but for those of `numbers`,
        which have boxes there, whose masks are a file's or where no frame lies between two boxes:
        then none can have gone astray. Raises BadModelOutput."""
        first, self._done = self._done + 1, key
        exact = isinstance(self._session, GivenMasks)
        boxed = [self._by_number[n] for n in numbers if n in self._by_number]
        renewed = {id(track) for track in boxed if exact or track.is_sighted(key - 1)}
        live = {t.object_id: t for t in self._tracks if t.object_id is not None}
        for end, is_renewed in ((key, True), (key + 1, False)):
            tracks = {k: t for k, t in live.items() if (id(t) in renewed) == is_renewed}
            if end > first:
                self._propagate(tracks, first, end)

    def _propagate(self, tracks: Mapping[int, EntityTrack], first: int, end: int) -> None:
        numbered = {id(track) for track in self._by_number.values()}
        for part in _parts(sorted(tracks)):
            for masks in propagated(self._session, self._frames, first, end, objects=part):
                for object_id, mask, score in zip(masks.objects.tolist(), masks.masks, masks.score):
                    track = tracks[object_id]
                    source = source_mask(mask, frames=self._frames, score=score)
                    self._keep(track, object_id, masks.frame, source)
                    if id(track) not in numbered:  # others are not matched by place
                        track.region = Region.of(mask)

    def decide(self, key: int, boxes: Sequence[DetectedBox], numbers: Sequence[int | None]) -> None:
        """Give each box of frame `key` a thing. `numbers`: of the things, None: not followed."""
        loose: list[Sighting] = []
        for box, number in zip(boxes, numbers):
            sighting = self._sighting(key, box, needs_look=number is None)
            track = None if number is None else self._by_number.get(number)
            if not sighting.mask.area:
                self._add_unseen(sighting, number)
            elif number is None:
                loose.append(sighting)
            elif track is None:
                self._by_number[number] = self._begin(sighting)
            else:
                self._resume(track, sighting)
        if loose:
            self._match(key, loose)

    def finished(self, *, patience: int) -> list[EntityTrack]:
        """The things that can be seen, after the pass backwards. `patience`: empty masks after
        which a way ends, where a model answers. Raises BadModelOutput."""
        self._go_back(len(self._frames) if isinstance(self._session, GivenMasks) else patience)
        for track in self._tracks:
            if not track.visible_frames:
                self.reasons |= {s.detection: "empty_mask" for s in track.sightings}
        return [track for track in self._tracks if track.visible_frames]

    def _match(self, key: int, loose: Sequence[Sighting]) -> None:
        numbered = {id(track) for track in self._by_number.values()}
        tracks = [track for track in self._tracks if id(track) not in numbered]  # all were seen
        before = max((s.frame for t in tracks for s in t.sightings if s.frame < key), default=None)
        for track in tracks:
            last = track.sightings[-1]
            if track.region is None and last.frame == before:
                track.region = last.region
        known = known_things(loose, tracks, options=self._options)
        rest = _without(loose, known)
        diagonal = float(np.hypot(self._frames.source_width, self._frames.source_height))
        away = [t for t in tracks if t.region is None and t.visible_frames]
        returned = returned_things(
            rest, away, in_doubt={}, options=self._options, diagonal=diagonal
        )
        for sighting, track in (*known, *returned):
            self._resume(track, sighting)
        for sighting in _without(rest, returned):
            self._begin(sighting)

    def _sighting(self, key: int, box: DetectedBox, *, needs_look: bool) -> Sighting:
        """The mask of a box, which may be empty: then the region is the box."""
        self._n_objects += 1
        frames, object_id = self._frames, self._n_objects
        if counts := self._drawn.get(box.detection):
            mask, source = given_mask(counts, frames=frames)
            self._session.add_mask(object_id, frame=key, mask=mask)
        else:
            (mask,) = masks_of_boxes(
                self._session, frames, [box.xyxy], object_ids=[object_id], frame=key
            )
            source = source_mask(mask, frames=frames, score=1.0)
        region = Region.of(mask) or _region_of(box, mask.shape)
        look = np.empty(0, np.float32)
        if needs_look and source.area:
            look = describe(frames.pixels(key, key + 1)[0], region)
        return Sighting(box.detection, key, box.phrase, box.score, object_id, region, look, source)

    def _add_unseen(self, sighting: Sighting, number: int | None) -> None:
        """A box without anything to be seen in it is its thing's, if that is known."""
        self._session.remove(sighting.object_id)
        if number is None:
            self.reasons[sighting.detection] = "empty_mask"
        elif number in self._by_number:
            track, key = self._by_number[number], sighting.frame
            track.sightings.append(sighting)
            if track.object_id is not None and key not in track.masks:
                self._propagate({track.object_id: track}, key, key + 1)
        else:
            self._by_number[number] = EntityTrack(sightings=[sighting], starts=[])
            self._tracks.append(self._by_number[number])

    def _begin(self, sighting: Sighting) -> EntityTrack:
        track = EntityTrack.begin(sighting)
        self._tracks.append(track)
        self._ways[sighting.object_id] = WayBack(sighting.frame, track)
        return track

    def _resume(self, track: EntityTrack, sighting: Sighting) -> None:
        """Go on from the box. The object before is done with, unless its way back is to come."""
        frame = sighting.frame
        before, follows = track.masks.get(frame - 1), track.is_sighted(frame - 1)
        previous = track.object_id
        if previous is not None and previous not in self._ways:
            self._session.remove(previous)
        track.resume(sighting)
        exact = isinstance(self._session, GivenMasks)
        if track.starts[-1].corrects and not exact and not follows:
            self._ways[sighting.object_id] = WayBack(frame, track, {})
        elif before is None or not before.area:
            self._ways[sighting.object_id] = WayBack(frame, track)

    def _keep(self, track: EntityTrack, object_id: int, frame: int, source: FrameMask) -> bool:
        """Add a mask of which something is known; whether anything can be seen of it."""
        session = self._session
        if isinstance(session, GivenMasks) and not session.is_known(object_id, frame=frame):
            return False
        track.masks[frame] = source
        return bool(source.area)

    def _go_back(self, patience: int) -> None:
        """Each object on its way back, until its thing is seen there already."""
        active = dict(self._ways)
        for frame in range(max((way.start for way in active.values()), default=0) - 1, -1, -1):
            joined = sorted(k for k, way in active.items() if way.start > frame)
            for part in _parts([k for k in joined if not self._has_arrived(active, k, frame)]):
                for masks in propagated(
                    self._session, self._frames, frame, frame - 1, objects=part
                ):
                    for object_id, mask, score in zip(
                        masks.objects.tolist(), masks.masks, masks.score
                    ):
                        if self._has_arrived(active, object_id, frame):
                            continue
                        source = source_mask(mask, frames=self._frames, score=score)
                        if self._ends(active[object_id], object_id, frame, source, patience):
                            del active[object_id]

    def _ends(
        self, way: WayBack, object_id: int, frame: int, source: FrameMask, patience: int
    ) -> bool:
        """Take the mask of a frame; whether the way ends with it."""
        if way.others is not None:
            return way.correct(frame, source)
        seen = self._keep(way.track, object_id, frame, source)
        way.n_empty = 0 if seen else way.n_empty + 1
        return way.n_empty >= patience

    @staticmethod
    def _has_arrived(active: dict[int, WayBack], object_id: int, frame: int) -> bool:
        """Whether nothing is left to be asked in `frame`: then its way has ended."""
        if not active[object_id].ends_at(frame):
            return False
        del active[object_id]
        return True


def _parts(objects: Sequence[int]) -> list[Sequence[int]]:
    return [objects[first : first + _AT_ONCE] for first in range(0, len(objects), _AT_ONCE)]


def _region_of(box: DetectedBox, shape: tuple[int, ...]) -> Region:
    """The region of a box, of one pixel at least."""
    mask = np.zeros(shape, np.bool_)
    x0, y0, x1, y1 = np.clip(np.round(box.xyxy), 0, [*shape[::-1]] * 2).astype(int)
    x0, y0 = min(x0, shape[1] - 1), min(y0, shape[0] - 1)
    mask[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)] = True
    region = Region.of(mask)
    assert region is not None
    return region


def _without(
    sightings: Sequence[Sighting], pairs: Sequence[tuple[Sighting, EntityTrack]]
) -> list[Sighting]:
    matched = {sighting.detection for sighting, _ in pairs}
    return [sighting for sighting in sightings if sighting.detection not in matched]
