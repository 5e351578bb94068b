"""Starting weights for SAM 2's memory, read off what its image part has already learned.

From random weights attention to memory saturates on keys that have nothing to do with the object,
and every object of a picture gets the same mask for more than a thousand steps. So it starts as
this: look where the picture looked alike, rather near than far, and hand what lay under the ink
there to the decoder as it knows a mask prompt. All of it goes on learning from there.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tools.embedded.initial import drawn_afresh

SEEN = 56
"""Of a memory's channels, those that say how the place looks; the first after them is ink."""
GAIN = 1.5
NEAR = 4.0
"""The preference of nearer places over equally similar ones."""
LOUDER = 3.0
"""Than features, so that the positions added to memories do not drown them."""
INK = 3.0
PROMPT = 1.5
"""The ink's share in the decoder's input, in units of a dense mask prompt's."""
REST = 0.1
"""Of what is left to chance."""
SLOW, FAST = range(8, 32), range(4, 8)
"""Rotary pairs, of 32 an axis, that hardly turn over the picture, and that turn within a few
places: looks go into the former, the preference for near places into the latter."""


@torch.no_grad()
def start_memory(net: Any, values: Tensor, masks: Tensor) -> None:
    """Draw the memory of `net` anew and align it on pictures (B, 3, S, S) that show one object
    each, `masks` (B, H, W) bool."""
    attention, encoder = net.memory_attention, net.memory_encoder
    for part in (attention, encoder):
        drawn_afresh(part)
    for layer in encoder.memory_fuser.layers:
        layer.scale.data.fill_(REST)
    coarse = net.get_image_features(values, return_dict=True).fpn_hidden_states[-1]
    features = coarse.reshape(-1, coarse.shape[-1])  # (h w B, C)
    size = features.std(1).mean()
    normed = F.layer_norm(features, features.shape[-1:])
    mean, axes = _principal_axes(normed, SEEN)

    encoder.feature_projection.weight *= REST
    encoder.feature_projection.weight[:SEEN, :, 0, 0] = axes.T / size
    encoder.feature_projection.bias.zero_()[:SEEN] = -mean @ axes
    encoder.projection.weight *= REST
    n_channels = encoder.projection.weight.shape[0]
    encoder.projection.weight[:, :n_channels, 0, 0] = torch.eye(n_channels)
    encoder.projection.weight *= LOUDER
    encoder.projection.bias.zero_()
    attention.layer_norm.weight.fill_(size)  # the decoder's input as large as it knows it
    attention.layer_norm.bias.copy_((features - size * normed).mean(0))

    side = (net.config.image_size,) * 2
    square = F.interpolate(masks[:, None].float(), side, mode="bilinear", antialias=True) > 0.5
    ink = square * net.config.sigmoid_scale_for_mem_enc + net.config.sigmoid_bias_for_mem_enc
    covered = F.interpolate(masks[:, None].float(), coarse_size(net), mode="area").flatten()
    _ink_channel(encoder.mask_downsampler, ink, covered)
    remembered, _ = encoder(coarse.permute(1, 2, 0).unflatten(-1, coarse_size(net)), ink)
    ink_of, none = _fit(remembered.flatten(2).transpose(1, 2).flatten(0, 1), covered)

    inside, outside, nothing = (_dense(net, logit) for logit in (4.0, -4.0, None))
    added = PROMPT * (inside - outside)
    always = outside - nothing + net.no_memory_embedding.flatten() + none * added
    for layer in attention.layers:
        for norm in (layer.layer_norm1, layer.layer_norm2, layer.layer_norm3):
            norm.reset_parameters()
        for linear in (layer.self_attn.o_proj, layer.linear2):
            linear.weight *= REST
            linear.bias.zero_()
        cross = layer.cross_attn_image
        turn = _into_pairs(len(mean), n_channels, SLOW)
        near = NEAR * _pairs(len(mean), FAST)
        cross.k_proj.weight.copy_(turn / LOUDER)
        cross.k_proj.bias.copy_(near)
        cross.q_proj.weight.copy_(GAIN * turn[:, :SEEN] @ axes.T)
        cross.q_proj.bias.copy_(near - GAIN * turn[:, :SEEN] @ axes.T @ mean)
        turn = torch.linalg.qr(torch.randn(len(mean), n_channels))[0]
        share = 1 / len(attention.layers)
        cross.v_proj.weight.copy_(turn / LOUDER)
        cross.v_proj.bias.zero_()
        cross.o_proj.weight *= REST
        cross.o_proj.weight += share * LOUDER * torch.outer(added, turn @ ink_of)
        cross.o_proj.bias.copy_(share * always)


def coarse_size(net: Any) -> tuple[int, int]:
    height, width = net.backbone_feature_sizes[-1]
    return int(height), int(width)


def _principal_axes(rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Mean (C,) and the `count` directions (C, count) of most variance."""
    mean = rows.mean(0)
    _, directions = torch.linalg.eigh((rows - mean).T @ (rows - mean))
    return mean, directions.flip(1)[:, :count]


def _ink_channel(downsampler: Any, ink: Tensor, covered: Tensor) -> None:
    """The channel after SEEN tells how much of a place is inked, those before it nothing."""
    hidden = ink
    for layer in downsampler.layers:
        hidden = layer(hidden)
    weights, offset = _fit(hidden.flatten(2).transpose(1, 2).flatten(0, 1), covered)
    final = downsampler.final_conv
    final.weight *= 0.3
    final.weight[:SEEN] = 0
    final.bias.zero_()
    final.weight[SEEN, :, 0, 0] = INK * weights
    final.bias[SEEN] = INK * offset


def _fit(rows: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Least squares `rows @ weights + offset`; wanted and unwanted weigh the same."""
    weight = 1 + wanted * (1 - wanted).sum() / wanted.sum()
    mean, level = rows.mean(0), wanted.mean()
    moved = (rows - mean) * weight[:, None]
    square = moved.T @ (rows - mean) / len(rows) + 1e-3 * torch.eye(len(mean))
    weights = torch.linalg.solve(square, moved.T @ (wanted - level) / len(rows))
    return weights, level - mean @ weights


def _dense(net: Any, logit: float | None) -> Tensor:
    """(C,) what the decoder is given for a mask prompt of one value all over, or for none."""
    shape = (1, 1, *net.prompt_encoder.mask_input_size)
    _, dense = net.prompt_encoder(
        input_points=torch.zeros(1, 1, 1, 2),
        input_labels=-torch.ones(1, 1, 1, dtype=torch.int32),
        input_boxes=None,
        input_masks=None if logit is None else torch.full(shape, logit),
    )
    mean: Tensor = dense.mean((0, 2, 3))
    return mean


def _pairs(channels: int, pairs: range) -> Tensor:
    """(C,) 1 in these rotary pairs of either axis, 0 elsewhere."""
    of = torch.arange(channels) % (channels // 2) // 2
    return ((of >= pairs.start) & (of < pairs.stop)).float()


def _into_pairs(channels: int, columns: int, pairs: range) -> Tensor:
    """(C, columns) orthonormal, random, within these pairs."""
    turn = torch.zeros(channels, columns)
    rows = _pairs(channels, pairs).bool()
    turn[rows] = torch.linalg.qr(torch.randn(int(rows.sum()), columns))[0]
    return turn
