"""Which thing hides another: scripted masks, and the scores of a clip."""

from __future__ import annotations

import numpy as np
import pytest

from massannot.evaluate.presence_scores import occluder_scores
from massannot.geometry.occlusion import NOTHING, occluders_of_all
from massannot.geometry.presence import HIDDEN, MaskPath, presence_of_all
from massannot.scenes.rays import silhouette
from massannot.scenes.true_answers import Answers
from massannot.scenes.world import SceneOptions, make_scene
from tests.unit.test_presence import HEIGHT, PILLAR, WIDTH, Box, T, filled, moving, path

SIZE = {"height": HEIGHT, "width": WIDTH}
FAR = path([(80, 0, 90, 8)] * T)


def hidden_by(*paths: MaskPath, depth: np.ndarray | None = None) -> list[tuple[int, int]]:
    """(frame, occluder) of the first thing's hidden frames."""
    numbered = dict(enumerate(paths))
    states = presence_of_all(numbered, **SIZE, depth=depth)
    found = occluders_of_all(numbered, states, **SIZE, depth=depth)[0]
    assert (found[states[0] != HIDDEN] == NOTHING).all()
    return [(int(t), int(found[t])) for t in np.flatnonzero(states[0] == HIDDEN)]


PASSING = moving(lambda t: -10 + 6 * t, y=10, size=40)
GATE: list[Box] = [(34, 10, 50, 50)] * T
POST: list[Box] = [(50, 10, 66, 50)] * T
STORIES = [
    ("it passes behind", moving(lambda t: 5 + 4 * t), PILLAR),
    ("it stops behind", moving(lambda t: min(5 + 4 * t, 45)), PILLAR),
    ("it comes out from behind", moving(lambda t: max(45, 5 + 4 * t)), PILLAR),
    ("it turns behind", moving(lambda t: 5 + 4 * min(t, 21 - t)), PILLAR),
    ("the other passes before it", [(45, 30, 55, 40)] * T, PASSING),
]


@pytest.mark.parametrize(("what", "thing", "cover"), STORIES, ids=[story[0] for story in STORIES])
def test_a_thing_is_hidden_by_what_covers_its_place(
    what: str, thing: list[Box], cover: list[Box]
) -> None:
    found = hidden_by(path(thing, behind=cover), FAR, path(cover))
    assert len(found) > 1
    assert {by for _, by in found} == {2}


def test_of_two_in_a_row_each_hides_it_in_its_time() -> None:
    thing = path(moving(lambda t: 5 + 4 * t), behind=[(34, 10, 66, 50)] * T)
    found = [by for _, by in hidden_by(thing, path(GATE), path(POST))]
    assert found == sorted(found)
    assert set(found) == {1, 2}


def test_by_a_thing_without_a_mask_nothing_is_said() -> None:
    thing = path(moving(lambda t: 5 + 4 * t), behind=PILLAR, score=0.9)
    found = hidden_by(thing, FAR)
    assert [by for _, by in found] == [NOTHING] * 3


def test_a_thing_that_stands_farther_away_hides_nothing() -> None:
    """The pillar that hides it has no mask; a board behind both has one."""
    thing = moving(lambda t: 5 + 4 * t)
    depth = np.full((T, HEIGHT, WIDTH), 6, np.float32)
    depth[:, 10:50, 30:70] = 5
    depth[:, 10:50, 40:60] = 2
    for t, box in enumerate(thing):
        depth[t][filled(box) & ~filled(PILLAR[0])] = 3
    board = path([(30, 10, 70, 50)] * T, behind=PILLAR)
    hidden = path(thing, behind=PILLAR, score=0.9)
    assert {by for _, by in hidden_by(hidden, board, depth=depth)} == {NOTHING}
    pillar = path(PILLAR)
    assert {by for _, by in hidden_by(hidden, board, pillar, depth=depth)} == {2}


def test_the_true_occluder_is_the_entity_before_most_of_a_hidden_one() -> None:
    options = SceneOptions(
        width=160, height=128, n_frames=36, scenario="occluding", camera="static"
    )
    scene = make_scene(905303, options)
    answers = Answers(scene, (18, 0), 32, 40, np.array([4.0, 4.0]))
    by = answers.occluder(0, 2)
    assert by is not None
    x, y = (np.tile(np.arange(40) + 0.5, 32) * 4, np.repeat(np.arange(32) + 0.5, 40) * 4)
    behind = silhouette(scene, 18, 2, x, y).reshape(32, 40)
    assert np.mean(answers.ids(0)[behind] == by + 1) >= 0.5
    seen = [k for k in range(len(scene.entities)) if answers.mask(1, k).any()]
    assert {answers.occluder(1, k) for k in seen} == {None}


def test_occluders_are_scored_by_the_frames_that_name_the_right_one() -> None:
    true, stated = np.array([1, 1, 1, -1, 2, -1]), np.array([1, 2, -1, 1, 2, -1])
    scores = {s.metric: (s.value, s.baseline) for s in occluder_scores(true, stated, n_entities=3)}
    assert scores == {"occluder_recall": (2 / 4, 0.0), "occluder_precision": (2 / 4, 0.5)}
    nobody = np.full(3, NOTHING)
    assert all(np.isnan(s.value) for s in occluder_scores(nobody, nobody, n_entities=1))
