"""The passes of EdgeTAM where they are not those of SAM 2: a memory is two sets of latent tokens.

The first set looks at the whole memory and has no places; each token of the second looks at one
window of it and has that window's place, in a grid coarser than the picture's.
"""

from __future__ import annotations

from typing import Any

import torch

from massannot.models.sam2.attention import MemoryAttention, MemoryLayer, RotaryPlaces
from massannot.models.sam2.passes import ObjectPasses


class EdgeTamPasses(ObjectPasses):
    """The passes of one network on one device, for one clip."""

    def __init__(self, net: Any, encoder: Any, *, device: str, products: torch.dtype | None = None):
        """`products`: see MemoryAttention."""
        super().__init__(net, encoder, device=device, products=products)
        grid = self._memory_grid()
        self._grid = grid
        self._token_places = net.spatial_perceiver(torch.zeros_like(grid), grid)[1][0]

    def memory_places(self) -> torch.Tensor:
        """(L, M): zeros for the first set, the encoding of the windows' places for the second."""
        return self._token_places

    def _memory_attention(self, products: torch.dtype | None) -> MemoryAttention:
        module, perceiver = self._net.memory_attention, self._net.spatial_perceiver
        of_memory = RotaryPlaces.of(
            module, module.position_ids_k, n_before=perceiver.num_latents_1d
        )
        return MemoryAttention(
            self._net, products=products, layer=EdgeTamMemoryLayer, of_memory=of_memory
        )

    def _memory_tokens(self, features_BNM: torch.Tensor) -> torch.Tensor:
        """(B, L, M) in float32. One object after the other: the network's module takes one."""
        maps = features_BNM.transpose(1, 2).unflatten(-1, tuple(self._grid.shape[-2:]))
        tokens = [self._net.spatial_perceiver(one[None], self._grid)[0] for one in maps]
        return torch.cat(tokens).float()


class EdgeTamMemoryLayer(MemoryLayer):
    """A layer whose small network is a module of its own."""

    def think(self, out_BNC: torch.Tensor) -> torch.Tensor:
        layer = self._layer
        answer: torch.Tensor = layer.mlp(layer.layer_norm3(out_BNC))
        return answer
