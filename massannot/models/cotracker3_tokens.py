"""What the transformer reads of every point in every frame, anew in each iteration.

A token is the concatenation of two logits, four levels of correlation and the motion, plus a time
embedding, through one linear layer. Unusual: that layer is applied part by part, so the 1110
numbers never exist. The time embedding becomes a bias per frame, and the last layer of the
correlation's perceptron is multiplied into it once, which makes one matrix of two.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from massannot.models.cotracker3_correlation import Templates, correlate
from massannot.models.cotracker3_features import Features
from massannot.models.cotracker3_state import Points, TrackState
from massannot.models.cotracker3_transformer import Mlp

N_FREQUENCIES = 10
MOTION_CHANNELS = 4 + 8 * N_FREQUENCIES


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
            found = correlate(self.features, level, xy, ours, video_of, radius=self.radius)
            hidden.append(self.corr_mlp.hidden(found))
        part = F.linear(torch.cat(hidden, dim=-1), self.weights.correlation)
        return part.view(*xy.shape[:2], -1).transpose(0, 1)


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
