"""The one road of every run: publish what earlier starts committed, drive workers through what is
left, write the card, and say how the run stands.

Local and Ray differ in the workplace that starts workers, and in nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from massannot.dataset import commits
from massannot.dataset.card import write_card
from massannot.dataset.layout import Layout
from massannot.dataset.leases import Leases
from massannot.dataset.record import Deviation, RunRecord
from massannot.engine.driver import Driver, StopSignals
from massannot.engine.handles import ChildProcesses, Workplace
from massannot.engine.progress import Event, Progress, RunBegun, silent
from massannot.engine.settings import ExecutorSettings
from massannot.engine.tally import RunSummary, Tally, summarize
from massannot.engine.worker import Reader, ReadPlanned
from massannot.engine.worker_config import WorkerConfig, driver_name
from massannot.plan.folder import PlannedShard
from massannot.stages._stage import Pipeline
from massannot.video.sampling import Sampling

DEFAULT_SETTINGS = ExecutorSettings()


def run(
    layout: Layout,
    record: RunRecord,
    shards: Sequence[PlannedShard],
    build_pipeline: Callable[[], Pipeline],
    *,
    settings: ExecutorSettings = DEFAULT_SETTINGS,
    progress: Progress = silent,
    license: str | None = None,
    reader: Reader | None = None,
    deviations: Callable[[str], tuple[Deviation, ...]] | None = None,
) -> RunSummary:
    """Annotate everything in `shards` that the output folder does not hold yet.

    `record` is the run's, already begun (see record.begin). `build_pipeline` is picklable, because
    each worker builds its own. `reader` replaces the decoding of files. `deviations` says of a
    device how far the run's precision moves answers on it; one worker asks, once for a run. Raises
    OtherRecipe, NothingToRun, WorkerBroke; KeyboardInterrupt at the second Ctrl-C.
    """
    started = time.monotonic()
    commits.recover(layout)
    tally, signals = Tally(), StopSignals()
    left = _dearest_first(layout, shards)
    if left:
        with signals:
            progress(RunBegun(sum(shard.n_clips for shard in left), len(left)))
            with Leases(layout) as leases, _workplace(settings, layout) as (workplace, devices):
                asked = None if record.deviations else deviations
                configs = [
                    WorkerConfig(
                        _shared_out(layout, settings),
                        number,
                        device,
                        build_pipeline,
                        reader or _reader(record),
                        settings.memory_bytes,
                        driver_name(settings.share),
                        deviations=asked if number == 0 else None,
                    )
                    for number, device in enumerate(devices)
                ]
                driver = Driver(
                    layout,
                    record,
                    left,
                    configs,
                    signals,
                    _both(tally.add, progress),
                    workplace=workplace,
                    patience=settings.patience,
                    leases=leases,
                )
                if settings.workers == 0:
                    driver.run_here()
                else:
                    driver.run()
        commits.recover(layout)  # what a driver that died meanwhile had committed, not published
    else:
        Leases(layout).sweep()  # the last driver may have been killed at its very end
    write_card(layout, license=license)
    return summarize(
        layout,
        shards,
        tally=tally,
        seconds=time.monotonic() - started,
        interrupted=signals.stopping
        and any(shard.id not in tally.shards for shard in _dearest_first(layout, shards)),
    )


def _reader(record: RunRecord) -> Reader:
    return ReadPlanned(Sampling.from_json(record.spec["sampling"]), record.spec.get("folder"))


@contextmanager
def _workplace(
    settings: ExecutorSettings, layout: Layout
) -> Iterator[tuple[Workplace[Any], list[str]]]:
    """Where workers are started, and a device for each of them."""
    if settings.executor == "ray":
        from massannot.engine import ray

        with ray.joined_cluster(settings, layout) as cluster:
            yield cluster, [cluster.device] * cluster.n_actors
    else:
        from massannot.engine import local

        yield ChildProcesses(), local.devices(settings.device, settings.workers)


def _shared_out(layout: Layout, settings: ExecutorSettings) -> Path:
    """The output folder as workers on other machines find it."""
    remote = settings.executor == "ray" and not layout.in_bucket
    return layout.out.absolute() if remote else layout.out


def _dearest_first(layout: Layout, shards: Sequence[PlannedShard]) -> list[PlannedShard]:
    """Shards without a commit of their generation. The longest go first, so that none is left alone
    at the end."""
    committed = commits.newest(layout)
    left = [shard for shard in shards if committed.get(shard.id, -1) < shard.generation]
    return sorted(left, key=lambda shard: (-shard.cost, shard.id))


def _both(first: Progress, second: Progress) -> Progress:
    def report(event: Event) -> None:
        first(event)
        second(event)

    return report
