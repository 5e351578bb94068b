"""Making a plan of a million videos: what the planner's memory grows by, and how long it takes.

    python -m tests.bench.bench_planning [VIDEOS]

Each plan is made in a process of its own from a list of names in no order; the answers of the file
system and of the headers are made up, everything else is done as `massannot plan` does it. Without
pandas, which we do not need and pyarrow imports where it is installed: 31 MiB.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from importlib.abc import MetaPathFinder
from pathlib import Path

from massannot.jobs import plan as planning
from massannot.plan import planned_videos, probe
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.storage.allocator import ALLOCATOR
from massannot.video.decoder_messages import Header
from tests.bench.bench_plan import largest_mib

FEW, MANY = 1_000, 1_000_000
HEADER = Header(
    10, 5, "mp4", "h264", "yuv420p", 960, 540, Fraction(1), Fraction(1, 90), Fraction(30), 10.0, 300
)


def main(many: int) -> None:
    print("| videos | largest size, MiB | plan on disk, MiB | s of wall clock | s of the CPU |")
    print("|---|---|---|---|---|")
    for n in (FEW, many):
        command = [sys.executable, "-m", "tests.bench.bench_planning", "make", str(n)]
        row = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | ALLOCATOR
        )
        print(row.stdout, end="")


class WithoutPandas(MetaPathFinder):
    """As if it were not installed."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "pandas":
            raise ImportError(name)


def state_of(uri: str) -> tuple[int, int, None]:
    """As after os.stat: no two files of one size, few of one second."""
    number = int(uri.rpartition("/")[2].removesuffix(".mp4"), 16)
    return 10**7 + number, 10**18 + number, None


def make(n_videos: int) -> None:
    sys.meta_path.insert(0, WithoutPandas())
    planned_videos._state_of = state_of
    planning.probe_all = functools.partial(probe.probe_all, probe=lambda uri: HEADER)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with open(folder / "list.txt", "w") as names:
            for n in (k * 7919 % n_videos for k in range(n_videos)):  # each once, in no order
                names.write(f"/data/videos/{n % 997:03d}/{n:024x}.mp4\n")
        files = {"detect": "b.json", "masks": "m.json", "depth": "d.npz"}
        flags = ModelFlags(profile="none", files=files)
        spec = run_spec([f"@{folder / 'list.txt'}"], ["a ball"], flags=flags)
        before, cpu = time.monotonic(), time.process_time()
        plan = planning.make_plan(spec, folder / "plan")
        wall_s, cpu_s = time.monotonic() - before, time.process_time() - cpu
        assert plan.counts["videos"] == plan.counts["expected_clips"] == n_videos
        stored = sum(path.stat().st_size for path in (folder / "plan").iterdir()) / 2**20
    print(f"| {n_videos:,} | {largest_mib():.0f} | {stored:.0f} | {wall_s:.0f} | {cpu_s:.0f} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["make"]:
        make(int(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else MANY)
