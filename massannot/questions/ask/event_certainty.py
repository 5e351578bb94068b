"""How far stated events can be relied on, and that nothing else happened: in standard deviations.

An event of being seen is as sure as its score, and a thing that is in view in every frame never
left it. Of events of motion a score near 1 says less than it seems: on rendered scenes with exact
masks and depths nine in ten of them are true, and three in four of the true ones are stated
(docs/events.md), whatever the score. So answers that rest on them are asked below a margin of 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from massannot.questions.ask.cited_rows import ClipRows, Row

OF_SIGHT = frozenset(("appear", "disappear", "occlude", "leave", "re_enter"))
STATED, UNSTATED = 1.28, 0.67
"""Standard deviations of nine in ten, and of three in four."""
_MOST_SCORE = 1 - 1e-9


def certainty_of(
    rows: ClipRows, kinds: Sequence[str], thing: int | None, events: Sequence[Row]
) -> float:
    """That `events` are all of these kinds that the thing has, None: that any thing has."""
    of_sight = set(kinds) <= OF_SIGHT
    stated = min((_deviations(row["score"]) for row in events), default=math.inf)
    if not of_sight:
        return min(stated, STATED if events and thing is not None else UNSTATED)
    doing = {entity for row in events for entity in row["entities"]}
    others = {thing}
    if thing is None:
        others = {row["entity"] for row in rows.rows("entities", role="name")}
    in_view = all(_is_always_seen(rows, other) for other in others - doing)
    return stated if in_view else min(stated, UNSTATED)


def _deviations(score: float | None) -> float:
    """One-sided; null: a flight, which has none."""
    return math.inf if score is None else NormalDist().inv_cdf(min(max(score, 0.5), _MOST_SCORE))


def _is_always_seen(rows: ClipRows, thing: int | None) -> bool:
    masks = rows.rows("masks", thing, role="witness")
    return bool(masks) and all(row["state"] == "visible" for row in masks)
