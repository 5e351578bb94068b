"""The true events of a rendered scene, from its simulation and from what its pictures show.

    appear, disappear        the first frame with a thing in it after one without, and the reverse
    occlude, leave, re_enter why it is gone: behind something, or outside of the picture; back again
    vanish, teleport, upward_acceleration, weightless    a law is broken, see violations.py
    violation                the same, whatever the law: that is its rule
    contact_begin, contact_end    of two things, or of a thing and the room: floor, wall or body;
                             one that tips over strikes with another side, while it goes on touching
    landing                  what nothing held from below for LEAST_S comes down on something
    rebound                  a short touch after which the thing's centre goes back where it came
                             from, along the line on which the two push one another
    apex                     the highest moment of a flight that rises and falls for LEAST_S
    flight                   LEAST_FLIGHT_S and more without a touch
    start, stop              a thing that lay still moves on; one that moved lies still

What a body does while it is not seen is an event all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from massannot.scenes.physics import GRAVITY_M_S2
from massannot.scenes.shapes import Floats
from massannot.scenes.touches import Touch
from massannot.scenes.world import Scene

Bools: TypeAlias = NDArray[np.bool_]

LEAST_S = 0.1
"""Of a rise, a fall, or a flight before a landing: 5 cm."""
LEAST_FLIGHT_S = 0.2
LEAST_BLOW_M_S = 0.15
_LEAST_PARTING_M_S = 0.15
_SHORT_S = 0.15  # of a touch that is a rebound
_STILL_M_S, _MOVING_M_S, _STILL_S = 0.05, 0.25, 0.25
_SINKS_M_S, _STOPPED_M_S = 0.3, 0.5  # of what tips over
_BELOW = 0.5  # least upward component of the normal of something that one lands on
_LAW_KINDS = {
    "falls_up": "upward_acceleration",
    "floats": "weightless",
    "vanishes": "vanish",
    "teleports": "teleport",
}


@dataclass(frozen=True)
class TrueEvent:
    """One event; times in seconds of the scene."""

    kind: str
    t_s: float
    entities: tuple[int, ...]
    t1_s: float | None = None
    rule: str | None = None
    blow_m_s: float | None = None
    """Of a touch, along its normal, of the thing's centre, which is what one sees: of a contact by
    how much its velocity changes, of a landing how fast it came, of a rebound how fast it goes
    back; of the end of a contact how fast the sides part."""
    side_s: float | None = None
    """Of an apex: how long it rises before, or falls after, whichever is less."""
    acceleration: Floats | None = None
    """(3,) of a flight, room frame."""


def true_events(
    scene: Scene, seen: Bools, within: Bools, *, least_side_s: float = LEAST_S
) -> list[TrueEvent]:
    """All events in order of time. `seen` (T, K): something of the entity is seen in that frame of
    the scene; `within` (T, K): it would be if nothing were before it. `least_side_s`: of the rise
    and of the fall around an apex."""
    events = [*_violation(scene)]
    for entity in range(len(scene.entities)):
        mine = [touch for touch in scene.motion.touches if entity in touch.bodies]
        events += _presence(scene, entity, seen[:, entity], within[:, entity])
        events += _flights(scene, entity, mine, least_side_s)
        events += _falls(scene, entity, mine)
        events += _tips_over(scene, entity, mine)
        events += _rest(scene, entity)
    events += _touches(scene)
    return sorted(events, key=lambda event: (event.t_s, event.kind, event.entities))


def _violation(scene: Scene) -> Iterator[TrueEvent]:
    violation = scene.violation
    if violation is None:
        return
    t_s, t1_s = scene.t_s(violation.frame), scene.t_s(violation.end - 1)
    yield TrueEvent("violation", t_s, violation.entities, t1_s, rule=violation.law)
    if violation.law in _LAW_KINDS:
        until = t1_s if violation.law in ("falls_up", "floats") else None
        yield TrueEvent(_LAW_KINDS[violation.law], t_s, violation.entities, until)


def _presence(scene: Scene, entity: int, seen: Bools, within: Bools) -> Iterator[TrueEvent]:
    state = np.where(seen, "seen", np.where(within, "hidden", "left"))
    law = scene.violation
    gone = law.frame if law is not None and law.law == "vanishes" else len(seen)
    was_left = False
    for frame in range(1, len(seen)):
        before, now = state[frame - 1], state[frame]
        was_left = (was_left or before == "left") and before != "seen"
        if before == now:
            continue
        t_s = scene.t_s(frame)
        if "seen" in (before, now):
            yield TrueEvent("appear" if now == "seen" else "disappear", t_s, (entity,))
        if law is not None and frame >= gone and entity in law.entities:
            continue
        if now == "seen" and was_left and seen[:frame].any():
            yield TrueEvent("re_enter", t_s, (entity,))
        elif now == "hidden" and before == "seen":
            yield TrueEvent("occlude", t_s, (entity,))
        elif now == "left" and seen[:frame].any():
            yield TrueEvent("leave", t_s, (entity,))


def _touches(scene: Scene) -> Iterator[TrueEvent]:
    end_s = scene.t_s(scene.n_frames - 1)
    for touch in scene.motion.touches:
        who = touch.bodies
        if touch.begin_s > LEAST_S / 2 and touch.approach_m_s >= LEAST_BLOW_M_S:
            yield TrueEvent(
                "contact_begin",
                touch.begin_s,
                who,
                rule=touch.kind,
                blow_m_s=max(_change(scene, body, touch) for body in who),
            )
        if touch.end_s is not None and touch.end_s < end_s:
            yield TrueEvent(
                "contact_end", touch.end_s, who, rule=touch.kind, blow_m_s=touch.depart_m_s
            )


def _change(scene: Scene, body: int, touch: Touch) -> float:
    """Of a body's velocity along the normal of a touch."""
    before, after = _around(scene, body, touch.begin_s, touch.begin_s)
    return abs(float((after - before) @ touch.normal))


def _around(scene: Scene, body: int, before_s: float, after_s: float) -> tuple[Floats, Floats]:
    """(3,) velocity of a centre just before a moment, and just after another: those of the frames
    on both sides, with what gravity adds until then."""
    fps, velocity = scene.options.fps, scene.motion.velocity[:, body]
    first = max(int(np.ceil(before_s * fps - 1e-6)) - 1, 0)
    last = min(int(np.floor(after_s * fps + 1e-6)) + 1, len(velocity) - 1)
    pull = np.array([0.0, 0.0, -GRAVITY_M_S2])
    return (
        velocity[first] + pull * (before_s - first / fps),
        velocity[last] + pull * (after_s - last / fps),
    )


def _tips_over(scene: Scene, entity: int, mine: list[Touch]) -> Iterator[TrueEvent]:
    """Blows of a thing that sinks while it touches something, and is stopped."""
    fps, rising = scene.options.fps, scene.motion.velocity[:, entity, 2]
    for frame in range(len(rising) - 1):
        t_s, gained = (frame + 0.5) / fps, float(rising[frame + 1] - rising[frame])
        held = [t for t in mine if t.begin_s < frame / fps and (t.end_s or np.inf) > t_s]
        begins = any(abs(t.begin_s - t_s) <= 1.5 / fps for t in mine)
        if held and not begins and rising[frame] <= -_SINKS_M_S and gained >= _STOPPED_M_S:
            yield TrueEvent("contact_begin", t_s, (entity,), None, held[-1].kind, gained)


def _flights(
    scene: Scene, entity: int, mine: list[Touch], least_side_s: float
) -> Iterator[TrueEvent]:
    law = scene.violation
    broken = law is not None and law.law in ("falls_up", "floats") and entity in law.entities
    velocity, fps = scene.motion.velocity[:, entity, 2], scene.options.fps
    for first_s, end_s in _untouched(scene, mine):
        cuts = [first_s, end_s]
        if law is not None and entity in law.entities:
            cuts = sorted([*cuts, scene.t_s(law.frame)])
        for t0_s, t1_s in pairwise(cuts):
            if t1_s - t0_s < LEAST_FLIGHT_S or t0_s < first_s or t1_s > end_s:
                continue
            share = 1.0
            if broken and law is not None and t0_s >= scene.t_s(law.frame):
                share = -1.0 if law.law == "falls_up" else 0.0
            if share:
                pull = np.array([0.0, 0.0, -share * GRAVITY_M_S2])
                yield TrueEvent("flight", t0_s, (entity,), t1_s, acceleration=pull)
        for frame in range(int(np.ceil(first_s * fps)), int(end_s * fps)):
            if velocity[frame] > 0 >= velocity[frame + 1]:
                share = velocity[frame] / max(velocity[frame] - velocity[frame + 1], 1e-9)
                t_s = (frame + share) / fps
                side_s = min(t_s - first_s, end_s - t_s)
                if side_s >= least_side_s:
                    yield TrueEvent("apex", t_s, (entity,), side_s=side_s)


def _falls(scene: Scene, entity: int, mine: list[Touch]) -> Iterator[TrueEvent]:
    for touch in mine:
        if touch.begin_s < LEAST_S or touch.approach_m_s < LEAST_BLOW_M_S:
            continue
        normal = _towards(entity, touch)
        until_s = touch.begin_s if touch.end_s is None else touch.end_s
        before, after = _around(scene, entity, touch.begin_s, until_s)
        into, back = -float(before @ normal), float(after @ normal)
        held = any(
            _towards(entity, other)[2] >= _BELOW
            and other.begin_s < touch.begin_s
            and (other.end_s or np.inf) > touch.begin_s - LEAST_S
            for other in mine
            if other is not touch
        )
        if normal[2] >= _BELOW and not held:
            yield TrueEvent("landing", touch.begin_s, (entity,), None, touch.kind, into)
        short = touch.end_s is not None and touch.end_s - touch.begin_s <= _SHORT_S
        if short and min(into, back, touch.depart_m_s) >= _LEAST_PARTING_M_S:
            yield TrueEvent("rebound", touch.begin_s, (entity,), None, touch.kind, back)


def _towards(entity: int, touch: Touch) -> Floats:
    """(3,) the normal of a touch, to the entity."""
    return touch.normal if touch.first == entity else -touch.normal


def _rest(scene: Scene, entity: int) -> Iterator[TrueEvent]:
    speed = np.linalg.norm(scene.motion.velocity[:, entity], axis=-1)
    least = max(2, int(np.ceil(_STILL_S * scene.options.fps)))
    still, fps = speed < _STILL_M_S, scene.options.fps
    for frame in range(least - 1, len(speed) - least):
        before, after = slice(frame - least + 1, frame + 1), slice(frame + 1, frame + 1 + least)
        event = TrueEvent("start", (frame + 0.5) / fps, (entity,))
        if still[before].all() and not still[frame + 1] and speed[after].max() >= _MOVING_M_S:
            yield event
        if still[after].all() and not still[frame] and speed[before].max() >= _MOVING_M_S:
            yield replace(event, kind="stop")


def _untouched(scene: Scene, mine: list[Touch]) -> Iterator[tuple[float, float]]:
    """Stretches in which a body touches nothing, seconds."""
    last_s, clip_end_s = 0.0, scene.t_s(scene.n_frames - 1)
    for touch in mine:  # in order of their beginnings
        if touch.begin_s > last_s:
            yield last_s, min(touch.begin_s, clip_end_s)
        last_s = max(last_s, clip_end_s if touch.end_s is None else touch.end_s)
    if last_s < clip_end_s:
        yield last_s, clip_end_s
