"""`make bench-gpu`: seconds a clip of 10 s on a GPU, by profile, with its busy share and memory.

    python -m tests.bench.on_gpu [--device cuda:0] [--clips 3] [PROFILE...]

Without words: embedded, small, mass. Weights of the hub are random ones of the published sizes,
which cost what those do; a detector that knows nothing answers everywhere, so at most THINGS are
followed. Runs of one clip and of several are told apart, so that starting a worker and loading
weights count no clip. Busy share and memory are nvidia-smi's, sampled during the longer run, other
processes' among them. `--device cpu` tries the script out: both are then unknown.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from massannot.models.profiles import named
from massannot.scenes.world import TEST_SEEDS, SceneOptions
from massannot.scenes.write import write_scenes
from tests.random_weights import write_profile

SCENE = SceneOptions(width=640, height=480, n_frames=120, fps=12)
THINGS = 5
SAMPLE_MS = 200


@dataclass(frozen=True)
class Sampled:
    """What nvidia-smi said during a command; None: nothing."""

    busy: float | None
    """Mean share of the time in which the GPU ran something, 0..1."""
    memory_mb: float | None
    """The most that was taken."""

    def cells(self) -> tuple[str, str]:
        busy = "" if self.busy is None else f"{100 * self.busy:.0f}"
        return busy, "" if self.memory_mb is None else f"{self.memory_mb:.0f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("profiles", nargs="*", metavar="PROFILE")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--clips", type=int, default=3)
    given = parser.parse_args()
    if given.clips < 2:
        parser.error(f"--clips: found {given.clips}, expected 2 or more")
    import torch

    if given.device != "cpu" and not torch.cuda.is_available():
        print("bench-gpu: found no CUDA device, expected one", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        seeds = TEST_SEEDS[: given.clips]
        films = [str(work / r.video) for r in write_scenes(work, seeds=seeds, options=SCENE)]
        print("| profile | s a clip of 10 s | GPU busy, % | GPU memory, MB | start, s |")
        print("|---|---|---|---|---|")
        for profile in given.profiles or ("embedded", "small", "mass"):
            write_profile(named(profile), work / "hub")
            one, _ = annotated(films[:1], work, profile, given.device)
            several, sampled = annotated(films, work, profile, given.device)
            clip_s = (several - one) / (len(films) - 1)
            row = [f"{clip_s:.1f}", *sampled.cells(), f"{one - clip_s:.1f}"]
            print(f"| {profile} | {' | '.join(row)} |", flush=True)
    return 0


def annotated(films: list[str], work: Path, profile: str, device: str) -> tuple[float, Sampled]:
    """Seconds of the clock of one command, and what the GPU did meanwhile."""
    out = tempfile.mkdtemp(dir=work)
    command = [
        sys.executable, "-m", "massannot", "annotate", *films, "-p", "a red ball . a box .",
        "--profile", profile, "--device", device, "--fps", "all", "--no-films", "-q", "-o", out,
        "--set", f"propagate_masks.max_entities={THINGS}",
    ]  # fmt: skip
    if profile != "embedded":
        command += ["--box-threshold", "0", "--text-threshold", "0"]
    environment = os.environ | {"HF_HUB_CACHE": str(work / "hub"), "HF_HUB_OFFLINE": "1"}
    sampler = None if device == "cpu" else _sampler(device)
    began = time.monotonic()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - began
    if sampler is None:
        return seconds, Sampled(None, None)
    sampler.terminate()
    said, _ = sampler.communicate()
    busy, memory_mb = (_numbers(said, column) for column in (0, 1))
    return seconds, Sampled(
        sum(busy) / len(busy) / 100 if busy else None, max(memory_mb, default=None)
    )


def _numbers(said: str, column: int) -> list[float]:
    """Of the whole lines; a GPU that is cut into instances says [N/A] instead of its busy share."""
    cells = [line.split(",")[column].strip() for line in said.splitlines() if line.count(",") == 1]
    return [float(cell) for cell in cells if cell.replace(".", "").isdigit()]


def _sampler(device: str) -> subprocess.Popen[str]:
    command = [
        "nvidia-smi", f"--id={device.partition(':')[2] or 0}", f"--loop-ms={SAMPLE_MS}",
        "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits",
    ]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


if __name__ == "__main__":
    sys.exit(main())
