"""The local executor: a worker a GPU, or as many as asked for on the CPU, each a process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from massannot.dataset.adopt_plan import Asked
from massannot.dataset.layout import Layout
from massannot.engine.driver import Driver, StopSignals
from massannot.engine.execution import carry_out
from massannot.engine.handles import ChildProcesses
from massannot.engine.progress import Progress, silent
from massannot.engine.tally import RunSummary
from massannot.engine.watchdog import Patience
from massannot.engine.worker import Reader, ReadPlanned
from massannot.engine.worker_config import Order, driver_name
from massannot.models.runtime import pick, torch_state
from massannot.plan.folder import PlannedShard
from massannot.stages._stage import Pipeline
from massannot.video.sampling import Sampling

DEFAULT_SAMPLING = Sampling()
DEFAULT_PATIENCE = Patience()
MEMORY_BYTES = 2 * 2**30
"""Decoded pictures a worker may hold: three of the largest clips (708 MB), many usual ones."""


def run(
    plan: Asked,
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

    def drive(todo: Sequence[PlannedShard], signals: StopSignals, report: Progress) -> None:
        orders = [
            Order(
                out,
                number,
                name,
                build_pipeline,
                reader or ReadPlanned(sampling),
                memory_bytes,
                driver_name(plan),
            )
            for number, name in enumerate(devices(device, workers))
        ]
        driver = Driver(
            Layout(out),
            todo,
            orders,
            signals,
            report,
            workplace=ChildProcesses(),
            patience=patience,
        )
        if workers == 0:
            driver.run_here()
        else:
            driver.run()

    return carry_out(
        plan,
        build_pipeline,
        out=out,
        sampling=sampling,
        progress=progress,
        license=license,
        drive=drive,
    )


def devices(device: str, workers: int | None) -> list[str]:
    """One device a worker. Raises NothingToRun for one that is not there."""
    if device == "cpu":
        return ["cpu"] * max(1, workers or 1)
    if device in ("auto", "cuda"):
        gpus = [f"cuda:{i}" for i in range(len(torch_state().cuda_devices))] or [pick(device)]
    else:
        gpus = [pick(device)]
    count = max(1, workers) if workers is not None else len(gpus)
    return [gpus[number % len(gpus)] for number in range(count)]
