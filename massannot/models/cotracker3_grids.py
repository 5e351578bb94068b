"""Points to ask CoTracker3 for when nobody says which: grids, and grids on a mask."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

MARGIN = 1 / 64
"""Of the width, left free on all four sides."""


def grid_queries(grid_size: int, *, frame: int, size: tuple[int, int]) -> Tensor:
    """(1, n*n, 3) queries (t, x, y) on pictures of `size` (H, W), row by row; one point alone is
    the centre."""
    height, width = size
    if grid_size == 1:
        return torch.tensor([[[float(frame), width / 2, height / 2]]])
    margin = width * MARGIN
    y, x = torch.meshgrid(
        torch.linspace(margin, height - margin, grid_size),
        torch.linspace(margin, width - margin, grid_size),
        indexing="ij",
    )
    return torch.stack([torch.full_like(x, frame), x, y], dim=-1).flatten(0, 1)[None]


def on_mask(queries: Tensor, mask: Tensor, *, size: tuple[int, int]) -> Tensor:
    """Those of `queries` (1, N, 3) whose nearest pixel lies on `mask` (H, W), any size, resized to
    `size` by nearest neighbour."""
    resized = F.interpolate(mask[None, None].float(), size, mode="nearest")[0, 0]
    x, y = queries[0, :, 1].round().long(), queries[0, :, 2].round().long()
    kept = resized.to(queries.device)[y.clamp(0, size[0] - 1), x.clamp(0, size[1] - 1)] != 0
    return queries[:, kept]
