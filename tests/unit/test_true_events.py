"""True events of made-up motions: what a person would call a landing, a rebound, a strike."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from massannot.evaluate.event_scores import clear_of
from massannot.scenes.physics import GRAVITY_M_S2, Motion
from massannot.scenes.touches import Touch
from massannot.scenes.true_events import TrueEvent, true_events

FPS, T = 12, 13
UP, WEST = np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0])


def told(velocity: Any, *touches: Touch) -> list[TrueEvent]:
    """Events of bodies with these velocities (T, K, 3)."""
    velocity = np.asarray(velocity, np.float64)
    still = np.zeros_like(velocity)
    turned = np.tile(np.eye(3), (*velocity.shape[:2], 1, 1))
    motion = Motion(still, turned, velocity, still, still[:, 0, 0], (), touches)
    scene: Any = SimpleNamespace(
        motion=motion, options=SimpleNamespace(fps=FPS), n_frames=T, violation=None,
        entities=range(velocity.shape[1]), t_s=lambda frame: frame / FPS,
    )  # fmt: skip
    always = np.ones(velocity.shape[:2], np.bool_)
    return true_events(scene, always, always, least_side_s=0.04)


def touch(begin_s: float, end_s: float | None, normal: Any = UP, **given: Any) -> Touch:
    usual = {"kind": "floor", "first": 0, "second": None, "approach_m_s": 3.0, "depart_m_s": 2.0}
    return Touch(begin_s=begin_s, end_s=end_s, normal=normal, **{**usual, **given})


def bounces(*, back: float = 2.0) -> Any:
    """(T, 1, 3) of a thing that falls for half a second and is thrown back."""
    t = np.arange(T) / FPS
    rising = np.where(t < 0.5, -GRAVITY_M_S2 * t, back - GRAVITY_M_S2 * (t - 0.5))
    return np.stack([0 * t, 0 * t, rising], axis=-1)[:, None]


def rolls(*, turns_at: int) -> Any:
    """(T, 1, 3) of a thing that rolls into a wall and back."""
    across = np.where(np.arange(T) < turns_at, -1.2, 0.9)
    return np.stack([across, 0 * across, 0 * across], axis=-1)[:, None]


def tips(*, stopped: float) -> Any:
    """(T, 1, 3) of a thing on the floor that sinks onto its side."""
    rising = np.zeros(T)
    rising[4:7] = [-0.2, -0.5, -0.9]
    rising[7:] = stopped
    return np.stack([0 * rising, 0 * rising, rising], axis=-1)[:, None]


CASES = [
    ("it falls and is thrown back", bounces(), [touch(0.5, 0.502)],
     {"contact_begin", "contact_end", "landing", "rebound", "apex", "flight"}),
    ("it does not come back", bounces(back=0.0), [touch(0.5, None)],
     {"contact_begin", "landing", "flight"}),
    ("a knock from the side on the way down", bounces(back=0.0),
     [touch(0.44, 0.45, WEST, kind="wall"), touch(0.5, None)],
     {"contact_begin", "contact_end", "landing", "flight"}),
    ("it was held from below all the time", bounces(back=0.0),
     [touch(0.0, None), touch(0.5, None, second=None, kind="wall")],
     {"contact_begin"}),
    ("it rolls against a wall and back", rolls(turns_at=6),
     [touch(0.0, None), touch(0.46, 0.48, WEST, kind="wall")],
     {"contact_begin", "contact_end", "rebound"}),
    ("it tips over onto its side", tips(stopped=0.0), [touch(0.0, None)], {"contact_begin"}),
    ("it sinks and goes on sinking", tips(stopped=-0.9), [touch(0.0, None)], set()),
]  # fmt: skip


@pytest.mark.parametrize(("what", "velocity", "touches", "kinds"), CASES, ids=[c[0] for c in CASES])
def test_what_is_told_of_a_motion(
    what: str, velocity: Any, touches: list[Touch], kinds: set[str]
) -> None:
    found = {event.kind for event in told(velocity, *touches)}
    assert found - {"start", "stop"} == kinds


def test_a_blow_is_what_the_centre_does_and_not_the_corner_that_strikes() -> None:
    events = told(bounces(), touch(0.5, 0.502, approach_m_s=9.0, depart_m_s=8.0))
    blows = {event.kind: event.blow_m_s for event in events if event.blow_m_s is not None}
    assert blows["landing"] == pytest.approx(GRAVITY_M_S2 / 2, abs=0.1)
    assert blows["rebound"] == pytest.approx(2.0, abs=0.1)
    assert blows["contact_begin"] == pytest.approx(2.0 + GRAVITY_M_S2 / 2, abs=0.1)


@pytest.mark.parametrize(("back", "asked"), [(1.4, False), (2.0, True)])
def test_an_apex_is_asked_for_with_two_pictures_on_both_sides(back: float, asked: bool) -> None:
    end_s = 0.5 + 2 * back / GRAVITY_M_S2
    events = told(bounces(back=back), touch(0.5, 0.502), touch(end_s, None))
    shown = np.ones((T, 1), np.bool_)
    clear = clear_of(events, shown, {0}, fps=FPS)
    apex = [bool(c) for event, c in zip(events, clear, strict=True) if event.kind == "apex"]
    assert apex == [asked]
