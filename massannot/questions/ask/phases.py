"""Phases of a noisy series: where it rises and falls by more than a least amount."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
ROOM = 1.5
"""What counts as a phase must be the same with a least amount so much larger, or smaller."""


@dataclass(frozen=True)
class Phases:
    names: tuple[str, ...]
    amounts: tuple[float, ...]
    """By how much each rises or falls."""


def up_and_down(series: F64, *, least: float) -> Phases | None:
    """Alternating up and down of series (n,); none for a series that stays within `least`. None:
    it depends on how much exactly counts."""
    found = [_turns(series, least * factor) for factor in (1 / ROOM, 1.0, ROOM)]
    if found[0].names != found[1].names or found[1].names != found[2].names:
        return None
    return found[1]


def levels(series: F64, *, least: float) -> Phases | None:
    """first where series (n,) is above `least`, second below minus it, in order, each once a run.
    None: it is never far from 0, a run of one item decides, or it depends on how much counts."""
    found = [_runs(series, least * factor) for factor in (1 / ROOM, 1.0, ROOM)]
    if any(one is None or one.names != getattr(found[1], "names", ()) for one in found):
        return None
    return found[1]


def _runs(series: F64, least: float) -> Phases | None:
    signs = np.where(series > least, 1, np.where(series < -least, -1, 0))
    runs: list[tuple[int, int, float]] = []
    for sign, size in zip(signs.tolist(), np.abs(series).tolist(), strict=True):
        if sign and runs and runs[-1][0] == sign:
            runs[-1] = (sign, runs[-1][1] + 1, max(runs[-1][2], size))
        elif sign:
            runs.append((sign, 1, size))
    if not runs or any(n < 2 for _, n, _ in runs):
        return None
    names = tuple("first" if sign > 0 else "second" for sign, _, _ in runs)
    return Phases(names, tuple(size for _, _, size in runs))


def _turns(series: F64, least: float) -> Phases:
    """Extremes that lie `least` apart from the ones before (a zigzag)."""
    low = high = pivot = float(series[0])
    names: list[str] = []
    amounts: list[float] = []
    for value in map(float, series[1:]):
        low, high = min(low, value), max(high, value)
        if not names:
            if value - low >= least:
                names, amounts, pivot = ["up"], [value - low], low
            elif high - value >= least:
                names, amounts, pivot = ["down"], [high - value], high
            continue
        sign = 1 if names[-1] == "up" else -1
        far = pivot + sign * amounts[-1]
        if sign * (value - far) > 0:
            amounts[-1] = abs(value - pivot)
        elif sign * (far - value) >= least:
            names.append("down" if sign > 0 else "up")
            amounts.append(abs(far - value))
            pivot = far
    return Phases(tuple(names), tuple(amounts))


def longest_run(inside: np.ndarray) -> tuple[int, int] | None:
    """First and last item of the longest run of at least two."""
    best: tuple[int, int] | None = None
    start: int | None = None
    for i, is_in in enumerate([*inside.tolist(), False]):
        if is_in and start is None:
            start = i
        elif not is_in and start is not None:
            if i - start >= 2 and (best is None or i - start > best[1] - best[0] + 1):
                best = (start, i - 1)
            start = None
    return best


def overlap(one: tuple[int, int], other: tuple[int, int]) -> float:
    """Of two runs of items: what both have, as a share of what either has."""
    both = min(one[1], other[1]) - max(one[0], other[0])
    return max(both, 0) / (max(one[1], other[1]) - min(one[0], other[0]))
