"""Publishing holds row groups, not tables: peak memory beside the size of what is published."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from massannot import tables
from massannot.dataset import commits
from massannot.dataset import record as run_record
from massannot.dataset.layout import Layout
from massannot.dataset.publish import publish
from tests.unit import small_dataset as small

POINTS, FRAMES = 4000, 256
SIZES = (6, 24)
"""Shards of one clip whose tracks are 10 MB of noise, which no codec makes smaller."""


def write_run(out: Path, n_shards: int) -> int:
    """Returns the bytes of its tables."""
    layout = Layout(out)
    run_record.begin(layout, small.RECORD)
    rng = np.random.default_rng(0)
    size = 0
    for number in range(n_shards):
        clip_id, shard = f"clip-{number:04d}", f"{number:06d}"
        found = small.small_tables((clip_id,))
        x, y, z = rng.normal(size=(3, POINTS, FRAMES)).astype(np.float32)
        found["tracks_xyz"] = tables.spec("tracks_xyz").from_columns(
            {
                "clip_id": [clip_id] * POINTS,
                "entity": [0] * POINTS,
                "point": range(POINTS),
                "scale_type": ["metric"] * POINTS,
                "x": x.tolist(),
                "y": y.tolist(),
                "z": z.tolist(),
                "state": [["measured"] * FRAMES] * POINTS,
            }
        )
        commit = small.stage(layout, shard, layout.new_attempt(shard), found)
        commits.put(layout, commit)
        commits.publish(layout, commit)
        size += sum(file.size_bytes for file in commit.files)
    return size


def measured(out: str, dest: str, workers: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    publish(Path(out), Path(dest), workers=int(workers))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{peak / 1024:.0f} MiB more than before, {time.process_time() - started:.1f} s of CPU")


def main() -> None:
    for n_shards in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            size = write_run(Path(folder) / "out", n_shards)
            for workers in (1, 4):
                program = [sys.executable, "-m", "tests.bench.bench_publish"]
                dest = f"{folder}/dataset-{workers}"
                print(f"{size / 2**20:.0f} MiB, {workers} workers: ", end="", flush=True)
                subprocess.run([*program, f"{folder}/out", dest, str(workers)], check=True)


if __name__ == "__main__":
    measured(*sys.argv[1:]) if sys.argv[1:] else main()
