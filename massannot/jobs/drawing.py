"""Films and the report of a dataset, from its tables and the videos themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from massannot.dataset.frames_again import clips_again
from massannot.dataset.reading import Dataset
from massannot.jobs.previews import previews, with_preview
from massannot.jobs.view import heading_of
from massannot.viewers.clip_questions import ClipQuestions
from massannot.viewers.film import render
from massannot.viewers.report import write_report


def films_of(
    dataset: Dataset, *, clip_ids: Sequence[str] | None = None, drawn: Callable[[Path], None]
) -> list[Path]:
    """Render the overlay films (and stills) of clips into OUT/films, of a bucket into its working
    folder; `drawn` is called with every film."""
    layout = dataset.layout
    films = []
    for clip in clips_again(layout, set(clip_ids if clip_ids is not None else dataset.clip_ids)):
        tables = with_preview(dataset.clip(clip.clip_id), previews(layout))
        rendered = render(tables, iter(clip.frames.pixels_THWC), layout.local / "films")
        films.append(rendered.film)
        drawn(rendered.film)
    return films


def report_of(
    dataset: Dataset,
    *,
    sample: int = 60,
    seed: int = 0,
    min_quality: float | None = None,
    asked: Path | None = None,
) -> Path:
    """Write OUT/report/index.html and a page per clip; returns the index. See write_report."""
    return write_report(
        dataset.table_or_empty,
        lambda clip_id: dataset.clip(clip_id).table,
        dataset.layout.local / "report",
        films=dataset.layout.local / "films",
        heading=heading_of(dataset),
        sample=sample,
        seed=seed,
        min_quality=min_quality,
        questions=ClipQuestions(dataset, asked).of,
    )
