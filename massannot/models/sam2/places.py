"""Encodings of places inside SAM 2's image encoder, computed once: they depend on sizes alone, and
the library computes them for every picture. Of the neck's levels only the coarse one is ever read.
"""

from __future__ import annotations

from typing import Any

import torch


def keep_places(net: Any) -> None:
    """Let the image encoder of `net` remember its encodings; its answers stay the same."""
    backbone = net.vision_encoder.backbone
    backbone._get_pos_embed = _Remembered(backbone._get_pos_embed)
    keep_neck_places(net)


def keep_neck_places(net: Any) -> None:
    """The same of the neck alone, for a backbone that encodes no places."""
    neck = net.vision_encoder.neck
    neck.position_encoding = _CoarsePlaces(
        neck.position_encoding, coarse=tuple(net.backbone_feature_sizes[-1])
    )


class _Remembered:
    """A method of a grid's size (h, w), asked once for each, and each precision around it."""

    def __init__(self, method: Any):
        self._method = method
        self._known: dict[tuple[Any, ...], torch.Tensor] = {}

    def __call__(self, grid: Any) -> torch.Tensor:
        key = (*grid, torch.is_autocast_enabled("cuda"), torch.is_autocast_enabled("cpu"))
        if key not in self._known:
            self._known[key] = self._method(grid)
        return self._known[key]


class _CoarsePlaces(torch.nn.Module):
    """The encoding of the coarse level's places, (1, C, h, w); one zero for every other level."""

    def __init__(self, inner: torch.nn.Module, *, coarse: tuple[int, ...]):
        super().__init__()
        self._inner = inner
        self._coarse = coarse
        self._known: dict[tuple[torch.device, torch.dtype], torch.Tensor] = {}

    def forward(
        self, shape: torch.Size, device: torch.device, dtype: torch.dtype, mask: None = None
    ) -> torch.Tensor:
        if (device, dtype) not in self._known:
            size = torch.Size((1, shape[1], *self._coarse))
            self._known[device, dtype] = self._inner(size, device, dtype)
        known = self._known[device, dtype]
        return known if tuple(shape[-2:]) == self._coarse else known.new_zeros(1, 1, 1, 1)
