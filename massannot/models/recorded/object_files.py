"""Recorded objects as a PhraseDetector and a MaskPropagator: from JSON, or from a dataset of ours.

Detector: a category answers the phrase that equals it but for case and article. Unusual: boxes of
masks count as boxes, so that one file with masks serves as detector and as propagator; and it says
in which frames there are boxes, to be asked in all of them.

Propagator: a prompt means the recorded object that it overlaps most in that frame, and that
object's masks are the answer, for the frames that the file names; of the others it knows nothing.
Where the file has boxes of a thing and no mask at all, the boxes are the masks.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from massannot.clip import Frames
from massannot.errors import MassannotWarning
from massannot.geometry import rle
from massannot.models.protocols import (
    F32,
    F64,
    Bool,
    Detections,
    FrameMasks,
    ModelCard,
    holds,
    point_of,
)
from massannot.models.recorded.json_entries import Box
from massannot.models.recorded.object_sources import ClipObjects, RecordedObjects
from massannot.models.recorded.recorded_videos import RecordedObject, plain_name
from massannot.models.recorded.row_times import NO_ROW
from massannot.models.recorded.video_names import VideoName

_LEAST_OVERLAP = 0.1
"""IoU of a prompt with the object it means."""
_SAME_OVERLAP = 2e-6
"""IoUs that may be the same in the digits that are compared."""


@dataclass
class _OfAFile:
    """Things in `path`: COCO or YouTube-VIS JSON, CVAT XML, or a dataset of ours."""

    NAME: ClassVar[str]

    path: str
    fps: float | None = None
    """Frames a second of the file's rows, where the file does not say."""
    first_number: int | None = None
    """Number of the video's first frame; None: 0 or 1, as the file's numbers begin."""
    crowd: bool = False
    """Whether regions marked iscrowd are things: some writers mark every run length so."""
    _objects: RecordedObjects | None = field(default=None, init=False, repr=False, compare=False)

    def setup(self, *, device: str) -> None:
        """Read the file. Raises UsageError."""
        self._objects = RecordedObjects(self.path, self.fps, self.first_number, self.crowd)
        self._objects.load()

    def destroy(self) -> None:
        self._objects = None

    def card(self) -> ModelCard:
        note = self._objects.note if self._objects else ""
        return ModelCard(self.NAME, weights=self.path, note=note)

    @property
    def names_videos(self) -> bool:
        """Whether the file says of which video it speaks; after `setup`."""
        return self._objects is not None and self._objects.names_videos

    def answer_for(self, video: VideoName) -> str | None:
        """See GoesByName."""
        return self._objects.answer_for(video) if self._objects is not None else None

    def _of(self, frames: Frames) -> ClipObjects:
        if self._objects is None:
            raise RuntimeError(f"{self.NAME}: setup() was not called")
        return self._objects.of(frames)


class RecordedBoxes(_OfAFile):
    """The boxes of the file."""

    NAME = "recorded_boxes"

    def frames_named(self, frames: Frames) -> Sequence[int]:
        """See protocols.GivenBoxes. Raises ModelFailed when the file does not fit the clip."""
        recorded = self._of(frames)
        with_boxes = recorded.video.by_row
        return [frame for frame, row in enumerate(recorded.rows.tolist()) if row in with_boxes]

    def detect(self, frames: Frames, *, at: Sequence[int], phrases: Sequence[str]) -> Detections:
        """See protocols.PhraseDetector. Raises ModelFailed when the file does not fit the clip."""
        recorded = self._of(frames)
        names = [plain_name(phrase) for phrase in phrases]
        self._warn_of_unknown(names, recorded)
        factor = np.divide(
            [frames.width, frames.height] * 2, [recorded.video.width, recorded.video.height] * 2
        )
        rows: list[tuple[int, int, float, Box, int]] = []
        for frame in at:
            row = int(recorded.rows[frame])
            for number in recorded.video.by_row.get(row, ()):
                thing = recorded.video.objects[number]
                name = plain_name(thing.category)
                if name in names:
                    track = number if thing.is_tracked else -1
                    score = thing.scores[row]
                    rows.append((frame, names.index(name), score, thing.boxes[row], track))
        rows.sort(key=lambda row: (row[0], row[1], -row[2]))
        return Detections(
            frame=np.array([row[0] for row in rows], np.int32),
            phrase=np.array([row[1] for row in rows], np.int32),
            # in double precision, so that source pixels come out as they were given
            boxes_xyxy=np.array([row[3] for row in rows], np.float64).reshape(-1, 4) * factor,
            score=np.array([row[2] for row in rows], np.float32),
            track=np.array([row[4] for row in rows], np.int32),
        )

    def _warn_of_unknown(self, names: Sequence[str], recorded: ClipObjects) -> None:
        known = {plain_name(thing.category) for thing in recorded.video.objects}
        if known and not known & set(names):
            warnings.warn(
                f"{self.path}: none of the phrases {list(names)} is one of its categories "
                f"{sorted(known)}; they are compared without case and article",
                MassannotWarning,
                stacklevel=3,
            )


class RecordedMasks(_OfAFile):
    """The masks of the file."""

    NAME = "recorded_masks"

    def session(self, frames: Frames) -> RecordedSession:
        """See protocols.MaskPropagator. Raises ModelFailed when the file does not fit the clip."""
        return RecordedSession(frames, self._of(frames))


class RecordedSession:
    """See protocols.GivenMasks."""

    def __init__(self, frames: Frames, recorded: ClipObjects):
        self._shape = (frames.height, frames.width)
        self._recorded = recorded
        self._meant: dict[int, RecordedObject | None] = {}
        self._boxes: dict[int, F64] = {}
        self._prompted: set[tuple[int, int]] = set()
        """(frame, object of the file): that of two equal boxes each means its own."""

    def add_box(self, object_id: int, *, frame: int, box_xyxy: F32) -> Bool:
        self._meant[object_id] = self._overlapping(np.asarray(box_xyxy, np.float64), frame)
        return self._mask(object_id, frame)

    def add_mask(self, object_id: int, *, frame: int, mask: Bool) -> None:
        box = rle.box_xyxy(rle.encode(mask), height=mask.shape[0], width=mask.shape[1])
        self._meant[object_id] = box and self._overlapping(np.array(box, np.float64), frame)

    def remove(self, object_id: int) -> None:
        del self._meant[object_id]

    def is_known(self, object_id: int, *, frame: int) -> bool:
        """See protocols.GivenMasks."""
        thing, row = self._meant[object_id], int(self._recorded.rows[frame])
        return thing is not None and row != NO_ROW and thing.is_known(row)

    def propagate(
        self, *, first: int, end: int, objects: Sequence[int] | None = None
    ) -> Iterator[FrameMasks]:
        for frame in range(first, end, 1 if end >= first else -1):
            wanted = list(self._meant if objects is None else objects)
            masks = np.empty((len(wanted), *self._shape), np.bool_)
            for index, object_id in enumerate(wanted):
                masks[index] = self._mask(object_id, frame)
            score = [self._belief(object_id, frame) for object_id in wanted]
            yield FrameMasks(frame, np.array(wanted, np.int32), masks, np.array(score, np.float32))

    def _overlapping(self, box: F64, frame: int) -> RecordedObject | None:
        """The object whose box overlaps `box` (working pixels) most, or whose mask holds the point
        that it is; None: none does."""
        video, row = self._recorded.video, int(self._recorded.rows[frame])
        numbers = video.by_row.get(row, ())
        if not numbers:
            return None
        point = point_of(box)
        if point is None:
            to_file = np.divide([video.width, video.height] * 2, [*self._shape[::-1]] * 2)
            overlaps = _box_ious(self._boxes_of(row), box * to_file)
        else:
            drawn = [self._drawn(video.objects[number], row) for number in numbers]
            overlaps = np.array([holds(mask, point) for mask in drawn], np.float64)
        best, best_overlap = None, (_LEAST_OVERLAP, False)
        for place in np.flatnonzero(overlaps > overlaps.max() - _SAME_OVERLAP).tolist():
            number, overlap = numbers[place], round(float(overlaps[place]), 6)
            if (overlap, (frame, number) not in self._prompted) > best_overlap:
                best, best_overlap = number, (overlap, (frame, number) not in self._prompted)
        if best is None:
            return None
        self._prompted.add((frame, best))
        return video.objects[best]

    def _boxes_of(self, row: int) -> F64:
        """(N, 4) of the objects with a box in a row, in the file's pixels: each of as many prompts
        in a frame is compared with all of them."""
        if row not in self._boxes:
            objects = self._recorded.video.objects
            self._boxes[row] = np.array(
                [objects[n].boxes[row] for n in self._recorded.video.by_row[row]]
            )
        return self._boxes[row]

    def _belief(self, object_id: int, frame: int) -> float:
        thing, row = self._meant[object_id], int(self._recorded.rows[frame])
        if thing is None or row == NO_ROW or not thing.is_known(row):
            return 0.0
        shown = row in thing.masks or (thing.boxes_are_masks and row in thing.boxes)
        return thing.beliefs.get(row, float(shown))

    def _mask(self, object_id: int, frame: int) -> Bool:
        """(H, W) in working pixels."""
        return self._drawn(self._meant[object_id], int(self._recorded.rows[frame]))

    def _drawn(self, thing: RecordedObject | None, row: int) -> Bool:
        height, width = self._shape
        size = self._recorded.video.height, self._recorded.video.width
        if thing is not None and row in thing.masks:
            counts = thing.masks[row]
            if size != self._shape:
                counts = rle.resize_nearest(
                    counts, height=size[0], width=size[1], to_height=height, to_width=width
                )
            return rle.decode(counts, height=height, width=width)
        mask = np.zeros(self._shape, np.bool_)
        if thing is not None and thing.boxes_are_masks and row in thing.boxes:
            factor = np.divide([width, height] * 2, [size[1], size[0]] * 2)
            x0, y0, x1, y1 = np.clip(np.round(thing.boxes[row] * factor), 0, [width, height] * 2)
            # A box of less than a pixel is one: its label may not be lost.
            x0, y0 = min(x0, width - 1), min(y0, height - 1)
            mask[int(y0) : max(int(y1), int(y0) + 1), int(x0) : max(int(x1), int(x0) + 1)] = True
        return mask


def _box_ious(boxes: F64, box: F64) -> F64:
    """(N,) of boxes (N, 4) with one."""
    low, high = np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])
    both = np.prod(np.maximum(high - low, 0), axis=1)
    union = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) + np.prod(box[2:] - box[:2]) - both
    return np.nan_to_num(both / np.where(union > 0, union, np.inf))
