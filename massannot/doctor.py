"""`massannot doctor`: this machine's state and the settings in effect, to be pasted into issues.

Each finding is a row: what, found, and a verdict; an error says the way out.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from massannot.version import __version__

PACKAGES = ("numpy", "pyarrow", "av", "pillow", "torch", "transformers", "opencv-python-headless",
            "ray", "starlette", "uvicorn", "obstore")  # fmt: skip
VARIABLES = ("HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_ENDPOINT", "CUDA_VISIBLE_DEVICES",
             "OMP_NUM_THREADS", "NO_COLOR")  # fmt: skip
CODECS = ("h264", "hevc", "av1", "libdav1d", "vp9", "mpeg4")


@dataclass(frozen=True)
class Finding:
    what: str
    found: str
    verdict: Literal["ok", "note", "error"] = "ok"
    way_out: str = ""


def examine(folder: Path) -> list[Finding]:
    """Findings about this machine; `folder` is where output would go."""
    return [
        Finding("massannot", f"{__version__} in {_home()}"),
        Finding("python", f"{platform.python_version()} ({sys.executable})"),
        Finding("system", f"{platform.platform()}, {os.cpu_count()} CPUs"),
        _memory(),
        _disk("disk for output", folder),
        _disk("disk for weights", _weights_folder()),
        Finding("weights folder", str(_weights_folder())),
        *(_package(name) for name in PACKAGES),
        _gpu(),
        _codecs(),
        _encoder(),
        Finding("hub", "offline (HF_HUB_OFFLINE)" if _offline() else "not tried"),
        Finding("variables", _variables()),
    ]


def _home() -> str:
    return str(Path(__file__).parent)


def _memory() -> Finding:
    try:
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return Finding("memory", "unknown", "note")
    total = pages * size / 2**30
    if total < 4:
        return Finding("memory", f"{total:.1f} GiB", "note", "the models of `small` need 4 GiB")
    return Finding("memory", f"{total:.1f} GiB")


def _disk(what: str, folder: Path) -> Finding:
    existing = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
    free = shutil.disk_usage(existing).free / 2**30
    if free < 1:
        return Finding(what, f"{free:.2f} GiB free at {existing}", "error", "free some space")
    return Finding(what, f"{free:.0f} GiB free at {existing}")


def _weights_folder() -> Path:
    if "HF_HUB_CACHE" in os.environ:
        return Path(os.environ["HF_HUB_CACHE"])
    home = os.environ.get("HF_HOME", str(Path.home() / ".cache" / "huggingface"))
    return Path(home) / "hub"


def _package(name: str) -> Finding:
    try:
        return Finding(name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "not installed", "note")


def _gpu() -> Finding:
    from massannot.models.runtime import torch_state

    state = torch_state()
    if state.version is None:
        return Finding(
            "device", "no torch: oracles, files and Lucas-Kanade only", "note",
            'pip install "massannot[models]"',
        )  # fmt: skip
    if not state.driver_devices:
        return Finding("device", "cpu (the driver reports no NVIDIA GPU)", "note")
    if state.sees_every_gpu:
        return Finding("device", f"cuda: {', '.join(state.cuda_devices)}")
    return Finding(
        "device",
        f"the driver reports {', '.join(state.driver_devices)}, but torch {state.version} "
        f"(CUDA build: {state.cuda_build}) sees {list(state.cuda_devices)}",
        "error",
        "install the CUDA build of the same version: pip install --force-reinstall "
        "torch --index-url https://download.pytorch.org/whl/cu130",
    )


def _codecs() -> Finding:
    import av

    available = [name for name in CODECS if name in av.codecs_available]
    missing = [name for name in ("h264", "hevc", "vp9") if name not in available]
    if missing:
        return Finding("decoders", ", ".join(available), "error", f"reinstall av: no {missing}")
    return Finding("decoders", ", ".join(available))


def _encoder() -> Finding:
    import av

    if "libx264" in av.codecs_available:
        return Finding("film encoder", "libx264")
    return Finding("film encoder", "no libx264", "error", "reinstall av from its wheel")


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "on", "yes", "true"}


def _variables() -> str:
    own = sorted(name for name in os.environ if name.startswith("MASSANNOT_"))
    shown = [f"{name}={os.environ[name]}" for name in (*VARIABLES, *own) if name in os.environ]
    token = ["HF_TOKEN=(set)"] if os.environ.get("HF_TOKEN") else []
    return ", ".join([*shown, *token]) or "none set"
