"""A program over the rows of a clip: its value, how sure it is, and each step on the way.

Uncertainty goes along by linear propagation. The margin is the distance to the nearest other answer
in standard deviations; of a number, to the edge of what counts as right (TOLERANCE of it).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import singledispatchmethod
from typing import Any, Literal

import numpy as np

from massannot.questions.ask import phases
from massannot.questions.ask import program as p
from massannot.questions.ask.cited_rows import ClipRows, Row
from massannot.questions.ask.event_certainty import certainty_of
from massannot.questions.ask.family import takes_part
from massannot.questions.ask.fronts import front_angles
from massannot.questions.ask.moving_quantities import LEAST_DEG, series_of, turn_between
from massannot.questions.ask.thing_tracks import (
    CENTRE_SHARE,
    ORDER_OF_BASES,
    UNSTATED_SHARED,
    Basis,
    Reading,
    ThingTracks,
    Unanswerable,
)

TOLERANCE = 0.25
"""STKit calls a distance or a speed right within 25 %."""
LEAST_REL = 0.03
"""No length of a way is better known than this: surface or body, straight or smoothed."""
SURE_SCORE = 0.9
GRAVITY, BROKEN = 9.81, ("upward_acceleration", "weightless")
"""Its length, and the events that it forbids."""

Value = float | int | str | tuple[Any, ...]


@dataclass(frozen=True)
class Gives:
    value: Value
    sigma: float | None = None
    """Of a number."""
    margin: float = math.inf


@dataclass(frozen=True)
class Derived:
    """One step, for a reader."""

    operation: p.Operation
    gives: Gives


@dataclass
class ProgramRun:
    """One run of a program; `steps` are in the order in which operations end."""

    rows: ClipRows
    reading: Reading = "surface"
    steps: list[Derived] = field(default_factory=list)
    bases: set[Basis] = field(default_factory=set)
    how: p.How | None = None
    certainty: float = math.inf
    """Of the events and the choices so far, standard deviations: no margin is larger."""

    @property
    def basis(self) -> Basis:
        """The weakest ground of intervals read; none: of events alone, as sure as their scores."""
        return max(self.bases or {"none"}, key=ORDER_OF_BASES.index)

    def result(self, program: p.Operation) -> Gives:
        """Raises Unanswerable where the rows do not answer it, MissingRow for a row not there."""
        gives = self._of(program)
        gives = replace(gives, margin=min(gives.margin, self.certainty))
        self.steps.append(Derived(program, gives))
        self.rows.step = len(self.steps)
        return gives

    @property
    def tracks(self) -> ThingTracks:
        tracks = ThingTracks(self.rows, reading=self.reading, how=self.how)
        tracks.bases = self.bases
        return tracks

    @singledispatchmethod
    def _of(self, program: p.Operation) -> Gives:
        raise Unanswerable(f"{type(program).__name__}: found no such operation")

    @_of.register
    def _(self, program: p.Path) -> Gives:
        return self._of_motions(program.thing, program.reference, "path")

    @_of.register
    def _(self, program: p.Speed) -> Gives:
        return self._of_motions(program.thing, program.reference, "speed")

    @_of.register
    def _(self, program: p.NetSpeed) -> Gives:
        far = self.result(p.Displacement(program.thing, program.reference))
        rows = self._motions(self._thing(program.thing), program.reference)
        seconds = rows[-1]["t1_s"] - rows[0]["t0_s"]
        if seconds <= 0:
            raise Unanswerable("no time passes")
        return _number(float(far.value) / seconds, (far.sigma or 0.0) / seconds)  # type: ignore[arg-type]

    @_of.register
    def _(self, program: p.Displacement) -> Gives:
        thing = self._thing(program.thing)
        rows = self._motions(thing, program.reference)
        ends = [np.array([row[f"{end}_{a}"] for a in "xyz"])
                for row, end in ((rows[0], "first"), (rows[-1], "last"))]  # fmt: skip
        return _number(float(np.linalg.norm(ends[1] - ends[0])), self._sd(rows, "length", thing))

    @_of.register
    def _(self, program: p.Distance) -> Gives:
        things = [self._thing(program.one), self._thing(program.other)]
        tracks = [
            self.tracks.of(thing, [program.frame], "camera", role=role)
            for thing, role in zip(things, ("subject", "object"), strict=True)
            if thing != p.CAMERA
        ]
        points = [track.xyz[0] for track in tracks] + [np.zeros(3)] * (2 - len(tracks))
        apart = points[1] - points[0]
        length, variance = float(np.linalg.norm(apart)), 0.0
        for track in tracks:
            unit = apart / max(length, 1e-9)
            ray = track.xyz[0]
            variance += float(track.variance_along(unit)[0])
            variance += (track.shared_rel * float(ray @ unit)) ** 2
        return _number(length, math.sqrt(variance + (LEAST_REL * length) ** 2))

    @_of.register
    def _(self, program: p.DirectionClock) -> Gives:
        frames = [*program.base, *program.step]
        track = self.tracks.of(program.thing, frames, program.reference, role="subject")
        angle, sigma = turn_between(track, (0, 1), (2, 3))
        hour = round(angle / 30) % 12 or 12
        off = abs((angle - 30 * hour + 180) % 360 - 180)
        return Gives(hour, sigma, (15 - off) / sigma)

    @_of.register
    def _(self, program: p.When) -> Gives:
        t_s, stride = self.tracks.times_s, program.stride
        n = len(t_s)
        track = self.tracks.of(program.thing, range(n), program.reference, role="subject")
        turns = [turn_between(track, (0, stride), (f, f + stride)) for f in range(n - stride)]
        off = np.array([(a - 30 * program.hour + 180) % 360 - 180 for a, _ in turns])
        sigma = np.array([s for _, s in turns])
        middle = (t_s[:-stride] + t_s[stride:]) / 2
        inside = phases.longest_run(np.abs(off) <= 15)
        if inside is None:
            raise Unanswerable(f"thing {program.thing} never moves towards {program.hour} o'clock")
        value = (float(middle[inside[0]]), float(middle[inside[1]]))
        margin = 0.0
        for sigmas in np.arange(0.5, 6.1, 0.5):
            others = [
                phases.longest_run(np.abs(off) <= 15 + sign * sigmas * sigma) for sign in (1, -1)
            ]
            if any(o is None or phases.overlap(inside, o) < 0.5 for o in others):
                break
            margin = float(sigmas)
        return Gives(value, None, margin)

    @_of.register
    def _(self, program: p.Compare) -> Gives:
        one, other = self.result(program.one), self.result(program.other)
        a, b = float(one.value), float(other.value)  # type: ignore[arg-type]
        if min(a, b) <= 0:
            return Gives("first" if a > b else "second", None, abs(a - b) / _sd_of(one, other))
        spread = math.hypot((one.sigma or 0) / a, (other.sigma or 0) / b)
        return Gives("first" if a > b else "second", None, abs(math.log(a / b)) / spread)

    @_of.register
    def _(self, program: p.DirectionsDiffer) -> Gives:
        vectors, sigma = [], LEAST_DEG
        for thing in (program.one, program.other):
            rows = self._motions(thing, program.reference)
            vector = np.array([rows[-1][f"last_{a}"] - rows[0][f"first_{a}"] for a in "xyz"])
            length = float(np.linalg.norm(vector))
            if length < 1e-6:
                raise Unanswerable(f"thing {thing} ends where it began: it has no direction")
            sigma = math.hypot(sigma, math.degrees(self._sd(rows, "length", thing) / length))
            vectors.append(vector / length)
        angle = math.degrees(math.acos(float(np.clip(vectors[0] @ vectors[1], -1, 1))))
        margin = abs(angle - program.degrees) / sigma
        return Gives("yes" if angle > program.degrees else "no", None, margin)

    @_of.register
    def _(self, program: p.Count) -> Gives:
        return Gives(len(self._events(program.kinds, program.thing)))

    @_of.register
    def _(self, program: p.Happens) -> Gives:
        return Gives("yes" if self._events(program.kinds, program.thing) else "no")

    @_of.register
    def _(self, program: p.EventTime) -> Gives:
        thing = self._thing(program.thing)
        events = self._events(program.kinds, thing)
        if not events:
            raise Unanswerable(f"thing {thing} has no {' or '.join(program.kinds)}")
        return Gives(events[0][0], events[0][1])

    @_of.register
    def _(self, program: p.Order) -> Gives:
        found = [self.result(item) for item in program.items]
        order = sorted(range(len(found)), key=lambda i: float(found[i].value))  # type: ignore[arg-type]
        gaps = [
            (found[j].value - found[i].value) / _sd_of(found[i], found[j])  # type: ignore[operator]
            for i, j in itertools.pairwise(order)
        ]
        return Gives(tuple(order), None, float(min(gaps, default=math.inf)))

    @_of.register
    def _(self, program: p.StateSequence) -> Gives:
        series, sd = series_of(self.tracks, program)
        least = program.least
        if program.quantity != "bearing":
            least *= float(np.abs(series).mean())
        return _up_and_down(program.quantity, series, sd, least)

    @_of.register
    def _(self, program: p.Turning) -> Gives:
        return _up_and_down("front", *front_angles(self.tracks, program), program.least)

    @_of.register
    def _(self, program: p.Faster) -> Gives:
        both = [
            series_of(
                self.tracks,
                p.StateSequence("speed", thing, program.viewer, program.viewpoint, program.first,
                                program.last, 0.0)
            )
            for thing in (program.one, program.other)
        ]  # fmt: skip
        (one, sd), (other, sd2) = both
        floor = max(sd, sd2, 1e-6)
        ratio = np.log(np.maximum(one, floor) / np.maximum(other, floor))
        found = phases.levels(ratio, least=math.log(program.least_ratio))
        if found is None:
            raise Unanswerable("speeds: neither is clearly faster")
        typical = math.hypot(
            sd / max(float(one.mean()), floor), sd2 / max(float(other.mean()), floor)
        )
        return Gives(found.names, None, min(found.amounts) / max(typical, LEAST_REL))

    @_of.register
    def _(self, program: p.Having) -> Gives:
        events = self._events(program.kinds, None)
        return Gives(tuple(sorted({e for _, _, row in events for e in row["entities"]})))

    @_of.register
    def _(self, program: p.Most) -> Gives:
        things = self.result(program.of).value
        assert isinstance(things, tuple)
        if len(things) < 2:
            raise Unanswerable(f"found {len(things)} such things, expected two to choose from")
        make: Callable[..., p.Operation] = p.OPERATIONS[program.by]
        found = [self.result(make(thing, program.reference)) for thing in things]
        order = sorted(range(len(found)), key=lambda i: -float(found[i].value))  # type: ignore[arg-type]
        best, second = found[order[0]], found[order[1]]
        margin = (best.value - second.value) / _sd_of(best, second)  # type: ignore[operator]
        return Gives(int(things[order[0]]), None, float(margin))

    @_of.register
    def _(self, program: p.FirstTo) -> Gives:
        events = self._events(program.kinds, None)
        first: dict[int, tuple[float, float]] = {}
        for t_s, sd, row in events:
            for entity in row["entities"]:
                first.setdefault(entity, (t_s, sd))
        if len(first) < 2:
            raise Unanswerable(f"found {len(first)} such things, expected two to choose from")
        order = sorted(first, key=lambda thing: first[thing][0])
        (t0, sd0), (t1, sd1) = first[order[0]], first[order[1]]
        return Gives(order[0], None, (t1 - t0) / max(math.hypot(sd0, sd1), 1e-9))

    @_of.register
    def _(self, program: p.Gravity) -> Gives:
        """Half of gravity's length is the edge between it and none, or another."""
        flights = [row for _, _, row in self._events(("flight",), program.thing)]
        broken = self._events(BROKEN, program.thing)
        if broken or (self.tracks.exact and flights):
            return Gives("no" if broken else "yes")
        told = [row for row in flights if row["verdict"] not in (None, "cannot tell")]
        if not told:
            raise Unanswerable(f"thing {program.thing}: nobody can tell what moves it")
        self.bases |= {self.tracks.note(row["interval_basis"]) for row in told}
        margins = []
        for row in told:
            length = math.hypot(*(row[f"acceleration_{a}"] for a in "xyz"))
            off = abs(length - GRAVITY) - GRAVITY / 2
            edge = off if row["verdict"] == "not gravity" else -off
            margins.append(edge / max((row["acceleration_half_90"] or 0.0) / 1.645, 1e-9))
        wrong = any(row["verdict"] == "not gravity" for row in told)
        return Gives("no" if wrong else "yes", None, max(0.0, *margins))

    @_of.register
    def _(self, program: p.Counterfactual) -> Gives:
        if self.how is not None:
            raise Unanswerable("Counterfactual: found one within another")
        self.how = program.how
        try:
            return self.result(program.of)
        finally:
            self.how = None

    def _thing(self, thing: int | p.Operation) -> int:
        if not isinstance(thing, int):
            chosen = self.result(thing)
            self.certainty, thing = min(self.certainty, chosen.margin), int(chosen.value)  # type: ignore[arg-type]
        return thing

    def _motions(self, thing: int, reference: p.Reference) -> list[Row]:
        rows = self.rows.rows("motions", thing, role="subject")
        rows = [row for row in rows if row["reference"] == reference]
        if not rows:
            raise Unanswerable(f"thing {thing} has no motion in the {reference}'s frame")
        return rows

    def _sd(self, rows: list[Row], name: Literal["path", "length"], thing: int) -> float:
        """Of the sum over segments: their errors are those of one distance, so they add up."""
        first = self.rows.row("entities", thing, role="name")["first_frame"]
        spread = self.rows.row("positions", thing, first, role="subject")["spread"] or 0.0
        total, half = 0.0, 0.0
        for row in rows:
            motion = math.hypot(*(row[f"motion_{a}"] for a in "xyz"))
            size = row["path"] if name == "path" else motion
            low, high = row[f"{name}_low_68"], row[f"{name}_high_68"]
            known = low is not None and row["interval_basis"] not in (None, "none")
            basis = self.tracks.note(row["interval_basis"] if known else None)
            total += size
            half += (high - low) / 2 if known else UNSTATED_SHARED * size * (basis != "exact")
        return math.sqrt(half**2 + (LEAST_REL * total) ** 2 + 2 * (CENTRE_SHARE * spread) ** 2)

    def _of_motions(self, thing_: int | p.Operation, reference: p.Reference, what: str) -> Gives:
        thing = self._thing(thing_)
        rows = self._motions(thing, reference)
        path, sd = sum(row["path"] for row in rows), self._sd(rows, "path", thing)
        if self.reading == "body":
            path *= self._body_by_surface(thing, reference)
        if what == "path":
            return _number(path, sd)
        seconds = sum(row["t1_s"] - row["t0_s"] for row in rows)
        if seconds > 0:
            return _number(path / seconds, sd / seconds)
        raise Unanswerable(f"thing {thing}: no time passes")

    def _body_by_surface(self, thing: int, reference: p.Reference) -> float:
        """Length of the body's way by that of the visible surface, both smoothed: a thing that
        tumbles shows other sides, so that the middle of what is seen goes a way of its own."""
        key = ("body by surface", thing, reference, self.how)
        if key in self.rows.memo:
            return float(self.rows.memo[key])
        entity = self.rows.row("entities", thing, role="name")
        frames = range(entity["first_frame"], entity["last_frame"] + 1)
        lengths = []
        for reading in ("body", "surface"):
            tracks = ThingTracks(self.rows, reading=reading, how=self.how)
            xyz = tracks.of(thing, frames, reference, role="subject").xyz
            smooth = (xyz[2:] + xyz[1:-1] + xyz[:-2]) / 3
            lengths.append(float(np.linalg.norm(np.diff(smooth, axis=0), axis=1).sum()))
        self.rows.memo[key] = lengths[0] / max(lengths[1], 1e-9)
        return float(self.rows.memo[key])

    def _events(self, kinds: tuple[str, ...], thing: int | None) -> list[tuple[float, float, Row]]:
        """t_s, its sd and the row, by time, as they are in the video that is thought of."""
        times = self.tracks.times_s
        usual = float(np.median(np.diff(times))) / 2 if len(times) > 1 else 0.0
        wanted = kinds
        if self.how == "reversed":
            if not set(kinds) <= set(_BACKWARDS):
                raise Unanswerable(f"{' or '.join(kinds)}: nobody knows what it is backwards")
            wanted = tuple(_BACKWARDS[kind] for kind in kinds)
        found = []
        for row in self.rows.rows("events", role="event"):
            if row["kind"] in wanted and takes_part(row, thing):
                if (row.get("score") or 1.0) < SURE_SCORE:
                    raise Unanswerable(f"{row['kind']}: it is not sure that it happened")
                t_s = times[0] + times[-1] - row["t_s"] if self.how == "reversed" else row["t_s"]
                if self.how == "shifted":
                    began, lasts = times[len(times) // 2], times[-1] - times[0]
                    t_s = times[0] + (t_s - began) % max(lasts, 1e-9)
                found.append((float(t_s), float(row.get("t_sd_s") or usual), row))
        if self.tracks.exact:
            self.tracks.note(None)
        else:
            events = [row for _, _, row in found]
            self.certainty = min(self.certainty, certainty_of(self.rows, kinds, thing, events))
        return sorted(found, key=lambda item: item[0])


_BACKWARDS = {
    "appear": "disappear", "disappear": "appear", "start": "stop", "stop": "start",
    "leave": "re_enter", "re_enter": "leave", "contact_begin": "contact_end",
    "contact_end": "contact_begin",
}  # fmt: skip


def _up_and_down(what: str, series: np.ndarray, sd: float, least: float) -> Gives:
    found = phases.up_and_down(series, least=least)
    if found is None:
        raise Unanswerable(f"{what}: it depends on how much counts as a change")
    return Gives(found.names, None, min((*found.amounts, least)) / max(sd, 1e-9))


def _number(value: float, sigma: float) -> Gives:
    return Gives(value, sigma, TOLERANCE * abs(value) / max(sigma, 1e-12))


def _sd_of(one: Gives, other: Gives) -> float:
    return max(math.hypot(one.sigma or 0.0, other.sigma or 0.0), 1e-9)
