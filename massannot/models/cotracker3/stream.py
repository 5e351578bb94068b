"""CoTracker3 online on a video without an end: frames go in as they come, memory stays bounded.

Each picture is encoded once, when it arrives; at most one window of feature maps and one window of
results are kept. The results equal tracking the whole video in windows.

Points to follow, and what is known of them in the frames at hand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from massannot.models.cotracker3.encoder import Features
from massannot.models.cotracker3.net import CoTracker3Net, by_video
from massannot.models.cotracker3.tokens import Templates, TrackState


@dataclass(frozen=True, eq=False)
class StreamUpdate:
    """Results of one window, which replace earlier ones of the same frames.

    `first_frame` is counted from the stream's first; `tracks` (B, S, N, 2) in pixels of the
    pictures given, `visibility` and `confidence` (B, S, N) in 0..1. Later windows share half of
    their frames with this one: frames before `settled` (exclusive) will not change again.
    """

    first_frame: int
    settled: int
    tracks: Tensor
    visibility: Tensor
    confidence: Tensor


class CoTracker3Stream:
    """Tracks of `queries` (B, N, 3), given as (t, x, y) with t counted from the first frame pushed.

    A query may lie in a frame still to come; its tracks mean something from then on.
    """

    def __init__(self, net: CoTracker3Net, queries: Tensor, *, iters: int = 6):
        if not net.online:
            raise ValueError("streaming needs CoTracker3Net(online=True): found an offline network")
        self._net = net
        self._iters = iters
        self._points = net.points_of(queries, n_videos=len(queries))
        self._points = replace(self._points, frame=self._points.frame.clamp_min(0))
        self._start = 0
        self._features: Features | None = None
        self._templates: Templates | None = None
        self._known: TrackState | None = None

    def push(self, video: Tensor) -> list[StreamUpdate]:
        """Take the next frames (B, k, 3, H, W), any number; the windows that became complete."""
        return self.push_features(self._net.encode(video))

    @torch.no_grad()
    def push_features(self, arrived: Features) -> list[StreamUpdate]:
        """As `push`, with frames that are encoded already."""
        if self._features is not None:
            arrived = self._features.followed_by(arrived)
        self._features = arrived
        updates = []
        while self._features.n_frames >= self._net.window:
            updates.append(self._tracked(self._features.window(0, self._net.window)))
            step = self._net.window // 2
            self._features = self._features.last(self._features.n_frames - step)
            self._start += step
        return updates

    @torch.no_grad()
    def finish(self) -> StreamUpdate | None:
        """The window of the frames that filled none, its end being the last frame standing still;
        None if every frame is settled already. Nothing may be pushed afterwards."""
        rest, self._features = self._features, None
        step = self._net.window // 2
        if rest is None or (self._known is not None and rest.n_frames <= step):
            return None
        update = self._tracked(rest.window(0, self._net.window))
        n_frames = rest.n_frames
        return StreamUpdate(
            update.first_frame,
            update.first_frame + n_frames,
            update.tracks[:, :n_frames],
            update.visibility[:, :n_frames],
            update.confidence[:, :n_frames],
        )

    def _tracked(self, frames: Features) -> StreamUpdate:
        window, step = self._net.window, self._net.window // 2
        points, start = self._points, self._start
        templates = self._net.templates(frames, replace(points, frame=points.frame - start))
        if self._templates is not None and self._known is not None:
            new = (points.frame >= start + step)[:, None, None]
            templates = tuple(
                torch.where(new, ours, kept)
                for ours, kept in zip(templates, self._templates, strict=True)
            )
            state = points.carried(self._known, start=start, step=step)
        else:
            state = points.standing(window)
        self._templates = templates
        (self._known,) = self._net.track_window(
            frames,
            points,
            templates,
            state,
            iters=self._iters,
            arrived=points.frame < start + window,
        )
        tracks, visibility, confidence = by_video(self._known, frames.n_videos)
        return StreamUpdate(start, start + step, tracks, visibility.sigmoid(), confidence.sigmoid())
