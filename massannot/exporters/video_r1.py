"""video-r1: the JSON that Video-R1's trainer reads, a film for each question.

`train.json` holds problem_id, problem, data_type, problem_type, options, process, solution, path
and data_source; the motion profile stands before the question in `problem`, and both again apart
in columns of their own. The trainer adds the options and how to answer by itself. It joins `path`
to the folder Video-R1-data where it is started: name the export so, or link it there. Its rewards
know no units and no tolerance: a number is given in the unit that the question names, and clock
directions, times and yes or no are judged as free text.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from massannot.dataset.reading import Dataset
from massannot.errors import UsageError
from massannot.exporters import Exported
from massannot.exporters._row_files import load_list, write_list
from massannot.exporters._training import (
    OPTIONS,
    TABLES,
    Form,
    Limit,
    TrainingOptions,
    columns,
    export_training,
    load_training,
    picture_names,
)
from massannot.questions.answers import Choice, Number, bare_options
from massannot.questions.examples import Example
from massannot.questions.expected_answer import ExpectedAnswer
from massannot.questions.units import unit

__all__ = ["OPTIONS", "TABLES", "export", "load"]

FORM = Form(
    ending="json",
    write=write_list,
    read=load_list,
    limit=Limit(16384, "--max_prompt_length", "cuts off their beginnings"),  # in its script
)

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def export(
    dataset: Dataset, folder: Path, *, options: TrainingOptions = TrainingOptions()
) -> Exported:
    """Write train.json, and val.json and test.json where something is held out. Raises UsageError
    where the trainer would cut a prompt."""
    if options.media == "images":
        raise UsageError(
            "--media images with video-r1: its trainer shows one image or one video a question; "
            "expected video"
        )
    if options.frames == 0:
        raise UsageError("--frames 0 with video-r1: its trainer has no question without a video")
    written = export_training(
        dataset,
        folder,
        options,
        form=FORM,
        rows=lambda found: map(_row, found),
        media="video",
    )
    where = f"Video-R1 looks for films below ./Video-R1-data: link {folder} there; "
    return written.exported(f"{where}it chooses frames itself, 2 a second and at most 16")


def load(folder: Path) -> Mapping[str, pa.Table]:
    """The table `questions`. Raises UsageError for files that are not from here."""
    return load_training(folder, FORM)


def _row(example: Example) -> dict[str, Any]:
    expected = example.expected
    question = example.question
    if expected.unit is not None:
        question += f" Answer in {unit(expected.unit).symbol}."
    shared = columns(example)
    start_s = shared["video_start"]
    begins = f"The video begins at {start_s:.2f} s.\n" if start_s else ""
    return {
        **shared,
        "answer_type": expected.problem_type,
        "problem_id": example.row["question_id"],
        "problem": begins + (example.prompt.profile or "") + question,
        "data_type": "video",
        "problem_type": _problem_type(expected),
        "options": _options(expected),
        "process": "",
        "solution": f"<answer>{_solution(expected)}</answer>",
        "path": f"./{picture_names(example, 'video')[0]}",
        "data_source": "massannot",
    }


def _problem_type(expected: ExpectedAnswer) -> str:
    if expected.problem_type == "multiple_choice":
        return "multiple choice"
    if expected.problem_type == "number":
        return "regression" if expected.accuracy == "regression" else "numerical"
    return "free-form"


def _options(expected: ExpectedAnswer) -> list[str]:
    if expected.problem_type != "multiple_choice":
        return []
    options = bare_options(expected.options)
    return [f"{letter}. {text}" for letter, text in zip(_LETTERS, options, strict=False)]


def _solution(expected: ExpectedAnswer) -> str:
    """A letter, a number without its unit, or the answer's own words."""
    value = expected.value
    if isinstance(value, Choice):
        return _LETTERS[value.index]
    if isinstance(value, Number):
        wanted = None if expected.unit is None else unit(expected.unit)
        return f"{wanted.from_base(value.value) if wanted else value.value:.10g}"
    return expected.solution
