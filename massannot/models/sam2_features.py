"""What SAM 2's image encoder says about a clip's frames, computed when asked and soon forgotten.

Frames are encoded in blocks that start at multiples of the block size, so a frame's features do
not depend on who asked first or in which direction a session runs: equal runs give equal bits.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch

from massannot.models.preprocess import Normalization, resized


@dataclass(frozen=True, eq=False)
class FrameFeatures:
    """One frame. C channels on the coarse grid h w, and two finer maps for the mask decoder."""

    coarse: torch.Tensor
    """(h w, 1, C), before any memory."""
    position: torch.Tensor
    """(h w, 1, C), the encoding of the places of `coarse`."""
    finer: tuple[torch.Tensor, ...]
    """(1, C', 4h, 4w) and (1, C'', 2h, 2w)."""


class ClipFeatures:
    """Features by frame index; at most `kept_blocks` blocks are held, least recently used out."""

    def __init__(
        self,
        net: Any,
        pixels_THWC: torch.Tensor,
        *,
        image_size: int,
        normalize: Normalization,
        block: int,
        kept_blocks: int,
    ):
        self._net = net
        self._pixels = pixels_THWC
        self._image_size = image_size
        self._normalize = normalize
        self._block = block
        self._kept_blocks = kept_blocks
        self._kept: OrderedDict[int, list[FrameFeatures]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, frame: int) -> FrameFeatures:
        first = frame // self._block * self._block
        if first not in self._kept:
            while len(self._kept) >= self._kept_blocks:
                self._kept.popitem(last=False)
            self._kept[first] = self._encode(first, min(first + self._block, len(self)))
        self._kept.move_to_end(first)
        return self._kept[first][frame - first]

    @property
    def tensors(self) -> list[torch.Tensor]:
        """Everything held, for measuring."""
        return [
            tensor
            for block in self._kept.values()
            for frame in block
            for tensor in (frame.coarse, *frame.finer)
        ]

    def _encode(self, first: int, end: int) -> list[FrameFeatures]:
        levels = resized(
            self._pixels[first:end],
            height=self._image_size,
            width=self._image_size,
            interpolation="bilinear",
        )
        out = self._net.get_image_features(self._normalize(levels), return_dict=True)
        *finer, coarse = out.fpn_hidden_states
        position = out.fpn_position_encoding[-1][:, :1]
        sizes = self._net.backbone_feature_sizes[:-1]
        maps = [_as_map(x, size) for x, size in zip(finer, sizes)]
        return [
            FrameFeatures(coarse[:, i : i + 1], position, tuple(m[i : i + 1] for m in maps))
            for i in range(end - first)
        ]


def _as_map(flat: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """(B, C, h, w) from (h w, B, C)."""
    return flat.permute(1, 2, 0).unflatten(-1, tuple(size))
