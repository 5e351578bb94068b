"""What torch.compile gains on this machine: each model's own arithmetic, before and after.

    python -m tests.bench.bench_compile [depth] [tracks]

Official sizes, random weights, one thread; medians of CPU time. Compiling is counted by itself: it
happens once a process and size of picture.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from massannot.clip import Frames
from massannot.models.cotracker3.tracker import CoTracker3Tracker
from massannot.models.depth_anything import DepthAnything
from massannot.models.weights import Weights
from tests.random_weights import COTRACKER3, write_repository
from tests.tiny_models import noise_frames

DEPTH = "depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf"
RUNS = 3


def main(wanted: list[str]) -> None:
    torch.set_num_threads(1)
    print("| model | plain, CPU-s | compiled, CPU-s | gain | compiling, CPU-s |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in wanted or MEASURED:
            MEASURED[name](Path(folder) / name)


def depth(folder: Path) -> None:
    weights = Weights(str(write_repository(DEPTH, folder)))
    frames = noise_frames(1, 392, 518)
    models = [DepthAnything(weights, compile=compiled) for compiled in (False, True)]
    row("Depth Anything V2 small, a frame", models, lambda m: m.estimate_depth(frames))


def tracks(folder: Path) -> None:
    write_repository(COTRACKER3, folder)
    weights = Weights(str(folder / "scaled_offline.pth"))
    models = [CoTracker3Tracker(weights, compile=compiled) for compiled in (False, True)]
    points = np.random.default_rng(0).random((64, 3)) * [0, 512, 384]
    row(
        "CoTracker3, 64 points x 8 frames",
        models,
        lambda m: m.track(fresh(noise_frames(8, 384, 512)), queries_txy=points),
    )


def fresh(frames: Frames) -> Frames:
    """Without the features of the run before."""
    frames.forget()
    return frames


def row(what: str, models: list[Any], run: Callable[[Any], object]) -> None:
    first, later = [], []
    for model in models:
        model.setup(device="cpu")
        first.append(cpu_seconds(lambda model=model: run(model)))
        later.append(median(cpu_seconds(lambda model=model: run(model)) for _ in range(RUNS)))
        model.destroy()
    plain, compiled = later
    print(
        f"| {what} | {plain:.2f} | {compiled:.2f} | {plain / compiled:.2f} | "
        f"{first[1] - compiled:.0f} |",
        flush=True,
    )


def cpu_seconds(run: Callable[[], object]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


MEASURED = {"depth": depth, "tracks": tracks}


if __name__ == "__main__":
    main(sys.argv[1:])
