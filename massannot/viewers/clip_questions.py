"""The questions about a clip with their proof, as JSON values for its page.

A manifest's questions bring what their evidence says of times and boxes. Questions that were asked
by `massannot questions ask` bring the derivation of their answer, sentence by sentence, and the
rows it was computed from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from massannot.dataset.reading import Dataset, open_dataset
from massannot.questions.ask.derivation import Derivation, derivations
from massannot.viewers.clip_data import Json, frame_at

EDGES = ("x0", "y0", "x1", "y1")
MOST_ROWS = 40
"""Places of a question's proof that its page shows."""


class ClipQuestions:
    """`asked`: a folder that `questions ask` wrote about this dataset."""

    def __init__(self, dataset: Dataset, asked: Path | None = None) -> None:
        self._dataset = dataset
        self._asked = asked

    def of(self, clip_id: str) -> list[Json]:
        """Those of a clip; none of a clip about which nobody asks anything."""
        given = self._given.get(clip_id, [])
        proved = self._proved.get(clip_id, [])
        if not given and not proved:
            return []
        t_s = self._dataset.clip(clip_id).table("frames")["t_s"].to_pylist()
        shown = [_given_question(row, t_s) for row in given]
        if self._asked is not None and proved:
            found = derivations(self._asked, proved, data=self._dataset.layout.out)
            shown += [_proved_question(one) for one in found]
        return shown

    def ids_of(self, clip_id: str) -> frozenset[str]:
        """Of the questions that the dataset itself holds."""
        return frozenset(row["question_id"] for row in self._given.get(clip_id, ()))

    def asked_ids_of(self, clip_id: str) -> frozenset[str]:
        """Of those in `asked`."""
        return frozenset(self._proved.get(clip_id, ()))

    @property
    def asked_clips(self) -> frozenset[str]:
        """Clips with a question in `asked`."""
        return frozenset(self._proved)

    @cached_property
    def _given(self) -> Mapping[str, list[Json]]:
        found: defaultdict[str, list[Json]] = defaultdict(list)
        for row in self._dataset.table_or_empty("questions").to_pylist():
            if row["question"] is not None:
                for clip_id in row["clip_ids"] or [row["clip_id"]]:
                    found[clip_id].append(row)
        return found

    @cached_property
    def _proved(self) -> Mapping[str, list[str]]:
        found: defaultdict[str, list[str]] = defaultdict(list)
        if self._asked is not None:
            questions = open_dataset(self._asked).table("questions")
            for row in questions.select(["question_id", "clip_id"]).to_pylist():
                found[row["clip_id"]].append(row["question_id"])
        return found


def _question(row: Mapping[str, Any], lines: list[str], evidence: list[Json]) -> Json:
    return {
        "id": row["question_id"],
        "question": row["question"],
        "answer": row["answer"],
        "options": list(row["options"] or ()),
        "lines": lines,
        "evidence": evidence,
    }


def _given_question(row: Mapping[str, Any], t_s: list[float]) -> Json:
    times, boxes = row["evidence_times_s"] or [], row["evidence_boxes"] or []
    evidence: list[Json] = [{"frame": frame_at(t_s, t), "box": None, "role": "seen"} for t in times]
    evidence += [
        {"frame": frame_at(t_s, boxes[k]), "box": boxes[k + 1 : k + 5], "role": "box"}
        for k in range(0, len(boxes) - 4, 5)
    ]
    return _question(row, [], evidence)


def _proved_question(found: Derivation) -> Json:
    seen = [row for row in found.evidence if row["frame"] is not None]
    evidence = [
        {
            "frame": row["frame"],
            "box": None if row["x0"] is None else [round(row[n], 1) for n in EDGES],
            "role": row["role"],
        }
        for row in sorted(seen, key=lambda row: row["frame"])
    ]
    lines = [*found.lines, *(f"WRONG: {problem}" for problem in found.problems)]
    return _question(found.question, lines, evidence[:MOST_ROWS])
