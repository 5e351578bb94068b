"""Point tracks from a file as a PointTracker: those that another tracker already gave.

`path` is an npz, a folder of them named by source id, a recording of Rerun or a folder of them (its
Points2D, see rrd_files.py), or one of our own datasets (its `tracks_xy`).
The npz has `tracks` (T, N, 2), `visible` (T, N), and optionally `confidence` (T, N), `size` (width,
height), `pts`, `t_s` or `fps`, and `origin`: "center" (the default: whole numbers are pixel
centres, as CoTracker, OpenCV and TAPVid-3D have it) or "corner". In a frame that the file does not
name nothing is visible.

Unusual: a tracker follows any point, a file has only its own. Each query is answered by the
nearest recorded track that is visible in its frame, each track at most once, nearest pairs first; a
query with none within `within_px` is answered by a point that is visible nowhere.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from massannot.clip import Frames
from massannot.counts import counted
from massannot.errors import MassannotWarning, ModelFailed, UsageError
from massannot.geometry.camera import corner_from_center
from massannot.models.protocols import F32, F64, Bool, ModelCard, PointTracks
from massannot.models.recorded.array_files import (
    TIMES,
    ArrayFile,
    a_clip_fails,
    check_names,
    one_origin,
)
from massannot.models.recorded.matching import (
    RecordedDataset,
    check_shape,
)
from massannot.models.recorded.row_times import NO_ROW, Rows, RowTimes, rows_for
from massannot.models.recorded.rrd_files import RrdPoints, read_rrd_points
from massannot.models.recorded.rrd_recording import rrd_paths
from massannot.models.recorded.video_names import NamedAnswers, VideoName, file_for, named_file

KNOWN = ("tracks", "visible", "visibility", "confidence", "size", "origin", *TIMES)


@dataclass
class RecordedTracks:
    """Tracks in `path`, see above."""

    path: str
    within_px: float = 8.0
    """Working pixels from a query to the track that answers it."""
    fps: float | None = None
    """Frames a second of the file's rows, where the file does not say."""
    _dataset: RecordedDataset | None = field(default=None, init=False, repr=False, compare=False)
    _logged: Sequence[RrdPoints] = field(default=(), init=False, repr=False, compare=False)

    def setup(self, *, device: str) -> None:
        """Raises UsageError when there is nothing at `path`."""
        self._logged = read_rrd_points(self.path) if rrd_paths(self.path) else ()
        if self._logged:
            return
        self._dataset = RecordedDataset.at(self.path, table="tracks_xy")
        check_names(self.path, known=KNOWN)

    def destroy(self) -> None:
        self._dataset, self._logged = None, ()

    def card(self) -> ModelCard:
        return ModelCard("recorded_tracks", weights=self.path)

    @property
    def _named(self) -> NamedAnswers:
        return NamedAnswers([each.names for each in self._logged])

    @property
    def names_videos(self) -> bool:
        """Whether `path` says of which video it speaks: a single file has no name."""
        return Path(self.path).is_dir() or any(each.names for each in self._logged)

    def answer_for(self, video: VideoName) -> str | None:
        """See GoesByName."""
        if self._logged:
            return self._named.name_for(video)
        found = None if self._dataset else named_file(self.path, video, endings=(".npz",))
        return None if found is None else str(found)

    def track(self, frames: Frames, *, queries_txy: F64) -> PointTracks:
        """See protocols.PointTracker. Raises ModelFailed when the file does not fit the clip."""
        with a_clip_fails(self.path):
            if self._logged:
                recorded = self._of_recordings(frames)
            else:
                recorded = self._of_dataset(frames) if self._dataset else self._of_file(frames)
        queries = np.asarray(queries_txy, np.float64)
        T, N = len(frames), len(queries)
        track_of = self._nearest(recorded, queries)
        xy = np.repeat(queries[None, :, 1:], T, axis=0).astype(np.float32)
        visible = np.zeros((T, N), np.bool_)
        confidence = np.zeros((T, N), np.float32)
        error = np.full((T, N), np.nan, np.float32)
        answered = np.flatnonzero(track_of != NO_ROW)
        known = recorded.known
        cells = np.ix_(np.flatnonzero(known), answered)
        xy[cells] = recorded.xy[known][:, track_of[answered]]
        visible[cells] = recorded.visible[known][:, track_of[answered]]
        confidence[cells] = recorded.confidence[known][:, track_of[answered]]
        return PointTracks(xy, visible, visible.astype(np.float32), confidence, error, given=True)

    def _nearest(self, recorded: _Recorded, queries: F64) -> Rows:
        """(N,) the track of each query, NO_ROW for none."""
        track_of = np.full(len(queries), NO_ROW)
        start = queries[:, 0].astype(np.int64)
        pairs = []
        for frame in np.unique(start):
            of_frame = np.flatnonzero(start == frame)
            candidates = np.flatnonzero(recorded.visible[frame])
            gap = queries[of_frame, None, 1:] - recorded.xy[frame, candidates]
            distance = np.linalg.norm(gap, axis=2)
            row, column = np.nonzero(distance <= self.within_px)
            pairs += list(zip(distance[row, column], of_frame[row], candidates[column]))
        taken: set[int] = set()
        for _, query, track in sorted(pairs):
            if track_of[query] == NO_ROW and track not in taken:
                track_of[query] = track
                taken.add(track)
        return track_of

    def _of_file(self, frames: Frames) -> _Recorded:
        where = file_for(self.path, VideoName.of(frames), endings=(".npz",))
        file = ArrayFile.read(where, known=KNOWN)
        tracks, seen, confidence = _checked(file)
        xy = corner_from_center(tracks) if one_origin(file) == "center" else tracks
        size = file.size()
        if size is not None:
            check_shape(size, frames, where=str(where))
        width, height = size or (frames.source_width, frames.source_height)
        _check_inside(xy, seen, width, height, where=str(where))
        rows = rows_for(frames, file.times(len(xy), fps=self.fps), where=str(where))
        factor = np.divide([frames.width, frames.height], [width, height])
        return _Recorded.of(rows, xy * factor, seen, confidence)

    def _of_recordings(self, frames: Frames) -> _Recorded:
        """Of several of one video, the one with most of these frames."""
        if len(self._logged) == 1 and not self._logged[0].names:
            logged = self._logged[0]
        else:
            pts = [each.times.pts for each in self._logged]
            logged = self._logged[self._named.one_for(frames, pts, where=self.path)]
        check_shape(logged.size, frames, where=logged.where)
        _check_inside(logged.xy, logged.visible, *logged.size, where=logged.where)
        times = logged.times if self.fps is None else replace(logged.times, fps=self.fps)
        rows = rows_for(frames, times, where=logged.where)
        factor = np.divide([frames.width, frames.height], logged.size)
        return _Recorded.of(rows, logged.xy * factor, logged.visible, logged.confidence)

    def _of_dataset(self, frames: Frames) -> _Recorded:
        assert self._dataset is not None
        clips = self._dataset.clips_of(frames)
        check_shape((clips.width, clips.height), frames, where=self.path)
        times = self._dataset.rows("frames", clips.clip_ids)
        row_of = {(row["clip_id"], row["frame"]): number for number, row in enumerate(times)}
        points = self._dataset.rows("tracks_xy", clips.clip_ids)
        if not points:
            raise ModelFailed(f"{self.path}: no tracks of video {frames.source_id!r}")
        xy = np.zeros((len(times), len(points), 2))
        seen = np.zeros(xy.shape[:2], np.bool_)
        confidence = np.zeros(xy.shape[:2], np.float32)
        for number, point in enumerate(points):
            at = [row_of[point["clip_id"], frame] for frame in range(len(point["x"]))]
            xy[at, number, 0], xy[at, number, 1] = point["x"], point["y"]
            seen[at, number], confidence[at, number] = point["visible"], point["confidence"]
        pts = [row["pts"] for row in times]
        rows = rows_for(frames, RowTimes(len(times), pts=pts, shared=True), where=self.path)
        factor = np.divide([frames.width, frames.height], [clips.width, clips.height])
        return _Recorded.of(rows, xy * factor, seen, confidence)


def _checked(file: ArrayFile) -> tuple[F64, Bool, F32]:
    """(T, N, 2) tracks, (T, N) visible, (T, N) confidence. Raises UsageError for other shapes and
    for values that are neither yes or no nor a probability."""
    tracks = file.numbers("tracks")
    visible = file.first("visible", "visibility")
    if tracks is None or visible is None:
        raise UsageError(
            f"{file.path}: found {file.shapes}, expected tracks (T, N, 2), visible (T, N)"
        )
    if tracks.ndim == 4 and len(tracks) == 1:
        raise UsageError(
            f"{file.path}: tracks {tracks.shape} are a batch of one, expected (T, N, 2); write "
            "tracks[0] and visible[0]"
        )
    if tracks.ndim != 3 or tracks.shape[2] != 2 or tracks.shape[:2] != visible.shape:
        raise UsageError(
            f"{file.path}: found {file.shapes}, expected tracks (T, N, 2), visible (T, N)"
        )
    confidence = file.numbers("confidence")
    for name, array in (("visible", visible), ("confidence", confidence)):
        if array is None:
            continue
        if array.shape != visible.shape or array.dtype.kind not in "biuf":
            raise UsageError(
                f"{file.path}: {name} {array.dtype} {array.shape}, expected {visible.shape}"
            )
        known = array[np.isfinite(array)]
        if known.size and not 0 <= known.min() <= known.max() <= 1:
            raise UsageError(
                f"{file.path}: {name} from {known.min():g} to {known.max():g}, expected 0..1; a "
                "sigmoid makes probabilities of logits"
            )
    seen: Bool = np.asarray((visible > 0.5) & np.isfinite(tracks).all(axis=2))
    return (
        tracks.astype(np.float64),
        seen,
        np.asarray(seen if confidence is None else confidence, np.float32),
    )


def _check_inside(xy: F64, seen: Bool, width: int, height: int, *, where: str) -> None:
    """Raises UsageError where no visible point lies inside the picture: they are of another size,
    or not in pixels. A point may leave; tracks that were never inside are warned of."""
    inside = np.all((xy >= 0) & (xy <= [width, height]), axis=2) & seen
    never = np.flatnonzero(seen.any(axis=0) & ~inside.any(axis=0))
    if never.size:
        first = np.round(xy[seen[:, never[0]], never[0]][0], 1).tolist()
        sentence = (
            f"{where}: {never.size} of {counted(xy.shape[1], 'track is', many='tracks are')} "
            "visible "
            f"and never inside the picture of {width}x{height}, track {never[0]} at {first} for one"
        )
        if not inside.any():
            raise UsageError(f"{sentence}; `size` says of which pictures they are")
        warnings.warn(f"{sentence}; they answer nothing", MassannotWarning, stacklevel=2)
    values = xy[seen]
    if len(values) > 1 and min(width, height) > 4 and np.all(np.abs(values) <= 1.5):
        raise UsageError(
            f"{where}: all points lie within the first pixel; expected pixels, not shares of the "
            "picture: multiply by width and height"
        )


@dataclass(frozen=True, eq=False)
class _Recorded:
    """M tracks in a clip's T frames, working pixels; in frames that are not `known` (T,), nothing
    is visible."""

    known: Bool
    xy: F32
    visible: Bool
    confidence: F32

    @classmethod
    def of(cls, rows: Rows, xy: F64, visible: Bool, confidence: F32 | Bool) -> _Recorded:
        """From a file's rows to the clip's frames; not finite is not visible."""
        known = rows != NO_ROW
        finite = np.asarray(np.isfinite(xy).all(axis=2))
        finite_xy = np.where(finite[..., None], xy, 0).astype(np.float32)
        return cls(
            known=known,
            xy=finite_xy[rows],
            visible=(visible & finite)[rows] & known[:, None],
            confidence=np.clip(np.nan_to_num(confidence), 0, 1).astype(np.float32)[rows],
        )
