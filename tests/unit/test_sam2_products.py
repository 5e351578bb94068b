"""The products of the mask networks say what plain operators say, in whatever layout they come."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from massannot.models.sam2 import products

LAYOUTS = {
    "rows": lambda x: x.contiguous(),
    "columns": lambda x: x.mT.contiguous().mT,
    "a part of wider rows": lambda x: F.pad(x, (3, 5))[..., 3:-5],
}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("large", [True, False])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "activation",
    [None, nn.ReLU(), nn.GELU(), nn.GELU(approximate="tanh"), nn.Sigmoid()],
    ids=["none", "relu", "gelu", "gelu by tanh", "other"],
)
def test_a_product_is_the_linear_layer_and_its_activation(monkeypatch, activation, layout, large):
    monkeypatch.setattr(products, "LARGE", 0 if large else 1 << 62)
    x, weight = LAYOUTS[layout](torch.randn(2, 7, 16)), LAYOUTS[layout](torch.randn(24, 16))
    for bias in (None, torch.randn(24)):
        wanted = F.linear(x, weight, bias)
        wanted = wanted if activation is None else activation(wanted)
        with torch.inference_mode():
            found = products.product(x, weight, bias, activation)
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("large", [True, False])
def test_a_product_is_of_the_type_of_what_comes_or_of_autocast(monkeypatch, large):
    monkeypatch.setattr(products, "LARGE", 0 if large else 1 << 62)
    x, layer = torch.randn(7, 16), nn.Linear(16, 24)
    wanted = layer(x)
    with torch.inference_mode():
        narrow = products.applied(layer, x.bfloat16())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            cast = products.applied(layer, x)
    assert narrow.dtype == cast.dtype == torch.bfloat16
    torch.testing.assert_close(narrow.float(), wanted, atol=0.05, rtol=0.02)
    assert torch.equal(narrow, cast)


def test_gradients_pass(monkeypatch):
    monkeypatch.setattr(products, "LARGE", 0)
    layer = nn.Linear(16, 24)
    products.applied(layer, torch.randn(7, 16), nn.ReLU()).sum().backward()
    assert layer.weight.grad is not None


@pytest.mark.parametrize("held", [1 << 23, 40, 1], ids=["at once", "in parts", "one by one"])
@pytest.mark.parametrize("width", [32, 8, 128], ids=["alike", "wider values", "narrow values"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_attended_is_what_torch_attends(monkeypatch, dtype, width, held):
    monkeypatch.setattr(products, "HELD", held)
    monkeypatch.setattr(products, "SEVERAL", held)
    query, key = torch.randn(5, 2, 9, width), torch.randn(5, 2, 13, width)
    value = torch.randn(5, 13, 2, 32).transpose(1, 2)
    scores = (query @ key.mT * 0.2).softmax(-1)
    with torch.inference_mode():
        found = products.attended(*(x.to(dtype) for x in (query, key, value)), scale=0.2)
    assert found.dtype == dtype
    near = 1e-5 if dtype == torch.float32 else 0.1
    torch.testing.assert_close(found.float(), scores @ value, atol=near, rtol=0)
