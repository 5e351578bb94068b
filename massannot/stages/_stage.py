"""Stage and Pipeline: an ordered list of stages, checked when it is built.

A recipe is a function that returns a Pipeline. Describing one costs nothing: weights load in
`setup`. A stage that reads what no earlier stage wrote is refused in the first second.

Unusual: a stage's options and models are its fields, and its name is its file's. `setup`, `destroy`
and `cards` find the models among the fields, so a stage with one model, three or none writes only
`process`.
"""

from __future__ import annotations

import abc
import dataclasses
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePath
from typing import Any, ClassVar, Protocol, TypeVar, get_type_hints

from massannot.clip import Clip
from massannot.errors import BadRecipe, ClipError, MassannotError, ModelFailed, OutOfMemory
from massannot.models.protocols import Model, ModelCard
from massannot.models.runtime import free_device_memory, halved, is_out_of_memory

GIVEN = ("frames",)
"""Given before the first stage: a clip's pictures and the table of the same name."""


@dataclass(frozen=True)
class Stage(abc.ABC):
    """One step of a pipeline: it reads some tables and rasters of a clip and writes others.

    A stage is a frozen dataclass, so that two equal recipes have equal descriptions.
    """

    reads: ClassVar[tuple[str, ...]] = ()
    """Tables, or the rasters `frames` and `depth`, that must exist before."""
    writes: ClassVar[tuple[str, ...]] = ()
    """Tables, or the raster `depth`, that exist afterwards: new ones or replaced ones."""
    uses_phrases: ClassVar[bool] = False
    """Whether it looks at `clip.phrases`: then other phrases give other tables."""
    fills: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Of tables that it replaces: the columns, null until then, that are all it changes."""

    @property
    def name(self) -> str:
        """The class's name with underscores: EstimateDepth, of the file estimate_depth.py, is
        `estimate_depth`."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).lower()

    @abc.abstractmethod
    def process(self, clip: Clip) -> Clip:
        """`clip` with the tables and rasters of `writes`. Raises ClipError."""

    def setup(self, *, device: str) -> None:
        """Load the models of the fields onto `device`. Raises MissingWeights."""
        for model in self._models():
            model.setup(device=device)

    def destroy(self) -> None:
        """Give the models' memory back."""
        for model in self._models():
            model.destroy()

    def cards(self) -> tuple[ModelCard, ...]:
        """The weights of the models, in the order of the fields."""
        return tuple(model.card() for model in self._models())

    def _models(self) -> Iterator[Model]:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Model):
                yield value


@dataclass(frozen=True)
class StageTime:
    """Seconds one stage took on one clip: for progress, never for a table."""

    stage: str
    seconds: float


class EarlierResults(Protocol):
    """Results of an earlier run that stand in for stages of this one."""

    def instead(self, clip: Clip) -> Mapping[int, Callable[[Clip], Clip]]:
        """By the index of each stage that need not run: a function that makes its changes."""

    def added(self, index: int, clip: Clip) -> Callable[[Clip], Clip] | None:
        """What the stage at this index does that only adds to what there is; None: it runs."""

    def made(self, index: int, clip: Clip) -> None:
        """Note that the stage at this index has run."""


class StageFailed(ClipError):
    """A stage raised on this clip: which one, and the error it raised (`__cause__`)."""

    def __init__(self, stage: str, error: ClipError):
        super().__init__(str(error))
        self.stage = stage
        self.reason = error.reason


@dataclass(frozen=True)
class Pipeline:
    """Stages in order. `name` and `profile` name the recipe in records."""

    name: str
    stages: tuple[Stage, ...]
    profile: str = ""
    notes: tuple[str, ...] = ()
    """Sentences for every summary: answers that are oracles', weights that are not for real
    video."""
    earlier: EarlierResults | None = dataclasses.field(default=None, compare=False)
    """Changes nothing but the time it takes."""

    def __post_init__(self) -> None:
        written = set(GIVEN)
        for stage in self.stages:
            missing = [name for name in stage.reads if name not in written]
            if missing:
                writers = [s.name for s in self.stages if set(missing) & set(s.writes)]
                hint = f"; {writers[0]} writes it, but comes later" if writers else ""
                raise BadRecipe(
                    f"recipe {self.name}: stage {stage.name} reads {missing}, which no earlier "
                    f"stage wrote (written so far: {sorted(written)}){hint}"
                )
            written |= set(stage.writes)

    @property
    def tables(self) -> tuple[str, ...]:
        """Tables that a finished clip has, `videos` and `frames` included, sorted by name."""
        written = {name for stage in self.stages for name in stage.writes} - {"depth"}
        return tuple(sorted(written | {"videos", "frames"}))

    @property
    def uses_phrases(self) -> bool:
        """Whether any stage looks for named things."""
        return any(stage.uses_phrases for stage in self.stages)

    def setup(self, *, device: str) -> None:
        for stage in self.stages:
            stage.setup(device=device)

    def destroy(self) -> None:
        for stage in self.stages:
            stage.destroy()

    def process(self, clip: Clip, *, times: list[StageTime] | None = None) -> Clip:
        """The clip with every stage's tables. One that finds no memory is done again, once, with
        half the micro-batch. Raises StageFailed for a clip that cannot be annotated; anything that
        is not a ClipError is a bug and rises as it is."""
        try:
            return self._process(clip, times)
        except StageFailed as error:
            if clip.micro_batch or error.reason != OutOfMemory.reason:
                raise
        # Only here, after the error, has its traceback let go of what lies on the device.
        free_device_memory()
        if times is not None:
            times.clear()
        return self._process(dataclasses.replace(clip, micro_batch=1), times)

    def _process(self, clip: Clip, times: list[StageTime] | None) -> Clip:
        instead = {} if self.earlier is None else self.earlier.instead(clip)
        for index, stage in enumerate(self.stages):
            if index in instead:
                clip = instead[index](clip)
                continue
            started = time.perf_counter()
            added = None if self.earlier is None else self.earlier.added(index, clip)
            try:
                with halved(clip.micro_batch):
                    clip = (added or stage.process)(clip)
            except ClipError as error:
                raise StageFailed(stage.name, error) from error
            except MassannotError:
                raise
            except (ArithmeticError, IndexError, ValueError, RuntimeError, MemoryError) as error:
                kind = OutOfMemory if is_out_of_memory(error) else ModelFailed
                failure = kind(f"{type(error).__name__}: {error}")
                raise StageFailed(stage.name, failure) from error
            if times is not None:
                times.append(StageTime(stage.name, time.perf_counter() - started))
            if self.earlier is not None:
                self.earlier.made(index, clip)
        return clip

    def describe(self) -> dict[str, Any]:
        """The recipe as JSON values: all stages, options and models, which decide the output."""
        return {
            "recipe": self.name,
            "profile": self.profile,
            "stages": [
                {"stage": stage.name, **{k: _plain(v) for k, v in _options(stage)}}
                for stage in self.stages
            ],
        }

    @property
    def digest(self) -> str:
        """blake2b-128 of `describe()`: equal recipes have equal digests."""
        text = json.dumps(self.describe(), sort_keys=True, ensure_ascii=False)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def with_option(self, stage_name: str, option: str, value: str) -> Pipeline:
        """A pipeline with `stage.option=value`, the value read as the option's type.

        Raises BadRecipe naming the stages or options that exist.
        """
        names = [stage.name for stage in self.stages]
        if stage_name not in names:
            raise BadRecipe(f"no stage {stage_name!r} in recipe {self.name}; stages: {names}")
        stages = tuple(
            with_option(stage, option, value, where=f"stage {stage.name}")
            if stage.name == stage_name
            else stage
            for stage in self.stages
        )
        return dataclasses.replace(self, stages=stages)


def _options(stage: Stage) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(stage):
        if not field.name.startswith("_"):
            yield field.name, getattr(stage, field.name)


def _plain(value: Any) -> Any:
    """A JSON value that names `value`: models become their class and options. Raises BadRecipe
    for what does not say its options: two that differ would pass for one recipe."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        shown = {
            f.name: _plain(getattr(value, f.name))
            for f in dataclasses.fields(value)
            if not f.name.startswith("_")
        }
        return {"is": type(value).__name__, **shown}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, PurePath | Fraction | type):
        return str(value)
    raise BadRecipe(
        f"a recipe holds a {type(value).__name__}, which does not say its options; make it a "
        "dataclass, so that runs with other options are not taken for this one"
    )


Owner = TypeVar("Owner")


def with_option(owner: Owner, option: str, value: str, *, where: str) -> Owner:
    """A stage or model with `option` (dots name options of options) read from `value`.

    Raises BadRecipe, beginning with `where`, naming the options that exist.
    """
    changed: Owner = _replaced(owner, option.split("."), value, where)
    return changed


def _replaced(owner: Any, path: Sequence[str], text: str, where: str) -> Any:
    """`owner` with the field at the end of `path` read from `text`; models and rules have fields
    of their own, as in lift_tracks.edge.relative_jump."""
    names = [f.name for f in dataclasses.fields(owner) if not f.name.startswith("_") and f.init]
    if path[0] not in names:
        raise BadRecipe(f"{where} has no option {path[0]!r}; options: {sorted(names)}")
    current, inner = getattr(owner, path[0]), f"{where}.{path[0]}"
    if len(path) > 1:
        if not dataclasses.is_dataclass(current):
            raise BadRecipe(f"{inner} has no options of its own")
        new = _replaced(current, path[1:], text, inner)
    else:
        new = _read(inner, _typed(owner, path[0], current), text)
    return dataclasses.replace(owner, **{path[0]: new})


def _typed(owner: Any, name: str, current: Any) -> Any:
    """The present value, or, where that is None, a value of the type that the field may have."""
    if current is not None:
        return current
    hint = get_type_hints(type(owner))[name]
    kinds = [kind for kind in (float, int, bool) if kind in getattr(hint, "__args__", (hint,))]
    return kinds[0]() if kinds else None


def _read(where: str, current: Any, text: str) -> Any:
    """`text` as a value of the option's present type."""
    truths, untruths = ("true", "1", "on", "yes"), ("false", "0", "off", "no")
    try:
        if isinstance(current, bool):
            if text.lower() in truths + untruths:
                return text.lower() in truths
        elif isinstance(current, int):
            return int(text)
        elif isinstance(current, float):
            return float(text)
        elif current is None or isinstance(current, str):
            return text
    except ValueError:
        pass
    raise BadRecipe(f"{where}={text!r}: expected a {type(current).__name__} like {current!r}")
