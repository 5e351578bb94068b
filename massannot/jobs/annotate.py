"""`massannot annotate`: plan, run, films, report and summary in one command.

From Python `massannot.annotate("ball.mp4", prompts=["a ball"])` takes the same road.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from massannot.dataset import plans
from massannot.dataset import record as run_record
from massannot.dataset.card import precision_line
from massannot.dataset.layout import Layout
from massannot.dataset.reading import Dataset
from massannot.dataset.record import RunRecord
from massannot.engine import local
from massannot.engine.progress import Progress, silent
from massannot.engine.settings import ExecutorSettings
from massannot.engine.tally import RunSummary
from massannot.errors import UsageError
from massannot.inputs.manifest import is_manifest
from massannot.inputs.phrase_list import phrases_of
from massannot.jobs.console import Watcher
from massannot.jobs.drawing import films_of, report_of
from massannot.jobs.estimate import time_ahead
from massannot.jobs.outcome import depth_lines, exit_code, prompt_lines, run_lines
from massannot.jobs.plan import PROBES, Say, Totals, probed, videos_of
from massannot.jobs.previews import drop_previews
from massannot.jobs.repeated import Command, Outcome
from massannot.jobs.reuse import reusable_record
from massannot.jobs.run import RunOptions, execute, inputs_of, keep, refuse_emulated_dtype
from massannot.models.weights import require
from massannot.plan.deal import deal
from massannot.plan.folder import PlannedShard
from massannot.plan.planned_videos import PlannedVideos, Shard
from massannot.recipes.digests import record_of
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.recipes.models import needed_weights, pinned
from massannot.recipes.spec import RunSpec
from massannot.storage.path import place, resolved
from massannot.video.sampling import Sampling
from massannot.viewers.summary import as_text, facts

DEFAULT_OUT = "massannot-out"
DEFAULT_SETTINGS = ExecutorSettings()


@dataclass(frozen=True)
class Annotated:
    """A finished run: `dataset` is None when no clip could be annotated."""

    out: Path
    run: RunSummary
    dataset: Dataset | None


@dataclass(frozen=True)
class BegunRun:
    """A run whose folder is its own and whose shards are planned."""

    spec: RunSpec
    """With every model of a hub pinned."""
    layout: Layout
    record: RunRecord
    shards: tuple[PlannedShard, ...]
    n_videos: int
    added: Totals
    """What this start added to the folder's plan."""


def annotate(
    videos: str | Path | Sequence[str | Path],
    *,
    prompts: str | Sequence[str] = (),
    out: str | Path = DEFAULT_OUT,
    profile: str = "auto",
    spec: RunSpec | None = None,
    settings: ExecutorSettings = DEFAULT_SETTINGS,
    reuse: str | Path | None = None,
    keep_depth: bool = False,
    progress: Progress = silent,
) -> Annotated:
    """Annotate videos into the folder `out`; clips that it already holds are not done again.

    `videos` are files, folders, globs, addresses, @lists and more (see inputs/sources.py), or
    manifests (see inputs/manifest.py), which also say what to look for in their own videos.
    `prompts` name what to look for everywhere. `spec` holds every other choice, see
    recipes.model_flags.run_spec; without it `profile` names the models. Raises UsageError,
    NothingToRun; a clip that fails is a row of the table `failures`.
    """
    sources = [videos] if isinstance(videos, str | Path) else list(videos)
    spec = spec or run_spec(flags=ModelFlags(profile=profile))
    spec = replace(spec, sources=tuple(map(str, sources)), phrases=phrases_of(prompts))
    options = RunOptions(reuse=None if reuse is None else place(reuse), keep_depth=keep_depth)
    begun = begin(spec, place(out), options, needs_phrases=False)
    summary = _execute(begun, settings, options, progress=progress)
    dataset = Dataset(begun.layout)  # an interrupted run may have published nothing yet
    return Annotated(begun.layout.out, summary, dataset if dataset.names else None)


def run(
    spec: RunSpec,
    out: Path,
    settings: ExecutorSettings,
    options: RunOptions,
    *,
    films: bool = True,
    warnings: Sequence[str] = (),
    quiet: bool = False,
    verbose: bool = False,
    command: Command | None = None,
) -> Outcome:
    """The command: plan and annotate, then draw films and the report. Progress goes to stderr.
    `command`: as given, to which the outcome is kept where nothing is left to do.

    Raises UsageError, OtherRecipe, MissingWeights, NothingToRun.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"-o {out}: found a file, expected a folder; choose another name")
    inputs = inputs_of(spec)
    with Watcher(quiet=quiet, verbose=verbose) as watcher:
        begun = begin(spec, out, options, settings=settings, say=watcher.say)
        watcher.say(_ahead(begun, settings, warnings))
        done = _execute(begun, settings, options, progress=watcher.watch, previews=films)
        dataset = Dataset(begun.layout)
        drawn: list[Path] = []
        report = None
        if dataset.names and films and not done.interrupted:
            watcher.begin("drawing films")
            again = done.done_now > 0
            new: list[Path] = []
            drawn = films_of(dataset, again=again, drawn=new.append)
            drop_previews(begun.layout)
            report = report_of(dataset, again=again or bool(new))

    def outcome_of(done: RunSummary) -> Outcome:
        annotated = Annotated(out, done, dataset if dataset.names else None)
        code = exit_code(done, options.max_failed)
        text = _as_text(annotated, begun.spec, begun.record, drawn, report)
        return Outcome(code, text, _as_json(annotated, drawn, report, code))

    if command is not None:
        keep(command, done, outcome_of, inputs, begun.spec)
    return outcome_of(done)


def begin(
    spec: RunSpec,
    out: Path,
    options: RunOptions,
    *,
    settings: ExecutorSettings = DEFAULT_SETTINGS,
    say: Say = lambda line: None,
    needs_phrases: bool = True,
) -> BegunRun:
    """Plan the spec's videos into the output folder: new ones get shards of their own.

    `needs_phrases`: refuse a recipe that looks for things when no video names any; questions alone
    are enough without. What cannot be built, found or loaded is refused before anything is
    written. Raises what `run` raises.
    """
    layout = Layout(out)
    existing = run_record.read(layout)
    known = None if existing is None or not existing.spec.get("models") else existing.spec
    spec = pinned(spec, known=None if known is None else RunSpec.from_json(known).models)
    pipeline = spec.pipeline()
    require(needed_weights(spec))
    if options.reuse is not None:
        reusable_record(options.reuse, spec)
    if settings.executor == "local":
        local.devices(settings.device, settings.workers)
    refuse_emulated_dtype(spec, settings)
    videos = videos_of(spec, needs_phrases=needs_phrases and pipeline.uses_phrases, say=say)
    record = run_record.begin(layout, record_of(spec, pipeline), allow_code=options.allow_code)
    _refuse_other_folder(layout, record, spec, videos)
    added = Totals()
    probes = layout.local / "_run" / PROBES

    def dealt(new: PlannedVideos, first_number: int) -> Iterator[Shard]:
        nonlocal added
        with_costs, added = probed(spec, new, probes, say=say)
        return deal(with_costs, shard_cost=spec.shard_pixels, first_number=first_number)

    plans.add_new(layout, videos, dealt)
    shutil.rmtree(probes, ignore_errors=True)
    return BegunRun(spec, layout, record, plans.shards_of(layout, videos), len(videos), added)


def _refuse_other_folder(
    layout: Layout, record: RunRecord, spec: RunSpec, videos: PlannedVideos
) -> None:
    """Raises UsageError where relative names would mean other files than at the first start."""
    first = record.spec.get("folder")
    if first is None or spec.folder is None or first == spec.folder:
        return
    relative = next((v.uri for v in videos if resolved(v.uri, folder="/") != v.uri), None)
    if relative is not None:
        raise UsageError(
            f"{relative}: relative names of {layout.out} start from {first}, where it was begun; "
            "give the command there, or an absolute name"
        )


def _execute(
    begun: BegunRun,
    settings: ExecutorSettings,
    options: RunOptions,
    *,
    progress: Progress,
    previews: bool = False,
) -> RunSummary:
    return execute(
        begun.spec,
        begun.record,
        begun.layout,
        begun.shards,
        settings,
        options,
        progress=progress,
        previews=previews,
    )


def _ahead(begun: BegunRun, settings: ExecutorSettings, warnings: Sequence[str]) -> str:
    """Before the first frame: profile, device, what will be looked for, how long it may take."""
    spec = begun.spec
    wanted = [*map(repr, spec.phrases)]
    wanted += [f"what {source} asks for" for source in spec.sources if is_manifest(source)]
    device = settings.device
    if settings.executor == "local":
        device = local.devices(device, settings.workers)[0]
    ahead = time_ahead(
        spec,
        begun.n_videos,
        begun.added.frames,
        begun.added.clips,
        device,
        settings.workers or 1,
    )
    return (
        f"profile {spec.profile} on {device}; looking for "
        + (", ".join(wanted) or "what the sources' captions name")
        + f"\nahead: {ahead}"
        + "".join(f"\nwarning: {sentence}" for sentence in (*warnings, *_shorter(spec)))
    )


def _shorter(spec: RunSpec) -> tuple[str, ...]:
    """Where clips are shorter than was asked for; by default every frame of a clip fits."""
    sentence = spec.sampling.shorter_clips
    return (sentence,) if sentence and spec.sampling.clip_s != Sampling.clip_s else ()


def _as_text(
    done: Annotated, spec: RunSpec, record: RunRecord, films: list[Path], report: Path | None
) -> str:
    lines = run_lines(done.run)
    if done.dataset is None or not done.run.done:
        return "\n".join(lines)
    looks = []
    if films:
        looks.append(f"films:  {films[0]}" + (f" and {len(films) - 1} more" * (len(films) > 1)))
    if report is not None:
        looks.append(f"report: {report}")
    looks.append(f"tables: {done.out}/data/*/*.parquet (`massannot inspect {done.out}`)")
    current = run_record.read(done.dataset.layout)
    text = as_text(
        facts(done.dataset),
        out=done.out,
        models=[] if current is None else _model_lines(current),
        notes=record.notes,
        looks=looks,
    )
    warnings = [
        *depth_lines(done.dataset.table("clips"), spec),
        *prompt_lines(done.dataset.table("frames"), spec),
    ]
    return "\n".join([text, *warnings, *lines])


def _model_lines(record: RunRecord) -> list[str]:
    """A line a job: which model, whose weights, under which licence; and what precision moves."""
    lines = []
    for card in record.weights:
        source = f" {card.weights}" if card.weights else ""
        commit = f" @ {card.revision[:8]}" if card.revision and card.weights else ""
        license = f" ({card.license})" if card.license else ""
        note = f": {card.note}" if card.note else ""
        lines.append(f"{card.name}{source}{commit}{license}{note}")
    moved = precision_line(record.deviations)
    return list(dict.fromkeys(lines)) + ([moved] if moved else [])


def _as_json(done: Annotated, films: list[Path], report: Path | None, code: int) -> dict[str, Any]:
    return {
        "out": str(done.out),
        "exit_code": code,
        "run": asdict(done.run),
        "questions": asdict(done.run.questions),
        "found": facts(done.dataset).as_json() if done.dataset is not None else None,
        "films": [str(film) for film in films],
        "report": None if report is None else str(report),
    }
