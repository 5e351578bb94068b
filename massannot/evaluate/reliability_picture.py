"""The reliability picture: stated against observed shares, as an SVG that needs nothing beside it.

Left: of the stated 50, 68 and 90 % intervals, the share that holds the truth, with its 95 %
interval over clips; a line marks the promise. Right: of five groups of entities, stated quality
against the share of frames that are right. Colours follow the reader's light or dark setting.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from massannot.evaluate.coverage import Coverage
from massannot.evaluate.dataset_scores import Evaluation
from massannot.evaluate.quality_scores import QualityBin
from massannot.geometry.intervals import ConfidenceInterval
from massannot.storage.durable import write_over
from massannot.tables._spec import INTERVAL_LEVELS

SERIES = (
    # what, axis, its name, light colour, dark colour
    ("position", "x", "position x", "#0067b0", "#5db4f0"),
    ("position", "y", "position y", "#00795a", "#3ccba0"),
    ("position", "z", "position z", "#c04a00", "#ff9a57"),
    ("motion_length", "length", "motion length", "#8a3d86", "#dd93da"),
    ("path", "length", "path", "#55595f", "#b5bac2"),
)

_WIDTH, _HEIGHT = 980, 520
_STYLE = (
    "text{font:16px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#1b1e24}"
    ".head{font-size:19px;font-weight:600}.faint{fill:#59606b}"
    ".paper{fill:#fff}.grid{stroke:#dfe2e7}.promise{stroke:#1b1e24;stroke-width:2}"
    "line{stroke-linecap:round}.bar{stroke-width:2.5}"
    "{light}"
    "@media(prefers-color-scheme:dark){text{fill:#e6e8ec}.faint{fill:#a2a9b4}"
    ".paper{fill:#14161a}.grid{stroke:#31363f}.promise{stroke:#e6e8ec}{dark}}"
)


def write(path: Path, evaluation: Evaluation) -> None:
    """Draw into `path`, over an existing file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_over(path, svg(evaluation.coverage, evaluation.quality_bins).encode())


def svg(coverage: Sequence[Coverage], bins: Sequence[QualityBin]) -> str:
    """The picture of the rows of subgroup "all" and of the quality's bins."""
    rules = {
        mode: "".join(
            f".s{k}{{stroke:{row[column]};fill:{row[column]}}}" for k, row in enumerate(SERIES)
        )
        for mode, column in (("light", 3), ("dark", 4))
    }
    style = _STYLE.replace("{light}", rules["light"]).replace("{dark}", rules["dark"])
    size = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        "<title>Stated against observed: how often intervals and qualities are right</title>",
        f"<style>{style}</style>",
        f'<rect class="paper" width="{_WIDTH}" height="{_HEIGHT}"/>',
        *_intervals(coverage),
        *_quality(bins),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


@dataclass(frozen=True)
class _Panel:
    """A square of 100 x 100 per cent on the paper."""

    left: float
    top: float
    width: float
    height: float

    def x(self, percent: float) -> float:
        return self.left + self.width * percent / 100

    def y(self, percent: float) -> float:
        return self.top + self.height * (1 - percent / 100)

    def scale(self) -> Iterator[str]:
        """Horizontal lines with their numbers."""
        for percent in range(0, 101, 25):
            y = self.y(percent)
            yield _line("grid", (self.x(0), y), (self.x(100), y))
            yield _text(self.x(0) - 10, y + 5, f"{percent}", "faint", anchor="end")


def _intervals(coverage: Sequence[Coverage]) -> Iterator[str]:
    panel = _Panel(left=64, top=92, width=420, height=310)
    whole = {(r.what, r.axis, r.nominal): r for r in coverage if r.subgroup == "all"}
    yield _text(20, 36, "Intervals: truth inside, %", "head", anchor="start")
    yield _text(20, 62, "bars: 95 % interval over clips", "faint", anchor="start")
    yield from panel.scale()
    step = 100 / len(INTERVAL_LEVELS)
    for group, nominal in enumerate(INTERVAL_LEVELS):
        start = group * step
        y = panel.y(nominal)
        yield _line("promise", (panel.x(start + 2), y), (panel.x(start + step - 2), y))
        yield _text(panel.x(start + step / 2), panel.y(0) + 26, f"stated {nominal} %")
        for k, (what, axis, name, *_) in enumerate(SERIES):
            row = whole.get((what, axis, nominal))
            if row is not None and not math.isnan(row.observed.value):
                at = panel.x(start + step * (k + 1) / (len(SERIES) + 1))
                yield from _mark(panel, at, row.observed, k, f"{name}, stated {nominal} %")
    if not any(row.n for row in whole.values()):
        yield _text(panel.x(50), panel.y(50) - 12, "no interval is stated")
    for k, (*_, name, _, _) in enumerate(SERIES):
        x, y = 30 + 160 * (k % 3), panel.y(0) + 62 + 28 * (k // 3)
        yield _shape(k, x, y - 5)
        yield _text(x + 14, y, name, anchor="start")
    x, y = 30 + 160 * 2, panel.y(0) + 62 + 28
    yield _line("promise", (x - 8, y - 5), (x + 8, y - 5))
    yield _text(x + 14, y, "promised", anchor="start")


def _quality(bins: Sequence[QualityBin]) -> Iterator[str]:
    panel = _Panel(left=600, top=92, width=340, height=310)
    yield _text(556, 36, "Quality: frames that are right, %", "head", anchor="start")
    yield _text(556, 62, "a fifth of the entities each; line: as stated", "faint", anchor="start")
    yield from panel.scale()
    for percent in range(0, 101, 25):
        yield _text(panel.x(percent), panel.y(0) + 26, f"{percent}", "faint")
    yield _text(panel.x(50), panel.y(0) + 56, "stated quality, %")
    yield _line("promise", (panel.x(0), panel.y(0)), (panel.x(100), panel.y(100)))
    for fifth in bins:
        observed = fifth.observed
        value, low, high = (100 * share for share in (observed.value, observed.low, observed.high))
        in_percent = ConfidenceInterval(value, low, high, observed.n)
        yield from _mark(
            panel, panel.x(100 * fifth.stated), in_percent, 0, f"stated {100 * fifth.stated:.0f} %"
        )
    if not bins:
        yield _text(panel.x(50), panel.y(50) - 12, "no quality is stated")


def _mark(
    panel: _Panel, x: float, share: ConfidenceInterval, series: int, name: str
) -> Iterator[str]:
    """A value with its bar; the numbers appear under the pointer."""
    bar = ""
    if not math.isnan(share.low):
        bar = _line(f"bar s{series}", (x, panel.y(share.low)), (x, panel.y(share.high)))
    numbers = f"{name}: observed {share.value:.0f} % [{share.low:.0f}, {share.high:.0f}]"
    yield f"<g><title>{html.escape(numbers)}</title>{bar}"
    yield _shape(series, x, panel.y(share.value)) + "</g>"


def _shape(series: int, x: float, y: float) -> str:
    """A shape of its own for each series, so that colour is not needed to tell them apart."""
    corners = {
        1: [(-6, -6), (6, -6), (6, 6), (-6, 6)],
        2: [(0, -8), (8, 0), (0, 8), (-8, 0)],
        3: [(0, -8), (8, 6), (-8, 6)],
        4: [(-8, -6), (8, -6), (0, 8)],
    }
    if series not in corners:
        return f'<circle class="s{series}" cx="{x:.1f}" cy="{y:.1f}" r="6.5"/>'
    points = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners[series])
    return f'<polygon class="s{series}" points="{points}"/>'


def _line(style: str, start: tuple[float, float], end: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = start, end
    return f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, style: str = "", *, anchor: str = "middle") -> str:
    return (
        f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{html.escape(text)}</text>"
    )
