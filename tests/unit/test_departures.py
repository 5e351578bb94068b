"""What vanishes or is elsewhere at once, beside what leaves, hides, or is struck: drawn discs."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from massannot.geometry import rle
from massannot.geometry.departures import MaskPaths, departures
from massannot.geometry.presence import MaskPath, presence_of_all
from massannot.geometry.sight_events import sight_events
from tests.drawn_world import BLUE, RED, Thing, World

F64 = NDArray[np.float64]

T, AT = 16, 8
NOWHERE = np.nan


def way(x: F64 | float, y: F64 | float = 60.0) -> F64:
    return np.stack([np.broadcast_to(x, T), np.broadcast_to(y, T)], axis=-1).astype(float)


def later(before: F64 | float, after: F64 | float) -> F64:
    return np.where(np.arange(T) < AT, before, after)


STILL = np.zeros(T)
WALK = np.arange(T) * 4.0
CASES = [
    # what, its way, the other's way, events of departure, events of sight
    ("stands", way(60 + STILL), None, [], []),
    ("vanishes", way(later(60, NOWHERE)), None, [("vanish", AT)], ["disappear"]),
    ("is elsewhere at once", way(later(60, 120)), None, [("teleport", AT)], []),
    ("is struck", way(60 + np.maximum(np.arange(T) - AT, 0) * 12.0), None, [], []),
    ("hides", way(60 + WALK), way(100 + STILL), [], ["disappear", "occlude", "appear"]),
    ("leaves", way(165 + WALK), None, [], ["disappear", "leave"]),
]  # fmt: skip


def paths(mine: F64, other: F64 | None) -> dict[int, MaskPath]:
    things = [Thing("a ball", RED, 24, mine)]
    if other is not None:
        things.append(Thing("a box", BLUE, 44, other, square=True))
    world, found = World(things), {}
    for k in range(len(things)):
        rows = []
        for t in range(T):
            mask = world.mask(t, k)
            box = world.box(t, k) if mask.any() else None
            rows.append((t, rle.encode(mask), box, float(mask.sum()), float(mask.any())))
        found[k] = MaskPath.of(T, rows)
    return found


@pytest.mark.seen("events", "engine alone")
@pytest.mark.parametrize(
    ("what", "mine", "other", "gone", "seen"), CASES, ids=[c[0] for c in CASES]
)
def test_a_thing_departs_only_where_no_motion_explains_it(
    what: str, mine: F64, other: F64 | None, gone: list[tuple[str, int]], seen: list[str]
) -> None:
    masks = paths(mine, other)
    xyz = np.column_stack([masks[0].centre, np.full(T, 150.0)]) / 150 * 3  # 3 m away
    found = departures(MaskPaths([*masks.values()]), 0, xyz, size=24 / 150 * 3)
    assert [(one.kind, one.frame) for one in found] == gone
    states = presence_of_all(masks, height=120, width=200)
    assert [event.kind for event in sight_events(masks[0], states[0])] == seen
