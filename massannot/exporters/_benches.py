"""Questions and films of a benchmark: no profile in the text, every split in one file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from massannot.dataset.reading import Dataset
from massannot.errors import NothingToRun
from massannot.exporters import Options
from massannot.exporters._pictures import write_films
from massannot.exporters._training import picture_names
from massannot.questions.answers import Choice, Number, YesNo, bare_options
from massannot.questions.examples import Example, TrainingData, examples
from massannot.questions.units import unit

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, kw_only=True)
class BenchOptions(Options):
    """The options of a benchmark's format."""

    frames: Annotated[int, "Of a film that a reader takes; the film has them all."] = 32
    max_pixels: Annotated[int | None, "Of a film's picture; else 128 tokens of Qwen2.5-VL."] = None


@dataclass(frozen=True)
class Bench:
    examples: tuple[Example, ...]
    """With their films in the folder."""
    left_out: tuple[str, ...]


def bench_examples(dataset: Dataset, folder: Path, options: BenchOptions) -> Bench:
    """Every question that can be judged, its film written. Raises NothingToRun where there is
    none."""
    data = TrainingData(
        frames=options.frames, max_pixels=options.max_pixels, profile_template="none"
    )
    found = examples(dataset, data, media="video", min_quality=options.min_quality)
    written = write_films(dataset, found.examples, folder)
    shown = [one for one in found.examples if picture_names(one, "video")[0] in written]
    gone = [one for one in found.examples if one not in shown]
    left_out = (
        *(one.sentence for one in found.left_out),
        *(f"question {one.row['question_id']}: its video cannot be read again" for one in gone),
    )
    if not shown:
        raise NothingToRun(f"{dataset.layout.out}: found no question to ask: {left_out[0]}")
    return Bench(tuple(replace(one, question=_asked(one)) for one in shown), left_out)


def lettered(example: Example) -> list[str]:
    """Options with their letters; none for another kind."""
    if example.expected.problem_type != "multiple_choice":
        return []
    bare = bare_options(example.expected.options)
    return [f"{letter}. {text}" for letter, text in zip(_LETTERS, bare, strict=False)]


def solution(example: Example) -> str:
    """A letter, a number in the unit that is asked for, or the answer's own words."""
    value, name = example.expected.value, example.expected.unit
    if isinstance(value, Choice):
        return _LETTERS[value.index]
    if isinstance(value, YesNo):
        return "yes" if value.yes else "no"
    if isinstance(value, Number):
        return f"{unit(name).from_base(value.value) if name else value.value:.10g}"
    return example.expected.solution


def _asked(example: Example) -> str:
    """The question, with the time at which its film begins, and the unit of its answer."""
    film, name = example.film, example.expected.unit
    begins = f"The video begins at {film.start_s:.2f} s. " if film and film.start_s else ""
    asked = f" Answer in {unit(name).symbol}." if name else ""
    return f"{begins}{example.question}{asked}"
