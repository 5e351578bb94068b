"""CoTracker3 from a checkpoint: the official files unchanged, and this project's own.

The official ones (`scaled_offline.pth`, `scaled_online.pth`) hold only tensors, plain or under
"model": every width and depth is read off their shapes. Ours are model.safetensors with a
config.json beside it, for what shapes do not tell (heads, the scale of motion).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from massannot.errors import MissingWeights
from massannot.models.cotracker3.net import CoTracker3Net, CoTracker3Sizes
from massannot.models.cotracker3.point_tokens import MOTION_CHANNELS
from massannot.models.weights import read_state

HEAD_WIDTH = 48
ONLINE_WINDOW = 16
CONFIG = "config.json"
KIND = "cotracker3"
NAMED = 8


@dataclass(frozen=True)
class CoTracker3Config:
    """Everything a network is built from."""

    online: bool
    window: int
    sizes: CoTracker3Sizes


def load_cotracker3(path: Path, *, online: bool | None = None) -> CoTracker3Net:
    """The network of a checkpoint (.pth, .pt, .bin or .safetensors), in eval mode on the CPU.

    `online`: None takes it from the config.json beside the file, else a time embedding of 16
    frames means online. Raises MissingWeights, naming every entry that is missing, unexpected or
    of another shape.
    """
    state = read_state(path)
    config = _config_beside(path) or config_of_shapes(state)
    net = CoTracker3Net(
        online=config.online if online is None else online,
        window=config.window,
        sizes=config.sizes,
    )
    load_exactly(net, state, name=str(path))
    return net.eval().requires_grad_(False)


def save_cotracker3(net: CoTracker3Net, folder: Path, *, dtype: torch.dtype | None = None) -> None:
    """Write model.safetensors (as `dtype`, if given) and config.json into `folder`."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    state = {
        name: value.detach().cpu().to(dtype or value.dtype).contiguous()
        for name, value in net.state_dict().items()
    }
    save_file(state, folder / "model.safetensors")
    config = {"model_type": KIND, **asdict(CoTracker3Config(net.online, net.window, net.sizes))}
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n")


def load_exactly(net: CoTracker3Net, state: Mapping[str, Tensor], *, name: str) -> None:
    """`state` into `net`. Raises MissingWeights when names or shapes differ."""
    expected = net.state_dict()
    missing = sorted(set(expected) - set(state))
    unexpected = sorted(set(state) - set(expected))
    misshapen = [
        f"{entry} {_shape(state[entry])} for {tuple(value.shape)}"
        for entry, value in expected.items()
        if entry in state and _shape(state[entry]) != tuple(value.shape)
    ]
    if missing or unexpected or misshapen:
        raise MissingWeights(
            f"weights {name}: not CoTracker3's of {len(expected)} entries; missing "
            f"{_listed(missing)}; unexpected {_listed(unexpected)}; of another shape "
            f"{_listed(misshapen)}"
        )
    net.load_state_dict(dict(state), strict=True)


def config_of_shapes(state: Mapping[str, Tensor]) -> CoTracker3Config:
    """Widths and depths that the shapes of a state dict tell; where an entry that tells them is
    missing, the official ones (loading then names what is missing)."""
    official = CoTracker3Config(False, 60, CoTracker3Sizes())
    try:
        shape = {entry: _shape(value) for entry, value in state.items()}
        window, token_dim = shape["time_emb"][1:]
        correlation_dim, correlation_hidden = shape["corr_mlp.fc2.weight"]
        side = round(shape["corr_mlp.fc1.weight"][1] ** 0.25)
        width = shape["updateformer.input_transform.weight"][0]
        first, second, third, fourth = (
            shape[f"fnet.layer{layer}.1.conv2.weight"][0] for layer in (1, 2, 3, 4)
        )
        sizes = CoTracker3Sizes(
            encoder_widths=(first, second, third, fourth),
            encoder_hidden=shape["fnet.conv2.weight"][0],
            feature_dim=shape["fnet.conv3.weight"][0],
            correlation_levels=(token_dim - 2 - MOTION_CHANNELS) // correlation_dim,
            correlation_radius=(side - 1) // 2,
            correlation_hidden=correlation_hidden,
            correlation_dim=correlation_dim,
            width=width,
            n_heads=width // HEAD_WIDTH if width % HEAD_WIDTH == 0 else 1,
            mlp_ratio=shape["updateformer.time_blocks.0.mlp.fc1.weight"][0] // width,
            n_layers=sum(
                entry.startswith("updateformer.time_blocks.") and entry.endswith("mlp.fc1.bias")
                for entry in shape
            ),
            n_virtual=shape["updateformer.virual_tracks"][1],
        )
    except (KeyError, ValueError, IndexError):
        return official
    return CoTracker3Config(window == ONLINE_WINDOW, window, sizes)


def _config_beside(path: Path) -> CoTracker3Config | None:
    file = path.parent / CONFIG
    if not file.is_file():
        return None
    try:
        config = json.loads(file.read_text())
        if config.pop("model_type", None) != KIND:
            return None
        sizes = config.pop("sizes")
        for pair in ("encoder_widths", "motion_resolution"):
            sizes[pair] = tuple(sizes[pair])
        return CoTracker3Config(**config, sizes=CoTracker3Sizes(**sizes))
    except (ValueError, TypeError, KeyError) as error:
        raise MissingWeights(
            f"{file}: {type(error).__name__}: {error}; expected what save_cotracker3 writes"
        ) from error


def _shape(value: object) -> tuple[int, ...]:
    return tuple(getattr(value, "shape", ()))


def _listed(names: list[str]) -> str:
    if not names:
        return "none"
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
