"""What people decided about a dataset's questions, taken together.

One that anybody rejects is rejected. Where two reviewers changed the same part, the later change
stands. A decision about rows of a clip that have changed since counts nowhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from massannot.dataset.acceptance import looked_at
from massannot.dataset.question_edits import EDITS
from massannot.dataset.reading import Dataset
from massannot.dataset.reviews_of_run import reviews_folder


@dataclass(frozen=True)
class QuestionVerdict:
    accepted: bool
    verified_by: tuple[str, ...]
    """Who accepted it."""
    edits: Mapping[str, Any]
    """Of EDITS those that somebody changed."""

    def applied(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row of `questions` with the changes. Spans of entities are none in another text."""
        changed = {**row, **{name: self.edits[name] for name in self.edits if name in row}}
        if changed["question"] != row["question"]:
            changed["entity_spans"] = None
        return changed


UNSEEN = QuestionVerdict(accepted=True, verified_by=(), edits={})
"""Of a question that nobody looked at: it stands as it is."""


def question_verdicts(dataset: Dataset) -> dict[str, QuestionVerdict]:
    """Question to verdict: of a run from its reviewers' lines, of what is published from its
    table."""
    asked = set(dataset.table_or_empty("questions")["question_id"].to_pylist())
    by_question: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in _reviews(dataset):
        if row["kind"] == "question" and row["counted"] and row["question_id"] in asked:
            by_question[row["question_id"]].append(row)
    return {name: _verdict(rows) for name, rows in by_question.items()}


def _reviews(dataset: Dataset) -> list[dict[str, Any]]:
    layout = dataset.reviewed_in
    if layout.in_bucket or not reviews_folder(layout).is_dir():
        return list(dataset.table_or_empty("reviews").to_pylist())
    found = looked_at(dataset)
    return [] if found is None else list(found.table.to_pylist())


def _verdict(rows: Sequence[Mapping[str, Any]]) -> QuestionVerdict:
    edits: dict[str, Any] = {}
    for row in sorted(rows, key=lambda row: (row["when"], row["reviewer"])):
        edits |= {name: row[name] for name in EDITS if row.get(name) is not None}
    return QuestionVerdict(
        accepted=all(row["decision"] == "accept" for row in rows),
        verified_by=tuple(sorted({r["reviewer"] for r in rows if r["decision"] == "accept"})),
        edits=edits,
    )
