"""Boxes from a file as a PhraseDetector: see recorded_json.py for the kinds of files.

A category answers the phrase that equals it but for case and article. Unusual: boxes of masks count
as boxes, so that one file with masks serves as detector and as propagator.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from massannot.errors import MassannotWarning
from massannot.models.recorded_objects import ClipObjects, RecordedObjects
from massannot.models.recorded_rows import NO_ROW
from massannot.models.recorded_video import Box, plain_name
from massannot.pixels import Frames
from massannot.protocols import Detections, ModelCard


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
        found = self._objects.of(frames)
        asked = [plain_name(phrase) for phrase in phrases]
        self._warn_of_unknown(asked, found)
        factor = np.divide(
            [frames.width, frames.height] * 2, [found.video.width, found.video.height] * 2
        )
        rows: list[tuple[int, int, float, Box]] = []
        for frame in at:
            row = int(found.rows[frame])
            for thing in found.video.objects if row != NO_ROW else ():
                name = plain_name(thing.category)
                if row in thing.boxes and name in asked:
                    rows.append((frame, asked.index(name), thing.score, thing.boxes[row]))
        rows.sort(key=lambda row: (row[0], row[1], -row[2]))
        boxes = np.array([row[3] for row in rows], np.float64).reshape(-1, 4) * factor
        return Detections(
            frame=np.array([row[0] for row in rows], np.int32),
            phrase=np.array([row[1] for row in rows], np.int32),
            boxes_xyxy=boxes.astype(np.float32),
            score=np.array([row[2] for row in rows], np.float32),
        )

    def _warn_of_unknown(self, asked: Sequence[str], found: ClipObjects) -> None:
        known = {plain_name(thing.category) for thing in found.video.objects}
        if known and not known & set(asked):
            warnings.warn(
                f"{self.path}: none of the phrases {list(asked)} is one of its categories "
                f"{sorted(known)}; they are compared without case and article",
                MassannotWarning,
                stacklevel=3,
            )
