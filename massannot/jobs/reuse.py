"""Results of another run that stand in for stages of this one.

A table can be taken from another output folder when the stage that wrote it, and every stage before
on which that depends, had equal options, weights and code, the clip has the same frames, and, where
phrases decide, the same phrases. Depth is no table: a run keeps it on request, exactly as the model
gave it, in `_run/depth`, for a later run to take.

Equal keys of stages mean equal results for equal frames. A key covers the stage's options, weights
and code, the files that answer instead of a model, and the keys of the stages that wrote what it
reads.

One thing is taken over that would not come out the same: where a detector reads all phrases in one
text, phrases that are added leave the detections of those that were there as they were
(`phrases.added` says which those are).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from massannot.clip import Clip
from massannot.dataset import record as run_record
from massannot.dataset.depth_cache import depth_file, depth_folder, keep, load
from massannot.dataset.differences import shown_differences
from massannot.dataset.layout import Layout
from massannot.dataset.reading import Dataset
from massannot.dataset.record import RunRecord
from massannot.errors import OtherRecipe, UsageError
from massannot.jobs.previews import KeepPreview
from massannot.jobs.previews import previews as preview_folder
from massannot.recipes.digests import code_of, record_of
from massannot.recipes.spec import RunSpec
from massannot.stages._stage import GIVEN, Pipeline
from massannot.stages.detect_phrases import DetectPhrases


@dataclass(frozen=True)
class WorkerPipeline:
    """Builds the pipeline in a worker; picklable."""

    spec: RunSpec
    reuse: Path | None = None
    """The other output folder."""
    keep_depth: Path | None = None
    """The folder in which depth is kept for a later --reuse."""
    previews: Path | None = None
    """The folder in which depth is kept for films."""

    @classmethod
    def of(
        cls, spec: RunSpec, layout: Layout, reuse: Path | None, keep_depth: bool, previews: bool
    ) -> WorkerPipeline:
        """Raises UsageError for a `reuse` without a run, OtherRecipe for one of other code."""
        if reuse is not None:
            reusable_record(reuse, spec)
        return cls(
            spec,
            reuse,
            depth_folder(layout) if keep_depth else None,
            preview_folder(layout) if previews else None,
        )

    def __call__(self) -> Pipeline:
        pipeline = self.spec.pipeline()
        if self.reuse is not None or self.keep_depth is not None:
            keyed = keyed_pipeline(pipeline, record_of(self.spec, pipeline))
            other = None if self.reuse is None else _Other(Layout(self.reuse), self.spec)
            pipeline = replace(pipeline, earlier=Earlier(keyed, other, self.keep_depth))
        writes_depth = any("depth" in stage.writes for stage in pipeline.stages)
        if self.previews is not None and writes_depth and "depth_maps" not in pipeline.tables:
            stages = (*pipeline.stages, KeepPreview(_folder=self.previews))
            pipeline = replace(pipeline, stages=stages)
        return pipeline


def reusable_record(out: Path, spec: RunSpec) -> RunRecord:
    """The record of another run. Raises UsageError for a folder without one, OtherRecipe for one of
    other code, of which nothing could be taken."""
    layout = Layout(out)
    run_record.refuse_v0(layout)
    record = run_record.required(layout)
    other_code = [start.other_code for start in record.starts if start.other_code]
    code = {"several states": "--allow-code"} if other_code else record.code
    found = shown_differences(code, code_of(spec))
    if found:
        raise OtherRecipe(f"--reuse {out}: nothing of it can be taken, its code differs:\n{found}")
    return record


@dataclass(frozen=True)
class KeyedPipeline:
    """A pipeline whose stages have keys: equal keys, equal results for equal frames."""

    pipeline: Pipeline
    keys: tuple[str, ...]
    by_phrases: tuple[bool, ...]
    """Whether the clip's phrases decide too."""

    def writers(self, name: str) -> list[int]:
        """Numbers of the stages that write it, in order."""
        return [n for n, stage in enumerate(self.pipeline.stages) if name in stage.writes]

    def writer_before(self, name: str, index: int) -> int | None:
        return max((n for n in self.writers(name) if n < index), default=None)


def keyed_pipeline(pipeline: Pipeline, record: RunRecord) -> KeyedPipeline:
    """The pipeline with the keys of its stages; `record` is its spec's."""
    keys: list[str] = []
    by_phrases: list[bool] = []
    bare = KeyedPipeline(pipeline, (), ())
    spec = RunSpec.from_json(record.spec)
    for index, (stage, described) in enumerate(
        zip(pipeline.stages, record.recipe["stages"], strict=True)
    ):
        before = {name: bare.writer_before(name, index) for name in stage.reads}
        content = {
            "stage": described,
            "weights": {source: record.weights_digests.get(source) for source in _pins(described)},
            "answers": [
                digest
                for job, digest in record.answers.items()
                if _names(described, spec.models[job].name)  # type: ignore[index]  # its keys are jobs
            ],
            "code": record.code,
            "reads": {
                n: record.spec["sampling"] if w is None else keys[w] for n, w in before.items()
            },
        }
        text = json.dumps(content, sort_keys=True, ensure_ascii=False)
        keys.append(hashlib.blake2b(text.encode(), digest_size=16).hexdigest())
        inherited = any(by_phrases[w] for w in before.values() if w is not None)
        by_phrases.append(inherited or getattr(stage, "uses_phrases", False))
    return KeyedPipeline(pipeline, tuple(keys), tuple(by_phrases))


def _pins(described: Any) -> dict[str, str]:
    """Hub id to revision in a Pipeline's description."""
    if isinstance(described, Mapping):
        if described.get("is") == "Weights":
            return {described["source"]: described["revision"]}
        described = list(described.values())
    pins: dict[str, str] = {}
    for value in described if isinstance(described, list | tuple) else ():
        pins |= _pins(value)
    return pins


def _names(described: Any, path: str) -> bool:
    """Whether a stage's description names the file of recorded answers."""
    if isinstance(described, Mapping):
        return any(_names(value, path) for value in described.values())
    if isinstance(described, list):
        return any(_names(value, path) for value in described)
    return bool(described == path)


RASTER = "depth"
Change = Callable[[Clip], Clip]
Version = tuple[str, int]
"""A table (or the raster) as the stage at this index left it."""


class _Other:
    """What another run has made."""

    def __init__(self, layout: Layout, spec: RunSpec) -> None:
        record = reusable_record(layout.out, spec)
        self.dataset = Dataset(layout)
        self.layout = layout
        self.made = keyed_pipeline(RunSpec.from_json(record.spec).pipeline(), record)

    @cached_property
    def versions(self) -> Mapping[tuple[str, str], tuple[str, ...]]:
        """(table, key of the stage that left it so) to the columns that were null then. What a
        stage left in a column that a later one filled anew is gone, and so is its version."""
        found: dict[tuple[str, str], tuple[str, ...]] = {}
        for name in self.made.pipeline.tables:
            cleared: tuple[str, ...] = ()
            for index in reversed(self.made.writers(name)):
                fills = getattr(self.made.pipeline.stages[index], "fills", {})
                if not {*fills.get(name, ())} & {*cleared}:
                    found[name, self.made.keys[index]] = cleared
                if name not in fills:
                    break
                cleared += fills[name]
        return found

    def table(self, name: str, clip_id: str, cleared: tuple[str, ...]) -> pa.Table:
        table = self.dataset.clip(clip_id).table(name)
        for column in cleared:
            index = table.column_names.index(column)
            field = table.schema.field(index)
            table = table.set_column(index, field, pa.nulls(table.num_rows, field.type))
        return table


class Earlier:
    """What stands in for stages of `mine`, clip by clip; see pipeline.Earlier."""

    def __init__(self, mine: KeyedPipeline, other: _Other | None, keep_depth: Path | None) -> None:
        self._mine = mine
        self._other = other
        self._keep_depth = keep_depth

    def instead(self, clip: Clip) -> Mapping[int, Change]:
        """For the index of each stage that need not run, what it would have changed."""
        if self._other is None or not self._has(clip):
            return {}
        ready = dict(self._ready(self._other, clip))
        running = self._needed(ready)
        stages = self._mine.pipeline.stages
        return {
            index: _all([ready[v] for name in stage.writes if (v := (name, index)) in ready])
            for index, stage in enumerate(stages)
            if index not in running
        }

    def added(self, index: int, clip: Clip) -> Change | None:
        """Of the stage that asks for phrases, where the other run asked for some of them: it asks
        for the others alone, and what was found for those stays as it is."""
        stage = self._mine.pipeline.stages[index]
        if self._other is None or not isinstance(stage, DetectPhrases) or not self._has(clip):
            return None
        if clip.micro_batch or self._mine.keys[index] not in self._other.made.keys:
            return None
        view = self._other.dataset.clip(clip.clip_id)
        phrases, detections = view.table("phrases"), view.table("detections")
        if not stage.adds_to(phrases, clip):
            return None
        return partial(stage.process_added, phrases=phrases, detections=detections)

    def made(self, index: int, clip: Clip) -> None:
        """A stage has run: keep what a later run may take."""
        stage = self._mine.pipeline.stages[index]
        if self._keep_depth is None or RASTER not in stage.writes or clip.depth is None:
            return
        if not self._mine.by_phrases[index] and not clip.micro_batch:
            path = depth_file(self._keep_depth, clip, self._mine.keys[index])
            keep(path, clip.depth)

    def _has(self, clip: Clip) -> bool:
        """Whether the other run finished this clip, at full micro-batches."""
        assert self._other is not None
        try:
            (row,) = self._other.dataset.clip(clip.clip_id).table("clips").to_pylist()
        except UsageError:  # it has no such clip
            return False
        return row["micro_batch"] == 0

    def _ready(self, other: _Other, clip: Clip) -> Iterator[tuple[Version, Change]]:
        """Versions of tables and of the raster that need not be made."""
        same_phrases = _phrases_of(clip) == _stored_phrases(other.dataset, clip.clip_id)
        for index, stage in enumerate(self._mine.pipeline.stages):
            if self._mine.by_phrases[index] and not same_phrases:
                continue
            key = self._mine.keys[index]
            for name in stage.writes:
                if name == RASTER:
                    path = depth_file(depth_folder(other.layout), clip, key)
                    if path.exists():
                        yield (name, index), _with_depth(path)
                elif (name, key) in other.versions:
                    table = other.table(name, clip.clip_id, other.versions[name, key])
                    if name != "clips" or _says_the_same(table, clip):
                        yield (name, index), _with_table(name, table)

    def _needed(self, ready: Mapping[Version, Change]) -> set[int]:
        """Places of the stages that must run, given what is ready."""
        mine = self._mine
        wanted = [(name, max(w)) for name in mine.pipeline.tables if (w := mine.writers(name))]
        running: set[int] = set()
        while wanted:
            name, index = wanted.pop()
            if (name, index) in ready or index in running:
                continue
            running.add(index)
            for read in mine.pipeline.stages[index].reads:
                before = mine.writer_before(read, index)
                if before is not None:
                    wanted.append((read, before))
                else:
                    assert read in GIVEN
        return running


def _all(changes: list[Change]) -> Change:
    def change(clip: Clip) -> Clip:
        for each in changes:
            clip = each(clip)
        return clip

    return change


def _with_table(name: str, table: pa.Table) -> Change:
    return lambda clip: clip.with_table(name, table)


def _with_depth(path: Path) -> Change:
    return lambda clip: clip.with_depth(load(path))


def _says_the_same(table: pa.Table, clip: Clip) -> bool:
    """Whether the row of `clips` has this clip's own columns: its video's name, for instance."""
    (row,) = table.to_pylist()
    return all(row[name] == value for name, value in clip.read_columns().items())


def _phrases_of(clip: Clip) -> list[tuple[Any, ...]]:
    return [(p.text, p.origin, p.question_id, p.char_start, p.char_end) for p in clip.phrases]


def _stored_phrases(dataset: Dataset, clip_id: str) -> list[tuple[Any, ...]]:
    names = ("text", "origin", "question_id", "char_start", "char_end")
    rows = dataset.clip(clip_id).table("phrases").sort_by("phrase").to_pylist()
    return [tuple(row[name] for name in names) for row in rows]
