"""The true answers of programs, from the simulation: by code that shares nothing with them.

Ways are those of the bodies' centres of mass, events those that the simulation knows. What is seen
is cast from the scene. LookupError: the scene has no answer, or `no truth`: nobody computes it.
"""

from __future__ import annotations

import itertools
import math
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from massannot.questions.ask import program as p
from massannot.scenes.true_answers import Answers
from massannot.scenes.true_events import TrueEvent, true_events
from massannot.scenes.world import Scene

F64 = NDArray[np.float64]

OF_SIGHT = {"appear", "disappear", "occlude", "leave", "re_enter"}
OF_MOTION = {
    "start", "stop", "flight", "apex", "landing", "rebound", "contact_begin", "contact_end",
    "teleport", "vanish", "upward_acceleration", "weightless",
}  # fmt: skip
BROKEN = ("upward_acceleration", "weightless")


class Simulated:
    """One scene, asked about things by the entities of an annotation."""

    def __init__(self, scene: Scene, things: dict[int, int | None]):
        """`things`: of each entity, the body that its words mean; None: there is none."""
        self.scene, self.things = scene, things
        n, k = scene.n_frames, len(scene.entities)
        self.t = np.array([scene.t_s(f) for f in range(n)])
        self.poses = np.array([scene.cam_from_world(f) for f in range(n)])
        self.cam = np.array(
            [[scene.cam_from_body(f, i)[:3, 3] for i in range(k)] for f in range(n)]
        )
        centred = self.cam - self.poses[:, None, :3, 3]
        self.world = np.einsum("fji,fkj->fki", self.poses[:, :3, :3], centred)

    @cached_property
    def moved(self) -> list[TrueEvent]:
        everywhere = np.ones(self.cam.shape[:2], np.bool_)
        return true_events(self.scene, everywhere, everywhere)

    @cached_property
    def shown(self) -> list[TrueEvent]:
        """Events with what the pictures show, which has to be cast."""
        n, k = self.cam.shape[:2]
        options = self.scene.options
        answers = Answers(self.scene, tuple(range(n)), options.height, options.width, np.ones(2))
        count = [np.bincount(answers.ids(f).ravel(), minlength=k + 1)[1:] for f in range(n)]
        seen = np.array(count).reshape(n, k) > 0
        within = seen.copy()
        for f, i in zip(*np.nonzero(~seen), strict=True):
            within[f, i] = answers.area_alone(int(f), int(i)) > 0
        return true_events(self.scene, seen, within)

    def body(self, thing: int) -> int:
        found = self.things.get(thing)
        if found is None:
            raise LookupError("no such thing")
        return found

    def track(self, thing: int, reference: str) -> F64:
        """(T, 3)."""
        return np.asarray((self.cam if reference == "camera" else self.world)[:, self.body(thing)])

    def events(self, kinds: tuple[str, ...], thing: int) -> list[TrueEvent]:
        """In which the thing takes part; a contact is one of two things."""
        body = self.body(thing)
        if not set(kinds) <= OF_MOTION | OF_SIGHT:
            raise LookupError(f"no truth for {kinds}")
        return [
            e for e in (self.shown if set(kinds) & OF_SIGHT else self.moved)
            if e.kind in kinds and body in e.entities and e.t_s <= self.t[-1]
            and (len(e.entities) > 1 or not e.kind.startswith("contact_"))
        ]  # fmt: skip

    def having(self, kinds: tuple[str, ...]) -> dict[int, float]:
        """When things first do it."""
        found = {k: self.events(kinds, k) for k, body in self.things.items() if body is not None}
        first = {k: events[0].t_s for k, events in found.items() if events}
        if len(first) < 2:
            raise LookupError("fewer than two things do it")
        return first

    def true(self, q: p.Operation) -> Any:
        """Raises LookupError where the scene has no answer."""
        name = f"_{type(q).__name__.casefold()}"
        if not hasattr(self, name):
            raise LookupError(f"no truth for {type(q).__name__}")
        return getattr(self, name)(q)

    def _path(self, q: p.Path) -> float:
        track = self.track(self._thing(q.thing), q.reference)
        return float(sum(math.dist(a, b) for a, b in itertools.pairwise(track)))

    def _speed(self, q: p.Speed) -> float:
        return self._path(p.Path(q.thing, q.reference)) / float(self.t[-1] - self.t[0])

    def _displacement(self, q: p.Displacement) -> float:
        track = self.track(self._thing(q.thing), q.reference)
        return float(np.linalg.norm(track[-1] - track[0]))

    def _directionclock(self, q: p.DirectionClock) -> int:
        return hour(self.track(q.thing, q.reference), q.base, q.step)

    def _when(self, q: p.When) -> tuple[float, float]:
        track, n = self.track(q.thing, q.reference), q.stride
        hours = [hour(track, (0, n), (f, f + n)) for f in range(len(track) - n)]
        runs: list[list[int]] = [[]]
        for f, there in enumerate(hours):
            runs = [*runs[:-1], [*runs[-1], f]] if there == q.hour else [*runs, []]
        run = max(runs, key=len)
        if not run:
            raise LookupError("never")
        first, last = (float(self.t[f] + self.t[f + n]) / 2 for f in (run[0], run[-1]))
        return first, last

    def _compare(self, q: p.Compare) -> str:
        return "first" if self.true(q.one) > self.true(q.other) else "second"

    def _directionsdiffer(self, q: p.DirectionsDiffer) -> str:
        a, b = (np.subtract(*self.track(k, q.reference)[[-1, 0]]) for k in (q.one, q.other))
        cosine = np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)
        return "yes" if cosine < math.cos(math.radians(q.degrees)) else "no"

    def _happens(self, q: p.Happens) -> str:
        return "yes" if self.events(q.kinds, q.thing) else "no"

    def _count(self, q: p.Count) -> int:
        assert q.thing is not None
        return len(self.events(q.kinds, q.thing))

    def _eventtime(self, q: p.EventTime) -> float:
        return self.events(q.kinds, self._thing(q.thing))[0].t_s

    def _order(self, q: p.Order) -> tuple[int, ...]:
        return tuple(int(i) for i in np.argsort([self.true(item) for item in q.items]))

    def _most(self, q: p.Most) -> int:
        make = p.OPERATIONS[q.by]
        return max(self.having(q.of.kinds), key=lambda k: self.true(make(k, q.reference)))  # type: ignore[call-arg]

    def _firstto(self, q: p.FirstTo) -> int:
        first = self.having(q.kinds)
        return min(first, key=lambda k: first[k])

    def _gravity(self, q: p.Gravity) -> str:
        """No: a law is broken while it flies."""
        if self.events(BROKEN, q.thing):
            return "no"
        if not self.events(("flight",), q.thing):
            raise LookupError("it never flies")
        return "yes"

    def _statesequence(self, q: p.StateSequence) -> tuple[str, ...]:
        series = self.series(q.quantity, q.thing, q.viewer, q.viewpoint, q.first, q.last)
        share = 1.0 if q.quantity == "bearing" else float(np.mean(np.abs(series)))
        return legs(series, q.least * share)

    def _turning(self, q: p.Turning) -> tuple[str, ...]:
        """Of the body's front, or of the way that it goes, over 0.3 s."""
        relative = q.viewpoint == "relative"
        if q.by == "front":
            body = self.body(q.thing)
            fronts = [self.scene.front_in_cam(f, body) for f in range(len(self.t))]
            if fronts[0] is None:
                raise LookupError("it has no front")
            pointing = np.array(fronts)
            if not relative:
                pointing = np.einsum("fji,fj->fi", self.poses[:, :3, :3], pointing)
        else:
            track = self.track(q.thing, "camera" if relative else "world")
            n = max(1, round(0.3 / float(self.t[1] - self.t[0])))
            pointing = track[n:] - track[:-n]
        pointing = pointing[q.first : q.last + 1]
        return legs(np.degrees(np.unwrap(np.arctan2(pointing[:, 0], pointing[:, 2]))), q.least)

    def _faster(self, q: p.Faster) -> tuple[str, ...]:
        one, other = (
            self.series("speed", k, q.viewer, q.viewpoint, q.first, q.last)
            for k in (q.one, q.other)
        )
        ahead, behind = one > q.least_ratio * other, other > q.least_ratio * one
        clear = np.where(ahead, 1, np.where(behind, 2, 0))
        words = [("", "first", "second")[c] for c in clear if c]
        return tuple(w for i, w in enumerate(words) if i == 0 or words[i - 1] != w)

    def _thing(self, thing: int | p.Operation) -> int:
        return thing if isinstance(thing, int) else int(self.true(thing))

    def series(self, what: str, thing: int, viewer: int, point: str, first: int, last: int) -> F64:
        """(n,) of a thing's distance, bearing in degrees, or speed, for a viewer."""
        frames = slice(first, last + 1)
        reference = "camera" if viewer == p.CAMERA and point == "relative" else "world"
        track = self.track(thing, reference)[frames]
        if viewer != p.CAMERA:
            seen = self.track(viewer, "world")[frames]
            track = track - (seen if point == "relative" else seen[:1])
        if what == "distance":
            return np.asarray(np.linalg.norm(track, axis=1))
        if what == "bearing":
            return np.degrees(np.unwrap(np.angle(track[:, 2] + 1j * track[:, 0])))
        n = max(2, round(0.2 / (self.t[1] - self.t[0])))
        speed = np.linalg.norm(track[n:] - track[:-n], axis=1) / (n * (self.t[1] - self.t[0]))
        around = [speed[max(0, i - n // 2) : i + n // 2 + 1].mean() for i in range(len(speed))]
        return np.array(around)


def hour(track: F64, base: tuple[int, int], step: tuple[int, int]) -> int:
    """On a clock seen from above, on which `base` points to 12."""
    z = [complex(*(track[j] - track[i])[[2, 0]]) for i, j in (base, step)]
    return round(math.degrees(np.angle(z[1] / z[0])) / 30) % 12 or 12


def legs(series: F64, least: float) -> tuple[str, ...]:
    """What is as long as `least` of two legs, around the turning point that makes both longest; of
    one, where nothing turns."""
    turn = int(np.argmax(np.abs(series - series[0]) + np.abs(series - series[-1])))
    one, two = series[turn] - series[0], series[-1] - series[turn]
    both = (one, two) if one * two < 0 else (series[-1] - series[0],)
    return tuple("up" if leg > 0 else "down" for leg in both if abs(leg) >= least)
