"""The report: an index of clips, worst first, and a page per clip; nothing from the network.

For a large dataset the index shows a stratified sample: the worst, some at random, and every
kind of failure. Pages hold their pictures and films inside themselves, so that they work from disk
and when sent alone.
"""

from __future__ import annotations

import base64
import io
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from massannot.viewers.clip_data import Json, ShownFilm, clip_data, clip_name
from massannot.viewers.clip_drawing import GetTable
from massannot.viewers.clip_index import ClipIndex, ClipQuery, failed_cards, index_data
from massannot.viewers.film import paths
from massannot.viewers.page import page

MAX_PAGE_BYTES = 25_000_000
MAX_FILM_BYTES = 14_000_000
"""A larger film is left out of its page: base64 makes it a third larger."""
MAX_FAILURES = 500
GetClips = Callable[[Sequence[str]], Callable[[str], GetTable]]


@dataclass(frozen=True)
class Heading:
    """The text of the index above the clips, from the run's record."""

    title: str
    lines: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """Which answers are not a model's, which weights are not for real video."""


def write_report(
    index: ClipIndex,
    failures: pa.Table,
    clips: GetClips,
    folder: Path,
    *,
    films: Path,
    heading: Heading,
    sample: int = 60,
    seed: int = 0,
    min_quality: float | None = None,
    questions: Callable[[str], Sequence[Json]] = lambda clip_id: (),
    story: Callable[[str, Callable[[str], str | None]], Json | None] = lambda clip_id, link: None,
) -> Path:
    """Write `folder`/index.html and `folder`/clips/*.html; returns the first.

    `clips(ids)(id)` gives one clip's rows, of those that are shown. `films` holds what
    `film.render` wrote; a clip without a film has a page without one. `sample`: clips shown at
    most.
    `min_quality`: leave entities and motions of lower or unknown quality out of the pages.
    `questions(id)`: of a clip, see clip_questions.py. `story(id, link)`: see video_story.py.
    """
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    shown = _stratified(index.select(ClipQuery()), sample, seed)
    cards = index.cards(shown)
    pages = {card["id"]: f"../clips/{card['id']}.html" for card in cards}
    clip = clips([card["id"] for card in cards])
    for card in cards:
        tables = clip(card["id"])
        made = paths(films, tables)
        film = film_inside(made.plain)
        name = f"clips/{card['id']}.html"
        page_of_clip = clip_page(
            tables,
            film=film,
            min_quality=min_quality,
            questions=questions(card["id"]),
            story=story(card["id"], pages.get),
        )
        (folder / name).write_text(page_of_clip, "utf-8")
        card |= {"link": name, "still": _still(made.still)}
    path = folder / "index.html"
    path.write_text(_index(failures, index, heading, cards), "utf-8")
    return path


def clip_page(
    tables: GetTable,
    *,
    film: ShownFilm | None,
    index_link: str | None = "../index.html",
    min_quality: float | None = None,
    questions: Sequence[Json] = (),
    story: Json | None = None,
) -> str:
    """The page of one clip, complete in itself. `index_link`: the list it belongs to."""
    data = clip_data(
        tables,
        film=film,
        index_link=index_link,
        min_quality=min_quality,
        questions=questions,
        story=story,
    )
    return page(clip_name(tables("clips").to_pylist()[0]), data)


def _stratified(rows: npt.NDArray[np.int64], sample: int, seed: int) -> list[int]:
    """All rows, or the worst half of the sample and the rest at random, order kept."""
    if len(rows) <= sample:
        return rows.tolist()
    worst, others = rows[: sample // 2].tolist(), rows[sample // 2 :]
    chosen = random.Random(seed).sample(range(len(others)), sample - len(worst))
    return worst + [int(others[k]) for k in sorted(chosen)]


def _index(failures: pa.Table, index: ClipIndex, heading: Heading, cards: Sequence[Json]) -> str:
    data = index_data(
        index, failures, title=heading.title, lines=heading.lines, notes=heading.notes
    )
    data |= {
        "failed": failed_cards(failures.slice(0, MAX_FAILURES)),
        "shown_of": len(index) if len(cards) < len(index) else None,
        "clips": _fitting(cards),
    }
    return page(heading.title, data)


def _fitting(cards: Sequence[Json]) -> list[Json]:
    """The cards, those beyond what a page may hold without their pictures."""
    total, fitting = 0, list[Json]()
    for card in cards:
        total += len(card["still"] or "")
        keeps = total <= MAX_PAGE_BYTES - 4_000_000
        fitting.append(card if keeps else card | {"still": None})
    return fitting


def film_inside(path: Path) -> ShownFilm | None:
    """The film as part of a page; it begins with the clip's first frame."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    if len(content) > MAX_FILM_BYTES:
        return None
    return ShownFilm(f"data:video/mp4;base64,{base64.b64encode(content).decode()}", None)


def _still(path: Path) -> str | None:
    """Three frames in a row, small."""
    if not path.is_file():
        return None
    image = Image.open(path).convert("RGB")
    image.thumbnail((480 * 3, 300))
    memory = io.BytesIO()
    image.save(memory, "JPEG", quality=70, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(memory.getvalue()).decode()}"
