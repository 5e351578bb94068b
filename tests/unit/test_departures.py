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


def discs(xy: F64, across: F64) -> MaskPath:
    """A disc at `xy` (T, 2), `across` (T,) pixels; across 0: none."""
    rows, columns = np.mgrid[:120, :200] + 0.5
    found = []
    for t, (centre, side) in enumerate(zip(xy, across, strict=True)):
        mask = (columns - centre[0]) ** 2 + (rows - centre[1]) ** 2 < side**2 / 4
        y, x = np.nonzero(mask)
        box = [x.min(), y.min(), x.max() + 1.0, y.max() + 1.0] if mask.any() else None
        found.append((t, rle.encode(mask), box, float(mask.sum()), float(mask.any())))
    return MaskPath.of(T, found)


def places(masks: MaskPath, z: F64) -> F64:
    return np.column_stack([masks.centre / 150 * z[:, None], z])


def gone(masks: MaskPath, z: F64, *others: MaskPath) -> list[tuple[str, int]]:
    paths = MaskPaths([masks, *others])
    size = float(np.nanmedian(masks.box_xyxy[:, 2] - masks.box_xyxy[:, 0])) / 150 * 3
    return [(d.kind, d.frame) for d in departures(paths, 0, places(masks, z), size=size)]


def test_a_jump_along_the_ray_is_told_where_the_thing_looks_as_much_smaller() -> None:
    xy = np.column_stack([later(100, 103), later(60, 50)])
    farther = later(3.0, 3.8)
    assert gone(discs(xy, 32 * 3 / farther), farther) == [("teleport", AT)]
    takes_in_what_is_behind = discs(xy, later(32, 34))
    assert gone(takes_in_what_is_behind, farther) == []


@pytest.mark.parametrize(("over", "expected"), [(3.0, [("teleport", AT)]), (8.0, [])])
def test_a_mask_that_lies_on_anothers_is_not_known_to_be_the_things(
    over: float, expected: list[tuple[str, int]]
) -> None:
    """A propagator that lost a thing to another one jumps back to it at the next box."""
    other = discs(way(84.0 - over), 24 + STILL)
    assert gone(discs(way(later(60, 150)), 24 + STILL), 3 + STILL, other) == expected


def test_a_mask_that_is_lost_and_found_again_has_not_jumped() -> None:
    x = 60 + STILL
    x[AT] = 120
    across = 24 + STILL
    across[AT] = 14
    assert gone(discs(way(x), across), 3 + STILL) == []


@pytest.mark.parametrize(("speed", "expected"), [(16.0, []), (0.0, [("vanish", AT)])])
def test_what_something_fast_comes_before_has_not_vanished(
    speed: float, expected: list[tuple[str, int]]
) -> None:
    thing = discs(way(later(100, NOWHERE)), later(20, 0.0))
    x = 98 + speed * np.maximum(np.arange(T) - AT, -1)
    cover = discs(way(x, 78.0), 24 + STILL)
    assert gone(thing, 3 + STILL, cover) == expected
