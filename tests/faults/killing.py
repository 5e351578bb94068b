"""Starting a run in another process, watching its folder from outside, and killing it there."""

import contextlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from massannot.dataset import commits
from massannot.dataset.journal import Begun, Finished, read_journal
from massannot.dataset.layout import Layout
from massannot.plan.planned_videos import edition
from tests.faults import tiny_run

PHASES = ("decode", "model", "part", "commit", "publish")


def breaks_off(function: Callable[..., Any], *, after: int) -> Callable[..., Any]:
    """The function for so many calls; the next one is broken off, as by Ctrl-C."""
    calls = itertools.count()

    def broken(*arguments: Any) -> Any:
        if next(calls) >= after:
            raise KeyboardInterrupt
        return function(*arguments)

    return broken


def start(
    out: Path,
    videos: Path,
    tally: Path,
    *,
    workers: int,
    ray_address: str = "",
    seconds: float = 0.02,
    retry: Sequence[str] = (),
) -> subprocess.Popen:
    """The run as a process: local, or on the Ray cluster at an address. `retry`: clips of these
    statuses are done again."""
    arguments = [str(out), str(videos), str(tally), str(workers), ray_address, str(seconds), *retry]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.run_tiny", *arguments],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )


def phase_of(layout: Layout, tally: Path) -> str | None:
    """What some worker is doing, read from the folder and from what its models have done; None:
    nothing has begun."""
    committed = {edition(*newest) for newest in commits.newest(layout).items()}
    busy = sorted(layout.shards_in_staging(), reverse=True)
    for shard in busy:
        attempt = layout.attempts(shard)
        if shard in committed:
            return "publish"
        if not attempt:
            continue
        names = [path.name for path in layout.attempt(shard, attempt[-1]).glob("*")]
        names += [path.name for path in layout.attempt(shard, attempt[-1]).glob(".*")]
        if any("parquet" in name for name in names):
            return "commit"
        journal = layout.journal(shard, attempt[-1])
        events = list(read_journal(journal)) if journal.exists() else []
        if not events or not isinstance(events[-1], Begun):
            return "decode"
        clip = events[-1].clip
        modelled = tiny_run.done(tally)[f"{Path(clip.uri).stem}/{clip.clip_index}"]
        return "part" if modelled else "model"
    return None


def finished_clips(layout: Layout) -> set[str]:
    """Clips whose end is in a journal or that are published, as tiny_run names them."""
    clips = set()
    for shard in layout.shards_in_staging():
        for attempt in layout.attempts(shard):
            path = layout.journal(shard, attempt)
            for event in read_journal(path) if path.exists() else ():
                if isinstance(event, Finished):
                    clips.add((event.clip.uri, event.clip.clip_index))
    for path in (layout.data / "clips").glob("*.parquet"):
        rows = pq.read_table(path, columns=["uri", "clip_index"]).to_pylist()
        clips |= {(row["uri"], row["clip_index"]) for row in rows}
    return {f"{Path(uri).stem}/{index}" for uri, index in clips}


def kill_in(
    process: subprocess.Popen,
    layout: Layout,
    tally: Path,
    phase: str | None,
    *,
    whom: str,
    delay_s: float,
) -> str | None:
    """After `delay_s` of work, and once the folder shows `phase` (None: whatever it shows), SIGKILL
    the driver, one of its workers or one of its Ray actors. Returns the phase that was seen; None:
    the run had ended."""
    begun_at = None
    while process.poll() is None:
        try:
            seen = phase_of(layout, tally)
        except (FileNotFoundError, json.JSONDecodeError):
            continue  # the folder changes while it is read
        time.sleep(0.005 if seen is None else 0.0003)
        if seen is None:
            continue
        begun_at = begun_at or time.monotonic()
        if time.monotonic() - begun_at >= delay_s and phase in (None, seen):
            victims = [process.pid] if whom == "driver" else workers_of(layout)
            if whom == "actor":
                victims = [parent(pid) for pid in victims]
            if victims:
                kill(random.Random(delay_s).choice(victims))
                return seen
    return None


def workers_of(layout: Layout) -> list[int]:
    """The worker processes of a run, whoever started them: they write its logs."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "fd/1").readlink().is_relative_to(layout.logs.resolve()):
                found.append(int(process.name))
    return [pid for pid in found if parent(pid) not in found]  # not their decoders


def parent(pid: int) -> int:
    """Who started a process: for a worker on a Ray cluster, its actor."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def kill(pid: int) -> None:
    if pid <= 1:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
