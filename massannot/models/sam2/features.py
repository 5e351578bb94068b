"""Inputs of SAM 2's decoder: image features, encoded on demand and soon dropped, and prompts.

Frames are encoded in blocks that start at multiples of the block size, so a frame's features do not
depend on the order of requests or on the direction in which a session runs: equal runs give equal
bits.

Prompts are converted to SAM 2's own pixels: a square picture of `side` pixels, whole numbers at
centres. Ours have their origin at the picture's corner and the picture's own shape; the resize to
the square meets edge with edge. The half pixel that is subtracted here is added by the network's
prompt encoder.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from massannot.models.preprocess import Normalization, resized
from massannot.models.protocols import point_of
from massannot.models.sam2.hiera import FrameFeatures, HieraEncoder

F32 = npt.NDArray[np.float32]

INSIDE = 4.0
"""Logit of a dense box prompt inside the box; its negative outside."""


class ClipFeatures:
    """Features by frame index; at most `kept_bytes` are held, and two blocks at least, least
    recently used out."""

    def __init__(
        self,
        encoder: HieraEncoder,
        pixels_THWC: torch.Tensor,
        *,
        image_size: int,
        normalize: Normalization,
        block: int,
        kept_bytes: int,
        encoder_dtype: torch.dtype | None = None,
    ):
        """`encoder_dtype`: lower precision for the image encoder alone; features are float32."""
        self._encoder = encoder
        self._pixels = pixels_THWC
        self._image_size = image_size
        self._normalize = normalize
        self._block = block
        self._kept_bytes = kept_bytes
        self._encoder_dtype = encoder_dtype
        self._kept: OrderedDict[int, list[FrameFeatures]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, frame: int) -> FrameFeatures:
        first = frame // self._block * self._block
        if first not in self._kept:
            self._kept[first] = self._encode(first, min(first + self._block, len(self)))
            block_bytes = self._block * self._kept[first][0].n_bytes
            while len(self._kept) > max(2, self._kept_bytes // block_bytes):
                self._kept.popitem(last=False)
        self._kept.move_to_end(first)
        return self._kept[first][frame - first]

    def _encode(self, first: int, end: int) -> list[FrameFeatures]:
        levels = resized(
            self._pixels[first:end],
            height=self._image_size,
            width=self._image_size,
            interpolation="bilinear",
        )
        coarse, *finer = self._encoder(self._normalize(levels), narrow=self._encoder_dtype)
        return [
            FrameFeatures(coarse[i : i + 1], tuple(x[i : i + 1] for x in finer))
            for i in range(end - first)
        ]


def box_corners(box_xyxy: F32, *, width: int, height: int, side: int) -> F32:
    """(1, 1, 2, 2): the two corners of a box (4,) of a picture `width` x `height`, or (1, 1, 1, 2):
    the point that it is, minus the half that the prompt encoder adds."""
    scale = np.array([side / width, side / height])
    point = point_of(box_xyxy)
    corners = np.asarray(box_xyxy if point is None else point, np.float64).reshape(-1, 2)
    corners = corners * scale - 0.5
    return corners.astype(np.float32)[None, None]


def box_logits(box_xyxy: F32, *, width: int, height: int, grid: tuple[int, int]) -> F32:
    """(1, 1, rows, columns): where a grid pixel's centre lies in the box."""
    rows, columns = grid
    x = (np.arange(columns) + 0.5) * width / columns
    y = (np.arange(rows) + 0.5) * height / rows
    x0, y0, x1, y1 = np.asarray(box_xyxy, np.float64)
    inside = ((y >= y0) & (y < y1))[:, None] & ((x >= x0) & (x < x1))
    return np.where(inside, np.float32(INSIDE), np.float32(-INSIDE))[None, None]


def squared_mask(mask_HW: torch.Tensor, *, side: int) -> torch.Tensor:
    """float32 (1, 1, side, side), 0 or 1: pixels that the mask covers by half or more. A mask
    thinner than that everywhere keeps its best-covered pixels, so that it is not lost."""
    covered = F.interpolate(
        mask_HW[None, None].float(), (side, side), mode="bilinear", antialias=True
    )
    return ((covered >= covered.amax().clamp(max=0.5)) & (covered > 0)).float()
