"""verl: Parquet for verl's RLHFDataset, frames as images or as a film.

A row has verl's own columns: `data_source`, `prompt` with <image> or <video> placeholders, `images`
or `videos`, `ability`, `reward_model` and `extra_info`, which holds all that
`massannot.rft.verl_rewards` asks about. Films lie in `videos/` and are named relative to the
export's folder: start the trainer there. verl drops a row that is longer than
`data.max_prompt_length`, 1024 by default, with one printed line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from massannot.dataset.reading import Dataset
from massannot.exporters import Exported
from massannot.exporters._row_files import IMAGE, load_rows, write_rows
from massannot.exporters._training import (
    ANSWER_COLUMNS,
    OPTIONS,
    PROMPT_COLUMNS,
    TABLES,
    Form,
    Limit,
    TrainingOptions,
    columns,
    export_training,
    load_training,
    picture_names,
)
from massannot.questions.examples import Example
from massannot.questions.model_families import Media

__all__ = ["OPTIONS", "TABLES", "export", "load"]

LIMIT = Limit(1024, "data.max_prompt_length", "drops them")  # verl 0.9.1's default

_TEXT, _REAL, _WHOLE = pa.string(), pa.float64(), pa.int64()
_EXTRA = {
    "index": _WHOLE,
    "split": _TEXT,
    **ANSWER_COLUMNS,
    **PROMPT_COLUMNS,
}
_FILM = {"fps": _REAL, "frames_indices": pa.list_(_WHOLE), "video_start": _REAL, "video_end": _REAL}
_VIDEO = pa.struct(
    [("video", _TEXT), ("nframes", _WHOLE), ("resized_height", _WHOLE), ("resized_width", _WHOLE)]
)
_SHARED = {
    "data_source": _TEXT,
    "prompt": pa.list_(pa.struct([("role", _TEXT), ("content", _TEXT)])),
    "ability": _TEXT,
    "reward_model": pa.struct([("style", _TEXT), ("ground_truth", _TEXT)]),
}
COLUMNS = {
    "images": {**_SHARED, "images": pa.list_(IMAGE), "extra_info": pa.struct(_EXTRA.items())},
    "video": {
        **_SHARED,
        "videos": pa.list_(_VIDEO),
        "extra_info": pa.struct({**_EXTRA, **_FILM}.items()),
    },
}


def export(
    dataset: Dataset, folder: Path, *, options: TrainingOptions = TrainingOptions()
) -> Exported:
    """Write train.parquet, and val.parquet and test.parquet where something is held out. Raises
    UsageError where verl would drop a row."""
    media = options.media or "images"
    written = export_training(
        dataset,
        folder,
        options,
        form=_form(media),
        rows=lambda found: (_row(example, n, media) for n, example in enumerate(found)),
        media=media,
    )
    return written.exported(*_notes(written.longest, media, folder))


def load(folder: Path) -> Mapping[str, pa.Table]:
    """The table `questions`. Raises UsageError for files that are not from here."""
    return load_training(folder, _form("images"))


def _form(media: Media) -> Form:
    return Form(
        ending="parquet",
        write=partial(write_rows, columns=COLUMNS[media]),
        read=_source_rows,
        pictures_inside=media == "images",
        limit=LIMIT,
    )


def _source_rows(path: Path) -> Iterator[Any]:
    return (row["extra_info"] for row in load_rows(path, columns=["extra_info"]))


def _row(example: Example, index: int, media: Media) -> dict[str, Any]:
    prompt = example.prompt
    extra = {**columns(example), "index": index, "split": example.split}
    row = {
        "data_source": "massannot",
        "prompt": [
            {"role": "user", "content": prompt.text() if media == "images" else prompt.film_text()}
        ],
        "ability": example.row["category"] or extra["problem_type"],
        "reward_model": {"style": "rule", "ground_truth": extra.pop("solution")},
        "extra_info": extra,
    }
    if media == "images":
        return {**row, "images": picture_names(example, media)}
    width, height = example.size
    videos = [
        {
            "video": name,
            "nframes": len(example.shots),
            "resized_height": height,
            "resized_width": width,
        }
        for name in picture_names(example, media)
    ]
    return {**row, "videos": videos}


def _notes(longest: int | None, media: Media, folder: Path) -> tuple[str, ...]:
    notes = []
    if longest is None:
        notes.append(
            "prompts were not counted: with --processor FOLDER the export says which "
            "data.max_prompt_length loses no row"
        )
    else:
        notes.append(f"data.max_prompt_length={longest} or more loses no row")
    if media == "video":
        notes.append(f"films are named relative to {folder}: start the trainer there")
    return tuple(notes)
