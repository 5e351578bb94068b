"""A soak: many tiny clips, run by several drivers that are killed all the time, with their workers.

    python -m tests.faults.soak [--clips 2000] [--drivers 2] [--bucket|--ray|--full-disk]
                                [--every 4] [--seed 0]

First the clips are annotated by one driver and one worker that nobody disturbs: what they hold in
memory after a quarter of the clips and at the end is compared, and their tables are the truth. Then
`drivers` share the same clips; every few seconds one of them, or one of their workers, is killed
and the driver started again; a bucket also answers with errors, on a Ray cluster actors are
killed too, and a small disk of its own is full now
and then (only root may mount one). At the end the counts must close,
every table must be equal byte for byte, and nothing may be left over. The exit code is 1 where one
of these does not hold. `--every` is the mean time between two kills; on a busy machine, where a
start takes long, it is longer, or nothing would ever be begun (KILLS_A_START).
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from subprocess import Popen
from typing import Any

from massannot.dataset.commits import damage
from massannot.dataset.layout import Layout
from massannot.engine.driver import DEATHS_BEFORE_WORK
from massannot.storage.store import store_of
from tests import s3_server
from tests.faults import killing, tiny_run
from tests.faults.ray_cluster import cluster
from tests.faults.run_tiny import GAVE_UP
from tests.faults.tiny_run import CLIPS_PER_VIDEO, data_files, done

KILLS_A_START = 4
"""At most, in the mean, while a driver and its worker start."""
DISK_MIB = 128
FLAT = 0.05
"""Growth of memory from a quarter of the clips to the end."""


def main() -> int:
    parser = argparse.ArgumentParser(description="annotate tiny clips, and kill who does it")
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--drivers", type=int, default=2)
    parser.add_argument("--bucket", action="store_true", help="annotate into a bucket")
    parser.add_argument("--ray", action="store_true", help="annotate on a Ray cluster")
    parser.add_argument("--full-disk", action="store_true", help="annotate onto a small disk")
    parser.add_argument("--every", type=float, default=4.0, help="mean seconds between two kills")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # the bucket's server
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        os.environ["MASSANNOT_WORK_DIR"] = str(folder / "work")
        server = stack.enter_context(s3_server.running("soak")) if chosen.bucket else None
        tiny_run.write_videos(folder / "videos", -(-chosen.clips // CLIPS_PER_VIDEO))
        calm, start_s = _calm(folder, folder / "calm")
        every_s = max(chosen.every, start_s / KILLS_A_START)
        disk = stack.enter_context(_small_disk(folder / "disk")) if chosen.full_disk else None
        out: Any = "s3://soak/out" if server else (disk or folder) / "out"
        machines = cluster(*[1] * chosen.drivers) if chosen.ray else None
        address = stack.enter_context(machines).address if machines else ""
        rng = random.Random(chosen.seed)
        siege = _Siege(folder, out, chosen.drivers, address, rng, every_s, disk)
        siege.run(server)
        problems = [*calm, *siege.problems(data_files(folder / "calm"))]
    for problem in problems:
        print(f"WRONG: {problem}")
    print("nothing is wrong" if not problems else f"{len(problems)} things are wrong")
    return 1 if problems else 0


def _calm(folder: Path, out: Path) -> tuple[list[str], float]:
    """Run undisturbed; a sentence for each process whose memory grows, and the seconds in which a
    driver and its worker start and do their first clip."""
    n_clips = CLIPS_PER_VIDEO * len(list((folder / "videos").iterdir()))
    tally, began = folder / "tally-calm", time.monotonic()
    process = killing.start(out, folder / "videos", tally, workers=1, seconds=0.0)
    sizes: dict[str, list[tuple[int, float]]] = {"driver": [], "worker": []}
    start_s = 0.0
    while process.poll() is None:
        n = sum(done(tally).values())
        start_s = time.monotonic() - began if not n else start_s
        for name, pids in (("driver", [process.pid]), ("worker", killing.workers_of(Layout(out)))):
            sizes[name] += [(n, _held_mib(pid)) for pid in pids if _held_mib(pid)]
        time.sleep(0.5)
    print(
        f"undisturbed: {n_clips} clips in {time.monotonic() - began:.0f} s, begun in {start_s:.1f}"
    )
    problems = [] if process.returncode == 0 else [f"it ended with {process.returncode}"]
    for name, seen in sizes.items():
        early = [mib for n, mib in seen if n_clips / 4 <= n < n_clips / 2]
        late = [mib for n, mib in seen if n >= n_clips * 3 / 4]
        if not early or not late:
            problems.append(f"{name}: too few clips to see its memory")
            continue
        growth = median(late) / median(early) - 1
        print(f"{name}: {median(early):.0f} MiB early, {median(late):.0f} late ({growth:+.1%})")
        if growth > FLAT:
            problems.append(f"the {name}'s memory grows by {growth:.1%}")
    return problems, start_s


def _held_mib(pid: int) -> float:
    """Memory of its own and shared, as far as it is in use; 0: it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    size = f"size={DISK_MIB}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@dataclass
class _Siege:
    folder: Path
    out: Any
    n_drivers: int
    ray_address: str
    rng: random.Random
    every_s: float
    disk: Path | None = None
    kills: Counter[str] = field(default_factory=Counter)
    workers_killed: int = 0
    """Less those for which a driver gave up: of two drivers each counts its own."""
    summary: dict[str, Any] = field(default_factory=dict)

    @property
    def tally(self) -> Path:
        return self.folder / "tally"

    def run(self, server: s3_server.S3Server | None) -> None:
        """Kill until all drivers have ended by themselves."""
        began = time.monotonic()
        drivers = [self._start() for _ in range(self.n_drivers)]
        try:
            self._besiege(drivers, server)
        finally:
            for driver in drivers:
                driver.kill()
        print(f"disturbed: {time.monotonic() - began:.0f} s; {dict(self.kills)}")

    def _besiege(self, drivers: list[Popen[bytes]], server: s3_server.S3Server | None) -> None:
        next_kill = time.monotonic() + self.rng.expovariate(1 / self.every_s)
        while drivers:
            time.sleep(0.05)
            for driver in [driver for driver in drivers if driver.poll() is not None]:
                drivers.remove(driver)
                text = driver.stdout.read() if driver.stdout else b""
                if driver.returncode == 0:
                    self.summary = json.loads(text)
                elif driver.returncode == -9:
                    drivers.append(self._start())
                elif driver.returncode == GAVE_UP and self.workers_killed >= DEATHS_BEFORE_WORK:
                    # killed so often in a row before they had begun: where starting takes long
                    self.workers_killed -= DEATHS_BEFORE_WORK
                    self.kills["drivers that gave up"] += 1
                    drivers.append(self._start())
                elif driver.returncode == GAVE_UP and self.kills["full disks"]:
                    self.kills["drivers that found no space"] += 1
                    drivers.append(self._start())
                else:
                    raise RuntimeError(f"a driver ended with {driver.returncode}: {text!r}")
            if time.monotonic() > next_kill and drivers:
                next_kill = time.monotonic() + self.rng.expovariate(1 / self.every_s)
                if server is not None and self.rng.random() < 0.5:
                    server.fail(*(self.rng.choice([500, 503]) for _ in range(3)))
                    self.kills["store errors"] += 3
                elif self.disk is not None and self.rng.random() < 0.5:
                    self._fill(self.disk)
                else:
                    self._kill(drivers)

    def _fill(self, disk: Path) -> None:
        """For half a second nothing more fits."""
        ballast = disk / "ballast"
        with suppress(OSError), open(ballast, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        time.sleep(0.5)
        ballast.unlink()
        self.kills["full disks"] += 1

    def _start(self) -> Popen[bytes]:
        return killing.start(
            self.out,
            self.folder / "videos",
            self.tally,
            workers=1,
            ray_address=self.ray_address,
            seconds=0.0,
        )

    def _kill(self, drivers: list[Popen[bytes]]) -> None:
        workers = killing.workers_of(Layout(self.out))
        whom = self.rng.choice(["driver", "worker", "actor" if self.ray_address else "worker"])
        pids = {
            "driver": [driver.pid for driver in drivers],
            "worker": workers,
            "actor": [killing.parent(pid) for pid in workers],
        }[whom]
        if pids:
            killing.kill(self.rng.choice(pids))
            self.workers_killed += whom != "driver"
            self.kills[f"{whom}s killed"] += 1

    def problems(self, truth: dict[str, bytes]) -> list[str]:
        layout, counts = Layout(self.out), done(self.tally)
        n_clips = CLIPS_PER_VIDEO * len(list((self.folder / "videos").iterdir()))
        n_kills = sum(n for what, n in self.kills.items() if "killed" in what)
        twice = sum(counts.values()) - n_clips
        print(f"{n_clips} clips, {twice} of them computed twice in {n_kills} kills")
        found = []
        if (self.summary["planned"], self.summary["done"]) != (n_clips, n_clips):
            found.append(f"counts do not close: {self.summary}")
        if self._files() != truth:
            found.append("the tables are not those of the undisturbed run")
        if twice > 2 * n_kills:  # the clip in hand, and one whose part was just being written
            found.append(f"{twice} clips were computed twice for {n_kills} kills")
        found += [f"damaged: {line}" for line in damage(layout)]
        left = [*layout.shards_in_staging(), *(path.name for path in layout.leases.glob("[!.]*.*"))]
        return found + ([f"left over: {sorted(left)[:5]}"] if left else [])

    def _files(self) -> dict[str, bytes]:
        if isinstance(self.out, Path):
            return data_files(self.out)
        folder = f"{self.out}/data/"
        entries = [e for e in store_of(folder).list(folder) if "/failures/" not in e.uri]
        return {e.uri.removeprefix(folder): store_of(folder).get(e.uri) for e in entries}


if __name__ == "__main__":
    sys.exit(main())
