"""The device that models run on, torch's view of it, and the share of a clip that fits on it.

Nothing here needs torch: planning, and runs whose answers come from files, go without it.
Micro-batch sizes are functions of recipe and device, never of free memory, so that equal clips give
equal bits; only a clip that did not fit is done with half of everything, and its row says so.
"""

from __future__ import annotations

import importlib.util
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from massannot.errors import NothingToRun

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
"""auto: what the adapter's author found tolerable on CUDA; always float32 on the CPU."""

_HALVINGS: ContextVar[int] = ContextVar("halvings", default=0)


@contextmanager
def halved(times: int) -> Iterator[None]:
    """Inside the block `micro_batch` gives its sizes halved so many times."""
    before = _HALVINGS.set(times)
    try:
        yield
    finally:
        _HALVINGS.reset(before)


def micro_batch(size: int) -> int:
    """`size`, or what is left of it after halving; at least 1."""
    return max(1, size >> _HALVINGS.get())


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device had no memory left. Asks by name, so that the caller need not have torch."""
    return any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__)


def free_device_memory() -> None:
    """Give back what torch keeps for later: another size needs other blocks."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


@dataclass(frozen=True)
class TorchState:
    """The installed torch and the devices that it sees; `cuda_devices` are names, empty without a
    usable GPU."""

    version: str | None
    cuda_build: str | None
    cuda_devices: tuple[str, ...]
    driver_devices: tuple[str, ...]
    """The devices that the NVIDIA driver reports, whether or not torch can use them."""

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
    if wish == "cpu" or (wish == "auto" and not may_have_gpu()):
        return "cpu"
    state = torch_state()
    devices = [f"cuda:{i}" for i in range(len(state.cuda_devices))]
    if wish == "auto":
        return devices[0] if devices else "cpu"
    if wish == "cuda" and devices:
        return devices[0]
    if wish in devices:
        return wish
    raise NothingToRun(
        f"--device {wish}: torch {state.version or '(not installed)'} sees {devices or 'no GPU'}; "
        "use --device cpu, or see `massannot doctor`"
    )


def cpu_has_bfloat16() -> bool:
    """Whether this machine's processor multiplies bfloat16 by itself; elsewhere it is emulated,
    slower than float32 and less exact."""
    try:
        return bool(_bfloat16_flags(Path("/proc/cpuinfo").read_text()))
    except OSError:
        return False


def _bfloat16_flags(cpuinfo: str) -> list[str]:
    return sorted({"avx512_bf16", "amx_bf16", "bf16"} & set(cpuinfo.split()))


def device_name(device: str) -> str:
    """What the maker calls the GPU, or the processor, with what it has for bfloat16; the device
    itself where no one says."""
    if device.startswith("cuda"):
        import torch

        return str(torch.cuda.get_device_name(device))
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or device
    lines = (line.partition(":") for line in cpuinfo.splitlines())
    names = (value.strip() for name, _, value in lines if name.strip() == "model name")
    return " ".join([next(names, platform.machine()), *_bfloat16_flags(cpuinfo)])


def refuse_emulated(dtype: str, *, device: str) -> None:
    """Raises NothingToRun for bfloat16 on a processor that has none."""
    if device == "cpu" and dtype in ("bf16", "bfloat16") and not cpu_has_bfloat16():
        raise NothingToRun(
            "--dtype bf16 on cpu: this processor has no bfloat16 arithmetic (found neither "
            "avx512_bf16 nor amx_bf16 in /proc/cpuinfo), so it would be slower than float32 and "
            "less exact; use --dtype fp32, or a GPU"
        )


def may_have_gpu() -> bool:
    """Whether a driver of NVIDIA's or AMD's is there: without one torch need not be asked."""
    drivers = (Path("/dev/nvidiactl"), Path("/dev/dxg"), Path("/dev/kfd"))
    return (
        sys.platform != "linux"
        or shutil.which("nvidia-smi") is not None
        or any(driver.exists() for driver in drivers)
    )


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
