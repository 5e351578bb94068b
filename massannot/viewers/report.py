"""The report: an index of clips, worst first, and a page per clip; nothing from the network.

For a large dataset the index shows a stratified sample: the worst, some at random, and every
kind of failure. Pages hold their pictures inside themselves; films are linked.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image

from massannot.questions.profile import entity_names, is_good, motion_profile
from massannot.tables.positions import STATES
from massannot.viewers import html
from massannot.viewers.clip_drawing import GetTable
from massannot.viewers.film import Rendered, paths
from massannot.viewers.summary import PROFILE_TABLES

MAX_PAGE_BYTES = 25_000_000
GetClip = Callable[[str], GetTable]


@dataclass(frozen=True)
class Heading:
    """The text of the index above the clips, from the run's record."""

    title: str
    lines: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """Which answers are not a model's, which weights are not for real video."""


def write_report(
    table: GetTable,
    clip: GetClip,
    folder: Path,
    *,
    films: Path,
    heading: Heading,
    sample: int = 60,
    seed: int = 0,
    min_quality: float | None = None,
) -> Path:
    """Write `folder`/index.html and `folder`/clips/*.html; returns the index.

    `table` gives whole tables, `clip(id)` one clip's rows. `films` holds what `film.render` wrote;
    a clip without a still is listed without a picture. `sample`: clips shown at most.
    `min_quality`: leave entities and motions of lower or unknown quality out of the pages.
    """
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    clips = _worst_first(table)
    shown = _stratified(clips, sample, seed)
    cards = []
    for reported in shown:
        row = reported.row
        tables = clip(row["clip_id"])
        made = paths(films, tables)
        name = f"clips/{row['clip_id']}.html"
        page = _clip_page(row, tables, made, folder / "clips", min_quality)
        (folder / name).write_text(page, "utf-8")
        cards.append(_card(reported, made, name))
    index = folder / "index.html"
    index.write_text(_index(table, heading, len(clips), len(shown), cards), "utf-8")
    return index


@dataclass(frozen=True)
class _ReportedClip:
    row: dict[str, Any]
    """Of the table `clips`."""
    n_entities: int
    n_unknown: int
    """Entities of unknown quality."""
    quality: float | None
    """The worst that is known of its entities."""
    basis: str | None

    def order(self) -> tuple[bool, bool, float, str]:
        known = self.quality is not None
        return self.n_entities > 0, known, self.quality or 0.0, self.row["clip_id"]


def _worst_first(table: GetTable) -> list[_ReportedClip]:
    """Clips with their worst entity, those without any entity first, then those with none of known
    quality."""
    worst: dict[str, tuple[float, str | None]] = {}
    count, unknown = Counter[str](), Counter[str]()
    entities = table("entities").select(["clip_id", "quality", "quality_basis"])
    for clip_id, quality, basis in zip(*(c.to_pylist() for c in entities.columns), strict=True):
        count[clip_id] += 1
        if quality is None:
            unknown[clip_id] += 1
        elif clip_id not in worst or quality < worst[clip_id][0]:
            worst[clip_id] = quality, basis
    clips = [
        _ReportedClip(row, count[row["clip_id"]], unknown[row["clip_id"]],
                      *worst.get(row["clip_id"], (None, None)))
        for row in table("clips").to_pylist()
    ]  # fmt: skip
    return sorted(clips, key=_ReportedClip.order)


def _stratified(rows: list[_ReportedClip], sample: int, seed: int) -> list[_ReportedClip]:
    """All rows, or the worst half of the sample and the rest at random, order kept."""
    if len(rows) <= sample:
        return rows
    worst, others = rows[: sample // 2], rows[sample // 2 :]
    chosen = random.Random(seed).sample(range(len(others)), sample - len(worst))
    return worst + [others[k] for k in sorted(chosen)]


def _index(
    table: GetTable,
    heading: Heading,
    n_clips: int,
    n_shown: int,
    cards: Sequence[str],
) -> str:
    parts = [f"<h1>{html.text(heading.title)}</h1>"]
    parts += [f"<p class=sub>{html.text(line)}</p>" for line in heading.lines]
    parts += [f"<div class=notes>{html.text(note)}</div>" for note in heading.notes]
    parts += ["<h2>Phrases</h2>", _phrases(table("phrases"))]
    failures = table("failures")
    if failures.num_rows:
        parts += ["<h2>Failures</h2>", _failures(failures)]
    title = f"Clips, worst first ({n_clips})"
    if n_shown < n_clips:
        title = f"{n_shown} of {n_clips} clips: the worst, then some at random"
    parts += [f"<h2>{title}</h2>", f"<div class=cards>{''.join(_fitting(cards))}</div>"]
    return html.page(heading.title, parts)


def _fitting(cards: Sequence[str]) -> list[str]:
    """As many cards as a page may hold."""
    total, links = 0, list[str]()
    for card in cards:
        total += len(card)
        if total > MAX_PAGE_BYTES - 1_000_000:
            links.append(f"<p class=sub>{len(cards) - len(links)} more clips have pages only.</p>")
            break
        links.append(card)
    return links


def _phrases(phrases: pa.Table) -> str:
    n_clips: Counter[str] = Counter()
    n_found: Counter[str] = Counter()
    things: Counter[str] = Counter()
    once = phrases.group_by(["clip_id", "text"], use_threads=False)  # two questions, one text
    for row in once.aggregate([("n_entities", "max")]).to_pylist():
        n_clips[row["text"]] += 1
        n_found[row["text"]] += row["n_entities_max"] > 0
        things[row["text"]] += row["n_entities_max"]
    return html.table(
        ["phrase", "#clips asked", "#clips found", "#entities"],
        [
            [
                html.text(text)
                + ("" if n_found[text] else ' <span class="bad">never found</span>'),
                str(n),
                str(n_found[text]),
                str(things[text]),
            ]
            for text, n in n_clips.most_common(200)
        ],
    )


def _failures(failures: pa.Table) -> str:
    by_class: Counter[tuple[str, str]] = Counter()
    example: dict[tuple[str, str], str] = {}
    for row in failures.to_pylist():
        key = (row["class"], row["stage"])
        by_class[key] += 1
        example.setdefault(key, f"{row['uri']}: {row['message']}")
    return html.table(
        ["class", "stage", "#clips", "for example"],
        [
            [
                html.text(c),
                html.text(s),
                str(n),
                f"<span class=sub>{html.text(example[c, s])}</span>",
            ]
            for (c, s), n in by_class.most_common()
        ],
    )


def _name(row: dict[str, Any]) -> str:
    return str(row["source_id"] or Path(row["uri"]).name)


def _card(clip: _ReportedClip, made: Rendered, link: str) -> str:
    row, still = clip.row, ""
    if made.still.exists():
        image = Image.open(made.still)
        image.thumbnail((480 * 3, 300))
        still = html.picture(image, alt=f"three frames of {_name(row)}", quality=70)
    static = {True: "still camera", False: "moving camera", None: "camera unknown"}
    unknown = ""
    if clip.quality is not None and clip.n_unknown:
        unknown = f"<span class=sub>; {clip.n_unknown} of unknown quality</span>"
    return (
        f'<a class=card href="{html.text(link)}">{still}<b>{html.text(_name(row))}</b>'
        f"<span class=sub>{row['t0_s']:.1f}–{row['t1_s']:.1f} s, {row['n_frames']} frames, "
        f"{clip.n_entities} entities, {static[row['camera_static']]}</span>"
        f"{html.quality_bar(clip.quality, clip.basis)}{unknown}</a>"
    )


def _clip_page(
    row: dict[str, Any], tables: GetTable, made: Rendered, folder: Path, min_quality: float | None
) -> str:
    parts = [f"<h1>{html.text(_name(row))}</h1>", f"<p class=sub>{html.text(_facts(row))}</p>"]
    if _world_is_unknown(tables("positions")):
        parts.append(
            "<div class=notes>The world is not known: the camera moves, or may, and its poses are "
            "assumed. Motions are relative to the camera.</div>"
        )
    if made.film.exists():
        parts.append(f"<h2>Film</h2>{_video(made.film, folder)}")
    if made.still.exists():
        parts.append(html.picture(Image.open(made.still), alt="first, middle and last frame"))
    parts += ["<h2>Entities</h2>", _entities(tables, min_quality)]
    parts += ["<h2>Motions</h2>", _motions(tables, min_quality)]
    profile = _profile(tables, min_quality)
    parts += ["<h2>Motion profile</h2>", f"<pre>{html.text(profile)}</pre>"]
    parts += ["<h2>The clip's row</h2>", _row_table(row)]
    parts.append('<p><a href="../index.html">all clips</a></p>')
    return html.page(_name(row), parts)


def _world_is_unknown(positions: pa.Table) -> bool:
    placed = positions.filter(positions["x_cam"].is_valid())
    return placed.num_rows > 0 and placed["x_world"].null_count == placed.num_rows


def _profile(tables: GetTable, min_quality: float | None) -> str:
    return motion_profile(
        {name: tables(name) for name in PROFILE_TABLES}, template="mass-v2", min_quality=min_quality
    )


def _video(film: Path, folder: Path) -> str:
    import os

    link = html.text(Path(os.path.relpath(film, folder)).as_posix())
    return f'<video controls loop muted playsinline preload=metadata src="{link}"></video>'


def _facts(row: dict[str, Any]) -> str:
    unit = {"metric": "m", "relative": "units"}.get(row["scale_type"] or "", "")
    floor = row["noise_floor"]
    noise = f"; noise floor {floor:.3f} {unit}/s" if floor is not None else ""
    return (
        f"{row['uri']}, {row['t0_s']:.2f} to {row['t1_s']:.2f} s, {row['n_frames']} frames of "
        f"{row['source_width']}x{row['source_height']}, "
        f"scale {row['scale_type'] or 'unknown'}{noise}"
    )


def _entities(tables: GetTable, min_quality: float | None) -> str:
    names = entity_names({name: tables(name) for name in ("phrases", "entities")})
    rows = tables("entities").to_pylist()
    good = [r for r in rows if is_good(r["quality"], min_quality)]
    unknown = sum(r["quality"] is None for r in rows)
    left_out = (
        f"<p class=sub>{len(rows) - len(good)} below quality {min_quality} left out, {unknown} of "
        "them of unknown quality</p>"
    )
    states: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for r in tables("positions").select(["entity", "state"]).to_pylist():
        states[r["entity"]][r["state"]] += 1
    return (left_out if len(good) < len(rows) else "") + html.table(
        ["#entity", "name", "#frames", "#score", "quality", "frames", "#measured",
         "#fb error, px", "#in mask", "#depth valid", "#points alive", "#mask score"],
        [
            [
                str(r["entity"]),
                html.text(names[r["entity"]]),
                f"{r['first_frame']}–{r['last_frame']}",
                html.number(r["score"]),
                html.quality_bar(r["quality"], r["quality_basis"]),
                _states(states[r["entity"]]),
                html.number(r["measured_share"]),
                html.number(r["fb_error_px"]),
                html.number(r["in_mask_share"]),
                html.number(r["depth_valid_share"]),
                html.number(r["points_alive_share"]),
                html.number(r["mask_score"]),
            ]
            for r in good
        ],
    )  # fmt: skip


def _states(frames: Counter[str]) -> str:
    """How many frames of an entity have which state."""
    counts = [f"{frames[state]} {state}" for state in STATES if frames[state]]
    return html.text(", ".join(counts) or None)


def _motions(tables: GetTable, min_quality: float | None) -> str:
    """Lengths with their intervals, and the ground of these."""
    names = entity_names({name: tables(name) for name in ("phrases", "entities")})
    basis = {r["entity"]: r["quality_basis"] for r in tables("entities").to_pylist()}
    return html.table(
        ["name", "#segment", "relative to", "#length", "90 % interval", "quality"],
        [
            [
                html.text(names[r["entity"]]),
                str(r["segment"] + 1),
                html.text(r["reference"]),
                html.number(r["length"]),
                _interval(r),
                html.quality_bar(r["quality"], basis[r["entity"]]),
            ]
            for r in tables("motions").to_pylist()
            if is_good(r["quality"], min_quality)
        ],
    )


def _interval(row: dict[str, Any]) -> str:
    """Of a motion's length; an internal one has no probability."""
    low, high = row["length_low_90"], row["length_high_90"]
    if low is None or high is None:
        return html.UNKNOWN
    if row["interval_basis"] == "calibrated":
        return f"{low:.2f}–{high:.2f}, calibrated"
    return f"{low:.2f}–{high:.2f} or wider, internal"


def _row_table(row: dict[str, Any]) -> str:
    return html.table(["column", "value"], [[html.text(k), html.text(v)] for k, v in row.items()])
