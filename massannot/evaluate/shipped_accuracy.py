"""The measured accuracy of the shipped weights on rendered scenes: the file beside them, and its
tables. `tools/measure_accuracy.py` writes it; README's table and the demo's come from it.

Every figure is about this project's own rendered world and says nothing about real video.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from massannot.counts import counted
from massannot.geometry.intervals import ConfidenceInterval
from massannot.models.weights import SHIPPED

FILE = SHIPPED / "embedded" / "accuracy.json"
ONLY_RENDERED = (
    "These figures are about rendered scenes that the weights have never seen, drawn by the "
    "renderer that they were trained on; they say nothing about real video."
)


@dataclass(frozen=True)
class Line:
    """One score: its value over clips, the score of no skill on the same clips, and the
    difference of the two, paired over clips."""

    stage: str
    score: str
    value: ConfidenceInterval
    trivial: str
    """The trivial answer in words; empty: there is none."""
    trivial_value: ConfidenceInterval
    gain: ConfidenceInterval
    target: float | None
    more_is_better: bool

    @property
    def met(self) -> bool:
        assert self.target is not None
        better = self.value.value >= self.target
        return better if self.more_is_better else self.value.value <= self.target


@dataclass(frozen=True)
class Replaced:
    """The whole pipeline with some jobs done by the truth, by score; `gain` over no replacement,
    paired over clips."""

    truth_for: str
    scores: dict[str, ConfidenceInterval]
    gain: dict[str, ConfidenceInterval]


@dataclass(frozen=True)
class Accuracy:
    """`weights`: SHA-256 by model, of the files that were measured."""

    scene_version: int
    seeds: str
    n_frames: int
    weights: dict[str, str]
    cpu_s_per_clip: ConfidenceInterval
    lines: tuple[Line, ...]
    replaced: tuple[Replaced, ...]

    def to_json(self) -> str:
        return json.dumps(_known(asdict(self)), indent=1) + "\n"


def read(path: Path = FILE) -> Accuracy:
    """The file's content. Raises FileNotFoundError."""
    values = json.loads(path.read_text())
    lines = [
        Line(**{**line, **{n: _interval(line[n]) for n in ("value", "trivial_value", "gain")}})
        for line in values.pop("lines")
    ]
    replaced = [
        Replaced(row["truth_for"], _intervals(row["scores"]), _intervals(row["gain"]))
        for row in values.pop("replaced")
    ]
    values["cpu_s_per_clip"] = _interval(values["cpu_s_per_clip"])
    return Accuracy(**values, lines=tuple(lines), replaced=tuple(replaced))


def shipped_weights() -> dict[str, str]:
    """SHA-256 of the weights files of the installed package, by model."""
    return {
        path.parent.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(FILE.parent.glob("*/model.safetensors"))
    }


def scores_as_markdown(accuracy: Accuracy) -> str:
    """Every stage's score beside the trivial answer, and the clips that the figures are about."""
    n = accuracy.lines[0].value.n
    about = (
        f"{counted(n, 'clip')} of {counted(accuracy.n_frames, 'frame')}, seeds {accuracy.seeds}; "
        f"given are the pictures, the phrases and the lens; 95 % intervals by bootstrap over "
        f"clips. {ONLY_RENDERED}"
    )
    lines = [
        about,
        "",
        "| stage | score | measured | trivial answer | target |",
        "|---|---|---|---|---|",
    ]
    for line in accuracy.lines:
        target = "" if line.target is None else f"{line.target:g}{'' if line.met else ' (missed)'}"
        trivial = _short(line.trivial_value.value) if line.trivial else ""
        baseline = f"{trivial} ({line.trivial})" if line.trivial else ""
        lines.append(
            f"| {line.stage} | {line.score} | **{_short(line.value.value)}** "
            f"[{_short(line.value.low)}, {_short(line.value.high)}] | {baseline} | {target} |"
        )
    return "\n".join(lines)


def replaced_as_markdown(accuracy: Accuracy) -> str:
    """The loss by stage: the scores with single jobs done by the truth."""
    n = next(iter(accuracy.replaced[0].scores.values())).n
    names = list(accuracy.replaced[0].scores)
    all_of_them = n == accuracy.lines[0].value.n
    which = "these clips" if all_of_them else f"the first {n} of these clips"
    about = (
        f"Which stage loses how much: {which} from text again, with single "
        "jobs done by the scene's truth (in brackets the change, paired over clips)."
    )
    lines = [
        about,
        "",
        f"| done by the truth | {' | '.join(names)} |",
        f"|---|{'---|' * len(names)}",
    ]
    for row in accuracy.replaced:
        cells = [
            f"{_short(row.scores[name].value)}"
            + (f" [{_short(row.gain[name].low)}, {_short(row.gain[name].high)}]")
            * (row.gain[name].value != 0)
            for name in names
        ]
        lines.append(f"| {row.truth_for} | {' | '.join(cells)} |")
    return "\n".join(lines)


def as_text(accuracy: Accuracy) -> str:
    """The first table for a terminal."""
    rows = [
        f"  {line.stage:<11}{line.score:<46}{_short(line.value.value):>7}"
        + (f"   trivial {_short(line.trivial_value.value)}" if line.trivial else "")
        for line in accuracy.lines
    ]
    n = accuracy.lines[0].value.n
    return "\n".join([f"measured on {counted(n, 'rendered clip')} never seen in training:", *rows])


def _short(value: float) -> str:
    return "–" if value != value else f"{value:.3f}" if abs(value) < 0.1 else f"{value:.2f}"


def _known(values: object) -> object:
    """NaN as null, numbers as long as they mean something."""
    if isinstance(values, dict):
        return {key: _known(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [_known(value) for value in values]
    if isinstance(values, float):
        return None if values != values else round(values, 4)
    return values


def _interval(values: dict[str, float | int | None]) -> ConfidenceInterval:
    value, low, high = (
        float("nan") if (x := values[name]) is None else float(x)
        for name in ("value", "low", "high")
    )
    return ConfidenceInterval(value, low, high, int(values["n"] or 0))


def _intervals(values: dict[str, dict[str, float | int | None]]) -> dict[str, ConfidenceInterval]:
    return {name: _interval(value) for name, value in values.items()}
