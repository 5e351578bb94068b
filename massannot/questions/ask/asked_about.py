"""AskedDataset: questions that were asked about a dataset, together with its clips, for exports."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import pyarrow as pa

from massannot.dataset.layout import Layout
from massannot.dataset.reading import Dataset, open_dataset
from massannot.questions.ask.ask_dataset import SOURCE
from massannot.questions.ask.audit_answers import source_of


class AskedDataset(Dataset):
    """`questions` of one dataset; everything else is of the one that they were asked about."""

    def __init__(self, asked: Dataset, about: Dataset, *, rows: pa.Table | None = None):
        """`rows`: the questions, of which people left some out or reworded some; None: all."""
        super().__init__(about.layout)
        self.asked = asked
        self.about = about
        self._rows = rows

    @property
    def reviewed_in(self) -> Layout:
        return self.asked.layout

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted({*super().names, "questions"}))

    def table(self, name: str) -> pa.Table:
        if name != "questions":
            return super().table(name)
        return self.asked.table(name) if self._rows is None else self._rows

    def _rows_of_clip(self, name: str, clip_id: str) -> pa.Table:
        """Whatever its phrases were asked for, each may be in a question's profile."""
        rows = super()._rows_of_clip(name, clip_id)
        if name != "phrases" or not rows.num_rows:
            return rows
        origin = pa.array(["prompt"] * rows.num_rows, rows["origin"].type)
        return rows.set_column(rows.column_names.index("origin"), rows.field("origin"), origin)


def with_its_clips(out: str | Path) -> Dataset:
    """The dataset; of what `questions ask` wrote, joined with the clips asked about. Raises
    UsageError where these are gone."""
    dataset = open_dataset(out)
    if "question_programs" in dataset.names and (dataset.layout.out / SOURCE).exists():
        return AskedDataset(dataset, open_dataset(source_of(Path(out))))
    return dataset
