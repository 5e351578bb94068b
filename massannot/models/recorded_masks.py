"""Masks from a file as a MaskPropagator: see recorded_json.py for the kinds of files.

A prompt means the recorded object that it overlaps most in that frame, and that object's masks are
the answer for every frame. Where the file has boxes but no mask, the box is the mask.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from massannot.geometry import rle
from massannot.models.recorded_objects import ClipObjects, RecordedObjects
from massannot.models.recorded_rows import NO_ROW
from massannot.models.recorded_video import RecordedObject
from massannot.pixels import Frames
from massannot.protocols import F32, F64, Bool, FrameMasks, ModelCard

_LEAST_OVERLAP = 0.1
"""IoU of a prompt with the object it means."""


@dataclass
class RecordedMasks:
    """Masks in `path`: COCO or YouTube-VIS JSON, or a dataset of ours."""

    path: str
    fps: float | None = None
    """Frames a second of the file's rows, where the file does not say."""
    _objects: RecordedObjects | None = field(default=None, init=False, repr=False, compare=False)

    def setup(self, *, device: str) -> None:
        """Read the file. Raises UsageError."""
        self._objects = RecordedObjects(self.path, self.fps)
        self._objects.load()

    def destroy(self) -> None:
        self._objects = None

    def card(self) -> ModelCard:
        return ModelCard("recorded_masks", weights=self.path)

    def session(self, frames: Frames) -> RecordedSession:
        """See protocols.MaskPropagator. Raises ModelFailed when the file does not fit the clip."""
        if self._objects is None:
            raise RuntimeError("recorded_masks: setup() was not called")
        return RecordedSession(frames, self._objects.of(frames))


class RecordedSession:
    """See protocols.MaskSession."""

    def __init__(self, frames: Frames, recorded: ClipObjects):
        self._shape = (frames.height, frames.width)
        self._recorded = recorded
        self._meant: dict[int, RecordedObject | None] = {}

    def add_box(self, object_id: int, *, frame: int, box_xyxy: F32) -> Bool:
        self._meant[object_id] = self._overlapping(np.asarray(box_xyxy, np.float64), frame)
        return self._mask(object_id, frame)

    def add_mask(self, object_id: int, *, frame: int, mask: Bool) -> None:
        box = rle.box_xyxy(rle.encode(mask), height=mask.shape[0], width=mask.shape[1])
        self._meant[object_id] = box and self._overlapping(np.array(box, np.float64), frame)

    def remove(self, object_id: int) -> None:
        del self._meant[object_id]

    def propagate(
        self, *, first: int, end: int, objects: Sequence[int] | None = None
    ) -> Iterator[FrameMasks]:
        for frame in range(first, end, 1 if end >= first else -1):
            wanted = list(self._meant if objects is None else objects)
            masks = np.empty((len(wanted), *self._shape), np.bool_)
            for place, object_id in enumerate(wanted):
                masks[place] = self._mask(object_id, frame)
            seen = np.array([self._is_seen(object_id, frame) for object_id in wanted], np.float32)
            yield FrameMasks(frame, np.array(wanted, np.int32), masks, seen)

    def _overlapping(self, box: F64, frame: int) -> RecordedObject | None:
        """The object whose box overlaps `box` (working pixels) most; None: none does."""
        video, row = self._recorded.video, int(self._recorded.rows[frame])
        to_file = np.divide([video.width, video.height] * 2, [*self._shape[::-1]] * 2)
        best, best_overlap = None, _LEAST_OVERLAP
        for thing in video.objects:
            if row == NO_ROW or row not in thing.boxes:
                continue
            overlap = _box_iou(np.array(thing.boxes[row]), box * to_file)
            if overlap > best_overlap:
                best, best_overlap = thing, overlap
        return best

    def _is_seen(self, object_id: int, frame: int) -> bool:
        thing, row = self._meant[object_id], int(self._recorded.rows[frame])
        return thing is not None and row in thing.boxes

    def _mask(self, object_id: int, frame: int) -> Bool:
        """(H, W) in working pixels."""
        thing, row = self._meant[object_id], int(self._recorded.rows[frame])
        height, width = self._shape
        if thing is None or row not in thing.boxes:
            return np.zeros(self._shape, np.bool_)
        size = self._recorded.video.height, self._recorded.video.width
        if row in thing.counts:
            counts = thing.counts[row]
            if size != self._shape:
                counts = rle.resize_nearest(
                    counts, height=size[0], width=size[1], to_height=height, to_width=width
                )
            return rle.decode(counts, height=height, width=width)
        factor = np.divide([width, height] * 2, [size[1], size[0]] * 2)
        x0, y0, x1, y1 = np.clip(np.round(thing.boxes[row] * factor), 0, [width, height] * 2)
        mask = np.zeros(self._shape, np.bool_)
        mask[int(y0) : int(y1), int(x0) : int(x1)] = True
        return mask


def _box_iou(box: F64, other: F64) -> float:
    low, high = np.maximum(box[:2], other[:2]), np.minimum(box[2:], other[2:])
    both = float(np.prod(np.maximum(high - low, 0)))
    union = float(np.prod(box[2:] - box[:2]) + np.prod(other[2:] - other[:2])) - both
    return both / union if union > 0 else 0.0
