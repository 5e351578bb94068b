"""What every executor does around its workers: open the folder, publish what earlier runs
committed, see what is left to do, and say at the end how the run stands.

A folder remembers its plan and its recipe, so the same call continues, adds new videos, or is
refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from massannot.dataset import commits
from massannot.dataset import record as run_record
from massannot.dataset.adopt_plan import Asked, adopt
from massannot.dataset.card import write_card
from massannot.dataset.layout import Layout
from massannot.dataset.record import Identity, RunRecord
from massannot.engine.driver import StopSignals
from massannot.engine.progress import Event, Progress, RunBegun
from massannot.engine.tally import RunSummary, Tally, summarize
from massannot.errors import BadRecipe
from massannot.plan.folder import PlannedShard
from massannot.stages._stage import Pipeline
from massannot.video.sampling import Sampling

Drive = Callable[[Sequence[PlannedShard], StopSignals, Progress], None]
"""Works shards off, in the given order, until all are settled or a signal asks to stop."""


def carry_out(
    plan: Asked,
    build_pipeline: Callable[[], Pipeline],
    *,
    out: Path,
    sampling: Sampling,
    progress: Progress,
    license: str | None,
    drive: Drive,
) -> RunSummary:
    """Let `drive` annotate everything in `plan` that `out` does not hold yet."""
    started = time.monotonic()
    layout = Layout(out)
    pipeline = build_pipeline()
    if "clips" not in pipeline.tables:
        raise BadRecipe(f"recipe {pipeline.name} writes no table 'clips'; add summarize_clip")
    run_record.begin(layout, _record(pipeline, plan, sampling))
    shards = adopt(layout, plan)
    commits.recover(layout)
    tally = Tally()
    todo = _dearest_first(layout, shards)
    signals = StopSignals()
    if todo:
        with signals:
            progress(RunBegun(sum(shard.n_clips for shard in todo), len(todo)))
            drive(todo, signals, _both(tally.add, progress))
    write_card(layout, license=license)
    return summarize(
        layout,
        shards,
        tally=tally,
        seconds=time.monotonic() - started,
        interrupted=signals.stopping
        and any(shard.id not in tally.shards for shard in _dearest_first(layout, shards)),
    )


def _record(pipeline: Pipeline, plan: Asked, sampling: Sampling) -> RunRecord:
    identity = Identity(pipeline.describe(), str(sampling), plan.prompts)
    return RunRecord(identity, pipeline.digest, notes=pipeline.notes)


def _dearest_first(layout: Layout, shards: Sequence[PlannedShard]) -> list[PlannedShard]:
    """Shards without a commit, or to be tried again. The longest go first, so that none is left
    alone at the end."""
    committed = commits.shards(layout)
    todo = [shard for shard in shards if shard.id not in committed or shard.retry]
    return sorted(todo, key=lambda shard: (-shard.cost, shard.id))


def _both(first: Progress, second: Progress) -> Progress:
    def heard(event: Event) -> None:
        first(event)
        second(event)

    return heard
