"""CoTracker3's update transformer: points attend over time, and through virtual tracks over space.

Tokens are (T, B, N, C), time first, so that attention over time and attention over the points of a
frame are both views of one tensor. Unusual: without gradients everything runs in place on chunks
of rows that fit the cache, and the virtual tracks, which are the same in every frame before the
first block over time, pass that block as one frame. Names of the parameters (`virual_tracks`
included) follow the official checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Over = Literal["time", "space"]


class UpdateFormer(nn.Module):
    """Increments of position, visibility and confidence from the tokens of the points."""

    def __init__(
        self,
        *,
        n_in: int,
        width: int,
        n_heads: int,
        mlp_ratio: int,
        n_layers: int,
        n_virtual: int,
        space_attention: bool,
    ):
        super().__init__()
        self.virual_tracks = nn.Parameter(torch.randn(1, n_virtual, 1, width))
        self.input_transform = nn.Linear(n_in, width)
        self.flow_head = nn.Linear(width, 2)
        self.vis_conf_head = nn.Linear(width, 2)

        def selves() -> nn.ModuleList:
            return nn.ModuleList(SelfBlock(width, n_heads, mlp_ratio) for _ in range(n_layers))

        def crosses() -> nn.ModuleList:
            return nn.ModuleList(CrossBlock(width, n_heads, mlp_ratio) for _ in range(n_layers))

        self.time_blocks = selves()
        self.space_virtual_blocks = selves()
        self.space_point2virtual_blocks = crosses()
        self.space_virtual2point_blocks = crosses()
        self.space_attention = space_attention

    def forward(self, points: Tensor, *, rows: int) -> Tensor:
        """Increments (T, B, N, 4) of x, y, visibility and confidence.

        `points` (T, B, N, C), after the input transform, is overwritten when no gradient is
        recorded; `rows` tokens are worked on at a time.
        """
        n_frames, n_videos = points.shape[:2]
        for i in range(len(self.time_blocks)):
            over_time = partial(self.time_blocks[i], over="time")
            per_chunk = rows // n_frames
            tracks = _in_chunks(over_time, points.flatten(1, 2), dim=1, size=per_chunk)
            points = tracks.view_as(points)
            if not self.space_attention:
                continue
            if i == 0:
                still = over_time(self.virual_tracks[0, :, 0][None])
                virtual = still.repeat(n_frames * n_videos, 1, 1)
            else:
                tracks = virtual.view(n_frames, -1, virtual.shape[-1])
                tracks = _in_chunks(over_time, tracks, dim=1, size=per_chunk)
                virtual = tracks.view_as(virtual)
            frames = points.flatten(0, 1)
            virtual = self._virtual_of(i, virtual, frames, rows=rows)
            reading = self.space_point2virtual_blocks[i]
            read = partial(reading, keys_values=reading.keys_values(virtual))
            frames = _in_chunks(read, frames, dim=1, size=rows // len(frames))
            points = frames.view_as(points)
        weight = torch.cat([self.flow_head.weight, self.vis_conf_head.weight])
        bias = torch.cat([self.flow_head.bias, self.vis_conf_head.bias])
        return F.linear(points, weight, bias)

    def _virtual_of(self, i: int, virtual: Tensor, points: Tensor, *, rows: int) -> Tensor:
        """Virtual tracks (A, M, C) of A frames after reading the points (A, N, C) of each frame,
        then one another."""
        reading, among = self.space_virtual2point_blocks[i], self.space_virtual_blocks[i]
        size = max(1, rows // points.shape[1])
        parts = zip(virtual.split(size), points.split(size), strict=True)
        virtual = torch.cat([reading(ours, reading.keys_values(theirs)) for ours, theirs in parts])
        among_virtual = partial(among, over="space")
        return _in_chunks(among_virtual, virtual, dim=0, size=rows // virtual.shape[1])


class SelfBlock(nn.Module):
    """Attention among the tokens, then a two-layer perceptron, each with its own shortcut."""

    def __init__(self, width: int, n_heads: int, mlp_ratio: int):
        super().__init__()
        self.attn = Attention(width, n_heads)
        self.mlp = Mlp(width, width * mlp_ratio, width, approximate="tanh")

    def forward(self, x: Tensor, over: Over) -> Tensor:
        """`x` (T, R, C): each track (:, r) attends over its T tokens, or each frame over its R."""
        normed = _norm(x)
        x = x + self.attn(normed, self.attn.keys_values(normed), over)
        return x + self.mlp(_norm(x))


class CrossBlock(nn.Module):
    """Tokens of a frame attend to other tokens (the context) of the same frame."""

    def __init__(self, width: int, n_heads: int, mlp_ratio: int):
        super().__init__()
        self.norm_context = nn.LayerNorm(width)
        self.cross_attn = Attention(width, n_heads)
        self.mlp = Mlp(width, width * mlp_ratio, width, approximate="tanh")

    def keys_values(self, context: Tensor) -> Tensor:
        """Keys and values (A, S, 2C) of the context (A, S, C)."""
        return self.cross_attn.keys_values(self.norm_context(context))

    def forward(self, x: Tensor, keys_values: Tensor) -> Tensor:
        """`x` (A, M, C) after reading the context that `keys_values` came from."""
        x = x + self.cross_attn(_norm(x), keys_values, "space")
        return x + self.mlp(_norm(x))


class Attention(nn.Module):
    """Multi-head attention, heads being consecutive groups of channels."""

    def __init__(self, width: int, n_heads: int):
        super().__init__()
        self.n_heads = n_heads
        self.to_q = nn.Linear(width, width)
        self.to_kv = nn.Linear(width, 2 * width)
        self.to_out = nn.Linear(width, width)

    def keys_values(self, context: Tensor) -> Tensor:
        """(.., S, 2C): keys, then values."""
        return self.to_kv(context)

    def forward(self, x: Tensor, keys_values: Tensor, over: Over) -> Tensor:
        """`x` (T, R, C) with `keys_values` (T, S, 2C): attends along T or, in a frame, along S."""
        keys, values = keys_values.chunk(2, dim=-1)
        axes = (1, 2, 0, 3) if over == "time" else (0, 2, 1, 3)
        q, k, v = (
            t.unflatten(-1, (self.n_heads, -1)).permute(axes) for t in (self.to_q(x), keys, values)
        )
        attended = F.scaled_dot_product_attention(q, k, v)
        back = (2, 0, 1, 3) if over == "time" else (0, 2, 1, 3)
        return self.to_out(attended.permute(back).flatten(2))


class Mlp(nn.Module):
    """Two linear layers with a GELU between them, exact ("none") or by tanh."""

    def __init__(self, n_in: int, hidden: int, n_out: int, *, approximate: Literal["none", "tanh"]):
        super().__init__()
        self.fc1 = nn.Linear(n_in, hidden)
        self.fc2 = nn.Linear(hidden, n_out)
        self.approximate = approximate

    def hidden(self, x: Tensor) -> Tensor:
        """The activations between the two layers."""
        return F.gelu(self.fc1(x), approximate=self.approximate)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.hidden(x))


def _norm(x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], eps=1e-6)


def _in_chunks(block: Callable[[Tensor], Tensor], x: Tensor, *, dim: int, size: int) -> Tensor:
    """`block(x)`, computed for `size` entries along `dim` at a time, in place without gradients."""
    if torch.is_grad_enabled():
        return block(x)
    for part in x.split(max(1, size), dim=dim):
        part.copy_(block(part))
    return x
