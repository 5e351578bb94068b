"""Events of one thing's motion: contacts, landings, rebounds, apexes, starts and stops; and jumps,
accelerations away from the ground, falls that go on in a straight line, which cannot be.

A path is parabolas and the kinks between them (kinks.py). An event is a number beyond its
threshold; its score is the probability of that for normal errors of the size that the path shows.

Unusual: which way is down is an argument, and how far it may be off: one clip need not say. Where
things fall, their acceleration says it; else it is the camera's, held within a tilt.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from massannot.geometry.departures import LIKELY
from massannot.geometry.kinks import FREE, GRAVITY, RARE, Kink, PathPart, kinks_of
from massannot.geometry.laws import Impossible

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Down:
    """Where down is, in the path's axes."""

    direction: F64
    """(3,) of length 1."""
    tilt: float
    """Angle by which it may be off, radians."""


@dataclass(frozen=True)
class MotionRules:
    """Thresholds, in metres and seconds, from which on an event is one."""

    least_change: float = 0.6
    """Of the velocity at a contact, m/s."""
    least_errors: float = 1.5
    """Of it too, in its standard errors: a length is never below 0, so that noise is a change."""
    least_fall: float = 0.6
    """Speed at which something lands, or meets what throws it back."""
    least_return: float = 0.3
    """Speed at which it is thrown back."""
    least_pull: float = 3.0
    """Acceleration of a fall."""
    least_side_s: float = 0.06
    """Of a rise before an apex, and of the fall after it."""
    least_side_flat_s: float = 0.1
    """The same where distances are not known: a fall goes through almost any three places there."""
    still: float = 0.1
    moving: float = 0.25
    """Speeds."""
    still_s: float = 0.2
    impossible_s: float = 0.24
    """Of what is against gravity, seconds: its frames of a 12th each span three tenths."""
    least_lead: float = 8.0
    """Squared standard errors that falls, rest and contacts cost beyond it: a blow between two
    frames may hide in four places on a line."""
    least_steady: float = 0.15
    """Vertical speed of something without weight: more than down may be off by."""
    least_steady_flat: float = 0.7
    """The same where not even its size says how far it is: what rolls nearer seems to sink."""
    least_drop: float = 0.1
    """Its way up or down, metres."""
    least_rise: float = 0.1
    """Speed of what rises, so that nothing it lay on pushes it any more."""
    least_push: float = 0.3
    """What it gains upward by a blow that comes all the same."""

    def impossible(self, down: Down, *, unit: float, flat: bool = False) -> Impossible:
        """What nothing does that obeys physics, in units of a path. `flat`: nothing says how far
        the thing is."""
        return Impossible(
            down.direction,
            down.tilt,
            speed=(self.least_steady_flat if flat else self.least_steady) * unit,
            way=self.least_drop * unit,
            rising=self.least_rise * unit,
            push=self.least_push * unit,
            price=RARE,
        )


@dataclass(frozen=True)
class MotionEvent:
    """One event of a path."""

    kind: str
    t_s: float
    t_sd_s: float
    rule: str
    score: float
    """Probability that the deciding number is beyond its threshold."""
    t1_s: float | None = None
    change: F64 | None = None
    """(3,) of the velocity at a contact, in the path's axes."""


def falls(parts: Sequence[PathPart]) -> Iterator[tuple[F64, float]]:
    """Accelerations (3,) of the falls on a path that are long enough to show one, and their
    relative errors."""
    for part in parts:
        error = math.sqrt(float(np.trace(part.acceleration_covariance)))
        size = float(np.linalg.norm(part.acceleration))
        if part.law == FREE and len(part.frames) >= 4 and error < 0.5 * size:
            yield part.acceleration, error / size


def motion_events(
    parts: Sequence[PathPart],
    unlawful: Sequence[PathPart],
    impossible: Impossible,
    *,
    unit: float,
    flat: bool = False,
    rules: MotionRules | None = None,
    least_score: float = LIKELY,
) -> list[MotionEvent]:
    """The events of a path in order of time; those below `least_score` are left out.

    `parts`: the path; `unlawful`: what is `impossible` and explains most of it (kinks.py). `unit`:
    what a metre is, in units of the path; `flat`: all places of it are as far away.
    """
    kinks = tuple(kinks_of(parts, meet=not flat))
    found = _Finder(parts, unlawful, kinks, impossible, unit, flat, rules or MotionRules())
    events = [
        *found.contacts(),
        *found.apexes(),
        *found.rests(),
        *found.against_physics(),
    ]
    return sorted((e for e in events if e.score >= least_score), key=lambda e: (e.t_s, e.kind))


@dataclass(frozen=True)
class _Finder:
    parts: Sequence[PathPart]
    unlawful: Sequence[PathPart]
    kinks: tuple[Kink, ...]
    impossible: Impossible
    unit: float
    flat: bool
    rules: MotionRules

    def contacts(self) -> Iterator[MotionEvent]:
        rules, unit, down = self.rules, self.unit, self.impossible.down
        for kink in self.kinks:
            score = min(
                _beyond(kink.size / unit, rules.least_change, kink.sd / unit),
                _beyond(kink.size / max(kink.sd, 1e-9), rules.least_errors, 1.0),
            )
            touch = MotionEvent(
                "contact_begin", kink.t_s, kink.t_sd_s, "velocity_jump", score, change=kink.change
            )
            yield touch
            before, after = kink.velocity_before, kink.velocity_after
            n, sd = kink.direction, kink.sd / unit
            into, out = -float(before @ n) / unit, float(after @ n) / unit
            back = min(
                _beyond(into, rules.least_fall, sd),
                _beyond(out, max(rules.least_return, 0.15 * into), sd),
                score,
            )
            yield replace(touch, kind="rebound", score=back)
            yield replace(touch, kind="contact_end", score=back)
            falling = float(before @ down) / unit
            upward = -float(kink.change @ down) / max(kink.size, 1e-9)
            landed = min(_beyond(falling, rules.least_fall, sd), score)
            if upward >= 0.5 and _may_fall(kink.before):
                yield replace(touch, kind="landing", score=landed)

    def apexes(self) -> Iterator[MotionEvent]:
        down, rules, unit = self.impossible.down, self.rules, self.unit
        for part in self.parts:
            pull = float(part.acceleration @ down)
            if part.law != FREE or len(part.frames) < 3 or pull < rules.least_pull * unit:
                continue
            t_s = part.t0_s - float(part.velocity(part.t0_s) @ down) / pull
            first_s, last_s = self._bounds(part)
            side = min(t_s - first_s, last_s - t_s)
            if side < (rules.least_side_flat_s if self.flat else rules.least_side_s):
                continue
            sd = _sd(part.acceleration_covariance, down)
            t_sd_s = _sd(part.velocity_covariance(t_s), down) / pull
            score = _beyond(pull / unit, rules.least_pull, sd / unit)
            yield MotionEvent("apex", t_s, t_sd_s, "turning_point", score)

    def rests(self) -> Iterator[MotionEvent]:
        for kink in self.kinks:
            states = [self._rest(part) for part in (kink.before, kink.after)]
            for kind, (still, moving) in (("start", states), ("stop", states[::-1])):
                score = min(still[0], moving[1])
                yield MotionEvent(kind, kink.t_s, kink.t_sd_s, "speed", score)

    def against_physics(self) -> Iterator[MotionEvent]:
        """Accelerations away from the ground, and straight lines that rise or fall; neither where
        falls and contacts explain the path about as well. Of each run the likeliest."""
        runs: dict[tuple[str, int], list[MotionEvent]] = defaultdict(list)
        for part in self.unlawful:
            for event in self._against_gravity(part):
                runs[event.kind, part.run].append(event)
        for events in runs.values():
            yield max(events, key=lambda event: event.score)

    def _against_gravity(self, part: PathPart) -> Iterator[MotionEvent]:
        rules, unit, impossible = self.rules, self.unit, self.impossible
        down, span_s = impossible.down, part.last_s - part.first_s
        least = max(impossible.speed, impossible.way / span_s) / unit
        needed = _chance(part.lead - rules.least_lead)
        size = float(np.linalg.norm(part.acceleration)) / unit
        pull = float(part.acceleration @ down) / unit
        sd = _sd(part.acceleration_covariance, down) / unit
        t_sd_s = span_s / (len(part.frames) - 1) / math.sqrt(12)
        up = _beyond(-pull - size * math.sin(impossible.tilt), rules.least_pull, sd)
        event = MotionEvent(
            "upward_acceleration",
            part.first_s,
            t_sd_s,
            "against_gravity",
            min(up, needed),
            part.last_s,
        )
        yield event
        middle_s = (part.first_s + part.last_s) / 2
        velocity = part.velocity(middle_s) / unit
        speed = float(np.linalg.norm(velocity))
        steady = abs(float(velocity @ down)) - speed * math.sin(impossible.tilt)
        steady_sd = _sd(part.velocity_covariance(middle_s), down) / unit
        weightless = min(
            _beyond(GRAVITY / 2 - abs(pull), 0.0, sd),
            _beyond(steady, least, steady_sd),
            needed,
        )
        yield replace(event, kind="weightless", rule="straight", score=weightless)

    def _bounds(self, part: PathPart) -> tuple[float, float]:
        """From the contact before a part to that after it."""
        first_s, last_s = part.first_s, part.last_s
        for kink in self.kinks:
            first_s = kink.t_s if kink.after is part else first_s
            last_s = kink.t_s if kink.before is part else last_s
        return first_s, last_s

    def _rest(self, part: PathPart) -> tuple[float, float]:
        """Probabilities that a part lies still for long enough, and that it moves."""
        span_s = part.last_s - part.first_s
        way = part.place(part.last_s) - part.place(part.first_s)
        length = float(np.linalg.norm(way))
        middle = part.velocity_covariance((part.first_s + part.last_s) / 2)
        axis = way / max(length, 1e-9)
        speed, sd = length / max(span_s, 1e-9) / self.unit, _sd(middle, axis) / self.unit
        still = _beyond(self.rules.still, speed, sd)
        enough = span_s >= self.rules.still_s - 1e-6
        return (still if enough else 0.0), _beyond(speed, self.rules.moving, sd)


def _may_fall(part: PathPart) -> bool:
    """Three places and less do not tell a fall from a straight line."""
    return part.law == FREE or len(part.frames) <= 3


def _sd(covariance: F64, axis: F64) -> float:
    return math.sqrt(max(float(axis @ covariance @ axis), 0.0))


def _chance(lead: float) -> float:
    """The probability of what is better by `lead`, in squared standard errors, than the other."""
    return 1 / (1 + math.exp(-min(max(lead / 2, -50.0), 50.0)))


def _beyond(value: float, threshold: float, sd: float) -> float:
    """Probability that a normal number with this mean and sd is above a threshold."""
    return 0.5 * (1 + math.erf((value - threshold) / (max(sd, 1e-9) * math.sqrt(2))))
