"""SAM 2's memory attention with the library's own weights, in fewer steps.

The turned half of a rotary encoding is linear in what is encoded, so it comes from a product with
turned weights instead of from shuffled copies; positions are added to a memory once, not once a
layer; and the first self-attention, which sees the picture alone, is done once for all objects.
The sums are the library's, in its order: a test holds the two equal bit for bit where batches are
of one object. Source: RoFormer, arXiv:2104.09864, equation 34, in the pairwise form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F


@dataclass(frozen=True, eq=False)
class RotaryPlaces:
    """The rotary encoding of N places, and how the tokens of a memory stand to them."""

    cos: torch.Tensor
    """(N, D)."""
    sin: torch.Tensor
    """(N, D)."""
    n_before: int = 0
    """Tokens of each memory that stand before its N places and have none themselves."""

    @classmethod
    def of(cls, module: Any, position_ids: torch.Tensor, *, n_before: int = 0) -> RotaryPlaces:
        """As the network's `memory_attention` encodes the places (N, 2)."""
        cos, sin = module.rotary_emb(module.layer_norm.weight, position_ids)
        return cls(cos[0].contiguous(), sin[0].contiguous(), n_before)


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
        """`products`: the type of what the two products of an attention multiply; None: as the
        values come. Sums and everything else keep theirs. `layer`: how a layer of this network is
        made. `of_memory`: the places of a memory; None: those of the picture."""
        module = net.memory_attention
        self._layers = [(layer or MemoryLayer)(one, products) for one in module.layers]
        self._norm = module.layer_norm
        self._places = RotaryPlaces.of(module, module.position_ids)
        self._of_memory = of_memory or self._places

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
        tokens each: K memories, then `n_pointer_tokens`, which have no place."""
        keys_BLM = memory_BLM + position_BLM
        out = seen_1NC + 0.1 * position_1NC
        for layer in self._layers:
            out = out + layer.look_around(out, self._places)
            out = out + layer.look_back(
                out, keys_BLM, memory_BLM, self._places, self._of_memory, n_pointer_tokens
            )
            out = out + layer.think(out)
        return self._norm(out)


class MemoryLayer:
    """One layer: attention in the picture, attention to the memory, and a small network."""

    def __init__(self, layer: Any, products: torch.dtype | None):
        self._layer = layer
        self._products = products
        around, back = layer.self_attn, layer.cross_attn_image
        self._around = _Turned(around.q_proj), _Turned(around.k_proj)
        self._back = _Turned(back.q_proj), _Turned(back.k_proj)

    def look_around(self, out_BNC: torch.Tensor, places: RotaryPlaces) -> torch.Tensor:
        attention = self._layer.self_attn
        normed = self._layer.layer_norm1(out_BNC)
        query, key = (linear.encoded(normed, places) for linear in self._around)
        return _attended(attention, query, key, attention.v_proj(normed), self._products)

    def look_back(
        self,
        out_BNC: torch.Tensor,
        keys_BLM: torch.Tensor,
        memory_BLM: torch.Tensor,
        places: RotaryPlaces,
        of_memory: RotaryPlaces,
        n_pointer_tokens: int,
    ) -> torch.Tensor:
        attention = self._layer.cross_attn_image
        of_query, of_key = self._back
        query = of_query.encoded(self._layer.layer_norm2(out_BNC), places)
        key = of_key.encoded(keys_BLM, of_memory, n_after=n_pointer_tokens)
        query = query.expand(len(key), -1, -1)
        return _attended(attention, query, key, attention.v_proj(memory_BLM), self._products)

    def think(self, out_BNC: torch.Tensor) -> torch.Tensor:
        layer = self._layer
        hidden = layer.activation(layer.linear1(layer.layer_norm3(out_BNC)))
        return layer.linear2(hidden)


class _Turned:
    """A projection and its turned twin, whose channels 2i and 2i + 1 are -(2i + 1) and 2i."""

    def __init__(self, linear: torch.nn.Linear):
        self._linear = linear
        self._weight, self._bias = _turned(linear.weight), _turned(linear.bias)

    def encoded(
        self, values_BLC: torch.Tensor, places: RotaryPlaces, *, n_after: int = 0
    ) -> torch.Tensor:
        """(B, L, D): memories, each of `n_before` tokens without a place and N with the rotary
        encoding of theirs; then `n_after` without a place."""
        straight = self._linear(values_BLC)
        n_memories = values_BLC.shape[1] - n_after
        one = places.n_before + len(places.cos)
        placed = values_BLC[:, :n_memories].unflatten(1, (-1, one))[:, :, places.n_before :]
        turned = F.linear(placed.flatten(1, 2), self._weight, self._bias)
        memories = straight[:, :n_memories].unflatten(1, (-1, one))
        shape = (len(straight), -1, *places.cos.shape)
        encoded = memories[:, :, places.n_before :] * places.cos
        encoded = encoded.add_(turned.view(shape) * places.sin).type_as(straight)
        if places.n_before:
            encoded = torch.cat([memories[:, :, : places.n_before], encoded], dim=2)
        encoded = encoded.flatten(1, 2)
        return torch.cat([encoded, straight[:, n_memories:]], dim=1) if n_after else encoded


def _turned(rows: torch.Tensor) -> torch.Tensor:
    even, odd = rows[0::2], rows[1::2]
    return torch.stack([-odd, even], dim=1).flatten(0, 1)


def _attended(
    attention: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    products: torch.dtype | None,
) -> torch.Tensor:
    """(B, N, C) from (B, N, D), (B, L, D), (B, L, D), in the module's heads."""
    heads, given = attention.num_attention_heads, query.dtype
    query, key, value = (
        x.to(products or given).unflatten(-1, (heads, -1)).transpose(1, 2)
        for x in (query, key, value)
    )
    seen = F.scaled_dot_product_attention(query, key, value, scale=attention.scaling)
    return attention.o_proj(seen.transpose(1, 2).flatten(2).to(given))
