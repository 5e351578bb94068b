"""Starting weights for narrow networks: transformers' own (std 0.02) are made for wide ones."""

from __future__ import annotations

import torch
from torch import nn


def drawn_afresh(net: nn.Module, *, skip: tuple[str, ...] = ()) -> None:
    """Linear layers Xavier, convolutions by fan-in, small embeddings N(0, 1); what starts at zero
    on purpose stays, and so do modules whose name contains one of `skip`."""
    for name, module in net.named_modules():
        if any(part in name for part in skip):
            continue
        if isinstance(module, nn.Linear) and module.weight.abs().sum() > 0:
            nn.init.xavier_uniform_(module.weight)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            shape = module.weight.shape
            fan_in = shape[1] * shape[2] * shape[3] if isinstance(module, nn.Conv2d) else shape[0]
            nn.init.normal_(module.weight, std=(1.5 / fan_in) ** 0.5)
        elif isinstance(module, nn.Embedding) and module.weight.shape[0] < 64:
            nn.init.normal_(module.weight)
    for parameter in net.parameters():
        assert torch.isfinite(parameter).all()
