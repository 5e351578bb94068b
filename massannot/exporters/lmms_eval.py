"""lmms-eval: a task for lmms-eval, its questions in Parquet and its films beside them.

`massannot_questions.yaml` and `utils.py` are the task's folder, `test.parquet` its rows with
question_id, video, question, options, answer, problem_type, unit and category. Run it with
`python -m lmms_eval --include_path . --tasks massannot_questions --log_samples` in this folder,
and score the samples with `massannot rft score SAMPLES.jsonl --data OUT`. The task's own score
compares the first word, so that a run needs nothing of ours. The motion profile is not in the
question.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from massannot import tables
from massannot.counts import counted
from massannot.dataset.reading import Dataset
from massannot.errors import UsageError
from massannot.exporters import Exported
from massannot.exporters._benches import BenchOptions, bench_examples, lettered, solution
from massannot.exporters._row_files import load_rows
from massannot.exporters._training import picture_names
from massannot.questions.examples import Example

__all__ = ["OPTIONS", "TABLES", "export", "load"]

TABLES = ("questions",)
OPTIONS = BenchOptions
_TASK = "massannot_questions"
_YAML = """\
task: {task}
dataset_path: parquet
dataset_kwargs:
  data_files:
    test: {rows}
test_split: test
output_type: generate_until
doc_to_visual: !function utils.doc_to_visual
doc_to_text: !function utils.doc_to_text
doc_to_target: answer
process_results: !function utils.process_results
generation_kwargs:
  max_new_tokens: 64
  temperature: 0
  do_sample: false
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
metadata:
  - version: 1.0
"""
_UTILS = '''\
"""How lmms-eval asks these questions; written by `massannot export lmms-eval`."""

from pathlib import Path

FOLDER = Path(__file__).resolve().parent
HOW = {
    "multiple_choice": "Answer with the option's letter.",
    "number": "Answer with one number.",
    "yes_no": "Answer yes or no.",
    "clock": "Answer with an hour of the clock from 1 to 12; 12 is straight on.",
    "interval": "Answer with a start and an end in seconds.",
    "text": "Answer in one sentence.",
}


def doc_to_visual(doc):
    return [str(FOLDER / doc["video"])]


def doc_to_text(doc, lmms_eval_specific_kwargs=None):
    how = HOW["multiple_choice" if doc["options"] else doc["problem_type"]]
    lines = [doc["question"], *(doc["options"] or ()), how]
    return "\\n".join(lines)


def process_results(doc, results):
    said = (results[0].strip().split() or [""])[0].strip(".,:()*").lower()
    return {"exact_match": float(said == doc["answer"].lower())}
'''


def export(dataset: Dataset, folder: Path, *, options: BenchOptions = BenchOptions()) -> Exported:
    """Write the task, test.parquet and the films. Raises NothingToRun where there is no question to
    ask."""
    bench = bench_examples(dataset, folder, options)
    path = folder / "test.parquet"
    pq.write_table(pa.Table.from_pylist(list(map(_row, bench.examples)), schema=_SCHEMA), path)
    task, code = folder / f"{_TASK}.yaml", folder / "utils.py"
    task.write_text(_YAML.format(task=_TASK, rows=path.name), encoding="utf-8")
    code.write_text(_UTILS, encoding="utf-8")
    command = f"python -m lmms_eval --include_path . --tasks {_TASK} --log_samples"
    notes = (f"{counted(len(bench.examples), 'question')}; in {folder}: {command}",)
    return Exported((task, code, path), bench.left_out, notes)


def load(folder: Path) -> Mapping[str, pa.Table]:
    """The table `questions`. Raises UsageError for files that are not from here."""
    try:
        found = load_rows(folder / "test.parquet", columns=["source_row"])
        rows = [json.loads(row["source_row"]) for row in found]
    except (TypeError, ValueError) as error:
        raise UsageError(f"{folder}: not as `massannot export` writes it: {error}") from error
    return {"questions": tables.spec("questions").from_rows(rows)}


_TEXT = pa.string()
_SCHEMA = pa.schema(
    [
        ("question_id", _TEXT),
        ("video", _TEXT),
        ("question", _TEXT),
        ("options", pa.list_(_TEXT)),
        ("answer", _TEXT),
        ("problem_type", _TEXT),
        ("unit", _TEXT),
        ("category", _TEXT),
        ("source_row", _TEXT),
    ]
)


def _row(example: Example) -> dict[str, Any]:
    return {
        "question_id": example.row["question_id"],
        "video": picture_names(example, "video")[0],
        "question": example.question,
        "options": lettered(example),
        "answer": solution(example),
        "problem_type": example.expected.problem_type,
        "unit": example.expected.unit,
        "category": example.row["category"],
        "source_row": json.dumps(example.row, ensure_ascii=False, allow_nan=False),
    }
