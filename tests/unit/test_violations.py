"""Scenes in which something impossible happens, and bodies with a front."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from massannot.scenes.prisms import FRONT, FRONTED_NAMES, Prism, draw_prism
from massannot.scenes.true_events import true_events
from massannot.scenes.violations import VIOLATIONS
from massannot.scenes.world import Scene, SceneOptions, make_scene

SIZE = {"n_frames": 16, "fps": 12, "n_bodies": 2}


@cache
def scene(violate: str | None) -> Scene:
    return make_scene(7, SceneOptions(**SIZE, violate=violate))  # type: ignore[arg-type]


KINDS = {
    "gravity": {"upward_acceleration", "weightless"},
    "vanish": {"vanish"},
    "teleport": {"teleport"},
    "penetrate": set(),
    "reverse": set(),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_twin_is_the_same_to_the_last_bit_until_its_law_is_broken(name: str) -> None:
    usual, twin = scene(None), scene(name)
    law = twin.violation
    assert law is not None
    assert 0 < law.frame < law.end <= twin.n_frames
    assert np.array_equal(usual.motion.position[: law.frame], twin.motion.position[: law.frame])
    assert not np.array_equal(usual.motion.position, twin.motion.position)
    assert name == "reverse" or len(law.entities) == 1


@pytest.mark.parametrize("name", VIOLATIONS)
def test_the_truth_says_what_is_broken_when_and_by_which_thing(name: str) -> None:
    twin = scene(name)
    law = twin.violation
    assert law is not None
    seen = np.ones((twin.n_frames, len(twin.entities)), np.bool_)
    rows = {event.kind: event for event in true_events(twin, seen, seen)}
    assert rows["violation"].rule == law.law
    assert rows["violation"].t_s == pytest.approx(twin.t_s(law.frame))
    assert rows["violation"].entities == law.entities
    told = {"upward_acceleration", "weightless", "vanish", "teleport"} & set(rows)
    assert told <= KINDS[name]
    assert bool(told) == bool(KINDS[name])


def test_a_scene_that_obeys_physics_has_no_violation() -> None:
    usual = scene(None)
    seen = np.ones((usual.n_frames, len(usual.entities)), np.bool_)
    assert "violation" not in {event.kind for event in true_events(usual, seen, seen)}


def test_an_unknown_law_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"found violate 'time', expected .*'gravity'"):
        SceneOptions(violate="time")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="found long with violate"):
        SceneOptions(long=True, violate="vanish")


def test_bodies_with_a_front_stand_for_the_first_ones_and_say_where_it_points() -> None:
    fronted = make_scene(7, SceneOptions(**SIZE, n_fronts=1))  # type: ignore[arg-type]
    fronts = [fronted.front_in_cam(0, k) for k in range(2)]
    assert fronted.entities[0].phrase.endswith(FRONTED_NAMES)
    assert fronts[0] is not None
    assert np.linalg.norm(fronts[0]) == pytest.approx(1)
    assert fronts[1] is None


@pytest.mark.parametrize("name", FRONTED_NAMES)
def test_a_prism_is_where_its_rays_meet_it_and_is_longer_to_the_front(name: str) -> None:
    rng = np.random.default_rng(3)
    prism: Prism = draw_prism(rng, name)  # type: ignore[arg-type]
    points = prism.sample_surface(rng, 200)
    distance, _ = prism.nearest(points)
    assert np.abs(distance).max() < 1e-9
    origin = np.array([0.0, 0.0, 3.0])
    rays = (points - origin).T
    met = prism.intersect(origin, *rays)
    assert (met <= 1 + 1e-9).all()
    hits = origin + met[:, None] * rays.T
    assert np.abs(prism.nearest(hits)[0]).max() < 1e-9
    size = np.ptp(prism.corners, axis=0)
    assert size.argmax() == FRONT.argmax()
    assert prism.volume_m3 < size.prod()
