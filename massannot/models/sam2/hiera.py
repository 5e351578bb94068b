"""SAM 2's image encoder with the library's own weights, in fewer steps.

Pictures are rows of tokens throughout, and lie in the order in which the next window reads them: a
stage whose windows fit its grid moves no token between its blocks. Where windows reach over the
border (Hiera: arXiv:2306.00989, arXiv:2311.05613), one index moves tokens there and one back; its
entry N stands for a padded place. Unusual: the finer maps leave in the decoder's order, "nested" (a
coarse place, the four places in it, the four in each of those), with the decoder's projections and
biases in them, so that it rearranges nothing; and the attention weights that the library computes
and drops are not computed.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from massannot.models.sam2.products import applied, attended, product


@dataclass(frozen=True, eq=False)
class FrameFeatures:
    """One frame. C channels of the N places of the coarse grid, and two finer maps for the mask
    decoder."""

    coarse: torch.Tensor
    """(1, N, C), before any memory."""
    finer: tuple[torch.Tensor, ...]
    """(1, N, 4 C') and (1, 4 N, 4 C''), nested."""

    @property
    def n_bytes(self) -> int:
        """Of what a frame has for itself."""
        return sum(x.numel() * x.element_size() for x in (self.coarse, *self.finer))


class HieraEncoder(torch.nn.Module):
    """The network's `vision_encoder` and the mask decoder's first steps, which it reads and does
    not change; for pictures of the network's own size."""

    def __init__(self, net: Any):
        super().__init__()
        backbone, neck = net.vision_encoder.backbone, net.vision_encoder.neck
        sizes = [(int(height), int(width)) for height, width in net.backbone_feature_sizes]
        if set(neck.fpn_top_down_levels) != {2, 3} or len(neck.convs) != 4:
            raise ValueError(
                f"SAM 2's neck: found {len(neck.convs)} levels, {neck.fpn_top_down_levels} from "
                "the top down; expected four levels, 2 and 3 from the top down"
            )
        decoder = net.mask_decoder
        self._patches = backbone.patch_embed.projection
        self._stage_ends = set(backbone.stage_ends)
        with torch.inference_mode(False), torch.no_grad():
            places = backbone._get_pos_embed(sizes[0]).flatten(1, 2)
            device = places.device
            layout = _Layout(sizes[0], backbone.blocks[0].window_size)
            self._order = torch.nn.Buffer(layout.order.to(device), persistent=False)
            self._places = torch.nn.Buffer(places[:, self._order].clone(), persistent=False)
            self._blocks = torch.nn.ModuleList()
            ends = []
            for index, block in enumerate(backbone.blocks):
                self._blocks.append(_Block(block, layout))
                layout = self._blocks[-1].after
                if index in self._stage_ends:
                    ends.append(layout)
            lateral = list(neck.convs)[::-1]
            self._finest = _Folded(lateral[0], decoder.conv_s0, decoder.upscale_conv2.bias)
            self._finer = _Folded(lateral[1], decoder.conv_s1, decoder.upscale_conv1.bias)
            self._coarse, self._coarsest = _Folded(lateral[2]), _Folded(lateral[3])
            orders = (
                ends[0].rank[nested(sizes[2], 2)],
                ends[1].rank[nested(sizes[2], 1)],
                ends[2].rank,
                ends[3].rank,
            )
            self._orders = [torch.nn.Buffer(x.to(device), persistent=False) for x in orders]
            self._halves = sizes[2][0] // 2, sizes[2][1] // 2
            shape = torch.Size((1, self._coarse.weight.shape[0], *sizes[2]))
            position = neck.position_encoding(shape, device, torch.float32)
            position = position.flatten(2).transpose(1, 2).clone()
            self.position = torch.nn.Buffer(position, persistent=False)
            """(1, N, C): the encoding of the coarse grid's places."""

    def forward(
        self, values_B3HW: torch.Tensor, *, narrow: torch.dtype | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The coarse map (B, N, C) and the finer ones, (B, N, 4 C') and (B, 4 N, 4 C''). `narrow`:
        lower precision for the products of the later half of the blocks. Unusual: not of all, for
        each adds its error, and half of them move half as many pixels of masks (BENCHMARKS.md)."""
        tokens = self._patches(values_B3HW).flatten(2).transpose(1, 2)
        tokens = tokens.index_select(1, self._order) + self._places
        levels = []
        device, half = values_B3HW.device.type, len(self._blocks) // 2
        for index, block in enumerate(self._blocks):
            with _autocast(device, None if index < half else narrow):
                tokens = block(tokens)
            if index in self._stage_ends:
                levels.append(tokens)
        projections = self._finest, self._finer, self._coarse, self._coarsest
        finest, finer, coarse, coarsest = (
            project(level).index_select(1, order)
            for project, level, order in zip(projections, levels, self._orders, strict=True)
        )
        (height, width), (n, _, channels) = self._halves, coarse.shape
        above = coarsest.view(n, height, 1, width, 1, channels)
        coarse = (coarse.view(n, height, 2, width, 2, channels) + above).view(n, -1, channels)
        return coarse, finer.view(n, coarse.shape[1], -1), finest.view(n, finer.shape[1], -1)


class _Layout:
    """The order of a grid's tokens (h, w): row by row (`window` None), or window by window where
    windows fit it."""

    def __init__(self, size: tuple[int, int], window: int | None):
        height, width = size
        fits = window is not None and window > 1 and not (height % window or width % window)
        self.size = size
        self.window = window if fits else None
        numbers = torch.arange(height * width)
        self.order = numbers
        """(N,): the number, row by row, of the token that lies here."""
        if self.window is not None:
            side = self.window
            grouped = numbers.view(height // side, side, width // side, side)
            self.order = grouped.transpose(1, 2).flatten()
        self.rank = torch.empty_like(self.order)
        """(N,): where the token of this number lies."""
        self.rank[self.order] = numbers

    def group(self) -> tuple[int, int]:
        """The sides of what lies row by row."""
        return (self.window, self.window) if self.window else self.size

    def pooled(self) -> _Layout:
        """What is left after every 2 x 2 places have become one."""
        height, width = self.size
        return _Layout((height // 2, width // 2), self.window // 2 if self.window else None)


def nested(coarse: tuple[int, int], times: int) -> torch.Tensor:
    """(N 4^times,): the numbers, row by row, of a finer grid's tokens in the nested order: a place
    of `coarse` after the other, the four places in each, the four in each of those."""
    (height, width), n = coarse, times + 1
    numbers = torch.arange((height << times) * (width << times))
    numbers = numbers.view(height, *[2] * times, width, *[2] * times)
    return numbers.permute([axis for i in range(n) for axis in (i, n + i)]).flatten()


class _Folded(torch.nn.Module):
    """One or two convolutions of single places, and a bias behind them, as one product."""

    def __init__(self, conv: Any, behind: Any = None, bias: torch.Tensor | None = None):
        super().__init__()
        weight, own = conv.weight.flatten(1).double(), conv.bias.double()
        if behind is not None:
            outer = behind.weight.flatten(1).double()
            weight, own = outer @ weight, outer @ own + behind.bias.double()
        if bias is not None:
            own = own + bias.double()
        self.weight = torch.nn.Buffer(weight.float(), persistent=False)
        self.bias = torch.nn.Buffer(own.float(), persistent=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return product(tokens, self.weight, self.bias)


class _Block(torch.nn.Module):
    """One block of the backbone, from tokens in the order `before` to tokens in the order `after`:
    attention in windows that fit the grid, in windows that reach over its border, or in all."""

    def __init__(self, block: Any, before: _Layout):
        super().__init__()
        self._norms = block.layer_norm1, block.layer_norm2
        self._attention, self._mlp = block.attn, block.mlp
        self._proj = getattr(block, "proj", None)
        self._heads = int(block.attn.num_attention_heads)
        window = int(block.window_size)
        here = _Layout(before.size, window) if window else before
        self._pools = block.query_stride is not None
        self._group = here.group()
        self._window = window if window and not here.window else 0
        self._n_attended = here.window**2 if window and here.window else 0
        self.after = here.pooled() if self._pools else here
        device = block.layer_norm1.weight.device
        moves = {
            "_move": before.rank[here.order] if before.window != here.window else None,
            "_into": _windows_over(here.size, window) if self._window else None,
            "_out_of": (
                _rows_of_windows(self.after.size, window // 2 if self._pools else window)
                if self._window
                else None
            ),
        }
        for name, index in moves.items():
            index = None if index is None else index.to(device)
            self.register_buffer(name, index, persistent=False)

    def forward(self, tokens_BNC: torch.Tensor) -> torch.Tensor:
        tokens = tokens_BNC
        if self._move is not None:
            tokens = tokens.index_select(1, self._move)
        normed = self._norms[0](tokens)
        if self._proj is not None:
            tokens = applied(self._proj, normed).to(tokens.dtype)
            if self._pools:
                tokens = _pooled(tokens, self._group)
        tokens = tokens + self._attended(normed)
        hidden = applied(self._mlp.proj_in, self._norms[1](tokens), self._mlp.activation)
        return tokens + applied(self._mlp.proj_out, hidden)

    def _attended(self, normed_BNC: torch.Tensor) -> torch.Tensor:
        attention, n = self._attention, len(normed_BNC)
        qkv = applied(attention.qkv, normed_BNC)
        if self._window:  # a padded place is zero, so it has the bias
            bias = attention.qkv.bias.to(qkv.dtype).expand(n, 1, -1)
            qkv = torch.cat([qkv, bias], dim=1).index_select(1, self._into)
        group = (self._window, self._window) if self._window else self._group
        n_attended = self._window**2 or self._n_attended or qkv.shape[1]
        query, key, value = qkv.view(-1, n_attended, 3, qkv.shape[-1] // 3).unbind(2)
        if self._pools:
            query = _pooled(query.reshape(n, -1, query.shape[-1]), group)
            query = query.view(len(key), -1, query.shape[-1])
        query, key, value = (
            x.unflatten(-1, (self._heads, -1)).transpose(1, 2) for x in (query, key, value)
        )
        seen = attended(query, key, value, scale=attention.scale)
        seen = seen.transpose(1, 2).reshape(n, -1, seen.shape[1] * seen.shape[3])
        if self._window:
            seen = seen.index_select(1, self._out_of)
        return applied(attention.proj, seen)


def _autocast(device: str, narrow: torch.dtype | None) -> AbstractContextManager[Any]:
    return nullcontext() if narrow is None else torch.autocast(device, dtype=narrow)


def _pooled(tokens_BNC: torch.Tensor, group: tuple[int, int]) -> torch.Tensor:
    """The greatest of every 2 x 2 places, in groups that lie row by row."""
    grouped = tokens_BNC.reshape(-1, *group, tokens_BNC.shape[-1]).permute(0, 3, 1, 2)
    pooled = F.max_pool2d(grouped, kernel_size=2, stride=2).permute(0, 2, 3, 1)
    return pooled.reshape(len(tokens_BNC), -1, tokens_BNC.shape[-1])


def _windows_over(size: tuple[int, int], window: int) -> torch.Tensor:
    """The tokens of windows that reach over a grid's border; number N is what lies beyond."""
    height, width = size
    numbers = torch.arange(height * width).view(height, width)
    beyond = (0, -width % window, 0, -height % window)
    numbers = F.pad(numbers, beyond, value=height * width)
    over = (height + -height % window, width + -width % window)
    return numbers.flatten()[_Layout(over, window).order]


def _rows_of_windows(size: tuple[int, int], window: int) -> torch.Tensor:
    """(N,): where a grid's tokens, row by row, lie in windows that reach over its border."""
    height, width = size
    over = (height + -height % window, width + -width % window)
    return _Layout(over, window).rank.view(over)[:height, :width].flatten()
