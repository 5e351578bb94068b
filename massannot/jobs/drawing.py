"""Films and the report of a dataset, from its tables and the videos themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path

from massannot.dataset.frames_again import clips_again
from massannot.dataset.reading import Dataset
from massannot.dataset.video_view import numbered_names
from massannot.jobs.heading import MANY_CLIPS, heading_of
from massannot.jobs.previews import previews, with_preview
from massannot.viewers.clip_drawing import FILM_WIDTH, GetTable
from massannot.viewers.clip_questions import ClipQuestions
from massannot.viewers.film import paths, render
from massannot.viewers.indexed_dataset import IndexedDataset
from massannot.viewers.report import write_report
from massannot.viewers.video_story import video_story


def films_of(
    dataset: Dataset,
    *,
    clip_ids: Sequence[str] | None = None,
    again: bool = True,
    width: int = FILM_WIDTH,
    drawn: Callable[[Path], None],
) -> list[Path]:
    """Render the overlay films (and stills) of clips into OUT/films, of a bucket into its working
    folder; `drawn` is called with every film. `again`: also films that are there already.
    `width`: of a film, in pixels, its depth included."""
    layout = dataset.layout
    things_of_video = lru_cache(maxsize=1)(partial(_things, dataset))  # clips come by video
    wanted = list(clip_ids if clip_ids is not None else dataset.clip_ids)
    films = []
    if not again:
        made = {c: paths(layout.local / "films", dataset.clip(c).table).film for c in wanted}
        films = [film for film in made.values() if film.is_file()]
        wanted = [clip_id for clip_id, film in made.items() if not film.is_file()]
    for clip in clips_again(layout, set(wanted)):
        tables = with_preview(dataset.clip(clip.clip_id), previews(layout))
        things = things_of_video(clip.video.video_id).get(clip.clip_id, {})
        pictures = iter(clip.frames.pixels_THWC)
        rendered = render(tables, pictures, layout.local / "films", width=width, things=things)
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


def _few(dataset: Dataset, clip_ids: Sequence[str]) -> Callable[[str], GetTable]:
    few = dataset.few(clip_ids)
    return lambda clip_id: few(clip_id).table


def report_of(
    dataset: Dataset,
    *,
    sample: int = 60,
    seed: int = 0,
    min_quality: float | None = None,
    again: bool = True,
    asked: Path | None = None,
) -> Path:
    """Write OUT/report/index.html and a page per clip; returns the index. See write_report.
    `again`: also if there is one already."""
    index = dataset.layout.local / "report" / "index.html"
    if index.is_file() and not again:
        return index
    indexed = IndexedDataset(dataset)
    indexed.count_states()
    return write_report(
        indexed.index,
        indexed.failures,
        partial(_few, dataset),
        dataset.layout.local / "report",
        films=dataset.layout.local / "films",
        heading=heading_of(dataset, most_clips=MANY_CLIPS),
        sample=sample,
        seed=seed,
        min_quality=min_quality,
        questions=ClipQuestions(dataset, asked).of,
        story=lambda clip_id, link: video_story(dataset, clip_id, link=link),
    )
