"""A million planned clips: what the driver's memory grows by, and how soon a dead run goes on.

    python -m tests.bench.bench_plan

Each start is a process of its own that opens an output folder as every executor does, up to the
moment when the first shard would be given out, and then says how large it is and how long it took.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from statistics import median

from massannot.clip import Phrase
from massannot.dataset import commits, plans
from massannot.dataset import record as run_record
from massannot.dataset.commits import Commit, CommittedFile
from massannot.dataset.layout import Layout
from massannot.engine import execution
from massannot.engine.driver import Driver
from massannot.engine.settings import ExecutorSettings
from massannot.inputs.span import Span
from massannot.plan import folder as plan_folder
from massannot.plan.planned_videos import PlannedVideo, Shard
from tests.faults.tiny_run import SAMPLING, Tiny, record_of

CLIPS, FEW, PER_SHARD, COMMITTED = 1_000_000, 1_000, 64, 15_000
RUNS = 5
TABLES = (
    "cameras", "clips", "detections", "entities", "events", "failures", "frames", "masks",
    "motions", "phrases", "positions", "questions", "segments", "tracks_xy", "tracks_xyz", "videos",
)  # fmt: skip


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        few, many = (write_plan(Path(folder) / str(n), n) for n in (FEW, CLIPS))
        small = [start(few, Path(folder) / f"few-{n}") for n in range(RUNS)]
        large = [start(many, Path(folder) / f"many-{n}") for n in range(RUNS)]
        out = Path(folder) / "many-0"
        write_commits(out)
        again = [start(many, out) for _ in range(RUNS)]
        stored = sum(path.stat().st_size for path in many.iterdir())
    print(f"medians of {RUNS}; {PER_SHARD} clips a shard; plan on disk {stored / 2**20:.0f} MiB\n")
    print("| planned clips | committed shards | largest size, MiB | until the first shard, s |")
    print("|---|---|---|---|")
    rows = ((FEW, 0, small), (CLIPS, 0, large), (CLIPS, COMMITTED, again))
    for clips, committed, found in rows:
        size, seconds = (median(each[name] for each in found) for name in ("mib", "seconds"))
        print(f"| {clips:,} | {committed:,} | {size:.0f} | {seconds:.2f} |")
    grown = median(r["mib"] for r in large) - median(r["mib"] for r in small)
    print(f"\ngrowth: {grown:.0f} MiB; counts, read from {COMMITTED:,} commits and a card, took "
          f"{median(r['counted_s'] for r in again):.1f} s more")  # fmt: skip


def shards(n_clips: int) -> Iterator[Shard]:
    spans = (Span(0.0, 10.0, (Phrase("a ball"), Phrase("a hoop"))),)
    for number, first in enumerate(range(0, n_clips, PER_SHARD)):
        videos = [
            PlannedVideo(
                f"s3://bucket/videos/{n % 997:03d}/{n:024x}.mp4", spans, f"{n:024x}", 10**7 + n,
                10**18 + n, cost=5e7 + n % 1000,
            )
            for n in range(first, min(n_clips, first + PER_SHARD))
        ]  # fmt: skip
        yield Shard(f"{number:06d}", tuple(videos))


def write_plan(folder: Path, n_clips: int) -> Path:
    plan_folder.write_tables(folder, shards(n_clips))
    return folder


def write_commits(out: Path) -> None:
    """As after a run that died late: published shards, as far as a start looks at them."""
    layout = Layout(out)
    files = tuple(CommittedFile(name, 1000, 10**6, "0" * 64) for name in TABLES)
    layout.published("clips", "").parent.mkdir(parents=True)
    for number in range(COMMITTED):
        shard = f"{number:06d}"
        layout.published("clips", shard).touch()
        text = json.dumps(asdict(Commit(shard, 1, PER_SHARD, (), files)), indent=1)
        layout.commits.mkdir(exist_ok=True)
        layout.commit(shard).write_text(text)
    assert len(commits.read(layout, "000000").files) == len(TABLES)


def start(plan: Path, out: Path) -> dict[str, float]:
    """What a process of its own says."""
    command = [sys.executable, "-m", "tests.bench.bench_plan", str(plan), str(out)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def largest_mib() -> float:
    """Of this program; what getrusage says includes the process that started it."""
    (line,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(line) / 2**10


def measure(plan: Path, out: Path) -> None:
    began = time.monotonic()
    found: dict[str, float] = {}

    def look(driver: Driver) -> None:
        found["seconds"] = time.monotonic() - began
        found["mib"] = largest_mib()
        found["todo"] = len(driver._todo)

    Driver.run = look  # type: ignore[method-assign]
    layout, build = Layout(out), Tiny()
    record = run_record.begin(layout, record_of((), build(), SAMPLING))
    settings = ExecutorSettings(device="cpu")
    execution.run(layout, record, plans.adopt(layout, plan), build, settings=settings)
    found["counted_s"] = time.monotonic() - began - found["seconds"]
    print(json.dumps(found))


if __name__ == "__main__":
    if len(sys.argv) == 3:
        measure(Path(sys.argv[1]), Path(sys.argv[2]))
    else:
        main()
