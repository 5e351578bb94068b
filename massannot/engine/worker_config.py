"""WorkerConfig: all that a worker is told at its start, and the worker that comes of it.

Load: what a worker's memory holds when a clip is done. For progress, never for a table.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from massannot.dataset.layout import WORK_DIR, Layout
from massannot.dataset.record import Deviation, LoadedWeights
from massannot.engine.messages import Loaded
from massannot.engine.progress import Progress, WorkerReady, load_of
from massannot.engine.worker import Reader, ReadPlanned, Worker
from massannot.stages._stage import Pipeline
from massannot.video.byte_budget import ByteBudget

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerConfig:
    """Picklable: worker processes build their own pipeline."""

    out: Path
    number: int
    device: str
    build_pipeline: Callable[[], Pipeline]
    reader: Reader
    memory_bytes: int
    driver: str = ""
    """Who gives it, see `driver_name`."""
    work_dir: str | None = field(default_factory=lambda: os.environ.get(WORK_DIR))
    """Where a dataset in a bucket has its working folder: on every machine where the driver has."""
    deviations: Callable[[str], tuple[Deviation, ...]] | None = None
    """Says of a device how far lower precision moves answers on it; None: another worker asks."""


def driver_name(share: str) -> str:
    """The name that tells this driver's logs from those of others in the same folder: of the other
    jobs of an array, of other machines, since not all file systems let two append to one file, and
    of another driver of this machine."""
    machine = f"{socket.gethostname()}.{os.getpid()}"
    return f"{share}.{machine}" if share else machine


def load(config: WorkerConfig, report: Progress) -> tuple[Pipeline, Loaded]:
    """The pipeline, set up, and what it has loaded."""
    started = time.perf_counter()
    deviations = () if config.deviations is None else config.deviations(config.device)
    pipeline = config.build_pipeline()
    pipeline.setup(device=config.device)
    cards = [LoadedWeights(**asdict(card)) for stage in pipeline.stages for card in stage.cards()]
    LOG.info("models ready on %s after %.1f s", config.device, time.perf_counter() - started)
    report(WorkerReady(config.number, config.device, time.perf_counter() - started))
    return pipeline, Loaded(tuple(dict.fromkeys(cards)), deviations)


def worker_of(
    config: WorkerConfig,
    pipeline: Pipeline,
    *,
    report: Progress,
    is_stopping: Callable[[], bool],
    wants_more: Callable[[], None],
) -> Worker:
    """The worker an config describes."""
    memory = ByteBudget(config.memory_bytes)
    if config.work_dir is not None:
        os.environ[WORK_DIR] = config.work_dir
    return Worker(
        Layout(config.out),
        pipeline,
        read=lambda video: config.reader(video, memory=memory),
        report=report,
        is_stopping=is_stopping,
        wants_more=wants_more,
        number=config.number,
        load=lambda: load_of(memory, config.device),
        folder=config.reader.folder if isinstance(config.reader, ReadPlanned) else None,
    )
