"""One `annotate` job, from the user's wishes to an exit code: run, films, report, summary."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from massannot.dataset import record as run_record
from massannot.dataset.layout import Layout
from massannot.dataset.reading import Dataset
from massannot.engine.driver import SENT_TO_STOP
from massannot.engine.tally import RunSummary
from massannot.errors import UsageError
from massannot.inputs.manifest import is_manifest
from massannot.jobs import api, estimate
from massannot.jobs.console import Watcher
from massannot.models.runtime import pick
from massannot.models.weights import require
from massannot.plan.planned_videos import Plan, deal
from massannot.recipes.models import default_profile, needed_weights, notes, without_effect
from massannot.recipes.spec import Choice
from massannot.video.sampling import Sampling
from massannot.viewers.summary import as_text, facts

DONE, TOO_MANY_FAILED, NOTHING_RAN, INTERRUPTED = 0, 3, 4, 75


@dataclass(frozen=True)
class Job:
    """What was asked for on the command line."""

    videos: tuple[str, ...]
    prompts: tuple[str, ...]
    out: Path
    choice: Choice
    sampling: Sampling = Sampling()
    device: str = "auto"
    workers: int | None = None
    limit: int | None = None
    sample: str = "first"
    seed: int = 0
    root: str | None = None
    films: bool = True
    max_failed: float = 0.0
    reuse: Path | None = None
    keep_depth: bool = False


@dataclass(frozen=True)
class Outcome:
    """A job that is over, told twice: for people and for scripts."""

    code: int
    text: str
    as_json: dict[str, Any]


def run(job: Job, *, quiet: bool = False, verbose: bool = False, as_json: bool = False) -> int:
    """Do the job, print the summary to stdout, and give the exit code of DESIGN: 0, 3, 4 or 75."""
    return told(lambda: do(job, quiet=quiet, verbose=verbose), as_json=as_json)


def told(errand: Callable[[], Outcome], *, as_json: bool) -> int:
    """Run an errand that takes long, print what came of it to stdout, and give its exit code."""
    before = [signal.signal(number, _end_between_clips) for number in SENT_TO_STOP]
    try:  # while clips are worked on, the executor's own handlers are there
        outcome = errand()
    finally:
        for number, handler in zip(SENT_TO_STOP, before, strict=True):
            signal.signal(number, handler)
    if as_json:
        print(json.dumps(outcome.as_json, indent=2, ensure_ascii=False))
    else:
        print(outcome.text)
    return outcome.code


def _end_between_clips(number: int, frame: object) -> None:
    """Asked to stop while nothing runs: before the workers, or while films are drawn."""
    print("interrupted; the same command continues", file=sys.stderr)
    sys.exit(INTERRUPTED)


def do(job: Job, *, quiet: bool = False, verbose: bool = False) -> Outcome:
    """The job itself. Progress goes to stderr, nothing to stdout."""
    with Watcher(quiet=quiet, verbose=verbose) as watcher:
        if job.out.exists() and not job.out.is_dir():
            raise UsageError(f"-o {job.out}: found a file, expected a folder; choose another name")
        device = device_of(job.device)
        plan = _plan(job)
        job.choice.build()  # what cannot be built is said before anything is promised
        choice = api.as_begun(job.choice, job.out)
        require(needed_weights(choice))
        watcher.say(_before(job, plan, device))
        done = api.annotate_plan(
            plan,
            out=job.out,
            choice=choice,
            sampling=job.sampling,
            device=job.device,
            workers=job.workers,
            reuse=job.reuse,
            keep_depth=job.keep_depth,
            progress=watcher.watch,
        )
        films: list[Path] = []
        report = None
        if done.dataset is not None and job.films and not done.run.interrupted:
            watcher.say("drawing films")
            films = api.films_of(done.dataset, each=lambda film: None)
            report = api.report_of(done.dataset)
    code = exit_code(done.run, job.max_failed)
    return Outcome(code, _as_text(job, done, films, report), _as_json(done, films, report, code))


def device_of(wish: str) -> str:
    """What --device means here. Raises UsageError, NothingToRun for one that is not there."""
    check_device(wish)
    return pick(wish)


def check_device(wish: str) -> None:
    """Raises UsageError for what names no device, whether or not this machine has it."""
    if wish not in ("auto", "cpu", "cuda") and not re.fullmatch(r"cuda:\d+", wish):
        raise UsageError(f"--device {wish}: expected auto, cpu, cuda or cuda:N")


def _plan(job: Job) -> Plan:
    """What to read and what to look for. Raises UsageError when that is nothing."""
    plan = deal(
        api.videos_of(
            job.videos,
            phrases=api.phrases_of(job.prompts),
            limit=job.limit,
            sample=job.sample,
            seed=job.seed,
            root=job.root,
        )
    )
    api.refuse_nothing_asked(span for video in plan.videos for span in video.spans)
    return plan


def _before(job: Job, plan: Plan, device: str) -> str:
    """Before the first frame: profile, device, what will be looked for, how long it may take."""
    profile = default_profile() if job.choice.profile == "auto" else job.choice.profile
    asked = [f"what {video} asks for" for video in job.videos if is_manifest(video)]
    texts = [phrase.text for phrase in api.phrases_of(job.prompts)]
    ahead = estimate.sentence(
        [video.uri for video in plan.videos],
        job.sampling,
        profile=profile,
        device=device,
        workers=job.workers or 1,
    )
    known = ", less what is there already" if Layout(job.out).run.is_dir() else ""
    return (
        f"profile {profile} on {device}; looking for "
        + ", ".join([*map(repr, texts), *asked])
        + f"\nahead: {ahead}{known}"
        + "".join(f"\nNOTE: {note}" for note in notes(job.choice))
        + "".join(f"\nwarning: {sentence}" for sentence in without_effect(job.choice))
    )


def exit_code(summary: RunSummary, max_failed: float) -> int:
    """0, 3 or 75. `max_failed` is a share of the clips, and of the rows of manifests."""
    if summary.interrupted:
        return INTERRUPTED
    if summary.questions.bad_share > max_failed:
        return TOO_MANY_FAILED
    failed = summary.failed + summary.quarantined
    settled = summary.done + failed
    if settled and failed / settled > max_failed:
        return TOO_MANY_FAILED
    return DONE


def run_lines(run: RunSummary) -> list[str]:
    """How a run stands: counts that close, failures by class, and a manifest's rows."""
    speed = ""
    if run.done_now:
        speed = (
            f"; {run.done_now} now in {run.seconds:.1f} s, "
            f"{1000 * run.seconds / max(run.frames_now, 1):.0f} ms a frame"
        )
    lines = [run.counts + speed]
    if run.interrupted:
        lines.append("interrupted; the same command continues")
    lines += [f"{f.status}: {f.clips} x {f.reason}" for f in run.failures]
    return [*lines, *run.questions.lines]


def _as_text(job: Job, done: api.Annotated, films: list[Path], report: Path | None) -> str:
    lines = run_lines(done.run)
    if done.dataset is None:
        return "\n".join(lines)
    looks = []
    if films:
        looks.append(f"films:  {films[0]}" + (f" and {len(films) - 1} more" * (len(films) > 1)))
    if report is not None:
        looks.append(f"report: {report}")
    looks.append(f"tables: {done.out}/data/*/*.parquet (`massannot inspect {done.out}`)")
    text = as_text(
        facts(done.dataset),
        out=done.out,
        models=_models(done.dataset),
        notes=notes(job.choice),
        looks=looks,
    )
    return "\n".join([text, *lines])


def _models(dataset: Dataset) -> list[str]:
    """A line a job: which model, whose weights, under which licence."""
    record = run_record.read(dataset.layout)
    if record is None:
        return []
    shown = []
    for w in record.weights:
        source = f" {w.weights}" if w.weights else ""
        at = f" @ {w.revision[:8]}" if w.revision and w.weights else ""
        license = f" ({w.license})" if w.license else ""
        shown.append(f"{w.name}{source}{at}{license}")
    return list(dict.fromkeys(shown))


def _as_json(
    done: api.Annotated, films: list[Path], report: Path | None, code: int
) -> dict[str, Any]:
    return {
        "out": str(done.out),
        "exit_code": code,
        "run": asdict(done.run),
        "questions": asdict(done.run.questions),
        "found": facts(done.dataset).as_json() if done.dataset is not None else None,
        "films": [str(film) for film in films],
        "report": None if report is None else str(report),
    }
