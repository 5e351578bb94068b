"""Scores of answered questions: per category and answer type, with intervals over videos.

Questions about one video are not independent, so the bootstrap draws videos. Where one condition
was trained with several seeds, its score is their mean, and seeds are drawn as well. Chance is the
score of the best constant answer, for the families of questions that define it.

The picture has a panel a category, a bar a condition, its interval as a line, chance dashed.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from massannot.geometry.intervals import ConfidenceInterval, bootstrap_of_runs
from massannot.questions.scene_families import FAMILIES, chance
from massannot.rft.answer import Answered

F64 = NDArray[np.float64]
Numbers = NDArray[np.int64]
_BAR, _GAP, _WIDE, _TOP = 18, 6, 300, 30
_COLOURS = {
    "blind": "#9e9e9e",
    "plain": "#5b8db8",
    "profile": "#d9822b",
    "all geometry": "#8e44ad",
    "selected geometry": "#2e7d32",
    "selected geometry and profile": "#8a6d1f",
}


def picture(rows: Sequence[AnswerScore]) -> Image.Image:
    """RGB; panels from top to bottom in two columns."""
    conditions = list(dict.fromkeys(row.condition for row in rows))
    label = 24 + round(max(map(font(13).getlength, conditions), default=0))
    whats = list(dict.fromkeys(map(title, rows)))
    height = _TOP + len(conditions) * (_BAR + _GAP) + 16
    columns = 2
    n_rows = -(-len(whats) // columns)
    wide = label + columns * (_WIDE + 40)
    image = Image.new("RGB", (wide, n_rows * height + 10), "white")
    draw = ImageDraw.Draw(image)
    for number, what in enumerate(whats):
        left = label + (number % columns) * (_WIDE + 40)
        top = (number // columns) * height + 6
        _panel(draw, [row for row in rows if title(row) == what], what, conditions, left, top)
        if number % columns == 0:
            for line, condition in enumerate(conditions):
                y = top + _TOP + line * (_BAR + _GAP)
                draw.text((8, y + 2), condition, fill="black", font=font(13))
    return image


def _panel(
    draw: ImageDraw.ImageDraw,
    rows: Sequence[AnswerScore],
    what: str,
    conditions: Sequence[str],
    left: int,
    top: int,
) -> None:
    draw.text((left, top), f"{what}, right answers in percent", fill="black", font=font(14))
    bottom = top + _TOP + len(conditions) * (_BAR + _GAP)
    draw.line((left, top + _TOP - 4, left, bottom), fill="black")
    for row in rows:
        y = top + _TOP + conditions.index(row.condition) * (_BAR + _GAP)
        colour = _COLOURS.get(row.condition.split(" +")[0], "#777777")
        a = row.accuracy
        draw.rectangle((left, y, left + _WIDE * a.value, y + _BAR), fill=colour)
        end = a.value
        if a.low == a.low:  # not NaN
            end, middle = a.high, y + _BAR // 2
            draw.line((left + _WIDE * a.low, middle, left + _WIDE * end, middle), "black", 2)
        is_inside = _WIDE * a.value > 24
        at, ink = (left + 4, "white") if is_inside else (left + 4 + _WIDE * end, "black")
        draw.text((at, y + 2), f"{100 * a.value:.0f}", fill=ink, font=font(13))
    known = [row.chance for row in rows if row.chance is not None]
    if known:
        x = left + _WIDE * known[0]
        for y in range(top + _TOP - 4, bottom, 8):
            draw.line((x, y, x, y + 4), fill="#b00020", width=2)


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """That of the pictures here."""
    return ImageFont.load_default(size)


By = Literal["category", "needs", "answer type", "source", "all"]


@dataclass(frozen=True)
class AnswerScore:
    condition: str
    by: By
    what: str
    """The category, the answer type or where the videos are from; "profile" or "pictures": the
    families that follow from these; "all": the mean over all questions."""
    accuracy: ConfidenceInterval
    """Over videos, and over seeds where there are several; `n` is the number of videos."""
    n_questions: int
    chance: float | None
    """None: not known."""
    of_seeds: Mapping[int, float] = field(default_factory=dict)
    """The accuracy of each training, by its seed; empty: there is one."""
    gain: ConfidenceInterval | None = None
    """The accuracy less that of the condition it was compared with, question by question."""


def scores(
    answered: Sequence[Answered], *, seed: int = 0, against: str | None = None
) -> list[AnswerScore]:
    """By condition in the order given, then by category, evidence, answer type, source and all.
    `against`: the condition that the others are compared with, see `answer.refuse_other_baseline`.
    """
    by_key: dict[tuple[str, By, str], list[Answered]] = defaultdict(list)
    is_known = {answer.category for answer in answered} <= set(FAMILIES)
    for answer in answered:
        by_key[answer.condition, "category", answer.category].append(answer)
        by_key[answer.condition, "answer type", answer.problem_type].append(answer)
        by_key[answer.condition, "all", "all"].append(answer)
        for source in answer.sources:
            by_key[answer.condition, "source", source].append(answer)
        if is_known:
            needs = "profile" if FAMILIES[answer.category].n_lines else "pictures"
            by_key[answer.condition, "needs", needs].append(answer)
    conditions = list(dict.fromkeys(answer.condition for answer in answered))
    order = get_args(By)
    keys = sorted(by_key, key=lambda k: (conditions.index(k[0]), order.index(k[1]), k[2]))
    return [
        _score(
            key,
            by_key[key],
            [] if against in (None, key[0]) else by_key[against, *key[1:]],
            seed=seed,
        )
        for key in keys
    ]


def as_text(rows: Sequence[AnswerScore]) -> str:
    """A Markdown table: a row a condition, a column a category or an answer type, percent with
    their interval; where conditions are compared, a second one of points gained."""
    columns = list(dict.fromkeys(map(title, rows)))
    cells = {(row.condition, title(row)): row for row in rows}
    head = " | ".join(columns) + " |\n" + "|---" * (len(columns) + 1) + "|"
    lines = ["| condition | " + head]
    conditions = list(dict.fromkeys(row.condition for row in rows))
    for condition in conditions:
        shown = [_cell(cells.get((condition, column))) for column in columns]
        lines.append(f"| {condition} | " + " | ".join(shown) + " |")
    first = {title(row): row for row in reversed(rows)}
    lines.append("| chance | " + " | ".join(_chance(first[c].chance) for c in columns) + " |")
    lines.append("| questions | " + " | ".join(str(first[c].n_questions) for c in columns) + " |")
    compared = [c for c in conditions if any(r.gain for r in rows if r.condition == c)]
    if compared:
        (against,) = set(conditions) - set(compared)
        lines += ["", f"| points above {against} | " + head]
        for condition in compared:
            shown = [_gain(cells.get((condition, column))) for column in columns]
            lines.append(f"| {condition} | " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


def title(row: AnswerScore) -> str:
    """The title of its column or panel; a category and an answer type may have one name."""
    return {
        "category": row.what,
        "needs": f"from the {row.what}",
        "answer type": f"answers: {row.what}",
        "source": row.what,
        "all": "all questions",
    }[row.by]


def write(
    rows: Sequence[AnswerScore], answered: Sequence[Answered], folder: Path
) -> tuple[Path, ...]:
    """scores.md, scores.json, answers.jsonl and scores.png."""

    folder.mkdir(parents=True, exist_ok=True)
    files = tuple(
        folder / name for name in ("scores.md", "scores.json", "answers.jsonl", "scores.png")
    )
    files[0].write_text(as_text(rows))
    files[1].write_text(json.dumps(list(map(_json, rows)), indent=1, allow_nan=False) + "\n")
    files[2].write_text("".join(json.dumps(asdict(answer)) + "\n" for answer in answered))
    picture(rows).save(files[3])
    return files


def _score(
    key: tuple[str, By, str],
    answered: Sequence[Answered],
    other: Sequence[Answered],
    *,
    seed: int,
) -> AnswerScore:
    groups = sorted({answer.group for answer in answered})
    seeds = sorted({answer.seed for answer in answered})
    right, total = _sums(answered, groups, seeds)
    size = {"n_runs": len(seeds), "n_clips": len(groups), "seed": seed}

    def share(runs: Numbers, clips: Numbers) -> float:
        return float(_share(right, total, runs, clips))

    gain = None
    if other:
        before = _sums(other, groups, seeds)

        def more(runs: Numbers, clips: Numbers) -> float:
            return share(runs, clips) - _share(*before, runs, clips)

        gain = bootstrap_of_runs(more, **size)
    return AnswerScore(
        *key,
        accuracy=bootstrap_of_runs(share, **size),
        n_questions=round(float(total[0].sum())),
        chance=_chance_of(answered),
        of_seeds={
            each: share(np.array([number]), np.arange(len(groups)))
            for number, each in enumerate(seeds)
            if len(seeds) > 1
        },
        gain=gain,
    )


def _sums(answered: Sequence[Answered], groups: list[str], seeds: list[int]) -> tuple[F64, F64]:
    """Right answers and questions of each training and video, both (seeds, groups)."""
    of_group = {name: number for number, name in enumerate(groups)}
    of_seed = {value: number for number, value in enumerate(seeds)}
    right, total = np.zeros((2, len(seeds), len(groups)))
    for answer in answered:
        at = of_seed[answer.seed], of_group[answer.group]
        right[at] += answer.accuracy
        total[at] += 1
    return right, total


def _share(right: F64, total: F64, runs: Numbers, clips: Numbers) -> float:
    drawn = np.ix_(runs, clips)
    n = float(total[drawn].sum())
    return float(right[drawn].sum()) / n if n else math.nan


def _chance_of(answered: Sequence[Answered]) -> float | None:
    values: dict[str, list[str]] = defaultdict(list)
    for answer in answered:
        values[answer.category].append(answer.solution.split()[0])
    if not set(values) <= set(FAMILIES):
        return None
    of_family = {name: chance(FAMILIES[name], solutions) for name, solutions in values.items()}
    return sum(of_family[answer.category] for answer in answered) / len(answered)


def _json(row: AnswerScore) -> dict[str, object]:
    """Unknown numbers are null: one video has no interval."""

    def known(interval: ConfidenceInterval | None) -> dict[str, float | None] | None:
        if interval is None:
            return None
        return {k: None if math.isnan(v) else v for k, v in asdict(interval).items()}

    return {**asdict(row), "accuracy": known(row.accuracy), "gain": known(row.gain)}


def _cell(row: AnswerScore | None) -> str:
    if row is None:
        return ""
    a = row.accuracy
    spread = "" if math.isnan(a.low) else f" ({100 * a.low:.0f} to {100 * a.high:.0f})"
    return f"{100 * a.value:.0f}{spread}"


def _gain(row: AnswerScore | None) -> str:
    if row is None or row.gain is None:
        return ""
    g = row.gain
    spread = "" if math.isnan(g.low) else f" ({100 * g.low:.1f} to {100 * g.high:.1f})"
    return f"{100 * g.value:.1f}{spread}"


def _chance(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.0f}"
