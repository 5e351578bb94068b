"""`massannot run` and `retry`: a plan that was made before is carried out, here or on a cluster,
alone or as one of many jobs. `annotate` ends in the same `execute`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from massannot.counts import counted
from massannot.dataset import plans
from massannot.dataset import record as run_record
from massannot.dataset.corrections import corrected_shards
from massannot.dataset.layout import Layout
from massannot.dataset.record import RunRecord
from massannot.dataset.reopening import CORRECTED
from massannot.engine import execution, local
from massannot.engine.progress import Progress
from massannot.engine.settings import ExecutorSettings
from massannot.engine.tally import RunSummary
from massannot.errors import UsageError
from massannot.jobs.console import Watcher
from massannot.jobs.estimate import patience_with
from massannot.jobs.outcome import DONE, exit_code, run_lines
from massannot.jobs.plan import SPEC, read_record
from massannot.jobs.repeated import Command, Outcome, state_of, states_of
from massannot.jobs.reuse import WorkerPipeline, reusable_record
from massannot.models.runtime import refuse_emulated
from massannot.models.weights import require
from massannot.plan import folder as plan_folder
from massannot.plan.folder import FinishedPlan, PlannedShard, share_of
from massannot.recipes import registry
from massannot.recipes.deviations import deviations, narrow_jobs
from massannot.recipes.digests import code_outside, record_of
from massannot.recipes.models import needed_weights
from massannot.recipes.spec import RunSpec
from massannot.storage import durable

RETRIED = ("failed", "quarantined", CORRECTED)
MAX_FAILED = 0.02
"""Of a million videos from anywhere some are broken: that is no failed run."""


@dataclass(frozen=True)
class RunOptions:
    """What a run is allowed, and what it takes from other runs."""

    max_failed: float = MAX_FAILED
    """Share of failed clips above which the exit code is 3."""
    reuse: Path | None = None
    """Another output folder: what would come out the same is taken from it."""
    keep_depth: bool = False
    allow_code: bool = False
    """Go on although the code has changed since the run was begun or planned."""


def run(
    plan: Path,
    out: Path,
    settings: ExecutorSettings,
    options: RunOptions,
    *,
    share: tuple[int, int] = (0, 1),
    quiet: bool = False,
    verbose: bool = False,
    command: Command | None = None,
) -> Outcome:
    """Carry out what the plan has and `out` does not hold yet. Progress goes to stderr.
    `command`: as given, to which the outcome is kept where nothing is left to do.

    Raises UsageError, OtherRecipe where recipe, code, weights or answers are not those planned.
    """
    folder = folder_of_plan(plan)
    counts = finished_plan(folder).counts
    planned = read_record(folder)
    spec = RunSpec.from_json(planned.spec)
    inputs = inputs_of(replace(spec, sources=(str(folder),)))
    require(needed_weights(spec))
    present = record_of(spec)
    run_record.refuse_other(folder, planned, present, allow_code=options.allow_code)
    if options.reuse is not None:
        reusable_record(options.reuse, spec)
    layout = Layout(out)
    index, n_shares = share
    first = f"share {index} of 0 to {n_shares - 1} of " if n_shares > 1 else ""
    clips = counted(counts["expected_clips"], "clip")
    first += f"{counted(counts['shards'], 'shard')}, about {clips}"
    with Watcher(quiet=quiet, verbose=verbose) as watcher:
        _announce(watcher, first, spec, settings, present)
        record = run_record.begin(layout, planned, code=present.code, allow_code=options.allow_code)
        shards = share_of(plans.adopt(layout, folder), index, n_shares)
        if n_shares > 1:
            settings = replace(settings, share=f"{index}-of-{n_shares}")
        done = execute(spec, record, layout, shards, settings, options, progress=watcher.watch)

    def outcome_of(done: RunSummary) -> Outcome:
        return _outcome(layout, done, options, n_shares=n_shares)

    if command is not None:
        keep(command, done, outcome_of, inputs, spec)
    return outcome_of(done)


def retry(
    out: Path,
    statuses: tuple[str, ...],
    settings: ExecutorSettings,
    options: RunOptions,
    *,
    quiet: bool = False,
    verbose: bool = False,
) -> Outcome:
    """Try the clips of `out` again that ended so, and go on with what is left."""
    unknown = sorted(set(statuses) - set(RETRIED))
    if unknown or not statuses:
        raise UsageError(f"--status {','.join(statuses)}: expected some of {', '.join(RETRIED)}")
    layout = Layout(out)
    run_record.refuse_v0(layout)
    record = run_record.required(layout)
    spec = RunSpec.from_json(record.spec)
    require(needed_weights(spec))
    with Watcher(quiet=quiet, verbose=verbose) as watcher:
        present = record_of(spec)
        again = f"again what is {' or '.join(statuses)} in {out}{_corrections(layout, statuses)}"
        _announce(watcher, again, spec, settings, present)
        record = run_record.begin(layout, present, allow_code=options.allow_code)
        shards = plans.retried(layout, statuses)
        done = execute(spec, record, layout, shards, settings, options, progress=watcher.watch)
    return _outcome(layout, done, options)


def _corrections(layout: Layout, statuses: Sequence[str]) -> str:
    """How many clips people put right, and of how many that cannot be used any more."""
    if CORRECTED not in statuses:
        return ""
    _, found = corrected_shards(layout)
    said = f" ({len(found.usable)} corrected"
    if found.stale:
        said += f"; {len(found.stale)} corrected before have other rows now: review them again"
    return f"{said})"


def execute(
    spec: RunSpec,
    record: RunRecord,
    layout: Layout,
    shards: Sequence[PlannedShard],
    settings: ExecutorSettings,
    options: RunOptions,
    *,
    progress: Progress,
    previews: bool = False,
) -> RunSummary:
    """Annotate the shards: the end of `annotate`, `run` and `retry`.

    `previews`: keep depth for films. Raises what engine.execution.run raises, and what
    refuse_emulated_dtype does.
    """
    refuse_emulated_dtype(spec, settings)
    return execution.run(
        layout,
        record,
        shards,
        WorkerPipeline.of(spec, layout, options.reuse, options.keep_depth, previews),
        settings=replace(settings, patience=patience_with(spec, settings.patience)),
        progress=progress,
        deviations=partial(deviations, spec) if narrow_jobs(spec) else None,
    )


def inputs_of(spec: RunSpec) -> dict[str, str | None]:
    """The state of what decides the spec's rows, the user's own code not included."""
    return states_of(spec.to_json(), code=(registry().folder,))


def keep(
    command: Command,
    done: RunSummary,
    outcome_of: Callable[[RunSummary], Outcome],
    inputs: Mapping[str, str | None],
    spec: RunSpec,
) -> None:
    """Note the outcome that the same command would have now, where nothing is left to do for it:
    clips that failed are worth another look, so there is none with failures."""
    settled = not (done.remaining or done.interrupted or done.failed or done.quarantined)
    if settled and not done.questions.bad:
        state = command.out_state()
        idle = replace(done, done_now=0, frames_now=0, seconds=0.0, stage_seconds={})
        code = {path: state_of(Path(path)) for path in code_outside(spec)}
        command.keep(outcome_of(idle), {**inputs, **code}, state)


def refuse_emulated_dtype(spec: RunSpec, settings: ExecutorSettings) -> None:
    """Raises NothingToRun where a model would compute in what this machine's processor lacks."""
    if settings.executor != "local":
        return
    for option, value in spec.options.items():
        if option.endswith(".dtype"):
            for device in dict.fromkeys(local.devices(settings.device, settings.workers)):
                refuse_emulated(value, device=device)


def folder_of_plan(named: Path) -> Path:
    """The folder of a plan, which may be named by a file in it. Raises UsageError."""
    if not named.is_file():
        return named
    if named.name in (plan_folder.PLAN, SPEC, plan_folder.VIDEOS, plan_folder.SHARDS):
        return named.parent
    raise UsageError(
        f"{named}: found a file, expected the folder of a plan; `massannot plan {named} -o PLAN` "
        "makes one, then `massannot run PLAN`"
    )


def finished_plan(folder: Path) -> FinishedPlan:
    """Raises UsageError where there is none, or not the one that was made."""
    plan = plan_folder.read_finished(folder)
    if plan is None:
        found = "an unfinished plan" if folder.is_dir() else "nothing"
        raise UsageError(
            f"{folder}: found {found}, expected a plan; `massannot plan SOURCE -o {folder}` makes "
            "or finishes one"
        )
    for name, sha256 in plan.files.items():
        path = folder / name
        if not path.is_file() or durable.sha256_of(path) != sha256:
            raise UsageError(
                f"{path}: found {'other bytes' if path.is_file() else 'nothing'}, expected what "
                "was planned; copy the plan's folder again, or plan anew into another"
            )
    return plan


def share_from(text: str | None, environment: Mapping[str, str] = os.environ) -> tuple[int, int]:
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
    values = [environment.get(name) for name in names]
    if values[0] is None:
        return 0, 1
    if not all(value is not None and value.isdigit() for value in values):
        found = ", ".join(f"{name}={value}" for name, value in zip(names, values, strict=True))
        raise UsageError(f"found {found}, expected numbers; say --shard I/N")
    task, count, least = (int(str(value)) for value in values)
    index, odd = divmod(task - least, int(environment.get("SLURM_ARRAY_TASK_STEP", 1)))
    if odd or not 0 <= index < count:
        raise UsageError(
            f"found SLURM_ARRAY_TASK_ID={task} in an array of {count} from {least} that leaves "
            "numbers out, expected --array=0-N or --shard I/N"
        )
    return index, count


def _announce(
    watcher: Watcher, first: str, spec: RunSpec, settings: ExecutorSettings, record: RunRecord
) -> None:
    device = settings.device
    if settings.executor == "local":  # of a cluster's machines the driver's may have no GPU
        device = ", ".join(dict.fromkeys(local.devices(device, settings.workers)))
    notes = "".join(f"\nNOTE: {note}" for note in record.notes)
    watcher.say(f"{first}, profile {spec.profile} on {device} with {settings.executor}{notes}")


def _outcome(
    layout: Layout, done: RunSummary, options: RunOptions, *, n_shares: int = 1
) -> Outcome:
    code = exit_code(done, options.max_failed)
    values = {"out": str(layout.out), "exit_code": code, "run": asdict(done)}
    lines = run_lines(done)
    if done.failed or done.quarantined:
        lines.append(
            f"look: massannot status {layout.out}; again: massannot retry {layout.out} "
            "--status failed,quarantined"
        )
    elif code == DONE and not done.remaining:
        lines.append(f"next: {_next(layout, n_shares)}")
    return Outcome(code, "\n".join(lines), values)


def _next(layout: Layout, n_shares: int) -> str:
    left = len(plans.shard_table(layout)) - len(list(layout.commits.glob("*.json")))
    publish = f"massannot publish {layout.out} DEST"
    if n_shares == 1 or left <= 0:
        return publish
    are = counted(left, "shard is", many="shards are")
    return f"the other shares ({are} not finished), then {publish}"
