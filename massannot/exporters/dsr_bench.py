"""dsr-bench: multiple-choice questions as DSR-Bench's evaluators read them.

`benchmark.parquet` holds videoID, question, options and answer; `DSRBench.tsv` the same for
evaluators that read TSV (index, video, question, options as JSON, answer, task_type). Films lie in
`videos/`, which `video` and, without the ending, `videoID` name. Options begin with their letters.
Yes and no are options too; questions of other kinds are left out by name. The motion profile is not
in the question: a bench asks the video. Evaluators do not read `question_id` and `source_row`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from massannot import tables
from massannot.counts import counted
from massannot.dataset.reading import Dataset
from massannot.errors import NothingToRun, UsageError
from massannot.exporters import Exported
from massannot.exporters._benches import BenchOptions, bench_examples, lettered, solution
from massannot.exporters._row_files import load_rows
from massannot.exporters._training import picture_names
from massannot.questions.examples import Example

__all__ = ["OPTIONS", "TABLES", "export", "load"]

TABLES = ("questions",)
OPTIONS = BenchOptions
_FILE, _TSV = "benchmark.parquet", "DSRBench.tsv"
_TSV_COLUMNS = ("index", "video", "question", "options", "answer", "task_type")


def export(dataset: Dataset, folder: Path, *, options: BenchOptions = BenchOptions()) -> Exported:
    """Write benchmark.parquet, DSRBench.tsv and the films. Raises NothingToRun where no question is
    a choice."""
    bench = bench_examples(dataset, folder, options)
    choices = [one for one in bench.examples if _options(one)]
    others = [one for one in bench.examples if one not in choices]
    if not choices:
        raise NothingToRun(
            f"{folder}: found {counted(len(others), 'question')}, none of which is a choice"
        )
    rows = [_row(example, index) for index, example in enumerate(choices)]
    _write_parquet(folder / _FILE, rows)
    _write_tsv(folder / _TSV, rows)
    left_out = tuple(
        f"question {one.row['question_id']}: found the kind {one.expected.problem_type}, expected "
        "a choice"
        for one in others
    )
    note = f"{counted(len(rows), 'question')}; films are named relative to {folder}"
    files = (folder / _FILE, folder / _TSV)
    return Exported(files, (*bench.left_out, *left_out), (note,))


def load(folder: Path) -> Mapping[str, pa.Table]:
    """The table `questions`. Raises UsageError for files that are not from here."""
    try:
        rows = [
            json.loads(row["source_row"])
            for row in load_rows(folder / _FILE, columns=["source_row"])
        ]
    except (TypeError, ValueError) as error:
        raise UsageError(f"{folder}: not as `massannot export` writes it: {error}") from error
    return {"questions": tables.spec("questions").from_rows(rows)}


def _row(example: Example, index: int) -> dict[str, Any]:
    video = picture_names(example, "video")[0]
    return {
        "index": index,
        "videoID": video.removesuffix(".mp4"),
        "video": video,
        "question": example.question,
        "options": _options(example),
        "answer": _letter(example),
        "task_type": example.row["category"] or "non_temp",
        "question_id": example.row["question_id"],
        "source_row": json.dumps(example.row, ensure_ascii=False, allow_nan=False),
    }


def _options(example: Example) -> list[str]:
    yes_no = example.expected.problem_type == "yes_no"
    return ["A. yes", "B. no"] if yes_no else lettered(example)


def _letter(example: Example) -> str:
    return {"yes": "A", "no": "B"}.get(solution(example), solution(example))


def _write_parquet(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    names = ("videoID", "question", "options", "answer", "task_type", "question_id", "source_row")
    pq.write_table(pa.Table.from_pylist([{n: row[n] for n in names} for row in rows]), path)


def _write_tsv(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _TSV_COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        for row in rows:
            options = json.dumps(row["options"], ensure_ascii=False)
            writer.writerow({**{name: row[name] for name in _TSV_COLUMNS}, "options": options})
