"""Films and the report of a dataset, from its tables and the videos themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path

from massannot.dataset.frames_again import clips_again
from massannot.dataset.grounds import grounds_of
from massannot.dataset.reading import Dataset
from massannot.dataset.record import read
from massannot.dataset.video_view import numbered_names
from massannot.jobs.previews import previews, with_preview
from massannot.viewers.film import render
from massannot.viewers.report import Heading, write_report


def films_of(
    dataset: Dataset, *, clip_ids: Sequence[str] | None = None, drawn: Callable[[Path], None]
) -> list[Path]:
    """Render the overlay films (and stills) of clips into OUT/films, of a bucket into its working
    folder; `drawn` is called with every film."""
    layout = dataset.layout
    things_of_video = lru_cache(maxsize=1)(partial(_things, dataset))  # clips come by video
    films = []
    for clip in clips_again(layout, set(clip_ids if clip_ids is not None else dataset.clip_ids)):
        tables = with_preview(dataset.clip(clip.clip_id), previews(layout))
        things = things_of_video(clip.video.video_id).get(clip.clip_id, {})
        pictures = iter(clip.frames.pixels_THWC)
        rendered = render(tables, pictures, layout.local / "films", things=things)
        films.append(rendered.film)
        drawn(rendered.film)
    return films


def _things(dataset: Dataset, video_id: str) -> dict[str, dict[int, tuple[int, str]]]:
    """For each clip of a video: its entities by identity, so that a thing has one colour and one
    name in all of the video's films."""
    rows = dataset.video(video_id).entities().to_pylist()
    names = numbered_names(rows)
    things: dict[str, dict[int, tuple[int, str]]] = defaultdict(dict)
    for row in rows:
        key = row["clip_id"], row["entity"]
        things[row["clip_id"]][row["entity"]] = (row["identity"], names[key])
    return things


def report_of(
    dataset: Dataset, *, sample: int = 60, seed: int = 0, min_quality: float | None = None
) -> Path:
    """Write OUT/report/index.html and a page per clip; returns the index. See write_report."""
    record = read(dataset.layout)
    heading = Heading(
        title=f"massannot: {dataset.layout.out.name}",
        lines=(
            *(() if record is None else (f"profile {record.profile}",)),
            *grounds_of(dataset).lines,
        ),
        notes=() if record is None else tuple(record.notes),
    )
    return write_report(
        dataset.table_or_empty,
        lambda clip_id: dataset.clip(clip_id).table,
        dataset.layout.local / "report",
        films=dataset.layout.local / "films",
        heading=heading,
        sample=sample,
        seed=seed,
        min_quality=min_quality,
    )
