"""Questions that can be answered, and files of answers to them, whoever gave these.

A file of answers is JSONL, or one JSON list: rows with a question's id and the completion, as
inference scripts write them, or the samples of lmms-eval (`--log_samples`), whose `doc` is the row
of the benchmark.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from massannot.dataset.layout import Layout
from massannot.dataset.reading import Dataset
from massannot.dataset.source_groups import groups_of, groups_of_videos
from massannot.errors import UsageError
from massannot.inputs.cells import read_cells
from massannot.inputs.manifest import is_manifest, read_manifests
from massannot.questions.import_formats import format_of, manifest_row

Row = Mapping[str, Any]

_IDS = ("question_id", "id", "problem_id", "qid")
_TEXTS = ("answer", "response", "completion", "prediction", "output", "said", "generated_text")
_COMPLETIONS = ("filtered_resps", "resps", *_TEXTS)


def read_questions(data: Path) -> list[Row]:
    """The rows of `questions`, of a dataset's folder or of a manifest, each with its
    video's `sources` (dataset/source_groups.py). Raises UsageError for another path and where there
    are none."""
    if data.is_file() and is_manifest(data.name):
        asked = [q for q in read_manifests([str(data)]) if q.problem is None]
        rows: list[Row] = [{**q.row(), "sources": groups_of(vars(q))} for q in asked]
    else:
        dataset = Dataset(Layout(data))
        sources = groups_of_videos(dataset)
        questions = dataset.table_or_empty("questions").to_pylist()
        rows = [{**row, "sources": sources.get(row["uri"], ())} for row in questions]
    rows = [row for row in rows if row["question"] and row["answer"] is not None]
    if not rows:
        raise UsageError(
            f"{data}: found no question with an answer, expected the folder of a dataset, or a "
            "manifest such as `massannot questions import` writes"
        )
    return rows


def read_answers(file: Path) -> dict[str, str]:
    """The completion of each question's id; of a row that has none, "". Raises UsageError for a
    file in which no row has one, for a row without an id, and for an id with two completions."""
    rows = read_cells(file)
    if not rows:
        raise UsageError(f"{file}: found no row, expected a question's id and an answer in each")
    texts = list(map(_completion, rows))
    if all(text is None for text in texts):
        raise UsageError(
            f"{file}: found {', '.join(rows[0])}, expected one of {', '.join(_COMPLETIONS)}"
        )
    answers: dict[str, str] = {}
    for number, (row, text) in enumerate(zip(rows, texts, strict=True), start=1):
        where = f"{file}, row {number}"
        name = _id(row, where)
        if answers.setdefault(name, text or "") != (text or ""):
            raise UsageError(f"{where}: found a second answer to {name!r}, expected one")
    return answers


def _id(row: Row, where: str) -> str:
    doc = row.get("doc")
    if isinstance(doc, Mapping):
        row = {str(name).lower(): value for name, value in doc.items() if value is not None}
        form = format_of(set(row))
        if form is not None and "question_id" not in row:
            row = manifest_row(row, form, mapped={})
    for name in _IDS:
        if row.get(name) is not None:
            return str(row[name])
    raise UsageError(f"{where}: found {', '.join(row)}, expected one of {', '.join(_IDS)}")


def _completion(row: Row) -> str | None:
    """lmms-eval's samples hold lists of one; what it filtered is read first. None: there is none,
    or it is empty."""
    for name in _COMPLETIONS:
        value = row.get(name)
        while isinstance(value, list) and value:
            value = value[0]
        if isinstance(value, str | int | float):
            return str(value)
        if name in row:
            return ""
    return None
