"""Recorded objects as a PhraseDetector and a MaskPropagator: from JSON, or from a dataset of ours.

A JSON file is read once, in `load` (json_files.py names the kinds); of a dataset, a folder, only
the rows of a clip's video are read: its table `masks`, or else `detections`.

Detector: a category answers the phrase that equals it but for case and article. Unusual: boxes of
masks count as boxes, so that one file with masks serves as detector and as propagator.

Propagator: a prompt means the recorded object that it overlaps most in that frame, and that
object's masks are the answer for every frame. Where the file has boxes but no mask, the box is the
mask.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from massannot.clip import Frames
from massannot.errors import MassannotWarning, ModelFailed
from massannot.geometry import rle
from massannot.models.protocols import F32, F64, Bool, Detections, FrameMasks, ModelCard
from massannot.models.recorded.json_files import (
    Box,
    RecordedObject,
    RecordedVideo,
    plain_name,
    read_json,
)
from massannot.models.recorded.matching import (
    NO_ROW,
    RecordedDataset,
    check_shape,
    rows_for,
)

_LEAST_OVERLAP = 0.1
"""IoU of a prompt with the object it means."""


@dataclass
class RecordedBoxes:
    """Boxes in `path`: COCO or YouTube-VIS JSON, or a dataset of ours."""

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
        return ModelCard("recorded_boxes", weights=self.path)

    def detect(self, frames: Frames, *, at: Sequence[int], phrases: Sequence[str]) -> Detections:
        """See protocols.PhraseDetector. Raises ModelFailed when the file does not fit the clip."""
        if self._objects is None:
            raise RuntimeError("recorded_boxes: setup() was not called")
        recorded = self._objects.of(frames)
        names = [plain_name(phrase) for phrase in phrases]
        self._warn_of_unknown(names, recorded)
        factor = np.divide(
            [frames.width, frames.height] * 2, [recorded.video.width, recorded.video.height] * 2
        )
        rows: list[tuple[int, int, float, Box]] = []
        for frame in at:
            row = int(recorded.rows[frame])
            for thing in recorded.video.objects if row != NO_ROW else ():
                name = plain_name(thing.category)
                if row in thing.boxes and name in names:
                    rows.append((frame, names.index(name), thing.score, thing.boxes[row]))
        rows.sort(key=lambda row: (row[0], row[1], -row[2]))
        boxes = np.array([row[3] for row in rows], np.float64).reshape(-1, 4) * factor
        return Detections(
            frame=np.array([row[0] for row in rows], np.int32),
            phrase=np.array([row[1] for row in rows], np.int32),
            boxes_xyxy=boxes.astype(np.float32),
            score=np.array([row[2] for row in rows], np.float32),
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
            for index, object_id in enumerate(wanted):
                masks[index] = self._mask(object_id, frame)
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


@dataclass(frozen=True, eq=False)
class ClipObjects:
    """The objects of one clip; `rows` (T,) as from matching.rows_for."""

    video: RecordedVideo
    rows: NDArray[np.int64]


@dataclass
class RecordedObjects:
    """The objects in `path`, a JSON file or a dataset of ours."""

    path: str
    fps: float | None = None
    """Frames a second of the file's rows, where the file does not say."""
    _videos: list[RecordedVideo] = field(default_factory=list, init=False, repr=False)
    _dataset: RecordedDataset | None = field(default=None, init=False, repr=False)

    def load(self) -> None:
        """Read the file. Raises UsageError for one that is none of the known kinds."""
        self._dataset = RecordedDataset.at(self.path)
        if self._dataset is None:
            self._videos = read_json(self.path)

    def of(self, frames: Frames) -> ClipObjects:
        """The recorded objects of a clip, read once. Raises ModelFailed when there are none."""
        return frames.once(("recorded_objects", self.path), lambda: self._read(frames))

    def _read(self, frames: Frames) -> ClipObjects:
        video = self._of_dataset(frames) if self._dataset else self._of_json(frames)
        check_shape((video.width, video.height), frames, where=self.path)
        rows = rows_for(
            frames,
            n_rows=video.n_rows,
            where=self.path,
            pts=video.pts,
            t_s=video.t_s,
            fps=video.fps or self.fps,
            numbers=video.numbers,
        )
        return ClipObjects(video, rows)

    def _of_json(self, frames: Frames) -> RecordedVideo:
        wanted = {frames.source_id, frames.video_id}
        named = [video for video in self._videos if wanted & set(video.names)]
        if named:  # where a file has a video's clips one by one, the one with most of these frames
            return max(named, key=lambda video: len({*(video.pts or ())} & {*frames.pts.tolist()}))
        if len(self._videos) == 1 and all(name.isdigit() for name in self._videos[0].names):
            return self._videos[0]  # one video that has but a number for a name
        names = sorted({name for video in self._videos for name in video.names})
        shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
        raise ModelFailed(f"{self.path}: no video {frames.source_id!r}; it has: {shown or 'none'}")

    def _of_dataset(self, frames: Frames) -> RecordedVideo:
        assert self._dataset is not None
        clips = self._dataset.clips_of(frames)
        rows = {
            (row["clip_id"], row["frame"]): (number, row["pts"])
            for number, row in enumerate(self._dataset.rows("frames", clips.clip_ids))
        }
        if self._dataset.has("masks"):
            objects = self._from_masks(clips.clip_ids, rows)
        else:
            objects = self._from_detections(clips.clip_ids, rows)
        return RecordedVideo(
            names=(frames.source_id,),
            width=clips.width,
            height=clips.height,
            n_rows=len(rows),
            objects=tuple(objects),
            pts=[pts for _, pts in rows.values()],
        )

    def _from_masks(
        self, clip_ids: Sequence[str], rows: Mapping[tuple[str, int], tuple[int, int]]
    ) -> list[RecordedObject]:
        assert self._dataset is not None
        texts = self._texts(clip_ids)
        counts: dict[tuple[str, int], dict[int, str]] = {}
        boxes: dict[tuple[str, int], dict[int, Box]] = {}
        for row in self._dataset.rows("masks", clip_ids):
            if row["area"]:
                key, number = (row["clip_id"], row["entity"]), rows[row["clip_id"], row["frame"]][0]
                counts.setdefault(key, {})[number] = row["counts"]
                boxes.setdefault(key, {})[number] = (row["x0"], row["y0"], row["x1"], row["y1"])
        return [
            RecordedObject(
                category=texts[row["clip_id"], row["phrase"]],
                score=row["score"],
                boxes=boxes.get((row["clip_id"], row["entity"]), {}),
                counts=counts.get((row["clip_id"], row["entity"]), {}),
            )
            for row in self._dataset.rows("entities", clip_ids)
        ]

    def _from_detections(
        self, clip_ids: Sequence[str], rows: Mapping[tuple[str, int], tuple[int, int]]
    ) -> list[RecordedObject]:
        assert self._dataset is not None
        texts = self._texts(clip_ids)
        return [
            RecordedObject(
                category=texts[row["clip_id"], row["phrase"]],
                score=row["score"],
                boxes={
                    rows[row["clip_id"], row["frame"]][0]: (
                        row["x0"],
                        row["y0"],
                        row["x1"],
                        row["y1"],
                    )
                },
                counts={},
            )
            for row in self._dataset.rows("detections", clip_ids)
        ]

    def _texts(self, clip_ids: Sequence[str]) -> dict[tuple[str, int], str]:
        assert self._dataset is not None
        rows = self._dataset.rows("phrases", clip_ids)
        return {(row["clip_id"], row["phrase"]): row["text"] for row in rows}


def _box_iou(box: F64, other: F64) -> float:
    low, high = np.maximum(box[:2], other[:2]), np.minimum(box[2:], other[2:])
    both = float(np.prod(np.maximum(high - low, 0)))
    union = float(np.prod(box[2:] - box[:2]) + np.prod(other[2:] - other[:2])) - both
    return both / union if union > 0 else 0.0
