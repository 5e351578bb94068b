"""The large products of the mask networks: of tokens with weights, and of tokens with one another.

On a processor torch's own `linear` copies the bias, multiplies with MKL, and leaves the activation
to a pass of its own. oneDNN, a part of torch, does the three at once, with the widest vectors
whoever made the processor; torch's compiler calls it by the operator called here. And torch's fused
attention there takes as long in bfloat16 as in float32, where two products and a softmax take
half.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

Activation = Callable[[torch.Tensor], torch.Tensor]
FUSED = {"ReLU": "relu", "GELU": "gelu", "GELUActivation": "gelu"}
"""What oneDNN calls an activation, by the name of its module, torch's or transformers'."""
LARGE = 1 << 24
"""Multiplications from which on oneDNN pays: below, to choose its kernel costs what it saves."""
ONEDNN = getattr(torch.ops.mkldnn, "_linear_pointwise", None)

NARROW = 4
"""Channels of a key to one of a value from which on two products pay in float32: at the official
size (256 to 64) 1.2 times faster than torch's fused kernel, at 128 to 64 not faster."""
NARROW_IN_BFLOAT16 = 2
"""The same in bfloat16, where it is two products in any case: six things of the embedded size (128
to 64) take 16 CPU-ms instead of 18 and 3 for their values."""
HELD = 1 << 23
"""Weights of an attention that are held at once: 256 places at the official size."""
SEVERAL = 1 << 21
"""The same of several things together in bfloat16: what a core's cache holds. Six things of the
embedded size take 18 CPU-ms in threes or twos, 27 together."""


def product(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    activation: Activation | None = None,
) -> torch.Tensor:
    """(..., M): `activation(x @ weight.T + bias)` of x (..., N) and weight (M, N), in the type of x
    or, under autocast, in its."""
    device = x.device.type
    if torch.is_autocast_enabled(device):
        x = x.to(torch.get_autocast_dtype(device))
    weight, bias = weight.to(x.dtype), None if bias is None else bias.to(x.dtype)
    fused = "none" if activation is None else FUSED.get(type(activation).__name__)
    large = x.numel() * len(weight) >= LARGE and x.dtype in (torch.float32, torch.bfloat16)
    if fused and large and device == "cpu" and ONEDNN and not torch.is_grad_enabled():
        exact = getattr(activation, "approximate", "none") if fused == "gelu" else None
        rows = weight.contiguous()  # of others it takes a thousand times as long
        out: torch.Tensor = ONEDNN(x, rows, bias, fused, [], exact)
        return out
    out = F.linear(x, weight, bias)
    return out if activation is None else activation(out)


def applied(
    linear: torch.nn.Linear, x: torch.Tensor, activation: Activation | None = None
) -> torch.Tensor:
    """The product with a layer's weights."""
    return product(x, linear.weight, linear.bias, activation)


def attended(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, scale: float
) -> torch.Tensor:
    """(..., N, M): values (..., L, M), each weighed by how much a query (..., N, D) asks for its
    key (..., L, D)."""
    on_cpu, narrow = query.device.type == "cpu", key.dtype == torch.bfloat16
    if not on_cpu or not (narrow or key.shape[-1] >= NARROW * value.shape[-1]):
        return F.scaled_dot_product_attention(query, key, value, scale=scale)
    out = query.new_empty(*query.shape[:-1], value.shape[-1])
    queries, keys, values = (x.flatten(0, -3) for x in (query * scale, key, value))
    sums = out.view(*queries.shape[:2], -1)
    rows = max(1, HELD // keys.shape[1])
    at_once = max(1, SEVERAL // keys.shape[1] // queries.shape[1]) if narrow else 1
    weigh = _softmax_weighed if narrow else _weighed
    for first in range(0, len(queries), at_once):
        one = slice(first, first + at_once)
        for row in range(0, queries.shape[1], rows):
            some = one, slice(row, row + rows)
            sums[some] = weigh(queries[some], keys[one], values[one])
    return out


def _softmax_weighed(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    if len(query) == 1:
        return (product(query[0], key[0]).softmax(1) @ value[0])[None]
    return (query @ key.mT).softmax(-1) @ value


def _weighed(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """The same of one, divided at the end, with the scores in one place of memory."""
    scores = product(query[0], key[0])
    weights = scores.sub_(scores.amax(1, keepdim=True)).exp_()
    return (weights @ value[0]).div_(weights.sum(1, keepdim=True))[None]
