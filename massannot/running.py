"""`massannot run`: a plan made before, done here or on a cluster, alone or as one of many jobs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from massannot.chosen_models import needed_weights, notes
from massannot.console import Watcher
from massannot.errors import OtherRecipe, UsageError
from massannot.executors import local
from massannot.executors.progress import Progress
from massannot.executors.summary import RunSummary
from massannot.io import plan_record
from massannot.io.plan_folder import PlanFolder
from massannot.io.plan_record import PlanRecord
from massannot.io.run_record import shown_differences
from massannot.job import DONE, Outcome, Questions, device_of, exit_code, run_lines
from massannot.models.weights import require
from massannot.planned_with import choice_from_json, digests, sampling_from_json
from massannot.recipe import Choice

MAX_FAILED = 0.02
"""Of a million videos from anywhere some are broken: that is no failed run."""


@dataclass(frozen=True)
class Errand:
    """What was asked for on the command line."""

    plan: Path
    out: Path
    executor: Literal["local", "ray"] = "local"
    device: str = "auto"
    workers: int | None = None
    """Actors under ray, processes under local; None: one a GPU."""
    actors_per_gpu: int | None = None
    address: str | None = None
    """Of the Ray cluster to join."""
    share: tuple[int, int] = (0, 1)
    max_failed: float = MAX_FAILED


def do(errand: Errand, *, quiet: bool = False, verbose: bool = False) -> Outcome:
    """Run what the plan has that `out` does not hold yet. Progress goes to stderr.

    Raises UsageError, OtherRecipe where recipe, code or weights are not what was planned with.
    """
    record = finished_plan(errand.plan)
    with Watcher(quiet=quiet, verbose=verbose) as watcher:
        device = device_of(errand.device)
        choice = as_planned(errand.plan, record)
        require(needed_weights(choice))
        watcher.say(_before(errand, record, choice, device))
        run = _executed(errand, record, choice, device, watcher.watch)
    code = exit_code(run, Questions(), errand.max_failed)
    return Outcome(code, _as_text(errand, run, code), _as_json(errand, run, code))


def finished_plan(folder: Path) -> PlanRecord:
    """Raises UsageError where there is none."""
    record = plan_record.read(folder)
    if record is None:
        found = "an unfinished plan" if folder.is_dir() else "nothing"
        raise UsageError(
            f"{folder}: found {found}, expected a plan; `massannot plan SOURCE -o {folder}` makes "
            "or finishes one"
        )
    return record


def as_planned(folder: Path, record: PlanRecord) -> Choice:
    """What the plan was made for. Raises OtherRecipe where it would not mean the same any more."""
    choice = choice_from_json(record.choice)
    present = json.loads(json.dumps(digests(choice, choice.build()), ensure_ascii=False))
    found = shown_differences(record.digests, present)
    if found:
        raise OtherRecipe(
            f"{folder} was planned with something else than is here now:\n{found}"
            "go back to that, or plan anew into another folder"
        )
    return choice


def share_of(text: str | None, environment: Mapping[str, str] = os.environ) -> tuple[int, int]:
    """`I/N`, 0-based; without it what Slurm says of a job array; without that the whole.

    Raises UsageError.
    """
    if text is None:
        return _share_of_array(environment)
    first, slash, second = text.partition("/")
    if not (slash and first.isdigit() and second.isdigit() and int(first) < int(second)):
        raise UsageError(f"--shard {text}: expected I/N with I from 0 to N-1, for instance 0/8")
    return int(first), int(second)


def _share_of_array(environment: Mapping[str, str]) -> tuple[int, int]:
    names = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN")
    found = [environment.get(name) for name in names]
    if found[0] is None:
        return 0, 1
    if not all(value is not None and value.isdigit() for value in found):
        said = ", ".join(f"{name}={value}" for name, value in zip(names, found, strict=True))
        raise UsageError(f"found {said}, expected numbers; say --shard I/N")
    task, count, least = (int(str(value)) for value in found)
    place, odd = divmod(task - least, int(environment.get("SLURM_ARRAY_TASK_STEP", 1)))
    if odd or not 0 <= place < count:
        raise UsageError(
            f"found SLURM_ARRAY_TASK_ID={task} in an array of {count} from {least} that leaves "
            "numbers out, expected --array=0-N or --shard I/N"
        )
    return place, count


def _executed(
    errand: Errand, record: PlanRecord, choice: Choice, device: str, progress: Progress
) -> RunSummary:
    plan = PlanFolder(errand.plan, record.prompts, *errand.share)
    common: dict[str, Any] = {
        "out": errand.out,
        "sampling": sampling_from_json(record.sampling),
        "workers": errand.workers,
        "device": device,
        "progress": progress,
    }
    if errand.executor == "local":
        if errand.actors_per_gpu is not None or errand.address is not None:
            raise UsageError("--actors-per-gpu and --address: only with --executor ray")
        return local.run(plan, choice.build, **common)
    from massannot.executors import ray

    per_gpu = errand.actors_per_gpu or 1
    return ray.run(plan, choice.build, actors_per_gpu=per_gpu, address=errand.address, **common)


def _before(errand: Errand, record: PlanRecord, choice: Choice, device: str) -> str:
    counts, (share, of) = record.counts, errand.share
    part = f"share {share} of 0 to {of - 1} of " if of > 1 else ""
    return (
        f"{part}{counts['shards']} shards, about {counts['expected_clips']} clips, on {device} "
        f"with {errand.executor}" + "".join(f"\nNOTE: {note}" for note in notes(choice))
    )


def _as_text(errand: Errand, run: RunSummary, code: int) -> str:
    lines = run_lines(run)
    if run.failed or run.quarantined:
        lines.append(
            f"look: massannot status {errand.out}; again: massannot retry {errand.out} "
            "--status failed,quarantined"
        )
    elif code == DONE and not run.remaining:
        lines.append(f"next: massannot publish {errand.out} DEST")
    return "\n".join(lines)


def _as_json(errand: Errand, run: RunSummary, code: int) -> dict[str, Any]:
    return {
        "plan": str(errand.plan),
        "out": str(errand.out),
        "share": list(errand.share),
        "exit_code": code,
        "run": asdict(run),
    }
