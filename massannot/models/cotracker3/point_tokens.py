"""The tokens of the transformer: one for every point in every frame, made anew in each iteration.

A token is the concatenation of two logits, four levels of correlation and the motion, plus a time
embedding, through one linear layer. Unusual: that layer is applied part by part, so the 1110
numbers never exist. The time embedding becomes a bias per frame, and the last layer of the
correlation's perceptron is multiplied into it once, which makes one matrix of two.

Correlation compares every sample of the 7x7 neighbourhood of a position with every sample of the
point's 7x7 template: 2401 dot products per point, frame and level. The 8x8 whole-pixel neighbours
are gathered and compared first, and the bilinear interpolation (which is linear, so the order does
not matter) runs over 49 products instead of 128 channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from massannot.models.cotracker3.encoder import Features
from massannot.models.cotracker3.transformer import Mlp

Templates = tuple[Tensor, ...]
"""Per level (P, (2r+1)^2, D) for P points, x slow, y fast."""
MARGIN = 1 / 64
"""Of the width, left free on all four sides."""
N_FREQUENCIES = 10
MOTION_CHANNELS = 4 + 8 * N_FREQUENCIES


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


@dataclass(frozen=True, eq=False)
class TokenWeights:
    """The input layer by parts: `correlation` (C, levels*hidden), `state` (C, 2 + 84), `times`
    (T, C); fixed while a window is tracked."""

    correlation: Tensor
    state: Tensor
    times: Tensor

    @classmethod
    def of(
        cls, entry: nn.Linear, corr_mlp: Mlp, time_emb: Tensor, *, n_frames: int, n_levels: int
    ) -> TokenWeights:
        """From the network's own layers, for windows of `n_frames`."""
        last = corr_mlp.fc2
        logits, correlation, motion = entry.weight.split(
            [2, n_levels * last.out_features, MOTION_CHANNELS], dim=1
        )
        per_level = correlation.unflatten(1, (n_levels, -1))
        bias = entry.bias + torch.einsum("clo,o->c", per_level, last.bias)
        times = at_times(time_emb, n_frames)[0].to(entry.weight.dtype)
        return cls(
            correlation=torch.einsum("clo,oh->clh", per_level, last.weight).flatten(1),
            state=torch.cat([logits, motion], dim=1),
            times=F.linear(times, entry.weight, bias),
        )


@dataclass(frozen=True, eq=False)
class Tokens:
    """Tokens of the points in one window, as a function of the state.

    Points that have not `arrived` (P,) have a template of zeros; None: all have. `motion_scale`
    (width, height) in level-0 units; `rows` point-frames are correlated at a time.
    """

    features: Features
    points: Points
    templates: Templates
    arrived: Tensor | None
    weights: TokenWeights
    corr_mlp: Mlp
    motion_scale: tuple[float, float]
    radius: int
    rows: int

    def __call__(self, state: TrackState) -> Tensor:
        """(T, P, C), after the input layer."""
        logits = torch.stack([state.visibility, state.confidence], dim=-1)
        x, y = state.xy[..., 0] / self.motion_scale[0], state.xy[..., 1] / self.motion_scale[1]
        inputs = torch.cat([logits, motion_embedding(torch.stack([x, y], dim=-1))], dim=-1)
        tokens = F.linear(inputs.to(self.weights.state.dtype), self.weights.state)
        tokens = tokens + self.weights.times[:, None]
        n_frames, n_points = tokens.shape[:2]
        size = max(1, self.rows // n_frames)
        chunks = [slice(first, first + size) for first in range(0, n_points, size)]
        if torch.is_grad_enabled():
            return tokens + torch.cat([self._correlation(state, c) for c in chunks], dim=1)
        for chunk in chunks:
            tokens[:, chunk] += self._correlation(state, chunk)
        return tokens

    def _correlation(self, state: TrackState, chunk: slice) -> Tensor:
        """The correlation's part (T, P', C) of the tokens of some points."""
        xy = state.xy[:, chunk].transpose(0, 1)
        video_of = self.points.video_of[chunk]
        hidden = []
        for level, template in enumerate(self.templates):
            ours = template[chunk]
            if self.arrived is not None:
                ours = ours * self.arrived[chunk, None, None]
            products = correlate(self.features, level, xy, ours, video_of, radius=self.radius)
            hidden.append(self.corr_mlp.hidden(products))
        part = F.linear(torch.cat(hidden, dim=-1), self.weights.correlation)
        return part.view(*xy.shape[:2], -1).transpose(0, 1)


def sample_templates(
    features: Features, xy: Tensor, frames: Tensor, video_of: Tensor, *, radius: int
) -> Templates:
    """The templates of P points.

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


def time_embedding(n_times: int, width: int) -> Tensor:
    """(1, n_times, width): sines, then cosines, of width/2 frequencies 10000^(-2i/width)."""
    half = torch.arange(width // 2, dtype=torch.float64) / (width / 2)
    angles = torch.arange(n_times, dtype=torch.float64)[:, None] * 10000**-half
    return torch.cat([angles.sin(), angles.cos()], dim=1).float()[None]


def at_times(table: Tensor, n_frames: int) -> Tensor:
    """The time embedding (1, S, E) stretched to (1, n_frames, E), in no less than float32."""
    table = table.to(torch.promote_types(table.dtype, torch.float32))
    if n_frames == table.shape[1]:
        return table
    stretched = F.interpolate(table.transpose(1, 2), size=n_frames, mode="linear")
    return stretched.transpose(1, 2)


def motion_embedding(xy: Tensor) -> Tensor:
    """(T, P, 84) from scaled positions (T, P, 2): differences to the next and the previous frame
    (zero at the ends), then their sines and cosines at ten octaves."""
    steps = xy[1:] - xy[:-1]
    none = torch.zeros_like(xy[:1])
    z = torch.cat([torch.cat([-steps, none]), torch.cat([none, steps])], dim=-1)
    octaves = 2.0 ** torch.arange(N_FREQUENCIES, dtype=z.dtype, device=z.device)
    angles = (z[..., None, :] * octaves[:, None]).flatten(2)
    return torch.cat([z, angles.sin(), angles.cos()], dim=-1)


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
