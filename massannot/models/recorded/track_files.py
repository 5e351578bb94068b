"""Point tracks from a file as a PointTracker: those that another tracker already gave.

`path` is an npz, a folder of them named by source id, or one of our own datasets (its `tracks_xy`).
The npz has `tracks` (T, N, 2), `visible` (T, N), and optionally `confidence` (T, N), `size` (width,
height), `pts`, `t_s` or `fps`, and `origin`: "center" (the default: whole numbers are pixel
centres, as CoTracker, OpenCV and TAPVid-3D have it) or "corner".

Unusual: a tracker follows any point, a file has only its own. Each query is answered by the
nearest recorded track that is visible in its frame, each track at most once, nearest pairs first; a
query with none within `within_px` is answered by a point that is visible nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from massannot.clip import Frames
from massannot.errors import ModelFailed, UsageError
from massannot.geometry.camera import corner_from_center
from massannot.models.protocols import F32, F64, Bool, ModelCard, PointTracks
from massannot.models.recorded.matching import (
    NO_ROW,
    RecordedDataset,
    Rows,
    check_shape,
    file_for,
    first_of,
    load_arrays,
    rows_for,
)


@dataclass
class RecordedTracks:
    """Tracks in `path`, see above."""

    path: str
    within_px: float = 8.0
    """Working pixels from a query to the track that answers it."""
    fps: float | None = None
    """Frames a second of the file's rows, where the file does not say."""
    _dataset: RecordedDataset | None = field(default=None, init=False, repr=False, compare=False)

    def setup(self, *, device: str) -> None:
        """Raises UsageError when there is nothing at `path`."""
        self._dataset = RecordedDataset.at(self.path, table="tracks_xy")

    def destroy(self) -> None:
        self._dataset = None

    def card(self) -> ModelCard:
        return ModelCard("recorded_tracks", weights=self.path)

    def track(self, frames: Frames, *, queries_txy: F64) -> PointTracks:
        """See protocols.PointTracker. Raises ModelFailed when the file does not fit the clip."""
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
        return PointTracks(xy, visible, visible.astype(np.float32), confidence, error)

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
        where = file_for(self.path, frames, endings=(".npz",))
        arrays = load_arrays(where)
        tracks, visible = first_of(arrays, "tracks"), first_of(arrays, "visible", "visibility")
        if tracks is None or visible is None or tracks.shape != (*visible.shape, 2):
            shapes = {name: array.shape for name, array in arrays.items()}
            raise UsageError(f"{where}: found {shapes}, expected tracks (T, N, 2), visible (T, N)")
        origin = str(arrays.get("origin", np.array("center")))
        if origin not in {"center", "corner"}:
            raise UsageError(f"{where}: origin {origin!r}, expected center or corner")
        xy = tracks.astype(np.float64)
        xy = corner_from_center(xy) if origin == "center" else xy
        if "size" in arrays:
            width, height = (int(value) for value in arrays["size"])
            check_shape((width, height), frames, where=str(where))
        else:
            width, height = frames.source_width, frames.source_height
        fps = first_of(arrays, "fps")
        rows = rows_for(
            frames,
            n_rows=len(tracks),
            where=str(where),
            pts=first_of(arrays, "pts"),
            t_s=first_of(arrays, "t_s"),
            fps=self.fps if fps is None else float(fps),
        )
        seen = visible > 0.5 if visible.dtype != np.bool_ else visible
        confidence = first_of(arrays, "confidence")
        confidence = seen if confidence is None else confidence
        factor = np.divide([frames.width, frames.height], [width, height])
        return _Recorded.of(rows, xy * factor, seen, confidence)

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
        rows = rows_for(
            frames, n_rows=len(times), where=self.path, pts=[row["pts"] for row in times]
        )
        factor = np.divide([frames.width, frames.height], [clips.width, clips.height])
        return _Recorded.of(rows, xy * factor, seen, confidence)


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
