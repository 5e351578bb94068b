"""A transformers network from local files, ready for inference, with its arithmetic precision.

Unusual: a checkpoint that leaves a parameter at its random start is refused by name (transformers
only warns), and lower precision is autocast, never a cast of the weights: what must stay float32
inside a network stays so. A clip's pictures are sent to the device once per clip.
"""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator
from typing import Any

import torch

from massannot.clip import Frames
from massannot.errors import MissingWeights, UsageError
from massannot.models.runtime import Dtype
from massannot.models.transformers_import import inferring
from massannot.models.weights import WEIGHT_FILES, LocalWeights, read_state


def load_network(kind: Any, local: LocalWeights, *, device: str) -> Any:
    """`kind` (a transformers model class) with the weights of `local`, in eval mode, on `device`.

    The configuration is config.json beside the weights; code from the repository is never run.
    Raises MissingWeights when names or shapes do not fit.
    """
    exact_float32()
    try:
        with _quiet():
            net, info = inferring(
                lambda: kind.from_pretrained(
                    **_sources(kind, local), output_loading_info=True, ignore_mismatched_sizes=True
                )
            )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise MissingWeights(
            f"{kind.__name__} from {local.folder}: {type(error).__name__}: {error}"
        ) from error
    parameters = {name for name, _ in net.named_parameters()}
    absent = sorted(set(info["missing_keys"]) & parameters)
    misfits = sorted(str(key) for key in info.get("mismatched_keys", ()))
    if absent or misfits:
        raise MissingWeights(
            f"{kind.__name__} from {local.folder}: {len(absent)} parameters are not in "
            f"{[f.name for f in local.files]} (first: {absent[:3]}), {len(misfits)} have another "
            f"shape (first: {misfits[:3]}); these are the weights of another model"
        )
    return net.eval().requires_grad_(False).to(device)


def refuse_other_architecture(kind: Any, local: LocalWeights) -> None:
    """Raise MissingWeights when config.json describes another model than `kind`. transformers only
    warns, and where names and shapes fit by chance, nothing else tells relatives apart."""
    config = local.folder / "config.json"
    found = json.loads(config.read_text()).get("model_type") if config.is_file() else None
    expected = kind.config_class.model_type
    if found is not None and found != expected:
        raise MissingWeights(
            f"{kind.__name__} from {local.folder}: config.json describes {found!r}, expected "
            f"{expected!r}; choose the model that fits these weights, see `massannot models list`"
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No bar of a file that is read on this machine, and no warning of a kernel for CUDA that is
    not used."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="You'd better set embed_dim")
            yield
    finally:
        if shown:
            logging.enable_progress_bar()


def exact_float32() -> None:
    """float32 means float32 on CUDA too: by default cuDNN rounds the factors of convolutions to 10
    bits (TF32), which moves points and depth. Called by whatever loads a network."""
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def n_parameters(net: torch.nn.Module) -> int:
    """Counted once each, however often they are shared."""
    return sum(parameter.numel() for parameter in net.parameters())


def torch_dtype(dtype: Dtype, *, device: str, auto: Dtype) -> torch.dtype:
    """What a name of --dtype or torch means, `auto` standing for "auto" on CUDA. Raises
    UsageError."""
    wanted = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}.get(dtype, dtype)
    if wanted == "auto":
        wanted = auto if device.startswith("cuda") else "float32"
    if wanted not in ("float32", "bfloat16", "float16"):
        raise UsageError(f"dtype {dtype!r}: expected auto, float32, bfloat16 or float16")
    found: torch.dtype = getattr(torch, wanted)
    return found


def precision(dtype: Dtype, *, device: str, auto: Dtype) -> contextlib.AbstractContextManager[Any]:
    """Autocast to `dtype`, `auto` standing for "auto" on CUDA; nothing for float32."""
    wanted = torch_dtype(dtype, device=device, auto=auto)
    if wanted == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(device.split(":")[0], dtype=wanted)


@contextlib.contextmanager
def inference(dtype: Dtype, *, device: str, auto: Dtype) -> Iterator[None]:
    """No gradients, in the given precision."""
    with torch.inference_mode(), precision(dtype, device=device, auto=auto):
        yield


class InFloat32(torch.nn.Module):
    """A part of a network that computes in float32 whatever the autocast around it says: bfloat16
    keeps 8 bits, so a depth head's last layer would count in steps of 0.4 percent."""

    def __init__(self, inner: torch.nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, features: list[torch.Tensor], *sizes: int) -> torch.Tensor:
        with torch.autocast(features[0].device.type, enabled=False):
            answer: torch.Tensor = self.inner([feature.float() for feature in features], *sizes)
        return answer


def _sources(kind: Any, local: LocalWeights) -> dict[str, Any]:
    """Arguments of from_pretrained: a folder in the hub's layout, or one file with its config."""
    if local.files[0].name in WEIGHT_FILES or len(local.files) > 1:
        return {
            "pretrained_model_name_or_path": local.folder,
            "local_files_only": True,
            "dtype": torch.float32,
        }
    config = kind.config_class.from_pretrained(local.folder, local_files_only=True)
    return {
        "pretrained_model_name_or_path": None,
        "config": config,
        "state_dict": read_state(local.files[0]),
        "dtype": torch.float32,
    }


def frames_on(frames: Frames, device: str) -> torch.Tensor:
    """uint8 (T, H, W, 3) RGB on `device`; on the CPU it shares the frames' own memory.

    Read only: every model resizes and normalises a copy. It lives until `frames.forget()`.
    """
    return frames.once(("upload", device), lambda: _uploaded(frames, device))


def _uploaded(frames: Frames, device: str) -> torch.Tensor:
    with warnings.catch_warnings():
        # Shared memory may be mapped read-only, which torch cannot express and warns about.
        warnings.filterwarnings("ignore", message=".*not writable.*", category=UserWarning)
        pixels = torch.from_numpy(frames.pixels_THWC)
    return pixels.to(device)
