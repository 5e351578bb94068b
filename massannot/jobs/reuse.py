"""Results of another run that stand in for stages of this one.

A table can be taken from another output folder when the stage that wrote it, and every stage before
on which that depends, had equal options, weights and code, the clip has the same frames, and, where
phrases decide, the same phrases. Depth is no table: a run keeps it on request, exactly as the model
gave it, in `_run/depth`, for a later run to take.

Keys of stages: equal keys, equal results for equal frames.

A key covers the stage's options, weights and code, the files that answer instead of a model, and
the keys of the stages that wrote what it reads.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from massannot.clip import Clip
from massannot.dataset.depth_cache import depth_file, depth_folder, keep, load
from massannot.dataset.layout import Layout
from massannot.dataset.reading import Dataset
from massannot.dataset.record import shown_differences
from massannot.errors import OtherRecipe, UsageError
from massannot.jobs.kept_choice import KeptChoice, kept_choice
from massannot.recipes.digests import code_digests, digests
from massannot.recipes.models import pins_of
from massannot.recipes.spec import Choice
from massannot.stages._stage import GIVEN, Pipeline
from massannot.video.sampling import Sampling


@dataclass(frozen=True)
class Made:
    """A pipeline whose stages have keys: equal keys, equal results for equal frames."""

    pipeline: Pipeline
    keys: tuple[str, ...]
    by_phrases: tuple[bool, ...]
    """Whether the clip's phrases decide too."""

    def writers(self, name: str) -> list[int]:
        """Places of the stages that write it, in order."""
        return [n for n, stage in enumerate(self.pipeline.stages) if name in stage.writes]

    def writer_before(self, name: str, place: int) -> int | None:
        return max((n for n in self.writers(name) if n < place), default=None)


def made(choice: Choice, sampling: Sampling) -> Made:
    """The pipeline of a choice, with its keys."""
    pipeline = choice.build()
    known = digests(choice, pipeline)
    keys: list[str] = []
    by_phrases: list[bool] = []
    bare = Made(pipeline, (), ())
    for place, (stage, described) in enumerate(
        zip(pipeline.stages, known["recipe"]["stages"], strict=True)
    ):
        before = {name: bare.writer_before(name, place) for name in stage.reads}
        content = {
            "stage": described,
            "weights": {s: known["weights"].get(s) for s in pins_of(described)},
            "answers": [
                known["answers"][s] for s in known["answers"] if _names(described, choice, s)
            ],
            "code": known["code"],
            "reads": {n: str(sampling) if w is None else keys[w] for n, w in before.items()},
        }
        text = json.dumps(content, sort_keys=True, ensure_ascii=False)
        keys.append(hashlib.blake2b(text.encode(), digest_size=16).hexdigest())
        inherited = any(by_phrases[w] for w in before.values() if w is not None)
        by_phrases.append(inherited or getattr(stage, "uses_phrases", False))
    return Made(pipeline, tuple(keys), tuple(by_phrases))


def _names(described: Any, choice: Choice, step: str) -> bool:
    """Whether a stage's description names the file that answers for `step`."""
    path = str(getattr(choice, step))
    if isinstance(described, Mapping):
        return any(_names(value, choice, step) for value in described.values())
    if isinstance(described, list):
        return any(_names(value, choice, step) for value in described)
    return described == path


RASTER = "depth"
Change = Callable[[Clip], Clip]
Version = tuple[str, int]
"""A table (or the raster) as the stage at this place left it."""


@dataclass(frozen=True)
class Builder:
    """Builds the pipeline in a worker: picklable. `reuse`: the other output folder; `keep_depth`:
    the folder in which depth is kept."""

    choice: Choice
    sampling: Sampling
    reuse: Path | None = None
    keep_depth: Path | None = None

    def __call__(self) -> Pipeline:
        if self.reuse is None and self.keep_depth is None:
            return self.choice.build()
        mine = made(self.choice, self.sampling)
        other = None if self.reuse is None else _Other.of(self.reuse)
        return replace(mine.pipeline, earlier=Earlier(mine, other, self.keep_depth))


def reusing(
    choice: Choice, sampling: Sampling, *, out: Path, reuse: Path | None, keep_depth: bool
) -> Callable[[], Pipeline]:
    """What builds the pipeline of a run in `out`. Raises what `check` raises."""
    if reuse is not None:
        check(reuse)
    return Builder(choice, sampling, reuse, depth_folder(Layout(out)) if keep_depth else None)


def check(out: Path) -> None:
    """Raises UsageError for a folder without a run, OtherRecipe for one of other code, of which
    nothing could be taken."""
    kept = kept_choice(Layout(out))
    found = shown_differences(kept.code, code_digests())
    if found:
        raise OtherRecipe(f"--reuse {out}: nothing of it can be taken, its code differs:\n{found}")


class _Other:
    """What another run has made."""

    def __init__(self, layout: Layout, kept: KeptChoice) -> None:
        self.dataset = Dataset(layout)
        self.layout = layout
        self.made = made(kept.choice, kept.sampling)

    @classmethod
    def of(cls, out: Path) -> _Other:
        check(out)
        return cls(Layout(out), kept_choice(Layout(out)))

    @cached_property
    def versions(self) -> Mapping[tuple[str, str], tuple[str, ...]]:
        """(table, key of the stage that left it so) to the columns that were null then."""
        found: dict[tuple[str, str], tuple[str, ...]] = {}
        for name in self.made.pipeline.tables:
            cleared: tuple[str, ...] = ()
            for place in reversed(self.made.writers(name)):
                found[name, self.made.keys[place]] = cleared
                fills = getattr(self.made.pipeline.stages[place], "fills", {})
                if name not in fills:
                    break
                cleared += fills[name]
        return found

    def table(self, name: str, clip_id: str, cleared: tuple[str, ...]) -> pa.Table:
        table = self.dataset.clip(clip_id).table(name)
        for column in cleared:
            place = table.column_names.index(column)
            field = table.schema.field(place)
            table = table.set_column(place, field, pa.nulls(table.num_rows, field.type))
        return table


class Earlier:
    """What stands in for stages of `mine`, clip by clip; see pipeline.Earlier."""

    def __init__(self, mine: Made, other: _Other | None, keep_depth: Path | None) -> None:
        self._mine = mine
        self._other = other
        self._keep_depth = keep_depth

    def instead(self, clip: Clip) -> Mapping[int, Change]:
        """For the place of each stage that need not run, what it would have changed."""
        if self._other is None or not self._has(clip):
            return {}
        ready = dict(self._ready(self._other, clip))
        running = self._needed(ready)
        stages = self._mine.pipeline.stages
        return {
            place: _all([ready[v] for name in stage.writes if (v := (name, place)) in ready])
            for place, stage in enumerate(stages)
            if place not in running
        }

    def made(self, place: int, clip: Clip) -> None:
        """A stage has run: keep what a later run may take."""
        stage = self._mine.pipeline.stages[place]
        if self._keep_depth is None or RASTER not in stage.writes or clip.depth is None:
            return
        if not self._mine.by_phrases[place] and not clip.micro_batch:
            path = depth_file(self._keep_depth, clip, self._mine.keys[place])
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
        for place, stage in enumerate(self._mine.pipeline.stages):
            if self._mine.by_phrases[place] and not same_phrases:
                continue
            key = self._mine.keys[place]
            for name in stage.writes:
                if name == RASTER:
                    path = depth_file(depth_folder(other.layout), clip, key)
                    if path.exists():
                        yield (name, place), _with_depth(path)
                elif (name, key) in other.versions:
                    table = other.table(name, clip.clip_id, other.versions[name, key])
                    if name != "clips" or _says_the_same(table, clip):
                        yield (name, place), _with_table(name, table)

    def _needed(self, ready: Mapping[Version, Change]) -> set[int]:
        """Places of the stages that must run, given what is ready."""
        mine = self._mine
        wanted = [(name, max(w)) for name in mine.pipeline.tables if (w := mine.writers(name))]
        running: set[int] = set()
        while wanted:
            name, place = wanted.pop()
            if (name, place) in ready or place in running:
                continue
            running.add(place)
            for read in mine.pipeline.stages[place].reads:
                before = mine.writer_before(read, place)
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
