"""Pyramidal Lucas-Kanade as a PointTracker: no weights, any size, one core.

Every step from a frame to the next is also taken back; a point that does not come home is lost, and
stays where it was seen last. One pass forward and one backward in time carry all points, whatever
their query frames. Unusual: `fb_error_px` is the SUM of the misses of all steps since the query. To
track each point from each frame back to its query would cost the square of the frames; the sum is
what that could reach when all misses add up.
Sources: Lucas and Kanade 1981; Bouguet 2000; OpenCV's calcOpticalFlowPyrLK.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from massannot.clip import Frames
from massannot.errors import NothingToRun
from massannot.geometry.camera import center_from_corner, corner_from_center
from massannot.models.protocols import F32, F64, Bool, ModelCard, PointTracks

Gray = NDArray[np.uint8]


@dataclass
class LucasKanade:
    """Options; nothing is loaded but OpenCV, in `setup`."""

    window_px: int = 0
    """Side of the patch that is followed. Smaller ones lose flat places, larger ones mix things.
    0: by the picture's width, from 9 for 400 pixels and less to 15 for 630 and more; on rendered
    scenes of 160x128, 15 has 1.6 times the median error of 9."""
    levels: int = 3
    """Halvings of the picture: steps of up to about window_px / 2 * 2 ** levels are found."""
    max_miss_px: float = 1.0
    """Distance between a point and where its step leads when taken back; more is lost."""
    threads: int = 1
    """OpenCV's; the answer does not depend on them."""

    def setup(self, *, device: str) -> None:
        """Import OpenCV. Raises NothingToRun when it is not installed."""
        opencv().setNumThreads(self.threads)

    def destroy(self) -> None:
        """Nothing is held."""

    def card(self) -> ModelCard:
        return ModelCard("lucas_kanade", license="Apache-2.0 (OpenCV)")

    def track(self, frames: Frames, *, queries_txy: F64) -> PointTracks:
        """See protocols.PointTracker. Confidence falls with the sum of misses; not calibrated."""
        queries = np.asarray(queries_txy, np.float64)
        T, N = len(frames), len(queries)
        start = queries[:, 0].astype(np.int64)
        tracks = _Tracks(
            xy=np.repeat(queries[None, :, 1:], T, axis=0).astype(np.float32),
            visibility=np.zeros((T, N), np.float32),
            miss_px=np.zeros((T, N), np.float32),
        )
        tracks.visibility[start, np.arange(N)] = _inside(queries[:, 1:], frames)
        if N:
            for frame, following in pairwise(range(int(start.min()), T)):
                self._step(frames, tracks, frame, following, moving=start <= frame)
            for frame, following in pairwise(range(int(start.max()), -1, -1)):
                self._step(frames, tracks, frame, following, moving=start >= frame)
        confidence = tracks.visibility / (1 + tracks.miss_px / self.max_miss_px)
        return PointTracks(
            xy=tracks.xy,
            visible=tracks.visibility >= 0.5,
            visibility=tracks.visibility,
            confidence=confidence.astype(np.float32),
            fb_error_px=tracks.miss_px,
        )

    def _step(
        self, frames: Frames, tracks: _Tracks, frame: int, following: int, *, moving: Bool
    ) -> None:
        """Fill frame `following` for the points `moving` (N,) from their places in `frame`."""
        held = np.flatnonzero(moving)
        tracks.xy[following, held] = tracks.xy[frame, held]
        tracks.miss_px[following, held] = tracks.miss_px[frame, held]
        alive = np.flatnonzero(moving & (tracks.visibility[frame] >= 0.5))
        if not alive.size:
            return
        gray, next_gray = gray_picture(frames, frame), gray_picture(frames, following)
        next_xy, tracked = self._flow(gray, next_gray, tracks.xy[frame, alive])
        back, tracked_back = self._flow(next_gray, gray, next_xy)
        miss = np.linalg.norm(back - tracks.xy[frame, alive], axis=1)
        visibility = np.exp2(-((miss / self.max_miss_px) ** 2))  # 1/2 at the limit
        followed = tracked & tracked_back & (visibility >= 0.5) & _inside(next_xy, frames)
        alive = alive[followed]
        tracks.xy[following, alive] = next_xy[followed]
        tracks.visibility[following, alive] = visibility[followed]
        tracks.miss_px[following, alive] += miss[followed]

    def _flow(self, gray: Gray, next_gray: Gray, xy: F32) -> tuple[F32, Bool]:
        """Positions of points (M, 2) in the next picture, and whether the flow found them."""
        window = self.window_px or min(max(2 * (gray.shape[1] // 90) + 1, 9), 15)
        moved, status, _ = opencv().calcOpticalFlowPyrLK(
            gray,
            next_gray,
            center_from_corner(xy).astype(np.float32)[:, None],
            None,
            winSize=(window, window),
            maxLevel=self.levels,
        )
        return corner_from_center(moved[:, 0]).astype(np.float32), status[:, 0] == 1


@dataclass(eq=False)
class _Tracks:
    """The tracks so far: xy (T, N, 2), visibility and sum of misses (T, N)."""

    xy: F32
    visibility: F32
    miss_px: F32


def _inside(xy: F32 | F64, frames: Frames) -> Bool:
    """(M,) whether points lie in the picture."""
    inside: Bool = np.all((xy >= 0) & (xy < [frames.width, frames.height]), axis=1)
    return inside


def gray_picture(frames: Frames, frame: int) -> Gray:
    """(H, W); the last few are kept, since each is needed four times."""
    cache: dict[int, Gray] = frames.once("lucas_kanade.gray", dict)
    if frame not in cache:
        while len(cache) >= 2:
            del cache[next(iter(cache))]
        cv2 = opencv()
        cache[frame] = cv2.cvtColor(frames.pixels(frame, frame + 1)[0], cv2.COLOR_RGB2GRAY)
    return cache[frame]


def opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise NothingToRun(
            'lucas_kanade needs OpenCV, which is not installed: pip install "massannot[lk]"'
        ) from error
    return cv2
