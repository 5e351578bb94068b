"""Corners of the background, followed through a clip: many points, no weights.

In every few frames the strongest corners (Shi and Tomasi, 1994; OpenCV's goodFeaturesToTrack) that
lie outside of what may move are chosen and followed both ways in time (lucas_kanade.py). A point
that enters what may move, or the picture's border, is lost from there on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from massannot.clip import Frames
from massannot.geometry.camera import corner_from_center
from massannot.models.lucas_kanade import LucasKanade, gray_picture, opencv
from massannot.models.protocols import F64, Bool, ModelCard


class CornerTracks(NamedTuple):
    """N corners in T frames."""

    xy: F64
    """(T, N, 2) working pixels."""
    visible: Bool
    """(T, N)."""


@dataclass
class BackgroundCorners:
    """Options."""

    every: int = 6
    """Frames from one choice of corners to the next; more in clips of over `most_choices` of
    them."""
    most_choices: int = 16
    per_frame: int = 120
    """Corners a choice, at most."""
    quality: float = 0.01
    """Least strength, as a share of the strongest corner's."""
    apart_px: float = 5.0
    """Least distance of two corners of a choice, for pictures 160 wide; grows with the picture."""
    border_px: float = 2.0
    """Distance from the picture's border below which a place is not believed."""
    margin_px: float = 4.0
    """Distance from what may move, for pictures 160 wide; grows with the picture. Half of the patch
    that is followed: a patch that is partly on a thing is drawn along by it."""
    tracker: LucasKanade = field(default_factory=LucasKanade)

    def setup(self, *, device: str) -> None:
        """Raises NothingToRun without OpenCV."""
        self.tracker.setup(device=device)

    def destroy(self) -> None:
        """Nothing is held."""

    def card(self) -> ModelCard:
        return self.tracker.card()

    def follow(self, frames: Frames, *, free: Bool) -> CornerTracks:
        """Corners of the pixels that are `free` (T, H, W) of things that may move."""
        free = self._away(free)
        queries = self._queries(frames, free)
        if not len(queries):
            return CornerTracks(np.zeros((len(frames), 0, 2)), np.zeros((len(frames), 0), np.bool_))
        tracks = self.tracker.track(frames, queries_txy=queries)
        xy = tracks.xy.astype(np.float64)
        size = np.array([frames.width, frames.height])
        at = np.clip(xy.astype(np.int64), 0, size - 1)
        inside = ((xy >= self.border_px) & (xy < size - self.border_px)).all(axis=-1)
        held = tracks.visible & inside & free[np.arange(len(xy))[:, None], at[..., 1], at[..., 0]]
        return CornerTracks(xy, _unbroken(held, queries[:, 0].astype(np.int64)))

    def _away(self, free: Bool) -> Bool:
        """Free pixels that have only free ones around."""
        margin = round(self.margin_px * max(1.0, free.shape[2] / 160))
        square = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
        return np.array([opencv().erode(f.astype(np.uint8), square) > 0 for f in free], np.bool_)

    def _queries(self, frames: Frames, free: Bool) -> F64:
        """(N, 3) frame, x, y."""
        n_frames = len(frames)
        every = max(self.every, -(-n_frames // self.most_choices))
        parts = [np.zeros((0, 3))]
        for frame in sorted({*range(0, n_frames, every), n_frames - 1}):
            corners = opencv().goodFeaturesToTrack(
                gray_picture(frames, frame),
                self.per_frame,
                self.quality,
                self.apart_px * max(1.0, frames.width / 160),
                mask=free[frame].astype(np.uint8) * 255,
                blockSize=5,
            )
            if corners is not None:
                xy = corner_from_center(corners[:, 0])
                parts.append(np.column_stack([np.full(len(xy), frame), xy]))
        return np.concatenate(parts)


def _unbroken(held: Bool, start: np.ndarray) -> Bool:
    """(T, N) the stretch of `held` around each point's own frame."""
    time = np.arange(len(held))[:, None]
    lost_before = np.where(~held & (time <= start), time, -1).max(axis=0)
    lost_after = np.where(~held & (time >= start), time, len(held)).min(axis=0)
    return np.asarray((time > lost_before) & (time < lost_after))
