"""CoTracker3's checkpoints: the official layout loads, anything else is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from test_cotracker3 import TINY, clip, network
from torch import Tensor

from massannot.errors import MissingWeights
from massannot.models.cotracker3.checkpoint import load_cotracker3, save_cotracker3
from massannot.models.cotracker3.net import CoTracker3Net

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def official() -> State:
    """A state dict with the official names and shapes."""
    return official_state(online=False)


def official_state(*, online: bool) -> State:
    """Built from the published listing of names and shapes, not from our network."""
    state = {"time_emb": torch.zeros(1, 16 if online else 60, 1110)}

    def layer(name: str, *shape: int) -> None:
        state[f"{name}.weight"] = torch.zeros(shape)
        state[f"{name}.bias"] = torch.zeros(shape[0])

    layer("fnet.conv1", 64, 3, 7, 7)
    width = 64
    for i, out in enumerate((64, 96, 128, 128), start=1):
        layer(f"fnet.layer{i}.0.conv1", out, width, 3, 3)
        layer(f"fnet.layer{i}.0.conv2", out, out, 3, 3)
        if i > 1:
            layer(f"fnet.layer{i}.0.downsample.0", out, width, 1, 1)
        layer(f"fnet.layer{i}.1.conv1", out, out, 3, 3)
        layer(f"fnet.layer{i}.1.conv2", out, out, 3, 3)
        width = out
    layer("fnet.conv2", 256, 416, 3, 3)
    layer("fnet.conv3", 128, 256, 1, 1)
    layer("corr_mlp.fc1", 384, 2401)
    layer("corr_mlp.fc2", 256, 384)
    state["updateformer.virual_tracks"] = torch.zeros(1, 64, 1, 384)
    layer("updateformer.input_transform", 384, 1110)
    layer("updateformer.flow_head", 2, 384)
    layer("updateformer.vis_conf_head", 2, 384)
    kinds = {
        "time_blocks": "attn",
        "space_virtual_blocks": "attn",
        "space_point2virtual_blocks": "cross_attn",
        "space_virtual2point_blocks": "cross_attn",
    }
    for kind, attention in kinds.items():
        for i in range(3):
            name = f"updateformer.{kind}.{i}"
            layer(f"{name}.{attention}.to_q", 384, 384)
            layer(f"{name}.{attention}.to_kv", 768, 384)
            layer(f"{name}.{attention}.to_out", 384, 384)
            layer(f"{name}.mlp.fc1", 1536, 384)
            layer(f"{name}.mlp.fc2", 384, 1536)
            if attention == "cross_attn":
                layer(f"{name}.norm_context", 384)
    return state


@pytest.mark.parametrize(("online", "values"), [(False, 25_452_300), (True, 25_403_460)])
def test_the_official_names_and_shapes_load_strictly(online: bool, values: int) -> None:
    state = official_state(online=online)
    assert len(state) == 188
    assert sum(value.numel() for value in state.values()) == values
    CoTracker3Net(online=online).load_state_dict(state, strict=True)


def test_the_time_embedding_is_the_formula_of_the_checkpoints() -> None:
    table = CoTracker3Net(online=True).time_emb[0].double()
    t, i = 11, 100
    angle = t * 10000 ** (-i / 555)
    expected = torch.tensor([angle, angle], dtype=torch.float64)
    expected[0], expected[1] = expected[0].sin(), expected[1].cos()
    torch.testing.assert_close(table[t, [i, 555 + i]], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("form", "online"), [("plain.pth", False), ("model.pth", True), ("plain.safetensors", False)]
)
def test_every_form_of_file_gives_the_same_tracks(tmp_path: Path, form: str, online: bool) -> None:
    net = network(online=online)
    file = tmp_path / form
    state = {name: value.contiguous() for name, value in net.state_dict().items()}
    if file.suffix == ".safetensors":
        save_file(state, file)
    else:
        torch.save({"model": state} if form == "model.pth" else state, file)
    loaded = load_cotracker3(file)
    assert (loaded.online, loaded.window) == (online, net.window)
    video, queries = clip(2)
    assert torch.equal(loaded(video, queries, iters=1)[0], net(video, queries, iters=1)[0])


def test_a_saved_network_of_other_sizes_comes_back_the_same(tmp_path: Path) -> None:
    net = network(sizes=TINY)
    save_cotracker3(net, tmp_path)
    loaded = load_cotracker3(tmp_path / "model.safetensors")
    assert loaded.sizes == net.sizes
    video, queries = clip(5)
    assert torch.equal(loaded(video, queries)[0], net(video, queries)[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("corr_mlp.fc2.bias"), "missing corr_mlp.fc2.bias; unexpected none"),
        (lambda s: s.update(extra=torch.zeros(1)), "missing none; unexpected extra"),
        (
            lambda s: s.update({"fnet.conv1.bias": torch.zeros(63)}),
            r"of another shape fnet.conv1.bias \(63,\) for \(64,\)",
        ),
        (lambda s: s.clear(), "missing corr_mlp.fc1.bias, .* and 180 more"),
    ],
    ids=["missing", "unexpected", "misshapen", "another model"],
)
def test_a_wrong_checkpoint_is_refused_with_the_names(
    tmp_path: Path, official: State, change: object, message: str
) -> None:
    state = dict(official)
    change(state)  # type: ignore[operator]
    torch.save(state, tmp_path / "wrong.pth")
    with pytest.raises(MissingWeights, match=message):
        load_cotracker3(tmp_path / "wrong.pth")


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "page.pth"
    file.write_text("<html>not found</html>")
    with pytest.raises(MissingWeights, match=r"page\.pth"):
        load_cotracker3(file)
