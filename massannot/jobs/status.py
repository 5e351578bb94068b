"""How a run stands, read from its folder alone: while it runs, when it is over, or after it died.

Nothing that the run writes carries a time; speed is told from the files' own times of change.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from massannot.counts import counted
from massannot.dataset import commits
from massannot.dataset.journal import read_past
from massannot.dataset.layout import Layout
from massannot.dataset.plans import shard_table
from massannot.dataset.record import no_run
from massannot.engine.tally import RunSummary, Tally, summarize
from massannot.plan.planned_videos import edition, split_edition

RECENT_S = 30 * 60.0
"""Speed is that of the last half hour before the last sign of life."""
COMMITS_TIMED = 500
"""The latest commits that are asked for their time: enough for half an hour of a large cluster."""
LOG_BYTES = 16 << 20
"""The end of each worker's log that is read for times."""
ALIVE_S = 150.0
"""A worker that is alive is heard of at least every minute or two, unless a clip takes longer."""


@dataclass(frozen=True)
class BegunShard:
    """A shard, or a shard's next generation, on which work has begun and that is not committed."""

    shard: str
    """000007.1: its first generation after the first."""
    attempts: int
    done: int
    failed: int
    silent_s: float | None
    """Seconds since its last sign of life."""


@dataclass(frozen=True)
class StageTimes:
    """Seconds in each stage, summed over the clips that the logs at hand tell of."""

    clips: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)
    """By stage; `waited`: for decoded clips."""
    gpu_hours: float = 0.0
    """The part of them that workers on GPUs spent."""


@dataclass(frozen=True)
class Standing:
    run: RunSummary
    shards: int
    committed: int
    begun: tuple[BegunShard, ...]
    clips_a_second: float | None
    """None: too little has been finished to tell, or the store keeps no times."""
    silent_s: float | None
    """Seconds since the last sign of life."""
    stages: StageTimes = field(default_factory=StageTimes)
    failed_by_hour: Mapping[str, int] = field(default_factory=dict)
    """Clips that failed in shards committed within an hour (UTC), of the latest commits."""

    @property
    def seconds_left(self) -> float | None:
        if not self.clips_a_second or not self.run.remaining:
            return None
        return self.run.remaining / self.clips_a_second


def standing(out: Path) -> Standing:
    """Raises UsageError for a folder without a run."""
    layout = Layout(out)
    shards = shard_table(layout)
    if not shards:
        raise no_run(out)
    now = time.time()
    newest = commits.newest(layout)
    committed = {edition(*item) for item in newest.items()}
    planned = {shard.id for shard in shards}
    begun = {
        name
        for name in layout.shards_in_staging()
        for shard, generation in (split_edition(name),)
        if shard in planned and generation > newest.get(shard, -1)
    }
    finished = sorted((*_commit_times(layout, committed), *_part_times(layout, begun)))
    signs = [when for when, _ in finished] + _signs(layout)
    return Standing(
        summarize(layout, shards, tally=Tally(), seconds=0.0, interrupted=False),
        len(shards),
        len(newest.keys() & planned),
        tuple(_begun(layout, name, now) for name in sorted(begun)),
        _rate(finished),
        now - max(signs) if signs else None,
        stage_times(layout),
        _failed_by_hour(layout, committed),
    )


def stage_times(layout: Layout) -> StageTimes:
    """The times that workers' logs tell; of a long log the end alone is read."""
    clips, gpu_s = 0, 0.0
    seconds: Counter[str] = Counter()
    for path in sorted(layout.logs.glob("*.log")):
        on_gpu = False
        for line in _last_lines(path):
            if ready := _READY.search(line):
                on_gpu = ready[1].startswith("cuda")
            elif done := _DONE.search(line):
                clips += 1
                for name, number in _STAGE.findall(done[1]):
                    seconds[name] += float(number)  # type: ignore[assignment]  # seconds
                    gpu_s += float(number) if on_gpu and name != "waited" else 0.0
    return StageTimes(clips, dict(seconds.most_common()), gpu_s / 3600)


_READY = re.compile(r" models ready on (\S+) ")
_DONE = re.compile(r" done as [0-9a-f]+ in shard \w+, (.*)")
_STAGE = re.compile(r"(\w+) (\d+\.\d+) s")


def _last_lines(path: Path) -> Iterator[str]:
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - LOG_BYTES))
        for line in file:
            yield line.decode(errors="replace")


def as_text(out: Path, found: Standing) -> str:
    run, shards = found.run, counted(found.shards, "shard")
    lines = [
        run.counts,
        f"{found.committed} of {shards} committed, {len(found.begun)} begun",
        f"speed: {_speed(found)}",
        f"life:  {_life(found)}",
    ]
    lines += _stage_lines(found.stages)
    lines += [f"{f.status}: {f.clips} x {f.reason}" for f in run.failures]
    if len(found.failed_by_hour) > 1:
        hours = ", ".join(f"{hour} {n}" for hour, n in [*found.failed_by_hour.items()][-6:])
        lines.append(f"failed by hour (UTC): {hours}")
    lines += [*run.copy_lines, *run.questions.lines]
    for shard in found.begun[:10]:
        silent = "" if shard.silent_s is None else f", last heard of {shard.silent_s:.0f} s ago"
        lines.append(
            f"  {shard.shard}: {shard.done} done, {shard.failed} failed, attempt "
            f"{shard.attempts}{silent}"
        )
    if len(found.begun) > 10:
        lines.append(f"  and {len(found.begun) - 10} more")
    if run.failures:
        lines.append(f"why: massannot explain {out} CLIP; again: massannot retry {out}")
    return "\n".join(lines)


def as_json(out: Path, found: Standing) -> dict[str, Any]:
    run = found.run
    counts = ("planned", "done", "failed", "quarantined", "remaining")
    return {
        "out": str(out),
        **{name: getattr(run, name) for name in counts},
        "copies": run.copies,
        "failures": [vars(failure) for failure in run.failures],
        "questions": vars(run.questions),
        "shards": found.shards,
        "committed": found.committed,
        "begun": [vars(shard) for shard in found.begun],
        "clips_a_second": found.clips_a_second,
        "seconds_left": found.seconds_left,
        "silent_s": found.silent_s,
        "stages": vars(found.stages),
        "failed_by_hour": dict(found.failed_by_hour),
    }


def _stage_lines(stages: StageTimes) -> list[str]:
    """Time per stage, the longest first; nothing where no log tells."""
    if not stages.clips:
        return []
    total = sum(stages.seconds.values()) or 1.0
    shares = ", ".join(
        f"{name} {seconds / stages.clips:.2f} s ({seconds / total:.0%})"
        for name, seconds in [*stages.seconds.items()][:8]
    )
    gpu = f"; {stages.gpu_hours:.2f} GPU-hours" if stages.gpu_hours else ""
    return [f"a clip: {shares} (of {stages.clips} in the logs here{gpu})"]


def _speed(found: Standing) -> str:
    if found.clips_a_second is None:
        return "unknown yet"
    left = found.seconds_left
    hours = "" if left is None else f"; {left / 3600:.1f} h left at this speed"
    return f"{found.clips_a_second:.2f} clips/s{hours}"


def _life(found: Standing) -> str:
    if found.committed == found.shards:
        return "nothing is left to do"
    if found.silent_s is None:
        return "nothing has been heard of it"
    ago = f"last heard of {found.silent_s:.0f} s ago"
    if found.silent_s < ALIVE_S:
        return ago
    return f"{ago}: if nobody works on it any more, the same command continues"


def _begun(layout: Layout, name: str, now: float) -> BegunShard:
    past = read_past(layout, name)
    attempts = layout.attempts(name)
    times = [t for a in attempts for t in _times(layout.journal(name, a))]
    silent_s = now - max(times) if times else None
    return BegunShard(
        name, max(attempts, default=0), len(past.finished), len(past.failed), silent_s
    )


def _commit_times(layout: Layout, committed: set[str]) -> Iterator[tuple[float, int]]:
    """(time, clips done) of the latest commits."""
    times = [(when, name) for name in committed for when in _times(layout.commit(name))]
    for when, name in sorted(times)[-COMMITS_TIMED:]:
        yield when, commits.read_edition(layout, name).clips_done


def _failed_by_hour(layout: Layout, committed: set[str]) -> dict[str, int]:
    times = [(when, name) for name in committed for when in _times(layout.commit(name))]
    failed: Counter[str] = Counter()
    for when, name in sorted(times)[-COMMITS_TIMED:]:
        hour = time.strftime("%Y-%m-%d %Hh", time.gmtime(when))
        failed[hour] += sum(count.clips for count in commits.read_edition(layout, name).failures)
    return {hour: n for hour, n in failed.items() if n}


def _part_times(layout: Layout, begun: set[str]) -> Iterator[tuple[float, int]]:
    """(time, 1) of every finished clip of shards that are not committed."""
    for shard in begun:
        for attempt in layout.attempts(shard):
            for path in layout.attempt(shard, attempt).glob("*-[0-9]*.zip"):
                yield from ((when, 1) for when in _times(path))


def _signs(layout: Layout) -> list[float]:
    paths = (*layout.journals.glob("*.jsonl"), *layout.logs.glob("*.log"))
    return [when for path in paths for when in _times(path)]


def _times(path: Path) -> list[float]:
    """When a file was last changed, if it is there and its store tells."""
    try:
        when = path.stat().st_mtime
    except OSError:
        return []
    return [when] if when > 0 else []


def _rate(finished: Sequence[tuple[float, int]]) -> float | None:
    """Clips a second between the first and the last of what was finished lately."""
    if not finished:
        return None
    recent = [(when, n) for when, n in finished if when >= finished[-1][0] - RECENT_S]
    seconds = recent[-1][0] - recent[0][0]
    clips = sum(n for _, n in recent[1:])  # the first one's time is where counting begins
    return clips / seconds if seconds > 0 and clips else None
