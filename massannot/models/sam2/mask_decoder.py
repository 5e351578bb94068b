"""SAM 2's mask decoder with the library's own weights, in fewer steps.

What depends on the prompt alone is a `MaskPrompt`, made once for all frames without a prompt; what
depends on places alone is computed once for the network. All projections that read one thing are
one product, whose bias holds what the position encodings add. Unusual: the picture stays rows of
tokens to the end, in the order "nested" of hiera.py, so that a transposed convolution is a
product too and only the finished mask is put in order; and the small networks behind the decoder's
tokens, padded with zeros to one size, are multiplied together. Source: Segment Anything,
arXiv:2304.02643.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

N_BEFORE = 2
"""Tokens before those of the masks: whether the object is there, and how good the masks are."""


@dataclass(frozen=True, eq=False)
class MaskPrompt:
    """A prompt, for one object or B, and what follows from it without a picture."""

    dense: torch.Tensor
    """(1 or B, N, C), added to the picture."""
    queries: torch.Tensor
    """(1 or B, T, C): the tokens after looking at each other once."""
    biases: tuple[torch.Tensor, ...]
    """(1 or B, T, D): what the tokens, as positions, add to each product that reads queries."""


class MaskDecoder:
    """The network's `mask_decoder`, which it reads and does not change."""

    def __init__(self, net: Any, places_NC: torch.Tensor):
        """`places_NC`: the encodings of the coarse grid's places."""
        module = net.mask_decoder
        self._module = module
        self._grid = tuple(int(n) for n in net.backbone_feature_sizes[-1])
        transformer = module.transformer
        self._tokens = torch.cat(
            [module.obj_score_token.weight, module.iou_token.weight, module.mask_tokens.weight]
        )[None]
        self._layers = list(transformer.layers)
        self._final = transformer.final_attn_token_to_image
        self._final_norm = transformer.layer_norm_final_attn
        # Each product over queries: its projections, and whether each reads positions as well.
        read = []
        for layer in self._layers:
            around, look, back = (
                layer.self_attn, layer.cross_attn_token_to_image, layer.cross_attn_image_to_token,
            )  # fmt: skip
            read.append(
                _Product((around.q_proj, True), (around.k_proj, True), (around.v_proj, False))
            )
            read.append(_Product((look.q_proj, True)))
            read.append(_Product((back.k_proj, True), (back.v_proj, False)))
        read.append(_Product((self._final.q_proj, True)))
        self._of_queries = read
        of_picture = []
        for layer in self._layers:
            look, back = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
            of_picture.append(
                _Product((look.k_proj, True), (look.v_proj, False), (back.q_proj, True))
            )
        of_picture.append(_Product((self._final.k_proj, True), (self._final.v_proj, False)))
        self._of_picture = [(product, product.bias(places_NC[None])) for product in of_picture]
        self._up = [
            conv.weight.permute(0, 2, 3, 1).flatten(1)[None]
            for conv in (module.upscale_conv1, module.upscale_conv2)
        ]
        self._heads = _TokenHeads(module)

    def prompt(self, sparse_BSC: torch.Tensor, dense_BNC: torch.Tensor) -> MaskPrompt:
        """Of a prompt's embeddings."""
        tokens = torch.cat([self._tokens.expand(len(sparse_BSC), -1, -1), sparse_BSC], dim=1)
        biases = tuple(product.bias(tokens) for product in self._of_queries)
        layer = self._layers[0]
        if layer.skip_first_layer_pe:
            query, key, value = (
                project(tokens)
                for project in (
                    layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj,
                )
            )  # fmt: skip
            queries = _attended(layer.self_attn, query, key, value)
        else:
            queries = tokens + self._look_around(layer, tokens, biases[0], self._of_queries[0])
        return MaskPrompt(dense_BNC, layer.layer_norm1(queries), biases)

    def __call__(
        self,
        coarse_BNC: torch.Tensor,
        finer: Sequence[torch.Tensor],
        prompt: MaskPrompt,
        *,
        several: bool,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Mask logits (B, k, h', w'), the quality that each is said to have (B, k), its token
        (B, k, C), and the logit that the object is there (B, 1). `several`: the masks of an
        ambiguous prompt; else one. B is that of the pictures or of the prompt."""
        queries, picture = self._transformed(coarse_BNC + prompt.dense, prompt)
        finer_places, finest_places = finer
        first, second = self._up
        n = len(picture)
        up = _added(finer_places, picture, first)
        up = up.view(n, -1, first.shape[2] // 4)
        norm = self._module.upscale_layer_norm
        up = F.gelu(F.layer_norm(up, norm.weight.shape, norm.weight, norm.bias, norm.eps))
        up = F.gelu(_added(finest_places, up, second))
        up = up.view(n, -1, second.shape[2] // 4)
        weights, quality, present = self._heads(queries)
        chosen = slice(1, None)
        if not several:
            chosen = slice(None) if self._module.dynamic_multimask_via_stability else slice(1)
        masks = self._in_order(weights[:, chosen] @ up.transpose(1, 2))
        quality = quality[:, chosen]
        if not several:
            masks, quality = self._one(masks, quality)
            chosen = slice(1)
        n_masks = self._module.num_mask_tokens
        tokens = queries[:, N_BEFORE : N_BEFORE + n_masks][:, chosen]
        return masks, quality, tokens, present

    def _one(self, masks: torch.Tensor, quality: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if not self._module.dynamic_multimask_via_stability:
            return masks, quality
        stable = self._module._dynamic_multimask_via_stability(masks[:, None], quality[:, None])
        return stable[0][:, 0], stable[1][:, 0]

    def _transformed(
        self, picture: torch.Tensor, prompt: MaskPrompt
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The queries (B, T, C) and the picture (B, N, C) after looking at each other."""
        queries = prompt.queries
        for i, layer in enumerate(self._layers):
            around, of_look, of_back = self._of_queries[3 * i : 3 * i + 3]
            bias_around, bias_look, bias_back = prompt.biases[3 * i : 3 * i + 3]
            if i:
                seen = self._look_around(layer, queries, bias_around, around)
                queries = layer.layer_norm1(queries + seen)
            look, back = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
            product, bias = self._of_picture[i]
            key, value, asked = product(picture, bias)
            (query,) = of_look(queries, bias_look)
            queries = layer.layer_norm2(queries + _attended(look, query, key, value))
            queries = layer.layer_norm3(queries + layer.mlp(queries))
            key, value = of_back(queries, bias_back)
            picture = layer.layer_norm4(picture + _attended(back, asked, key, value))
        product, bias = self._of_picture[-1]
        key, value = product(picture, bias)
        (query,) = self._of_queries[-1](queries, prompt.biases[-1])
        return self._final_norm(queries + _attended(self._final, query, key, value)), picture

    @staticmethod
    def _look_around(
        layer: Any, queries: torch.Tensor, bias: torch.Tensor, product: _Product
    ) -> torch.Tensor:
        return _attended(layer.self_attn, *product(queries, bias))

    def _in_order(self, nested_BKN: torch.Tensor) -> torch.Tensor:
        """(B, K, 4 h, 4 w) from the nested order."""
        height, width = self._grid
        shape = (*nested_BKN.shape[:2], height, width, 2, 2, 2, 2)
        rows = nested_BKN.view(shape).permute(0, 1, 2, 4, 6, 3, 5, 7)
        return rows.reshape(*shape[:2], 4 * height, 4 * width)


class _Product:
    """Projections of the same thing as one product; those that read positions as well get what
    these add from the bias."""

    def __init__(self, *projections: tuple[torch.nn.Linear, bool]):
        self._sizes = [linear.out_features for linear, _ in projections]
        self._weight = torch.cat([linear.weight for linear, _ in projections]).t()[None]
        self._of_places = torch.cat(
            [linear.weight if placed else 0 * linear.weight for linear, placed in projections]
        )
        self._bias = torch.cat([linear.bias for linear, _ in projections])

    def bias(self, places_BLC: torch.Tensor) -> torch.Tensor:
        """(B, L, D): what positions add, and the projections' own biases."""
        return F.linear(places_BLC, self._of_places, self._bias)

    def __call__(
        self, values_BLC: torch.Tensor, bias_BLD: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        return _added(bias_BLD, values_BLC, self._weight).split(self._sizes, dim=-1)


def _added(
    bias_BLD: torch.Tensor, values_BLC: torch.Tensor, weight_1CD: torch.Tensor
) -> torch.Tensor:
    """bias + values @ weight, each of one or of B."""
    n = max(len(bias_BLD), len(values_BLC))
    return torch.baddbmm(
        bias_BLD.expand(n, -1, -1), values_BLC.expand(n, -1, -1), weight_1CD.expand(n, -1, -1)
    )


def _attended(
    attention: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
) -> torch.Tensor:
    """(B, L, C) from (B, L, D) and twice (B, M, D), each of one or of B, in the module's heads."""
    n, heads = max(len(query), len(key)), attention.num_attention_heads
    query, key, value = (
        x.expand(n, -1, -1).unflatten(-1, (heads, -1)).transpose(1, 2) for x in (query, key, value)
    )
    seen = F.scaled_dot_product_attention(query, key, value, scale=attention.scaling)
    return attention.o_proj(seen.transpose(1, 2).flatten(2))


class _TokenHeads:
    """The small networks of the first tokens: is the object there, how good is each mask, and each
    mask's weights. One product a layer: what is narrower than the widest is padded with zeros."""

    def __init__(self, decoder: Any):
        heads = [
            decoder.pred_obj_score_head, decoder.iou_prediction_head,
            *decoder.output_hypernetworks_mlps,
        ]  # fmt: skip
        chains = [[head.proj_in, *head.layers, head.proj_out] for head in heads]
        if len({len(chain) for chain in chains}) > 1:
            raise ValueError(
                f"SAM 2's heads: found {[len(c) for c in chains]} layers, expected equally many"
            )
        self._weights, self._biases = [], []
        for linears in zip(*chains, strict=True):
            n_in, n_out = (max(x.weight.shape[axis] for x in linears) for axis in (1, 0))
            pads = [(0, n_out - x.weight.shape[0], 0, n_in - x.weight.shape[1]) for x in linears]
            self._weights.append(
                torch.stack([F.pad(x.weight.t(), pad) for x, pad in zip(linears, pads)])
            )
            self._biases.append(
                torch.stack([F.pad(x.bias, pad[:2])[None] for x, pad in zip(linears, pads)])
            )
        self._n = len(heads)
        self._n_weights = heads[-1].proj_out.out_features
        self._n_qualities = heads[1].proj_out.out_features

    def __call__(
        self, queries_BTC: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Weights of each mask (B, K, C''), qualities 0..1 (B, K), presence logits (B, 1)."""
        values = queries_BTC[:, : self._n].transpose(0, 1)
        for i, (weight, bias) in enumerate(zip(self._weights, self._biases, strict=True)):
            values = F.relu(values) if i else values
            values = torch.baddbmm(bias, values, weight)
        quality = values[1, :, : self._n_qualities].sigmoid()
        return values[N_BEFORE:, :, : self._n_weights].transpose(0, 1), quality, values[0, :, :1]
