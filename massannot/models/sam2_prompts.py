"""Prompts in SAM 2's own pixels: a square picture of `side` pixels, whole numbers at centres.

Ours have their origin at the picture's corner and the picture's own shape; the resize to the square
meets edge with edge. What is taken off here, the network's prompt encoder adds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

INSIDE = 4.0
"""Logit of a dense box prompt inside the box; its negative outside."""

F32 = npt.NDArray[np.float32]


def box_corners(box_xyxy: F32, *, width: int, height: int, side: int) -> F32:
    """(1, 1, 2, 2): the two corners of a box (4,) of a picture `width` x `height`, minus the half
    that the prompt encoder adds."""
    scale = np.array([side / width, side / height])
    corners = np.asarray(box_xyxy, np.float64).reshape(2, 2) * scale - 0.5
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
