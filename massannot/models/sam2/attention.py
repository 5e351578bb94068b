"""SAM 2's memory attention with the library's own weights, in fewer steps.

A rotary encoding turns pairs of channels, which is a product of complex numbers, done in place;
what reads one thing is one product; positions are added to a memory once, not once a layer; and the
first self-attention, which sees the picture alone, is done once for all objects. Unusual: on a
processor a memory much narrower than its keys is summed as it is and projected afterwards, not
before. Source: RoFormer, arXiv:2104.09864, equation 34, in the pairwise form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from massannot.models.sam2.products import NARROW, NARROW_IN_BFLOAT16, applied, attended, product


@dataclass(frozen=True, eq=False)
class RotaryPlaces:
    """The rotary encoding of N places, and how the tokens of a memory stand to them."""

    turn: torch.Tensor
    """(N, D / 2): a complex number for each place and pair of channels of a head."""
    n_before: int = 0
    """Tokens of each memory that stand before its N places and have none themselves."""

    @classmethod
    def of(cls, module: Any, position_ids: torch.Tensor, *, n_before: int = 0) -> RotaryPlaces:
        """As the network's `memory_attention` encodes the places (N, 2)."""
        cos, sin = module.rotary_emb(module.layer_norm.weight, position_ids)
        return cls(torch.complex(cos[0, :, 0::2], sin[0, :, 0::2]), n_before)


class MemoryAttention:
    """The network's `memory_attention`, which it reads and does not change."""

    def __init__(
        self,
        net: Any,
        *,
        products: torch.dtype | None = None,
        layer: type[MemoryLayer] | None = None,
        of_memory: RotaryPlaces | None = None,
    ):
        """`products`: the type of what the two products of an attention and those of the small
        network multiply; None: as the values come. Sums and everything else keep theirs. `layer`:
        how a layer of this network is made. `of_memory`: the places of a memory; None: those of
        the picture."""
        module = net.memory_attention
        places = RotaryPlaces.of(module, module.position_ids)
        kind = layer or MemoryLayer
        self._layers = [kind(one, places, of_memory or places, products) for one in module.layers]
        self._norm = module.layer_norm

    def __call__(
        self,
        seen_1NC: torch.Tensor,
        position_1NC: torch.Tensor,
        memory_BLM: torch.Tensor,
        position_BLM: torch.Tensor,
        *,
        n_pointer_tokens: int,
    ) -> torch.Tensor:
        """(B, N, C): a picture of N places after looking into the memories of B objects, of L
        tokens each: K memories, then `n_pointer_tokens`, which have no place. Positions are
        of one or of B."""
        keys_BLM = memory_BLM + position_BLM
        out = torch.add(seen_1NC, position_1NC, alpha=0.1)
        for layer in self._layers:
            out = out + layer.look_around(out)
            out = out + layer.look_back(out, keys_BLM, memory_BLM, n_pointer_tokens)
            out = out + layer.think(out)
        return self._norm(out)


class MemoryLayer:
    """One layer: attention in the picture, attention to the memory, and a small network."""

    def __init__(
        self,
        layer: Any,
        places: RotaryPlaces,
        of_memory: RotaryPlaces,
        products: torch.dtype | None,
    ):
        self._layer = layer
        self._places, self._of_memory = places, of_memory
        self._products = products
        around = layer.self_attn
        linears = around.q_proj, around.k_proj, around.v_proj
        self._around = (
            torch.cat([linear.weight for linear in linears]),
            torch.cat([linear.bias for linear in linears]),
        )
        back = layer.cross_attn_image
        self._outer: tuple[torch.Tensor, torch.Tensor] | None = None
        times = NARROW if products is None else NARROW_IN_BFLOAT16
        narrow = back.k_proj.out_features >= times * back.v_proj.in_features
        if narrow and back.num_attention_heads == 1 and not places.turn.is_cuda:
            inner, outer = back.v_proj, back.o_proj
            self._outer = outer.weight @ inner.weight, outer.weight @ inner.bias + outer.bias

    def look_around(self, out_BNC: torch.Tensor) -> torch.Tensor:
        attention = self._layer.self_attn
        all_three = product(self._narrowed(self._layer.layer_norm1(out_BNC)), *self._around)
        width = all_three.shape[-1] // 3
        all_three = _turned(all_three, self._places, 2 * width)
        return self._attended(attention, *all_three.split(width, dim=-1))

    def look_back(
        self,
        out_BNC: torch.Tensor,
        keys_BLM: torch.Tensor,
        memory_BLM: torch.Tensor,
        n_pointer_tokens: int,
    ) -> torch.Tensor:
        attention = self._layer.cross_attn_image
        query = _turned(applied(attention.q_proj, self._layer.layer_norm2(out_BNC)), self._places)
        key = applied(attention.k_proj, keys_BLM)
        key = _turned(key, self._of_memory, n_after=n_pointer_tokens)
        query = query.expand(len(key), -1, -1)
        if self._outer is None:
            return self._attended(attention, query, key, applied(attention.v_proj, memory_BLM))
        tokens = (self._narrowed(x) for x in (query, key, memory_BLM))
        seen = attended(*tokens, scale=attention.scaling)
        return product(seen, *self._outer).to(out_BNC.dtype)

    def think(self, out_BNC: torch.Tensor) -> torch.Tensor:
        layer = self._layer
        normed = self._narrowed(layer.layer_norm3(out_BNC))
        hidden = applied(layer.linear1, normed, layer.activation)
        return applied(layer.linear2, hidden).to(out_BNC.dtype)

    def _narrowed(self, x: torch.Tensor) -> torch.Tensor:
        return x if self._products is None else x.to(self._products)

    def _attended(
        self, attention: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
    ) -> torch.Tensor:
        """(B, N, C) from (B, N, D), (B, L, D), (B, L, D), in the module's heads."""
        query, key, value = (
            self._narrowed(x).unflatten(-1, (attention.num_attention_heads, -1)).transpose(1, 2)
            for x in (query, key, value)
        )
        seen = attended(query, key, value, scale=attention.scaling).transpose(1, 2).flatten(2)
        return applied(attention.o_proj, seen).to(attention.o_proj.weight.dtype)


def _turned(
    values_BLD: torch.Tensor, places: RotaryPlaces, width: int | None = None, *, n_after: int = 0
) -> torch.Tensor:
    """The values, whose first `width` channels, of heads beside each other, are turned in place:
    memories, each of `n_before` tokens without a place and N with theirs; `n_after` without."""
    n_places, n_pairs = places.turn.shape
    kept = values_BLD.dtype
    values_BLD = values_BLD.float()  # a copy where they were narrower
    memories = values_BLD[:, : values_BLD.shape[1] - n_after, :width]
    memories = memories.unflatten(1, (-1, places.n_before + n_places))[:, :, places.n_before :]
    pairs = memories.unflatten(-1, (-1, n_pairs, 2))
    torch.view_as_complex(pairs).mul_(places.turn[:, None])
    return values_BLD.to(kept)
