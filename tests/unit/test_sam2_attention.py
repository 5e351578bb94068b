"""SAM 2's memory attention in fewer steps: the library's own module, number for number."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers.models.sam2_video import modeling_sam2_video

from massannot.models.sam2 import attention, products

SIDE, N_POINTERS = 6, 8


@pytest.mark.parametrize("rows", [256, 10], ids=["all places at once", "in parts"])
@pytest.mark.parametrize(
    ("width", "dtype", "near"),
    [
        pytest.param(128, None, 2e-5, id="fused"),
        pytest.param(256, None, 2e-5, id="a memory much narrower than keys"),
        pytest.param(128, torch.bfloat16, 0.05, id="bfloat16, a memory half as wide as keys"),
    ],
)
def test_what_is_seen_in_memories_is_what_the_library_sees(
    monkeypatch: pytest.MonkeyPatch,
    width: int,
    dtype: torch.dtype | None,
    near: float,
    rows: int,
) -> None:
    monkeypatch.setattr(products, "HELD", rows * (2 * SIDE * SIDE + N_POINTERS))
    config = modeling_sam2_video.Sam2VideoConfig(
        memory_attention_hidden_size=width, memory_attention_feed_forward_hidden_size=32,
        memory_attention_num_layers=2, memory_attention_rope_feat_sizes=[SIDE, SIDE],
    )  # fmt: skip
    torch.manual_seed(0)
    module = modeling_sam2_video.Sam2VideoMemoryAttention(config).eval().requires_grad_(False)
    picture, position = torch.randn(2, 1, SIDE * SIDE, width)
    memory = torch.randn(3, 2 * SIDE * SIDE + N_POINTERS, 64)
    places = torch.randn(3, *memory.shape[1:])
    wanted = module(
        picture.expand(3, -1, -1).transpose(0, 1), memory.transpose(0, 1),
        position.expand(3, -1, -1).transpose(0, 1), places.transpose(0, 1), N_POINTERS,
    )  # fmt: skip
    net = SimpleNamespace(memory_attention=module)
    found = attention.MemoryAttention(net, products=dtype)(
        picture, position, memory, places, n_pointer_tokens=N_POINTERS
    )
    np.testing.assert_allclose(found, wanted.reshape(found.shape), atol=near)
