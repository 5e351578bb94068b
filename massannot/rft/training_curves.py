"""How trainings went: what their last checkpoints have logged, as one picture of two panels.

Supervised: the share of the answer's words that were the likeliest, in percent of the questions of
a step; by reinforcement: right answers, in percent of those that were sampled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from massannot.rft.run_folder import last_checkpoint
from massannot.rft.scores import font

PANELS = {
    "mean_token_accuracy": "supervised: the answer's words that were likeliest, percent",
    "rewards/accuracy/mean": "by reinforcement: right answers among those sampled, percent",
}
"""By the name under which TRL logs it."""
_MEAN_OF = 5
"""Logged values to each point of a line: one alone is of a few steps, and jumps."""
_WIDE, _HIGH, _LEFT, _TOP, _LABELS = 560, 180, 60, 34, 330
_LINE = 20
_COLOURS = ("#d9822b", "#5b8db8", "#2e7d32", "#8e44ad", "#9b1c31", "#00838f", "#6d4c41", "#616161")


@dataclass(frozen=True)
class Curve:
    """One training's line in one panel."""

    name: str
    panel: str
    steps: Sequence[int]
    percent: Sequence[float]


def curves_of(runs: Mapping[str, Path]) -> list[Curve]:
    """By name. A run without a checkpoint, or that logged neither value, has none."""
    found = []
    for name, run in runs.items():
        checkpoint = last_checkpoint(run)
        if checkpoint is None:
            continue
        logged = json.loads((checkpoint / "trainer_state.json").read_text())["log_history"]
        for panel in PANELS:
            rows = [(row["step"], 100 * row[panel]) for row in logged if panel in row]
            if rows:
                steps, values = zip(*rows)
                found.append(Curve(name, panel, steps, _smoothed(values)))
    return found


def picture(curves: Sequence[Curve]) -> Image.Image:
    """RGB; a panel for each kind of training that there is, with its names beside it."""
    panels = [panel for panel in PANELS if any(curve.panel == panel for curve in curves)]
    tall = [max(_HIGH, _LINE * sum(c.panel == panel for c in curves)) for panel in panels]
    size = (_LEFT + _WIDE + _LABELS, sum(tall) + len(panels) * (_TOP + 30))
    image = Image.new("RGB", size, "white")
    draw, top = ImageDraw.Draw(image), 0
    for panel, height in zip(panels, tall, strict=True):
        _panel(draw, PANELS[panel], [c for c in curves if c.panel == panel], top + _TOP)
        top += height + _TOP + 30
    return image


def _smoothed(values: Sequence[float]) -> list[float]:
    """Of each value and those before it, their mean."""
    parts = (values[max(0, end - _MEAN_OF) : end] for end in range(1, len(values) + 1))
    return [sum(part) / len(part) for part in parts]


def _panel(draw: ImageDraw.ImageDraw, title: str, curves: Sequence[Curve], top: int) -> None:
    last = max(max(curve.steps) for curve in curves)
    low = min(90, 10 * int(min(min(curve.percent) for curve in curves) / 10))

    def at(step: int, percent: float) -> tuple[float, float]:
        down = (100 - percent) / (100 - low)
        return _LEFT + _WIDE * step / last, top + _HIGH * down

    draw.text((_LEFT, top - 24), title, fill="black", font=font(14))
    for part in range(5):
        percent = low + (100 - low) * part / 4
        draw.line((at(0, percent), at(last, percent)), fill="#dddddd")
        draw.text((20, at(0, percent)[1] - 8), f"{percent:.0f}", fill="black", font=font(12))
    draw.text((_LEFT, top + _HIGH + 6), "step 0", fill="black", font=font(12))
    draw.text((_LEFT + _WIDE - 50, top + _HIGH + 6), f"step {last}", fill="black", font=font(12))
    for number, curve in enumerate(curves):
        colour = _COLOURS[number % len(_COLOURS)]
        points = [at(*point) for point in zip(curve.steps, curve.percent, strict=True)]
        draw.line(points, fill=colour, width=2)
        y = top + _LINE * number
        draw.rectangle((_LEFT + _WIDE + 14, y + 5, _LEFT + _WIDE + 32, y + 9), fill=colour)
        draw.text((_LEFT + _WIDE + 40, y), curve.name, fill="black", font=font(13))
