"""Which device the models run on, and what torch says about it."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from dataclasses import dataclass

from massannot.errors import NothingToRun


@dataclass(frozen=True)
class TorchState:
    """What is installed and what it sees; `cuda_devices` are names, empty without a usable GPU."""

    version: str | None
    cuda_build: str | None
    cuda_devices: tuple[str, ...]
    driver_devices: tuple[str, ...]
    """What the NVIDIA driver reports, whether or not torch can use it."""

    @property
    def sees_every_gpu(self) -> bool:
        return len(self.cuda_devices) >= len(self.driver_devices)


def torch_state() -> TorchState:
    """Imports torch when it is installed (a second or two)."""
    version = cuda_build = None
    devices: tuple[str, ...] = ()
    if importlib.util.find_spec("torch") is not None:
        import torch

        version, cuda_build = str(torch.__version__), torch.version.cuda
        if torch.cuda.is_available():
            devices = tuple(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
    return TorchState(version, cuda_build, devices, _driver_devices())


def pick(wish: str) -> str:
    """`auto` becomes cuda:0 where torch sees a GPU, else cpu. Raises NothingToRun for a device
    that is not there, naming those that are."""
    if wish == "cpu":
        return "cpu"
    state = torch_state()
    there = [f"cuda:{i}" for i in range(len(state.cuda_devices))]
    if wish == "auto":
        return there[0] if there else "cpu"
    if wish == "cuda" and there:
        return there[0]
    if wish in there:
        return wish
    raise NothingToRun(
        f"--device {wish}: torch {state.version or '(not installed)'} sees {there or 'no GPU'}; "
        "use --device cpu, or see `massannot doctor`"
    )


def exact_float32() -> None:
    """float32 means float32 on CUDA too: by default cuDNN rounds the factors of convolutions to 10
    bits (TF32), which moves points and depth. Called by whatever loads a network."""
    import torch

    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def _driver_devices() -> tuple[str, ...]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        answer = subprocess.run(
            [program, "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(line.strip() for line in answer.stdout.splitlines() if line.strip())
