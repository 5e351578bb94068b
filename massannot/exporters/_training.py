"""What the formats for trainers share: examples with their pictures on disk, and their columns.

A row carries the whole row of `questions` as JSON (`source_row`), by which `load` gives the table
back equal; everything else in it is for the trainer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa

from massannot import tables
from massannot.errors import UsageError
from massannot.exporters._pictures import film_name, image_name, write_films, write_images
from massannot.io.dataset import Dataset
from massannot.rft.count_tokens import Media
from massannot.rft.examples import SPLITS, Example, Split, TrainingData, examples
from massannot.rft.expected import COLUMNS
from massannot.rft.scene_dataset import SCHEME

TABLES = ("questions",)


@dataclass(frozen=True)
class Limit:
    """Of a trainer that nobody has told otherwise, on the tokens of a prompt."""

    n_tokens: int
    setting: str
    """That raises it."""
    does: str
    """To longer prompts."""


@dataclass(frozen=True)
class Written:
    """Examples whose pictures lie in the folder."""

    examples: tuple[Example, ...]
    left_out: tuple[str, ...]

    def of(self, split: Split) -> list[Example]:
        return [example for example in self.examples if example.split == split]

    @property
    def longest(self) -> int | None:
        """Tokens of the longest prompt; None: not counted."""
        counts = [each.prompt.n_tokens for each in self.examples]
        known = [count for count in counts if count is not None]
        return max(known, default=None)


def written_examples(
    dataset: Dataset,
    folder: Path,
    training: TrainingData,
    *,
    media: Media,
    min_quality: float | None,
    limit: Limit | None = None,
) -> Written:
    """Builds the examples and writes their pictures. A question whose video cannot be read any
    more is left out by name. Raises UsageError for prompts over the limit, where no --max-tokens
    says that it was raised, and for questions about scenes, of which there are no films."""
    _refuse_scenes(dataset)
    found = examples(dataset, training, media=media, min_quality=min_quality)
    if limit is not None and training.max_tokens is None:
        _check_limit(found.found, limit)
    folder.mkdir(parents=True, exist_ok=True)
    write = write_images if media == "images" else write_films
    there = write(dataset, found.found, folder)
    whole, left_out = [], list(found.left_out)
    for example in found.found:
        missing = [name for name in picture_names(example, media) if name not in there]
        if missing:
            left_out.append(
                f"question {example.row['question_id']}: found no frame for {missing[0]}; its "
                f"video {example.row['uri']} cannot be read again as it was annotated; start where "
                "that name leads to it"
            )
        else:
            whole.append(example)
    return Written(tuple(whole), tuple(left_out))


def split_files(
    written: Written, folder: Path, ending: str
) -> Iterator[tuple[Path, list[Example]]]:
    """train's file, and val's where something is held out. What an earlier export held out and this
    one trains on is taken away."""
    for split in SPLITS:
        path = folder / f"{split}.{ending}"
        found = written.of(split)
        if split == "train" or found:
            yield path, found
        else:
            path.unlink(missing_ok=True)


def picture_names(example: Example, media: Media) -> list[str]:
    """Files in the export's folder, in the order of the prompt."""
    if media == "video":
        return [] if example.film is None else [film_name(example.film)]
    return [image_name(shot) for shot in example.shots]


def _refuse_scenes(dataset: Dataset) -> None:
    if any(uri.startswith(SCHEME) for uri in dataset.table_or_empty("clips")["uri"].to_pylist()):
        out = dataset.layout.out
        raise UsageError(
            f"{out}: found questions about scenes, expected annotated videos to take pictures "
            f"from; `massannot rft train RECIPE --data {out}` reads it as it is"
        )


def _check_limit(found: Sequence[Example], limit: Limit) -> None:
    """Raises UsageError where the trainer would lose rows."""
    counts = [each.prompt.n_tokens or 0 for each in found]
    n_over = sum(count > limit.n_tokens for count in counts)
    if n_over:
        raise UsageError(
            f"{n_over} of {len(counts)} prompts have more than {limit.n_tokens} tokens, the "
            f"longest {max(counts)}: the trainer {limit.does}. Set {limit.setting}={max(counts)} "
            f"there and say --max-tokens {max(counts)} here, or show fewer --frames"
        )


def answer_columns(example: Example) -> dict[str, Any]:
    """What rewards ask about, called as the fields of `rft.expected.Expected`."""
    expected = example.expected
    said = {field.name: getattr(expected, field.name) for field in fields(expected)}
    return {
        **{name: said[name] for name in COLUMNS},
        "options": list(expected.options),
        "evidence_times_s": list(expected.evidence_times_s),
        "evidence_boxes": [[t, *box] for t, box in expected.evidence_boxes],
    }


def other_columns(example: Example) -> dict[str, Any]:
    """Where the example comes from, and its prompt's pieces apart."""
    prompt = example.prompt
    return {
        "question_id": example.row["question_id"],
        "video_id": example.video_id,
        "category": example.row["category"],
        "profile": prompt.profile,
        "question": example.question,
        "times_s": list(prompt.times_s),
        "dropped": [f"{each.what} {each.name.strip()}" for each in prompt.dropped],
        "n_prompt_tokens": prompt.n_tokens,
        "source_row": json.dumps(example.row, ensure_ascii=False, allow_nan=False),
    }


def film_columns(example: Example) -> dict[str, Any]:
    """What is true of the film that a reader cannot know: its own times start at 0."""
    film = example.film
    if film is None:
        return {}
    return {
        "fps": float(film.fps),
        "frames_indices": film.ticks(len(example.shots)),
        "video_start": film.start_s,
        "video_end": film.t_s(len(film.shots) - 1),
    }


def source_rows(rows: Iterable[Mapping[str, Any]], *, where: Path) -> list[dict[str, Any]]:
    """The rows of `questions` in rows of a format. Raises UsageError for others'."""
    try:
        return [json.loads(row["source_row"]) for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{where}: not as `massannot export` writes it: {error!r}") from error


def questions_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, pa.Table]:
    return {"questions": tables.spec("questions").from_rows(rows)}


def files_there(folder: Path, ending: str) -> list[Path]:
    """The files of an export, train first. Raises UsageError for a folder without any."""
    there = [path for path in (folder / f"{split}.{ending}" for split in SPLITS) if path.is_file()]
    if not there:
        raise UsageError(f"{folder}: holds no {' and no '.join(f'{s}.{ending}' for s in SPLITS)}")
    return there
