"""The pictures of one clip as CoTracker3 sees them: feature maps at four sizes, computed once.

Unusual: maps are stored (frame, x, y, channel), so that a column of a neighbourhood is one
contiguous read, and a clip played backwards, a window, or frames repeated at the end are only
another `order` over the same maps: nothing is encoded or copied twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from massannot.models.cotracker3_encoder import ImageEncoder


@dataclass(frozen=True, eq=False)
class Features:
    """Feature maps of B videos.

    `levels`: per level (B, F, W_l, H_l, D), level 0 at stride 4, each next one half as large.
    `order`: (T,) int64, the stored frame shown at each time.
    """

    levels: tuple[Tensor, ...]
    order: Tensor

    @property
    def n_videos(self) -> int:
        return int(self.levels[0].shape[0])

    @property
    def n_frames(self) -> int:
        return int(self.order.shape[0])

    def reversed(self) -> Features:
        """The same clip played backwards."""
        return replace(self, order=self.order.flip(0))

    def window(self, start: int, length: int) -> Features:
        """Frames start .. start + length - 1; beyond the end the last frame stands still."""
        stop = min(start + length, self.n_frames)
        shown = self.order[start:stop]
        still = self.order[-1:].expand(length - (stop - start))
        return replace(self, order=torch.cat([shown, still]))

    def last(self, n_frames: int) -> Features:
        """Only the last frames, with the memory of the others given back."""
        kept = tuple(level.index_select(1, self.order[-n_frames:]) for level in self.levels)
        return Features(kept, torch.arange(kept[0].shape[1], device=self.order.device))

    def followed_by(self, later: Features) -> Features:
        """One clip after the other."""
        pairs = zip(self.levels, later.levels, strict=True)
        first = self.levels[0].shape[1]
        return Features(
            tuple(torch.cat(pair, dim=1) for pair in pairs),
            torch.cat([self.order, later.order + first]),
        )


def encode_video(
    encoder: ImageEncoder,
    video: Tensor,
    *,
    n_levels: int,
    frames: int,
    prepare: Callable[[Tensor], Tensor] = lambda images: images,
) -> Features:
    """Features of `video` (B, T, 3, H, W), values 0..255, `frames` pictures at a time, each of
    which `prepare` may convert or resize first."""
    weight = encoder.conv1.weight
    images = video.flatten(0, 1)
    parts = (
        _levels(encoder, prepare(part).to(weight), n_levels=n_levels)
        for part in images.split(frames)
    )
    n_videos, n_frames = video.shape[:2]
    levels = _joined(parts, n_images=len(images))
    return Features(
        tuple(level.unflatten(0, (n_videos, n_frames)) for level in levels),
        torch.arange(n_frames, device=weight.device),
    )


def _levels(encoder: ImageEncoder, images: Tensor, *, n_levels: int) -> list[Tensor]:
    # Decoded pictures are channels-last views, and in that order convolutions are slower.
    images = images.contiguous(memory_format=torch.contiguous_format)
    levels = [encoder(images / 255 * 2 - 1)]
    while len(levels) < n_levels:
        levels.append(F.avg_pool2d(levels[-1], 2, stride=2))
    return [level.permute(0, 3, 2, 1).contiguous() for level in levels]


def _joined(parts: Iterator[list[Tensor]], *, n_images: int) -> list[Tensor]:
    """Levels of all images; without gradients no two copies of them exist at any time."""
    if torch.is_grad_enabled():
        return [torch.cat(level) for level in zip(*parts, strict=True)]
    joined: list[Tensor] = []
    done = 0
    for part in parts:
        if not joined:
            joined = [level.new_empty(n_images, *level.shape[1:]) for level in part]
        for whole, level in zip(joined, part, strict=True):
            whole[done : done + len(level)] = level
        done += len(part[0])
    return joined
