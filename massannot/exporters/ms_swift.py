"""ms-swift: JSONL for ms-swift's GRPO, frames as images or as a film.

A row has `messages` with <image> or <video> placeholders, `images` or `videos` as paths relative to
the export's folder (start the trainer there, or set ROOT_IMAGE_DIR), and `solution`; every other
column reaches the rewards. A film's `chat_template_kwargs` say which of its frames are shown, and
how large (ms-swift 4.6 hands them to Qwen's reader). Boxes are in the text as the model family
writes them: `objects`, which ms-swift would convert once more, is not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from massannot.dataset.reading import Dataset
from massannot.exporters import Exported
from massannot.exporters._row_files import load_lines, write_lines
from massannot.exporters._training import (
    OPTIONS,
    TABLES,
    Form,
    TrainingOptions,
    columns,
    export_training,
    load_training,
    picture_names,
)
from massannot.questions.examples import Example
from massannot.questions.model_families import Media

__all__ = ["OPTIONS", "TABLES", "export", "load"]

FORM = Form(ending="jsonl", write=write_lines, read=load_lines)


def export(
    dataset: Dataset, folder: Path, *, options: TrainingOptions = TrainingOptions()
) -> Exported:
    """Write train.jsonl, and val.jsonl and test.jsonl where something is held out."""
    media = options.media or "images"
    written = export_training(
        dataset,
        folder,
        options,
        form=FORM,
        rows=lambda found: (_row(example, media) for example in found),
        media=media,
    )
    notes = [f"pictures are named relative to {folder}: start the trainer there"]
    if written.longest is not None:
        notes.append(f"--max_length {written.longest} or more loses no row")
    return written.exported(*notes)


def load(folder: Path) -> Mapping[str, pa.Table]:
    """The table `questions`. Raises UsageError for files that are not from here."""
    return load_training(folder, FORM)


def _row(example: Example, media: Media) -> dict[str, Any]:
    prompt = example.prompt
    text = prompt.text() if media == "images" else prompt.film_text()
    width, height = example.size
    shown = {"nframes": len(example.shots), "resized_height": height, "resized_width": width}
    return {
        "messages": [{"role": "user", "content": text}],
        **({} if example.film is None else {"chat_template_kwargs": shown}),
        "images" if media == "images" else "videos": picture_names(example, media),
        **columns(example),
    }
