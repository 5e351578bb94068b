"""What a tracked frame asks of a device: launches and waits, counted where nothing hides them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from massannot.models.sam2.propagator import Sam2Video
from massannot.models.weights import Weights
from tests.tiny_models import noise_frames, tiny_sam2

SIDE = 128
FULL_MEMORY = 12
"""Frames after which nothing is added to what an object remembers."""
VIEWS = {
    "_reshape_alias", "_unsafe_view", "alias", "as_strided", "detach", "expand", "permute",
    "select", "slice", "split", "split_with_sizes", "squeeze", "t", "transpose", "unbind",
    "unsqueeze", "view", "view_as_complex", "view_as_real",
}  # fmt: skip
"""Operations that only name memory anew: nothing is launched for them."""
READ_BACKS = {"_local_scalar_dense", "item", "is_nonzero", "nonzero", "equal"}
"""Operations that wait for a device's answer."""


class Counted(TorchDispatchMode):
    """Counts the operations that a device would be given."""

    def __init__(self) -> None:
        super().__init__()
        self.launched: list[str] = []
        self.waited: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if not name.startswith("upsample"):  # one launch, though it can be written out in others
            with self:  # an operation made of others is counted as these
                inner = func.decompose(*args, **(kwargs or {}))
            if inner is not NotImplemented:
                return inner
        if name in READ_BACKS:
            self.waited.append(name)
        elif name not in VIEWS:
            self.launched.append(name)
        return func(*args, **(kwargs or {}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As many layers as the official tiny network has, each of them narrow."""
    return tiny_sam2(
        tmp_path_factory.mktemp("masks"), side=SIDE, blocks=(1, 2, 7, 2), memory_layers=4,
        fuser_layers=2,
    )  # fmt: skip


@pytest.mark.parametrize("n_objects", [1, 3])
def test_a_tracked_frame_takes_few_operations_and_one_wait(
    folder: Path, monkeypatch: pytest.MonkeyPatch, n_objects: int
) -> None:
    masks = Sam2Video(Weights(str(folder)))
    masks.setup(device="cpu")
    session = masks.session(noise_frames(FULL_MEMORY + 1, SIDE, SIDE))
    boxes = np.array([[20, 20, 60, 70], [70, 10, 120, 80], [5, 50, 40, 85]], np.float32)
    session.add_boxes(range(n_objects), frame=0, boxes_xyxy=boxes[:n_objects])
    list(session.propagate(first=0, end=FULL_MEMORY))
    copies: list[torch.Tensor] = []
    to_host = torch.Tensor.cpu
    monkeypatch.setattr(torch.Tensor, "cpu", lambda x: copies.append(x) or to_host(x))
    with Counted() as counted:
        (seen,) = session.propagate(first=FULL_MEMORY, end=FULL_MEMORY + 1)
    assert seen.masks.shape[0] == n_objects
    assert len(copies) + len(counted.waited) == 1, (len(copies), counted.waited)
    assert len(counted.launched) <= 350, len(counted.launched)
