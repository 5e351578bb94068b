"""The local executor: a worker a GPU, or as many as asked for on the CPU, each in its own process.

A folder remembers its plan and its recipe, so the same call continues, adds new videos, or is
refused. What earlier runs committed is published before anything else happens.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from massannot.errors import BadRecipe
from massannot.executors.child_process import ChildProcesses
from massannot.executors.driver import Driver
from massannot.executors.order import Order
from massannot.executors.progress import Event, Progress, silent
from massannot.executors.read_planned import Reader, ReadPlanned
from massannot.executors.stop_signals import StopSignals
from massannot.executors.summary import RunSummary, Tally, summarize
from massannot.executors.watchdog import Patience
from massannot.io import commits, run_record
from massannot.io.adopt_plan import adopt
from massannot.io.card import write_card
from massannot.io.layout import Layout
from massannot.io.plan import Plan
from massannot.io.plan_folder import PlanFolder, PlannedShard
from massannot.io.run_record import Identity, RunRecord
from massannot.io.video import Sampling
from massannot.models.device import pick, torch_state
from massannot.pipeline import Pipeline

DEFAULT_SAMPLING = Sampling()
DEFAULT_PATIENCE = Patience()
MEMORY_BYTES = 2 * 2**30
"""Decoded pictures a worker may hold: three of the largest clips (708 MB), many usual ones."""


def run(
    plan: Plan | PlanFolder,
    build_pipeline: Callable[[], Pipeline],
    *,
    out: Path,
    sampling: Sampling = DEFAULT_SAMPLING,
    workers: int | None = None,
    device: str = "auto",
    memory_bytes: int = MEMORY_BYTES,
    progress: Progress = silent,
    license: str | None = None,
    reader: Reader | None = None,
    patience: Patience = DEFAULT_PATIENCE,
) -> RunSummary:
    """Annotate everything in `plan` that `out` does not hold yet.

    `build_pipeline` is picklable, because each worker builds its own. `workers`: None is one a
    GPU, or one on the CPU; 0 is this very process, without the protection that another gives.
    Raises OtherRecipe, NothingToRun, WorkerBroke; KeyboardInterrupt at the second Ctrl-C.
    """
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
        orders = [
            Order(out, number, name, build_pipeline, reader or ReadPlanned(sampling), memory_bytes)
            for number, name in enumerate(_devices(device, workers))
        ]
        driver = Driver(
            layout,
            todo,
            orders,
            signals,
            _both(tally.add, progress),
            ChildProcesses(),
            patience,
        )
        with signals:
            if workers == 0:
                driver.run_here()
            else:
                driver.run()
    write_card(layout, license=license)
    return summarize(
        layout,
        shards,
        tally=tally,
        seconds=time.monotonic() - started,
        interrupted=signals.stopping and bool(_dearest_first(layout, shards)),
    )


def _record(pipeline: Pipeline, plan: Plan | PlanFolder, sampling: Sampling) -> RunRecord:
    identity = Identity(pipeline.describe(), str(sampling), plan.prompts)
    return RunRecord(identity, pipeline.digest, notes=pipeline.notes)


def _dearest_first(layout: Layout, shards: Sequence[PlannedShard]) -> list[PlannedShard]:
    """Shards without a commit. The longest go first, so that none is left alone at the end."""
    committed = commits.shards(layout)
    todo = [shard for shard in shards if shard.id not in committed]
    return sorted(todo, key=lambda shard: (-shard.cost, shard.id))


def _devices(device: str, workers: int | None) -> list[str]:
    """One device a worker."""
    if device == "cpu":
        return ["cpu"] * max(1, workers or 1)
    if device in ("auto", "cuda"):
        gpus = [f"cuda:{i}" for i in range(len(torch_state().cuda_devices))] or [pick(device)]
    else:
        gpus = [pick(device)]
    count = max(1, workers) if workers is not None else len(gpus)
    return [gpus[number % len(gpus)] for number in range(count)]


def _both(first: Progress, second: Progress) -> Progress:
    def heard(event: Event) -> None:
        first(event)
        second(event)

    return heard
