"""How well the neighbourhood of a position looks like the point that is followed.

Every sample of a 7x7 neighbourhood is compared with every sample of the 7x7 template: 2401 dot
products per point, frame and level. Unusual: the 8x8 whole-pixel neighbours are gathered and
compared first, and the bilinear interpolation (which is linear, so the order does not matter)
runs over 49 products instead of 128 channels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from massannot.models.cotracker3_features import Features

Templates = tuple[Tensor, ...]
"""Per level (P, (2r+1)^2, D) for P points, x slow, y fast."""


def sample_templates(
    features: Features, xy: Tensor, frames: Tensor, video_of: Tensor, *, radius: int
) -> Templates:
    """What P points look like.

    `xy` (P, 2) in level-0 units, `frames` (P,) times in `features` (clamped to the clip),
    `video_of` (P,) which video each point belongs to.
    """
    stored = features.order.index_select(0, frames.clamp(0, features.n_frames - 1))
    templates = []
    for level, maps in enumerate(features.levels):
        rows, fraction = _neighbour_rows(
            maps, xy[:, None] / 2**level, video_of[:, None], stored[:, None], radius=radius
        )
        around = maps.flatten(0, 3).index_select(0, rows.flatten())
        side = 2 * radius + 2
        around = around.view(len(xy), 1, side, side, maps.shape[-1])
        templates.append(_interpolate(around, fraction).flatten(1, 3))
    return tuple(templates)


def correlate(
    features: Features, level: int, xy: Tensor, template: Tensor, video_of: Tensor, *, radius: int
) -> Tensor:
    """(P*T, (2r+1)^4) products of the neighbourhoods of `xy` with the points' templates.

    `xy` (P, T, 2) in level-0 units, `template` (P, (2r+1)^2, D) of this level, `video_of` (P,).
    Target sample slow, template sample fast, in both x slow and y fast.
    """
    maps = features.levels[level]
    n_points, n_frames = xy.shape[:2]
    rows, fraction = _neighbour_rows(
        maps, xy / 2**level, video_of[:, None], features.order[None], radius=radius
    )
    # One matrix product per point, over all its frames: T*64 rows against 49.
    around = maps.flatten(0, 3).index_select(0, rows.flatten()).view(n_points, -1, maps.shape[-1])
    products = torch.bmm(around, template.transpose(1, 2))
    side = 2 * radius + 2
    products = products.view(n_points, n_frames, side, side, template.shape[1])
    return _interpolate(products, fraction).reshape(n_points * n_frames, -1)


def _neighbour_rows(
    maps: Tensor, xy: Tensor, video_of: Tensor, stored: Tensor, *, radius: int
) -> tuple[Tensor, Tensor]:
    """Rows of `maps` (B, F, W, H, D), flattened to (B*F*W*H, D), around positions `xy` (P, T, 2).

    Returns rows (P, T, 2r+2, 2r+2), x slow, with every tap clamped into the map (the same as
    clamping the positions), and the fraction (P, T, 2) of a pixel that the positions go beyond.
    """
    _, n_frames, width, height, _ = maps.shape
    # Far outside all taps meet the border anyway; without this a wild position overflows int64.
    size = torch.stack([torch.full_like(xy[0, 0, 0], width), torch.full_like(xy[0, 0, 0], height)])
    xy = torch.minimum(xy.clamp_min(-2.0 * radius - 2), size + (2.0 * radius + 2))
    corner = xy.floor()
    offsets = torch.arange(-radius, radius + 2, device=xy.device)
    taps = corner.long()[..., None] + offsets
    x = taps[..., 0, :].clamp(0, width - 1)
    y = taps[..., 1, :].clamp(0, height - 1)
    picture = (video_of * n_frames + stored)[..., None]
    rows = ((picture * width + x) * height)[..., None] + y[..., None, :]
    return rows, xy - corner


def _interpolate(grid: Tensor, fraction: Tensor) -> Tensor:
    """Bilinear interpolation of `grid` (P, T, S, S, K) to (P, T, S-1, S-1, K), x slow."""
    fraction = fraction.to(grid.dtype)[..., None, None, None]
    x, y = fraction[:, :, 0], fraction[:, :, 1]
    grid = torch.lerp(grid[..., :-1, :], grid[..., 1:, :], y)
    return torch.lerp(grid[..., :-1, :, :], grid[..., 1:, :, :], x)
