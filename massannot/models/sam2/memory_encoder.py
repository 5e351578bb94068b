"""SAM 2's memory encoder with the library's own weights, in fewer steps.

Maps are rows of tokens from the last layer of the mask's downsampler on, and the scale of a
residual branch is folded into its weights. Unusual: where a layer has few channels its
normalisation is done in planes, the mean taken out of the convolution's weights beforehand; torch's
own goes from place to place and takes 29 times as long for four channels.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from massannot.models.sam2.products import applied, product

FEW_CHANNELS = 8


class MemoryEncoder:
    """The network's `memory_encoder`, which it reads and does not change."""

    def __init__(self, net: Any):
        module, config = net.memory_encoder, net.config
        downsampler = module.mask_downsampler
        self._layers = [
            _Planes(layer) if layer.conv.out_channels <= FEW_CHANNELS else layer
            for layer in downsampler.layers
        ]
        self._mask = _tokens_of(downsampler.final_conv)
        self._picture = _tokens_of(module.feature_projection)
        self._fuser = [_Fuser(block) for block in module.memory_fuser.layers]
        self._out = _tokens_of(module.projection)
        self._scale = float(config.sigmoid_scale_for_mem_enc)
        shift = float(config.sigmoid_bias_for_mem_enc)
        self._shift = torch.full((1,), shift, device=module.projection.weight.device)
        height, width = net.backbone_feature_sizes[-1]
        self._grid = int(height), int(width)

    def __call__(self, coarse_1NC: torch.Tensor, ink_B1SS: torch.Tensor) -> torch.Tensor:
        """(B, N, M) from a picture and masks, 0 to 1, of the network's own size."""
        mask = torch.add(self._shift, ink_B1SS, alpha=self._scale)
        for layer in self._layers:
            mask = layer(mask)
        tokens = product(mask.flatten(2).transpose(1, 2), *self._mask)
        tokens = tokens + product(coarse_1NC, *self._picture)
        for fuse in self._fuser:
            tokens = tokens + fuse(tokens, self._grid)
        return product(tokens, *self._out)


class _Planes:
    """A layer of the downsampler: a convolution, a normalisation over its channels, the rest."""

    def __init__(self, layer: Any):
        conv, norm = layer.conv, layer.layer_norm
        self._conv = conv
        self._weight = conv.weight - conv.weight.mean(0, keepdim=True)
        self._bias = conv.bias - conv.bias.mean()
        n = conv.out_channels
        self._mean = torch.full((1, n, 1, 1), 1 / n, device=conv.weight.device)
        self._eps = torch.full((1,), norm.eps, device=conv.weight.device)
        self._norm = norm.weight[:, None, None], norm.bias[:, None, None]
        self._activation = layer.activation

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        apart = F.conv2d(values, self._weight, self._bias, self._conv.stride, self._conv.padding)
        with torch.autocast(values.device.type, enabled=False):  # a normalisation is never narrowed
            apart = apart.float()
            by = F.conv2d(apart * apart, self._mean, self._eps).rsqrt_()
            weight, bias = self._norm
            return self._activation(torch.addcmul(bias, apart * weight, by))


class _Fuser:
    """A block of the fuser, but for the residual."""

    def __init__(self, block: Any):
        self._block = block
        narrow = block.pointwise_conv2
        self._narrow = narrow.weight * block.scale[:, None], narrow.bias * block.scale

    def __call__(self, tokens_BNC: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
        block, norm = self._block, self._block.layer_norm
        places = block.depthwise_conv(tokens_BNC.transpose(1, 2).unflatten(-1, grid))
        places = places.flatten(2).transpose(1, 2)
        normed = F.layer_norm(places, norm.weight.shape, norm.weight, norm.bias, norm.eps)
        hidden = applied(block.pointwise_conv1, normed, block.activation)
        return product(hidden, *self._narrow)


def _tokens_of(conv: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of a convolution of single places, as of a product."""
    return conv.weight.flatten(1), conv.bias
