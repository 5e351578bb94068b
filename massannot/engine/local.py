"""Devices of the local workplace: one a GPU, or as many CPU workers as asked for."""

from __future__ import annotations

from massannot.models.runtime import may_have_gpu, pick, torch_state


def devices(device: str, workers: int | None) -> list[str]:
    """One device a worker. Raises NothingToRun for one that this machine does not have."""
    if device == "cpu" or (device == "auto" and not may_have_gpu()):
        return ["cpu"] * max(1, workers or 1)
    if device in ("auto", "cuda"):
        gpus = [f"cuda:{i}" for i in range(len(torch_state().cuda_devices))] or [pick(device)]
    else:
        gpus = [pick(device)]
    count = max(1, workers) if workers is not None else len(gpus)
    return [gpus[number % len(gpus)] for number in range(count)]
