"""Points to follow, and what is known of them in the frames at hand."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class TrackState:
    """P points in T frames: positions `xy` (T, P, 2) in level-0 units (4 pixels), logits of
    `visibility` and `confidence` (T, P)."""

    xy: Tensor
    visibility: Tensor
    confidence: Tensor

    def detached(self) -> TrackState:
        """The same values without their history."""
        return TrackState(self.xy.detach(), self.visibility.detach(), self.confidence.detach())


@dataclass(frozen=True, eq=False)
class Points:
    """P = B*N queries, video by video: `xy` (P, 2) in level-0 units in `frame` (P,) of video
    `video_of` (P,)."""

    xy: Tensor
    frame: Tensor
    video_of: Tensor

    @classmethod
    def from_queries(cls, queries: Tensor, *, stride: int) -> Points:
        """From `queries` (B, N, 3) as (t, x, y); t is cut to a whole number."""
        n_videos, n_points = queries.shape[:2]
        video_of = torch.arange(n_videos, device=queries.device)[:, None].expand(-1, n_points)
        flat = queries.flatten(0, 1)
        return cls(flat[:, 1:] / stride, flat[:, 0].long(), video_of.flatten())

    def standing(self, n_frames: int) -> TrackState:
        """The state before anything is known: every point where it was asked for."""
        xy = self.xy.expand(n_frames, -1, -1).clone()
        return TrackState(xy, torch.zeros_like(xy[..., 0]), torch.zeros_like(xy[..., 0]))

    def carried(self, before: TrackState, *, start: int, step: int) -> TrackState:
        """The state of a window at `start`, from the result of the window `step` frames earlier.

        Points asked for before frame start + step keep what is known of the frames both windows
        share, and stand still in the new ones; the others stand where they were asked for.
        """
        known = self.frame < start + step
        fresh = self.standing(len(before.xy))

        def moved(old: Tensor, new: Tensor, mask: Tensor) -> Tensor:
            shared = torch.cat([old[step:], old[-1:].expand(step, *old.shape[1:])])
            return torch.where(mask, shared, new)

        return TrackState(
            moved(before.xy, fresh.xy, known[:, None]),
            moved(before.visibility, fresh.visibility, known),
            moved(before.confidence, fresh.confidence, known),
        )
