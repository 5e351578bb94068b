"""Objects with boxes and masks of a clip, from a file: COCO or YouTube-VIS JSON, or our dataset.

A JSON file is read once, in `load` (recorded_json.py says how it looks); of a dataset, a folder,
only what concerns a clip is read: its table `masks`, or else `detections`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from massannot.errors import ModelFailed
from massannot.models.recorded_dataset import RecordedDataset
from massannot.models.recorded_json import read_json
from massannot.models.recorded_rows import check_exists, check_shape, rows_for
from massannot.models.recorded_video import Box, RecordedObject, RecordedVideo
from massannot.pixels import Frames


@dataclass(frozen=True, eq=False)
class ClipObjects:
    """The objects of one clip: `rows` (T,), see recorded_rows."""

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
        check_exists(self.path)
        if Path(self.path).is_dir():
            self._dataset = RecordedDataset(self.path)
        else:
            self._videos = read_json(self.path)

    def of(self, frames: Frames) -> ClipObjects:
        """What is recorded of a clip, read once. Raises ModelFailed when that is nothing."""
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
        found = self._dataset.clips_of(frames)
        rows = {
            (row["clip_id"], row["frame"]): (number, row["pts"])
            for number, row in enumerate(self._dataset.rows("frames", found.clip_ids))
        }
        if self._dataset.has("masks"):
            objects = self._from_masks(found.clip_ids, rows)
        else:
            objects = self._from_detections(found.clip_ids, rows)
        return RecordedVideo(
            names=(frames.source_id,),
            width=found.width,
            height=found.height,
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
