"""What stands above the clips on every page of a dataset, drawn or served."""

from __future__ import annotations

import pyarrow.parquet as pq

from massannot.dataset.grounds import grounds_of
from massannot.dataset.reading import Dataset
from massannot.dataset.record import read
from massannot.viewers.report import Heading

MANY_CLIPS = 20_000
"""Beyond that neither the server nor the report reads positions for the grounds of intervals, which
the card and `massannot inspect` state too."""


def heading_of(dataset: Dataset, *, most_clips: int | None = None) -> Heading:
    """From the run's record and, where there are at most `most_clips`,
    the grounds of intervals."""
    record = read(dataset.layout)
    few = most_clips is None or _n_clips(dataset) <= most_clips
    return Heading(
        title=f"massannot: {dataset.layout.out.name}",
        lines=(
            *(() if record is None else (f"profile {record.profile}",)),
            *(grounds_of(dataset).lines if few else ()),
        ),
        notes=() if record is None else tuple(record.notes),
    )


def _n_clips(dataset: Dataset) -> int:
    return sum(pq.read_metadata(path).num_rows for path in dataset.files("clips"))
