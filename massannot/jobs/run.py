"""`massannot run`: a plan made before, done here or on a cluster, alone or as one of many jobs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from massannot.dataset import record as run_record
from massannot.dataset.adopt_plan import Asked
from massannot.dataset.layout import Layout
from massannot.dataset.record import shown_differences
from massannot.engine import local
from massannot.engine.progress import Progress
from massannot.engine.tally import RunSummary
from massannot.engine.watchdog import Patience
from massannot.errors import OtherRecipe, UsageError
from massannot.jobs import estimate as bill
from massannot.jobs.annotate import DONE, Outcome, check_device, device_of, exit_code, run_lines
from massannot.jobs.console import Watcher
from massannot.jobs.estimate import Bill, patience_with
from massannot.jobs.kept_choice import KeptChoice, keeping, kept_choice
from massannot.jobs.reuse import reusing
from massannot.models.weights import require
from massannot.plan import folder as plan_folder
from massannot.plan import record as plan_record
from massannot.plan.folder import PlanFolder, Retry
from massannot.plan.record import PlanRecord
from massannot.recipes.digests import choice_from_json, digests, sampling_from_json
from massannot.recipes.models import needed_weights, notes
from massannot.recipes.spec import Choice
from massannot.storage import durable

RETRIED = ("failed", "quarantined")
MAX_FAILED = 0.02
"""Of a million videos from anywhere some are broken: that is no failed run."""


@dataclass(frozen=True)
class Place:
    """Where the work is done, and when it counts as failed."""

    executor: Literal["local", "ray"] = "local"
    device: str = "auto"
    workers: int | None = None
    """Actors under ray, processes under local; None: one a GPU."""
    actors_per_gpu: int | None = None
    address: str | None = None
    """Of the Ray cluster to join."""
    max_failed: float = MAX_FAILED
    hung_after_s: float = Patience.hung_after_s
    first_clip_s: float | None = None
    """None: ten minutes, or on a CPU what the profile's models may need."""
    grace_s: float = Patience.grace_s
    reuse: Path | None = None
    keep_depth: bool = False


def run(
    plan: Path,
    out: Path,
    place: Place,
    *,
    share: tuple[int, int] = (0, 1),
    quiet: bool = False,
    verbose: bool = False,
) -> Outcome:
    """Do what the plan has and `out` does not hold yet. Progress goes to stderr.

    Raises UsageError, OtherRecipe where recipe, code or weights are not what was planned with.
    """
    plan = folder_of_plan(plan)
    record = finished_plan(plan)
    kept = as_planned(plan, record)
    part = f"share {share[0]} of 0 to {share[1] - 1} of " if share[1] > 1 else ""
    counts = record.counts
    first = f"{part}{counts['shards']} shards, about {counts['expected_clips']} clips"
    asked = PlanFolder(plan, record.prompts, *share)
    return _do(asked, kept, out, place, first, quiet=quiet, verbose=verbose)


def retry(
    out: Path,
    statuses: tuple[str, ...],
    place: Place,
    *,
    quiet: bool = False,
    verbose: bool = False,
) -> Outcome:
    """Do the clips of `out` again that ended so, and go on with what is left to do."""
    unknown = sorted(set(statuses) - set(RETRIED))
    if unknown or not statuses:
        raise UsageError(f"--status {','.join(statuses)}: expected some of {', '.join(RETRIED)}")
    layout = Layout(out)
    kept, record = kept_choice(layout), run_record.read(layout)
    if kept.digests is not None:
        _refuse_changed(out, kept.digests, kept.choice)
    asked = Retry(statuses, record.identity.prompts if record else ())
    first = f"again what is {' or '.join(statuses)} in {out}"
    return _do(asked, kept, out, place, first, quiet=quiet, verbose=verbose)


def estimate(folder: Path, record: PlanRecord, *, device: str, progress: Progress) -> Bill:
    """What the plan will take, measured on a few of its clips on this machine."""
    kept = as_planned(folder, record)
    require(needed_weights(kept.choice))
    return bill.estimate(folder, record, kept, device=device_of(device), progress=progress)


def _do(
    asked: Asked,
    kept: KeptChoice,
    out: Path,
    place: Place,
    first: str,
    *,
    quiet: bool,
    verbose: bool,
) -> Outcome:
    with Watcher(quiet=quiet, verbose=verbose) as watcher:
        check_device(place.device)
        device = place.device
        if place.executor == "local":  # of a cluster's machines the driver's may have no GPU
            device = ", ".join(dict.fromkeys(local.devices(device, place.workers)))
        require(needed_weights(kept.choice))
        said = "".join(f"\nNOTE: {note}" for note in notes(kept.choice))
        watcher.say(f"{first}, on {device} with {place.executor}{said}")
        done = _executed(asked, kept, out, place, watcher.watch)
    code = exit_code(done, place.max_failed)
    shown = {"out": str(out), "exit_code": code, "run": asdict(done)}
    return Outcome(code, _as_text(out, done, code), shown)


def folder_of_plan(named: Path) -> Path:
    """The folder of a plan, which may be named by a file in it. Raises UsageError."""
    if not named.is_file():
        return named
    if named.name in (plan_record.NAME, plan_folder.VIDEOS, plan_folder.SHARDS):
        return named.parent
    raise UsageError(
        f"{named}: found a file, expected the folder of a plan; `massannot plan {named} -o PLAN` "
        "makes one, then `massannot run PLAN`"
    )


def finished_plan(folder: Path) -> PlanRecord:
    """Raises UsageError where there is none, or not the one that was made."""
    record = plan_record.read(folder)
    if record is None:
        found = "an unfinished plan" if folder.is_dir() else "nothing"
        raise UsageError(
            f"{folder}: found {found}, expected a plan; `massannot plan SOURCE -o {folder}` makes "
            "or finishes one"
        )
    for name, sha256 in record.files.items():
        path = folder / name
        if not path.is_file() or durable.sha256_of(path) != sha256:
            raise UsageError(
                f"{path}: found {'other bytes' if path.is_file() else 'nothing'}, expected what "
                "was planned; copy the plan's folder again, or plan anew into another"
            )
    return record


def as_planned(folder: Path, record: PlanRecord) -> KeptChoice:
    """What the plan was made for. Raises OtherRecipe where it would not mean the same any more."""
    choice = choice_from_json(record.choice)
    _refuse_changed(folder, record.digests, choice)
    return KeptChoice(choice, sampling_from_json(record.sampling), record.digests)


def _refuse_changed(folder: Path, planned: Mapping[str, Any], choice: Choice) -> None:
    present = json.loads(json.dumps(digests(choice, choice.build()), ensure_ascii=False))
    found = shown_differences(planned, present)
    if found:
        raise OtherRecipe(
            f"{folder} was planned with something else than is here now:\n{found}"
            "go back to that, or plan anew into another folder"
        )


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
    asked: Asked, kept: KeptChoice, out: Path, place: Place, progress: Progress
) -> RunSummary:
    common: dict[str, Any] = {
        "out": out,
        "sampling": kept.sampling,
        "workers": place.workers,
        "device": place.device,  # the wish: `auto` is every GPU
        "patience": _patience(place, kept.choice.profile),
        "progress": keeping(Layout(out), kept, progress),
    }
    build = reusing(
        kept.choice, kept.sampling, out=out, reuse=place.reuse, keep_depth=place.keep_depth
    )
    if place.executor == "local":
        if place.actors_per_gpu is not None or place.address is not None:
            raise UsageError("--actors-per-gpu and --address: only with --executor ray")
        return local.run(asked, build, **common)
    if place.actors_per_gpu is not None and place.workers is not None:
        raise UsageError("--actors and --actors-per-gpu: found both, expected one of them")
    from massannot.engine import ray

    per_gpu = place.actors_per_gpu or 1
    address = place.address
    return ray.run(asked, build, actors_per_gpu=per_gpu, address=address, **common)


def _patience(place: Place, profile: str) -> Patience:
    first = patience_with(profile)
    if place.first_clip_s is not None:
        first = Patience(first_clip_s=place.first_clip_s)
    return replace(first, hung_after_s=place.hung_after_s, grace_s=place.grace_s)


def _as_text(out: Path, run: RunSummary, code: int) -> str:
    lines = run_lines(run)
    if run.failed or run.quarantined:
        lines.append(
            f"look: massannot status {out}; again: massannot retry {out} "
            "--status failed,quarantined"
        )
    elif code == DONE and not run.remaining:
        lines.append(f"next: massannot publish {out} DEST")
    return "\n".join(lines)
