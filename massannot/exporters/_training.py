"""The way from a dataset to a trainer's files and back, which the formats for trainers share.

Each row carries the whole row of `questions` as JSON (`source_row`), from which `load` makes the
table again, equal; every other column is for the trainer.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa

from massannot import tables
from massannot.counts import counted
from massannot.dataset.reading import Dataset
from massannot.dataset.splits import SPLITS
from massannot.errors import BadVideo, NothingToRun, UsageError
from massannot.exporters import Exported, Options, quality_notes
from massannot.exporters._pictures import film_name, image_name, write_films, write_images
from massannot.exporters._row_files import temporary_pictures
from massannot.questions.examples import Example, LeftOut, TrainingData, examples
from massannot.questions.expected_answer import COLUMNS
from massannot.questions.model_families import Media

TABLES = ("questions",)

_TEXT, _REAL, _WHOLE = pa.string(), pa.float64(), pa.int64()
ANSWER_COLUMNS: Mapping[str, pa.DataType] = {
    "problem_type": _TEXT,
    "options": pa.list_(_TEXT),
    "unit": _TEXT,
    "tolerance": _REAL,
    "tolerance_abs": _REAL,
    "accuracy": _TEXT,
    "evidence_times_s": pa.list_(_REAL),
    "evidence_boxes": pa.list_(pa.list_(_REAL)),
}
PROMPT_COLUMNS: Mapping[str, pa.DataType] = {
    "question_id": _TEXT,
    "video_id": _TEXT,
    "category": _TEXT,
    "profile": _TEXT,
    "reference": _TEXT,
    "question": _TEXT,
    "times_s": pa.list_(_REAL),
    "dropped": pa.list_(_TEXT),
    "n_prompt_tokens": _WHOLE,
    "geometry": pa.list_(_TEXT),
    "source_row": _TEXT,
}
"""What `columns` gives, the solution and the film's apart, as Parquet holds it."""

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(TrainingData, Options):
    """The options of every format for trainers."""

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        TrainingData.__post_init__(self)


OPTIONS = TrainingOptions


@dataclass(frozen=True)
class Limit:
    """A trainer's default limit on the tokens of a prompt."""

    n_tokens: int
    setting: str
    """The trainer's setting that raises it."""
    effect: str
    """The fate of longer prompts, as a verb."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """The files of a format: train.ENDING, and val and test where something is held out."""

    ending: str
    write: Callable[[Path, Iterable[Row], Path], None]
    """Write a file of rows, whose pictures lie in the folder of the last argument."""
    read: Callable[[Path], Iterable[Row]]
    """Rows with `source_row`."""
    pictures_inside: bool = False
    """In the file itself; else beside it."""
    limit: Limit | None = None


@dataclass(frozen=True)
class Written:
    """An export for a trainer."""

    files: tuple[Path, ...]
    examples: tuple[Example, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]

    @property
    def longest(self) -> int | None:
        """Tokens of the longest prompt; None: not counted."""
        counts = [example.prompt.n_tokens for example in self.examples]
        return max((count for count in counts if count is not None), default=None)

    def exported(self, *notes: str) -> Exported:
        """The result of `export`; `notes`: the format's own sentences."""
        sentences = tuple(question.sentence for question in self.left_out)
        return Exported(self.files, sentences, (self._counts(), *self.notes, *notes))

    def _counts(self) -> str:
        of_split = Counter(example.split for example in self.examples)
        sizes = ", ".join(f"{of_split[split]} {split}" for split in SPLITS if of_split[split])
        reasons = sorted(Counter(question.reason for question in self.left_out).items())
        why = ", ".join(f"{n} {reason}" for reason, n in reasons)
        return f"questions: {sizes}; {len(self.left_out)} left out" + (f" ({why})" if why else "")


def export_training(
    dataset: Dataset,
    folder: Path,
    options: TrainingOptions,
    *,
    form: Form,
    rows: Callable[[Sequence[Example]], Iterable[Row]],
    media: Media,
) -> Written:
    """Write every question that can be trained on. `rows`: of the examples of one file.

    A question whose video cannot be read any more is left out by name. A file of an earlier export
    with no example now is removed. Raises UsageError for prompts over the limit, where no
    --max-tokens says that it was raised; NothingToRun where every question is left out.
    """
    complete = examples(dataset, options, media=media, min_quality=options.min_quality)
    if form.limit is not None and options.max_tokens is None:
        _check_limit(complete.examples, form.limit)
    _refuse_nothing(dataset, complete.examples, complete.left_out)
    with temporary_pictures(folder) if form.pictures_inside else nullcontext(folder) as pictures:
        pictured, unpictured = _with_pictures(dataset, complete.examples, pictures, media)
        left_out = (*complete.left_out, *unpictured)
        _refuse_nothing(dataset, pictured, left_out)
        files = []
        for split in SPLITS:
            path = folder / f"{split}.{form.ending}"
            of_split = [example for example in pictured if example.split == split]
            if of_split:
                path.parent.mkdir(parents=True, exist_ok=True)
                form.write(path, rows(of_split), pictures)
                files.append(path)
            else:
                path.unlink(missing_ok=True)
    notes = (*complete.notes, *quality_notes(dataset, options))
    if not any(example.split == "train" for example in pictured):
        notes = (*notes, "everything is held out: there is no file to train on")
    return Written(tuple(files), tuple(pictured), left_out, notes)


def load_training(folder: Path, form: Form) -> Mapping[str, pa.Table]:
    """The table `questions`. Raises UsageError for files of another origin."""
    paths = [folder / f"{split}.{form.ending}" for split in SPLITS]
    existing = [path for path in paths if path.is_file()]
    if not existing:
        raise UsageError(f"{folder}: holds no {' and no '.join(path.name for path in paths)}")
    rows = [row for path in existing for row in _source_rows(form.read(path), path=path)]
    return {"questions": tables.spec("questions").from_rows(rows)}


def columns(example: Example) -> dict[str, Any]:
    """Columns of every format: the fields of `expected.Expected`, the example's origin, the pieces
    of its prompt apart, and those of its film."""
    return {**_of_answer(example), **_of_prompt(example), **_of_film(example)}


def picture_names(example: Example, media: Media) -> list[str]:
    """Files in the export's folder, in the order of the prompt."""
    if media == "video":
        return [] if example.film is None else [film_name(example.film, example.shown)]
    return [image_name(shot, example.shown) for shot in example.shots]


def _of_answer(example: Example) -> dict[str, Any]:
    expected = example.expected
    values = {field.name: getattr(expected, field.name) for field in fields(expected)}
    return {
        **{name: values[name] for name in COLUMNS},
        "options": list(expected.options),
        "evidence_times_s": list(expected.evidence_times_s),
        "evidence_boxes": [[t, *box] for t, box in expected.evidence_boxes],
    }


def _of_prompt(example: Example) -> dict[str, Any]:
    prompt = example.prompt
    return {
        "question_id": example.row["question_id"],
        "video_id": example.video_id,
        "category": example.row["category"],
        "profile": prompt.profile,
        "reference": example.reference,
        "question": example.question,
        "times_s": list(prompt.times_s),
        "dropped": [f"{piece.what} {piece.name.strip()}" for piece in prompt.dropped],
        "n_prompt_tokens": prompt.n_tokens,
        "geometry": [str(file) for file in example.geometry],
        "source_row": json.dumps(example.row, ensure_ascii=False, allow_nan=False),
    }


def _of_film(example: Example) -> dict[str, Any]:
    """Film columns that a reader cannot derive; times are the source video's."""
    film = example.film
    if film is None:
        return {}
    return {
        "fps": float(film.fps),
        "frames_indices": film.ticks(len(example.shots)),
        "video_start": film.start_s,
        "video_end": film.t_s(len(film.shots) - 1),
    }


def _refuse_nothing(
    dataset: Dataset, complete: Sequence[Example], left_out: Sequence[LeftOut]
) -> None:
    """Raises NothingToRun with every reason, its count and its first question."""
    if complete:
        return
    counts = Counter(question.reason for question in left_out)
    first = {question.reason: question.sentence for question in reversed(left_out)}
    reasons = [f"\n  {n} {reason}, as {first[reason]}" for reason, n in sorted(counts.items())]
    raise NothingToRun(
        f"{dataset.layout.out}: found {counted(len(left_out), 'question')}, none of which can be "
        "trained on" + "".join(reasons)
    )


def _with_pictures(
    dataset: Dataset, complete: Sequence[Example], pictures: Path, media: Media
) -> tuple[list[Example], list[LeftOut]]:
    """The examples whose pictures lie in the folder now, and the others."""
    written = (write_images if media == "images" else write_films)(dataset, complete, pictures)
    pictured, unpictured = [], []
    for example in complete:
        missing = [name for name in picture_names(example, media) if name not in written]
        if missing:
            sentence = (
                f"question {example.row['question_id']}: found no frame for {missing[0]}; its "
                f"video {example.row['uri']} cannot be read again as it was annotated; start where "
                "that name leads to it"
            )
            unpictured.append(LeftOut(BadVideo.reason, sentence))
        else:
            pictured.append(example)
    return pictured, unpictured


def _check_limit(complete: Sequence[Example], limit: Limit) -> None:
    """Raises UsageError where the trainer would lose rows."""
    counts = [example.prompt.n_tokens or 0 for example in complete]
    n_over = sum(count > limit.n_tokens for count in counts)
    if n_over:
        raise UsageError(
            f"{n_over} of {counted(len(counts), 'prompt has', many='prompts have')} more than "
            f"{counted(limit.n_tokens, 'token')}, the longest {max(counts)}: the trainer "
            f"{limit.effect}. Set "
            f"{limit.setting}={max(counts)} there and say --max-tokens {max(counts)} here, or show "
            "fewer --frames"
        )


def _source_rows(rows: Iterable[Row], *, path: Path) -> list[dict[str, Any]]:
    """The rows of `questions` in rows of a format. Raises UsageError for rows of another origin."""
    try:
        return [json.loads(row["source_row"]) for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path}: not as `massannot export` writes it: {error!r}") from error
