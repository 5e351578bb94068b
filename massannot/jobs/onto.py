"""`annotate --onto OUT --add-phrase` and `run --onto`: a finished dataset is asked for more.

What stands is not computed again and stays byte for byte; see recipes/beside.py for what is new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from massannot.counts import counted
from massannot.dataset import plans
from massannot.dataset import record as run_record
from massannot.dataset.layout import Layout
from massannot.dataset.reading import Dataset
from massannot.dataset.reopening import ADDED
from massannot.dataset.steps import add_step, read_steps, shards_lacking
from massannot.engine.settings import ExecutorSettings
from massannot.errors import UsageError
from massannot.inputs.phrase_list import phrases_of
from massannot.jobs.console import Watcher
from massannot.jobs.outcome import exit_code, run_lines
from massannot.jobs.plan import refuse_unknown_words
from massannot.jobs.repeated import Outcome
from massannot.jobs.run import RunOptions, execute
from massannot.models.weights import require
from massannot.plan.planned_videos import PlannedVideos
from massannot.recipes.digests import record_of
from massannot.recipes.models import needed_weights, vocabulary_of_detector
from massannot.recipes.spec import RunSpec
from massannot.stages.detect_phrases import DetectPhrases


def add_phrases(
    out: Path,
    prompts: Sequence[str],
    settings: ExecutorSettings,
    options: RunOptions,
    *,
    quiet: bool = False,
    verbose: bool = False,
) -> Outcome:
    """Ask every clip of a run's folder for these phrases too. Broken off, the same command goes on.

    Raises UsageError for a folder without a run or of version 0.1, a recipe that looks for no
    phrases, and phrases that the run was begun with; OtherRecipe where code or weights are others.
    """
    layout = Layout(out)
    run_record.refuse_v0(layout)
    record = run_record.required(layout)
    spec = RunSpec.from_json(record.spec)
    phrases = phrases_of(prompts)
    known = [phrase for phrase in phrases if phrase in record.phrases]
    if known or not phrases:
        raise UsageError(
            f"--add-phrase: found {known or 'none'}, expected phrases that {out} was not begun with"
        )
    pipeline = spec.pipeline()
    if not any(isinstance(stage, DetectPhrases) for stage in pipeline.stages):
        raise UsageError(f"--add-phrase: recipe {pipeline.name} of {out} looks for no phrases")
    vocabulary = vocabulary_of_detector(spec)
    refuse_unknown_words(replace(spec, phrases=phrases), PlannedVideos(()), vocabulary)
    require(needed_weights(spec))
    with Watcher(quiet=quiet, verbose=verbose) as watcher:
        watcher.say(f"{', '.join(map(repr, phrases))} besides, in {out}, profile {spec.profile}")
        record = run_record.begin(layout, record_of(spec, pipeline), allow_code=options.allow_code)
        add_step(layout, phrases)
        shards = plans.retried(layout, (ADDED,))
        done = execute(spec, record, layout, shards, settings, options, progress=watcher.watch)
    n_left = len(list(shards_lacking(layout)))
    found = _found(layout, phrases)
    lines = [*run_lines(done), *(f"{text}: {n} found" for text, n in found.items())]
    if n_left:
        have = counted(n_left, "shard has clips", many="shards have clips")
        lines.append(f"{have} that were not asked: the same command goes on")
    else:
        lines.append(f"next: massannot publish {out} DEST")
    code = exit_code(done, options.max_failed)
    steps = [asdict(step) for step in read_steps(layout)]
    values = {"out": str(out), "exit_code": code, "run": asdict(done), "steps": steps}
    return Outcome(code, "\n".join(lines), values | {"found": found, "shards_left": n_left})


def _found(layout: Layout, phrases: Sequence[str]) -> dict[str, int]:
    """Entities of each phrase."""
    rows = Dataset(layout).table_or_empty("phrases").select(["text", "n_entities"]).to_pylist()
    return {text: sum(r["n_entities"] for r in rows if r["text"] == text) for text in phrases}
