"""The recorded objects of a clip: from JSON, cuboids, CVAT's XML or Rerun's recordings, or from a
dataset of ours, and which rows are its frames.

A file is read once (json_files.py, cvat_files.py and rrd_files.py name the kinds); of a dataset, a
folder, only the rows of a clip's video are read: its table `masks`, or else `detections`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from massannot.clip import Frames
from massannot.models.recorded.cuboid_files import note_of, recorded_objects
from massannot.models.recorded.cuboid_json import cuboid_videos
from massannot.models.recorded.cvat_files import read_cvat
from massannot.models.recorded.json_files import read_json
from massannot.models.recorded.matching import (
    RecordedDataset,
    check_shape,
)
from massannot.models.recorded.recorded_videos import RecordedObject, RecordedVideo
from massannot.models.recorded.row_times import Rows, RowTimes, rows_for
from massannot.models.recorded.rrd_files import read_rrd
from massannot.models.recorded.rrd_recording import rrd_paths
from massannot.models.recorded.video_names import NamedAnswers, VideoName

_RowOf = Mapping[tuple[str, int], tuple[int, int]]
"""(clip_id, frame) to the row and its pts."""


@dataclass(frozen=True, eq=False)
class ClipObjects:
    """The objects of one clip; `rows` (T,) as from matching.rows_for."""

    video: RecordedVideo
    rows: Rows


@dataclass
class RecordedObjects:
    """The objects in `path`, a file or a dataset of ours."""

    path: str
    fps: float | None = None
    """Frames a second of the file's rows, where the file does not say."""
    first_number: int | None = None
    """Number of the video's first frame; None: 0 or 1, as the file's numbers begin."""
    crowd: bool = False
    """Whether regions marked iscrowd are things."""
    note: str = field(default="", init=False)
    _videos: Sequence[RecordedVideo] = field(default_factory=list, init=False, repr=False)
    _named: NamedAnswers = field(default=NamedAnswers(()), init=False, repr=False)
    _dataset: RecordedDataset | None = field(default=None, init=False, repr=False)

    def load(self) -> None:
        """Read the file. Raises UsageError for one that is none of the known kinds."""
        recordings = rrd_paths(self.path)
        self._dataset = None if recordings else RecordedDataset.at(self.path)
        if recordings:
            recorded = read_rrd(self.path)
            self._videos, self.note = recorded.videos, recorded.note
        elif self._dataset is None and self.path.lower().endswith(".xml"):
            task = read_cvat(self.path)
            self._videos, self.note = (task.video,), task.note
        elif self._dataset is None and (cuboids := cuboid_videos(self.path)) is not None:
            self._videos, self.note = recorded_objects(cuboids), note_of(cuboids)
        elif self._dataset is None:
            file = read_json(self.path, crowd=self.crowd)
            self._videos, self.note = file.videos, file.note
        self._named = NamedAnswers([video.names for video in self._videos])

    @property
    def names_videos(self) -> bool:
        """Whether it says of which video it speaks."""
        return self._dataset is not None or not any(video.is_unnamed for video in self._videos)

    def answer_for(self, video: VideoName) -> str | None:
        """See GoesByName."""
        return self._named.name_for(video)

    def of(self, frames: Frames) -> ClipObjects:
        """The recorded objects of a clip, read once. Raises ModelFailed when there are none."""
        key = ("recorded_objects", self.path, self.fps, self.first_number, self.crowd)
        return frames.once(key, lambda: self._read(frames))

    def _read(self, frames: Frames) -> ClipObjects:
        video = self._of_dataset(frames) if self._dataset else self._of_file(frames)
        check_shape((video.width, video.height), frames, where=self.path)
        times = RowTimes(
            video.n_rows,
            pts=video.pts,
            t_s=video.t_s,
            fps=video.fps or self.fps,
            numbers=video.numbers,
            numbers_are_frames=video.numbers_are_frames or self.first_number is not None,
            first_number=0 if video.counts_from_zero else self.first_number,
            shared=self._dataset is not None,
        )
        return ClipObjects(video, rows_for(frames, times, where=self.path))

    def _of_file(self, frames: Frames) -> RecordedVideo:
        if len(self._videos) == 1 and self._videos[0].is_unnamed:
            return self._videos[0]
        pts = [video.pts for video in self._videos]
        place = self._named.one_for(frames, pts, where=self.path)
        return self._videos[place]

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

    def _from_masks(self, clip_ids: Sequence[str], rows: _RowOf) -> list[RecordedObject]:
        assert self._dataset is not None
        texts = self._texts(clip_ids)
        things: dict[tuple[str, int], RecordedObject] = {}
        for row in self._dataset.rows("entities", clip_ids):
            category = texts[row["clip_id"], row["phrase"]]
            thing = RecordedObject(category, is_tracked=True)
            thing.unknown = {number for number, _ in rows.values()}
            things[row["clip_id"], row["entity"]] = thing
        scores = {
            (row["clip_id"], row["entity"]): row["score"]
            for row in self._dataset.rows("entities", clip_ids)
        }
        for row in self._dataset.rows("masks", clip_ids):
            key, number = (row["clip_id"], row["entity"]), rows[row["clip_id"], row["frame"]][0]
            thing = things[key]
            thing.unknown.discard(number)
            thing.masks[number] = row["counts"]
            thing.beliefs[number] = row["score"]
            if row["area"]:
                thing.boxes[number] = (row["x0"], row["y0"], row["x1"], row["y1"])
                thing.scores[number] = scores[key]
        return list(things.values())

    def _from_detections(self, clip_ids: Sequence[str], rows: _RowOf) -> list[RecordedObject]:
        assert self._dataset is not None
        texts = self._texts(clip_ids)
        things = []
        for row in self._dataset.rows("detections", clip_ids):
            number = rows[row["clip_id"], row["frame"]][0]
            thing = RecordedObject(texts[row["clip_id"], row["phrase"]], is_tracked=False)
            thing.boxes[number] = (row["x0"], row["y0"], row["x1"], row["y1"])
            thing.scores[number] = row["score"]
            thing.boxes_are_masks = True
            things.append(thing)
        return things

    def _texts(self, clip_ids: Sequence[str]) -> dict[tuple[str, int], str]:
        assert self._dataset is not None
        rows = self._dataset.rows("phrases", clip_ids)
        return {(row["clip_id"], row["phrase"]): row["text"] for row in rows}
