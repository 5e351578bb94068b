"""Presence: scripted masks that go behind one another, over the border, or nowhere."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from massannot.evaluate.clip_scores import ClipTruth
from massannot.evaluate.presence_scores import presence_scores, true_presence
from massannot.geometry import rle
from massannot.geometry.presence import HIDDEN, LEFT, LOST, SEEN, MaskPath, presence_of_all
from massannot.scenes.true_answers import Answers
from massannot.scenes.world import SceneOptions, make_scene

T, HEIGHT, WIDTH = 24, 60, 100
F64 = NDArray[np.float64]

Box = tuple[float, float, float, float] | None


def path(boxes: list[Box], *, behind: list[Box] | None = None, score: float = 0.0) -> MaskPath:
    """Filled boxes, cut by the picture and by the boxes `behind` which they are; a frame without a
    mask has `score`."""
    counts: list[str | None] = []
    rows = []
    for box, cover in zip(boxes, behind or [None] * len(boxes), strict=True):
        mask = filled(box) & ~filled(cover)
        text = rle.encode(mask)
        inside = rle.box_xyxy(text, height=HEIGHT, width=WIDTH)
        counts.append(None if inside is None else text)
        rows.append(inside or (np.nan,) * 4)
    area = np.array([0.0 if text is None else rle.area(text) for text in counts])
    return MaskPath(counts, np.array(rows), area, np.where(area > 0, 1.0, score))


def filled(box: Box) -> NDArray[np.bool_]:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    if box is not None:
        x0, y0, x1, y1 = (max(0, round(side)) for side in box)
        mask[y0:y1, x0:x1] = True
    return mask


def moving(x: Callable[[int], float], *, y: float = 30, size: float = 10) -> list[Box]:
    return [(x(t), y, x(t) + size, y + size) for t in range(T)]


def runs(states: NDArray[np.str_]) -> list[tuple[str, int]]:
    """Each run of equal states with its length."""
    ends = np.r_[np.flatnonzero(states[1:] != states[:-1]), len(states) - 1]
    return [(str(states[end]), int(n)) for end, n in zip(ends, np.diff(np.r_[-1, ends]))]


def states(*paths: MaskPath, depth: NDArray[np.float32] | None = None) -> list[tuple[str, int]]:
    """Runs of the first one's states."""
    numbered = dict(enumerate(paths))
    return runs(presence_of_all(numbered, height=HEIGHT, width=WIDTH, depth=depth)[0])


PILLAR: list[Box] = [(40, 10, 60, 50)] * T


def test_a_thing_that_passes_behind_another_is_hidden_there() -> None:
    thing = path(moving(lambda t: 5 + 4 * t), behind=PILLAR)
    assert states(thing, path(PILLAR)) == [(SEEN, 9), (HIDDEN, 3), (SEEN, 12)]


def test_a_thing_that_stops_behind_another_stays_hidden_to_the_end() -> None:
    thing = path(moving(lambda t: min(5 + 4 * t, 45)), behind=PILLAR)
    assert states(thing, path(PILLAR)) == [(SEEN, 9), (HIDDEN, 15)]


def test_a_thing_that_comes_out_from_behind_another_was_hidden_before() -> None:
    thing = path(moving(lambda t: max(45, 5 + 4 * t)), behind=PILLAR)
    assert states(thing, path(PILLAR)) == [(HIDDEN, 12), (SEEN, 12)]


def test_a_still_thing_is_hidden_by_the_one_that_passes_in_front_of_it() -> None:
    passing = moving(lambda t: -10 + 6 * t, y=10, size=40)
    thing = path([(45, 30, 55, 40)] * T, behind=passing)
    assert [state for state, _ in states(thing, path(passing))] == [SEEN, HIDDEN, SEEN]


@pytest.mark.parametrize(
    ("where", "boxes"),
    [
        ("right", moving(lambda t: 30 + 6 * t)),
        ("left", moving(lambda t: 60 - 6 * t)),
        ("top", [(40, 40 - 5 * t, 50, 50 - 5 * t) for t in range(T)]),
        ("bottom", [(40, 5 * t, 50, 5 * t + 10) for t in range(T)]),
    ],
)
def test_a_thing_that_goes_over_the_border_has_left(where: str, boxes: list[Box]) -> None:
    n_seen = int(np.count_nonzero(path(boxes).area))
    assert states(path(boxes)) == [(SEEN, n_seen), (LEFT, T - n_seen)]


def test_a_thing_that_leaves_beside_another_at_the_border_is_not_hidden_by_it() -> None:
    neighbour = path([(70, 20, 100, 30)] * T)  # above the way out, touching it
    thing = path(moving(lambda t: 30 + 6 * t))
    assert states(thing, neighbour) == [(SEEN, 12), (LEFT, 12)]


def test_a_thing_that_is_tossed_out_and_falls_back_had_left() -> None:
    boxes: list[Box] = [
        (40, 0.5 * (t - 12) ** 2 - 40, 50, 0.5 * (t - 12) ** 2 - 30) for t in range(T)
    ]
    assert [state for state, _ in states(path(boxes))] == [SEEN, LEFT, SEEN]


def test_a_thing_that_left_and_is_found_again_beside_another_was_not_hidden_by_it() -> None:
    boxes = moving(lambda t: 30 + 6 * t)[:12] + [None] * 10
    boxes += [(70 - 6 * t, 30, 80 - 6 * t, 40) for t in range(2)]
    other = path([(82, 25, 90, 45)] * T)
    assert states(path(boxes), other) == [(SEEN, 12), (LEFT, 10), (SEEN, 2)]


def test_a_mask_that_vanishes_in_the_open_is_lost() -> None:
    boxes: list[Box] = [(30, 30, 40, 40)] * 10 + [None] * 14
    far_away = path([(80, 10, 90, 20)] * T)
    assert states(path(boxes), far_away) == [(SEEN, 10), (LOST, 14)]


def test_a_thing_hidden_at_first_and_gone_over_the_border_later_is_both() -> None:
    """It goes behind the pillar, is not followed when it comes out, and comes back from outside."""
    boxes = moving(lambda t: 5 + 4 * t)[:12] + [None] * 8
    boxes += [(96 - 4 * t, 30, 106 - 4 * t, 40) for t in range(4)]
    thing = path(boxes, behind=PILLAR)
    assert states(thing, path(PILLAR)) == [(SEEN, 9), (HIDDEN, 6), (LEFT, 5), (SEEN, 4)]


def test_the_propagators_own_belief_is_enough() -> None:
    boxes: list[Box] = [(30, 30, 40, 40)] * 10 + [None] * 14
    assert states(path(boxes, score=0.9)) == [(SEEN, 10), (HIDDEN, 14)]


def test_depth_tells_what_stands_in_front_without_a_mask_of_its_own() -> None:
    boxes = moving(lambda t: 5 + 4 * t)
    depth = np.full((T, HEIGHT, WIDTH), 4, np.float32)
    depth[:, 10:50, 40:60] = 2
    for t, box in enumerate(boxes):
        depth[t][filled(box) & ~filled(PILLAR[0])] = 3
    thing = path(boxes, behind=PILLAR)
    assert states(thing) == [(SEEN, 9), (LOST, 3), (SEEN, 12)]
    assert states(thing, depth=depth) == [(SEEN, 9), (HIDDEN, 3), (SEEN, 12)]
    assert states(thing, depth=np.full_like(depth, 4)) == [(SEEN, 9), (LOST, 3), (SEEN, 12)]


def test_a_thing_without_any_mask_is_lost_throughout() -> None:
    assert states(path([None] * T), path(PILLAR)) == [(LOST, T)]


def test_scores_count_frames_and_say_nothing_where_there_is_nothing_to_find() -> None:
    truth = np.array([SEEN, SEEN, HIDDEN, HIDDEN, HIDDEN, HIDDEN, LEFT, LEFT])
    stated = np.array([SEEN, HIDDEN, HIDDEN, HIDDEN, HIDDEN, LOST, HIDDEN, LOST])
    scores = {s.metric: (s.value, s.baseline) for s in presence_scores(truth, stated)}
    assert scores["hidden_recall"] == (0.75, 0.0)
    assert scores["hidden_precision"] == (0.6, pytest.approx(4 / 7))
    assert scores["left_recall"] == (0.0, 0.0)
    assert np.isnan(scores["left_precision"][0])


def test_a_box_that_a_pan_loses_over_the_border_has_truly_left() -> None:
    scene = make_scene(905020, SceneOptions(scenario="occluding", n_frames=24, fps=12))
    answers = Answers(scene, tuple(range(0, 24, 3)), 64, 80, np.full(2, 2.0))
    present = np.array(
        [[answers.mask(t, k).any() for k in range(len(scene.entities))] for t in range(8)]
    )
    clip = SimpleNamespace(answers=answers, present=present)
    stated = true_presence(cast(ClipTruth, clip), 2)
    assert runs(stated) == [(SEEN, 3), (LEFT, 3), (SEEN, 2)]
