"""Cuboid tracks from a file as given positions, and as the boxes and cameras that belong to them.

`path` is a JSON file, see cuboid_json.py. The boxes in the picture are those around the projected
cuboids, cut at the picture; a cuboid that does not meet the picture is not in it, and says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from massannot.clip import Frames
from massannot.counts import counted
from massannot.errors import UsageError
from massannot.geometry.camera import apply, project
from massannot.models.protocols import F64, GivenCuboids, ModelCard
from massannot.models.recorded.cuboid_json import Cuboid, CuboidVideo, cuboid_videos
from massannot.models.recorded.json_entries import Box, json_of
from massannot.models.recorded.matching import check_shape
from massannot.models.recorded.recorded_videos import RecordedObject, RecordedVideo
from massannot.models.recorded.row_times import NO_ROW, Rows, RowTimes, rows_for
from massannot.models.recorded.video_names import NamedAnswers, VideoName

_NEAR_M = 0.01
"""Of a cuboid that reaches behind the camera, what is nearer than this is not projected."""
_CORNERS = np.array(
    [[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)], np.float64
)
_EDGES = np.array(
    [(a, b) for a in range(8) for b in range(a) if np.abs(_CORNERS[a] - _CORNERS[b]).sum() == 1]
)


@dataclass
class RecordedCuboids:
    """Cuboids in `path`, see above."""

    path: str
    fps: float | None = None
    """Samples a second, where the file does not say."""
    _videos: tuple[CuboidVideo, ...] = field(default=(), init=False, repr=False, compare=False)

    def setup(self, *, device: str) -> None:
        """Read the file. Raises UsageError."""
        found = cuboid_videos(self.path)
        if found is None:
            expected = "a JSON file whose object has samples, see docs/answers.md"
            json_of(self.path, expected=expected)
            raise UsageError(f"{self.path}: expected {expected}")
        self._videos = found

    def destroy(self) -> None:
        self._videos = ()

    def card(self) -> ModelCard:
        return ModelCard("recorded_cuboids", weights=self.path, note=note_of(self._videos))

    @property
    def names_videos(self) -> bool:
        """Whether the file says of which video it speaks; after `setup`."""
        return all(video.names for video in self._videos)

    def answer_for(self, video: VideoName) -> str | None:
        """See GoesByName."""
        return named_videos(self._videos).name_for(video)

    def cuboids(self, frames: Frames) -> GivenCuboids:
        """See protocols.CuboidSource. Raises ModelFailed when the file does not fit the clip."""
        video = video_for(self._videos, frames, where=self.path)
        rows = rows_of(video, frames, fps=self.fps, where=self.path)
        shape = (len(video.cuboids), len(frames), 3)
        centre, extent, front = (np.full(shape, np.nan) for _ in range(3))
        for number, thing in enumerate(video.cuboids):
            for frame in np.flatnonzero(rows != NO_ROW):
                row = int(rows[frame])
                if box_in_picture(thing, row, video) is None:
                    continue
                pose = thing.cam_from_box[row]
                centre[number, frame] = pose[:3, 3]
                extent[number, frame] = np.abs(pose[:3, :3]) @ thing.extent[row]
                if thing.has_front:
                    front[number, frame] = pose[:3, 0]
        return GivenCuboids(centre, extent, front)


def recorded_objects(videos: tuple[CuboidVideo, ...]) -> tuple[RecordedVideo, ...]:
    """The same videos with boxes in the picture; things keep their numbers."""
    return tuple(
        RecordedVideo(
            names=video.names,
            width=video.size[0],
            height=video.size[1],
            n_rows=len(video.intrinsics),
            objects=[_object(thing, video) for thing in video.cuboids],
            pts=video.pts,
            t_s=video.t_s,
            fps=video.fps,
            is_unnamed=not video.names,
        )
        for video in videos
    )


def note_of(videos: tuple[CuboidVideo, ...]) -> str:
    """A sentence about what of the file is used."""
    things = [(thing, video) for video in videos for thing in video.cuboids]
    boxes = [(t, row, v) for t, v in things for row in t.cam_from_box]
    n_seen = sum(box_in_picture(*each) is not None for each in boxes)
    outside = len(boxes) - n_seen
    note = f"{counted(len(boxes), 'cuboid')} read, {n_seen} used"
    return note + (f", left out: {outside} outside of the picture" if outside else "")


def named_videos(videos: tuple[CuboidVideo, ...]) -> NamedAnswers:
    return NamedAnswers([video.names for video in videos])


def video_for(videos: tuple[CuboidVideo, ...], frames: Frames, *, where: str) -> CuboidVideo:
    """The clip's video. Raises ModelFailed where the file has none."""
    place = 0
    if len(videos) > 1 or videos[0].names:
        place = named_videos(videos).one_for(frames, [video.pts for video in videos], where=where)
    check_shape(videos[place].size, frames, where=where)
    return videos[place]


def rows_of(video: CuboidVideo, frames: Frames, *, fps: float | None, where: str) -> Rows:
    """(T,) the sample of each frame, NO_ROW for none."""
    times = RowTimes(len(video.intrinsics), pts=video.pts, t_s=video.t_s, fps=video.fps or fps)
    return rows_for(frames, times, where=where)


def box_in_picture(thing: Cuboid, row: int, video: CuboidVideo) -> Box | None:
    """x0 y0 x1 y1 of the part of a cuboid's projection that lies in the picture; None: no part
    does, or there is no such row."""
    if row not in thing.cam_from_box:
        return None
    corners = apply(thing.cam_from_box[row], _CORNERS * thing.extent[row])
    seen = _in_front(corners)
    if not len(seen):
        return None
    xy = project(seen, video.intrinsics[row])
    x0, y0 = np.clip(xy.min(axis=0), 0, video.size)
    x1, y1 = np.clip(xy.max(axis=0), 0, video.size)
    return (float(x0), float(y0), float(x1), float(y1)) if x1 > x0 and y1 > y0 else None


def _in_front(corners: F64) -> F64:
    """(N, 3) the corners in front of the camera, and where edges come from behind it."""
    a, b = corners[_EDGES[:, 0]], corners[_EDGES[:, 1]]
    crossing = (a[:, 2] < _NEAR_M) != (b[:, 2] < _NEAR_M)
    a, b = a[crossing], b[crossing]
    share = (_NEAR_M - a[:, 2:]) / (b[:, 2:] - a[:, 2:])
    return np.concatenate([corners[corners[:, 2] >= _NEAR_M], a + share * (b - a)])


def _object(thing: Cuboid, video: CuboidVideo) -> RecordedObject:
    found = RecordedObject(thing.category, is_tracked=True, boxes_are_masks=True)
    found.unknown = set(range(len(video.intrinsics))) - video.labelled
    for row in thing.cam_from_box:
        box = box_in_picture(thing, row, video)
        if box is not None:
            found.boxes[row], found.scores[row] = box, 1.0
    return found
