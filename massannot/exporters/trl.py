"""trl: Parquet for TRL's GRPOTrainer, conversational prompts with frames as images.

`train.parquet`, `val.parquet` and `test.parquet` open with `datasets.load_dataset`: `prompt` is a
conversation with an image part at each frame, its time in text before it; `images` are its
pictures, decoded by `datasets`. Every other column reaches the rewards
(`massannot.rft.trl_rewards`). Frames are images because TRL 1.16 leaves a video out of the loss
without an error; they cost twice the tokens of a video. Here alone encoded pictures stand in
Parquet: it is the trainer's file, not a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from massannot.counts import counted
from massannot.dataset.reading import Dataset
from massannot.errors import UsageError
from massannot.exporters import Exported
from massannot.exporters._row_files import IMAGE, load_rows, write_rows
from massannot.exporters._training import (
    ANSWER_COLUMNS,
    OPTIONS,
    PROMPT_COLUMNS,
    TABLES,
    Form,
    TrainingOptions,
    columns,
    export_training,
    load_training,
    picture_names,
)
from massannot.questions.examples import Example

__all__ = ["OPTIONS", "TABLES", "export", "load"]

_TEXT = pa.string()
_PART = pa.struct([("type", _TEXT), ("text", _TEXT)])
COLUMNS = {
    "prompt": pa.list_(pa.struct([("role", _TEXT), ("content", pa.list_(_PART))])),
    "images": pa.list_(IMAGE),
    "solution": _TEXT,
    **ANSWER_COLUMNS,
    "data_source": _TEXT,
    **PROMPT_COLUMNS,
}
FORM = Form(
    ending="parquet",
    write=partial(write_rows, columns=COLUMNS),
    read=partial(load_rows, columns=["source_row"]),
    pictures_inside=True,
)


def export(
    dataset: Dataset, folder: Path, *, options: TrainingOptions = TrainingOptions()
) -> Exported:
    """Write train.parquet, and val.parquet and test.parquet where something is held out."""
    if options.media == "video":
        raise UsageError(
            "--media video with trl: TRL 1.16 drops pixel_values_videos from the loss and would "
            "train a model that cannot see; expected images, or verl, ms-swift or video-r1"
        )
    written = export_training(
        dataset,
        folder,
        options,
        form=FORM,
        rows=lambda found: map(_row, found),
        media="images",
    )
    if written.longest is None:
        return written.exported()
    return written.exported(f"the longest prompt has {counted(written.longest, 'token')}")


def load(folder: Path) -> Mapping[str, pa.Table]:
    """The table `questions`. Raises UsageError for files that are not from here."""
    return load_training(folder, FORM)


def _row(example: Example) -> dict[str, Any]:
    return {
        "prompt": [_without_roles(message) for message in example.prompt.messages],
        "images": picture_names(example, "images"),
        "data_source": "massannot",
        **columns(example),
    }


def _without_roles(message: Mapping[str, Any]) -> dict[str, Any]:
    """A part's role is for our trainer; in the file its position and `profile` give it."""
    parts = [{key: part[key] for key in part if key != "role"} for part in message["content"]]
    return {**message, "content": parts}
