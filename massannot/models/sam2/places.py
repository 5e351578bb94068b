"""The library's image encoder, for a backbone that is not Hiera. The encodings of its places depend
on sizes alone and are computed once; of the neck's levels only the coarse one's are ever read.
"""

from __future__ import annotations

from typing import Any

import torch

from massannot.models.sam2.hiera import nested


def keep_neck_places(net: Any) -> None:
    """Let the network's neck compute the encodings of its places once."""
    neck = net.vision_encoder.neck
    neck.position_encoding = _CoarsePlaces(
        neck.position_encoding, coarse=tuple(net.backbone_feature_sizes[-1])
    )


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


class LibraryEncoder(torch.nn.Module):
    """The library's image encoder, with answers as those of HieraEncoder."""

    def __init__(self, net: Any):
        super().__init__()
        self._net = net
        height, width = (int(n) for n in net.backbone_feature_sizes[-1])
        device = net.no_memory_embedding.device
        shape = torch.Size((1, net.hidden_dim, height, width))
        encoding = net.vision_encoder.neck.position_encoding(shape, device, torch.float32)
        self.position = encoding.flatten(2).transpose(1, 2)
        """(1, N, C): the encoding of the coarse grid's places."""
        self._orders = [nested((height, width), times).to(device) for times in (2, 1)]

    def forward(self, values_B3HW: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The coarse map (B, N, C) and the finer ones, (B, N, 4 C') and (B, 4 N, 4 C'')."""
        out = self._net.get_image_features(values_B3HW, return_dict=True)
        finest, finer, coarse = (x.transpose(0, 1) for x in out.fpn_hidden_states)
        decoder, n = self._net.mask_decoder, len(coarse)
        finest = (finest + decoder.upscale_conv2.bias).index_select(1, self._orders[0])
        finer = (finer + decoder.upscale_conv1.bias).index_select(1, self._orders[1])
        return coarse, finer.view(n, coarse.shape[1], -1), finest.view(n, finer.shape[1], -1)
