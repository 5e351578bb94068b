"""A sentence for each step of a program, as a person would write it: who, what, when, how much."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import singledispatchmethod
from typing import Any

from massannot.counts import counted
from massannot.questions.ask import program as p
from massannot.questions.ask.cited_rows import ClipRows
from massannot.questions.ask.run_program import Derived, Gives

_STATES = {
    "distance": {"up": "grows", "down": "shrinks"},
    "bearing": {"up": "turns clockwise", "down": "turns anticlockwise"},
    "speed": {"up": "rises", "down": "falls"},
}
_EVENTS = {
    "contact_floor": "hits the floor", "landing": "lands", "contact_wall": "hits a wall",
    "contact_body": "touches another thing", "contact_begin": "touches another thing",
    "leave": "leaves the picture", "re_enter": "comes back", "stop": "comes to rest",
    "start": "begins to move", "apex": "reaches its highest point", "rebound": "bounces",
    "appear": "appears", "disappear": "disappears", "occlude": "is hidden",
    "flight": "is in flight",
}  # fmt: skip


class Sentences:
    def __init__(self, rows: ClipRows, colours: Mapping[int, str]):
        """`colours`: of the boxes that mark things in the question."""
        phrases = {row["phrase"]: row for row in rows.rows("phrases", role="name")}
        self.names: dict[int, str] = {p.CAMERA: "the camera"}
        for row in rows.rows("entities", role="name"):
            phrase = phrases[row["phrase"]]
            words = phrase["text"].split()
            words = words[1:] if words[0].casefold() in ("a", "an", "the") else words
            number = "" if phrase["n_entities"] == 1 else f" no. {row['entity']}"
            self.names[row["entity"]] = f"the {' '.join(words)}{number}"
        for thing, colour in colours.items():
            self.names[thing] += f" ({colour} box)"
        metric = rows.row("clips", role="clip")["scale_type"] == "metric"
        self.unit = " m" if metric else " (in the clip's own unit)"
        self.t_s = [row["t_s"] for row in rows.rows("frames", role="clip")]

    def of(self, step: Derived) -> str:
        """The sentence of one step, with its value."""
        return self._of(step.operation, step.gives)

    def thing(self, thing: int | p.Operation) -> str:
        return self.names.get(thing, f"thing {thing}") if isinstance(thing, int) else "that thing"

    def value(self, value: Any, operation: p.Operation) -> str:
        """In words that stand in a sentence."""
        if isinstance(operation, p.Most | p.FirstTo):
            return self.names[value]
        return f"{value:.3g}" if isinstance(value, float) else str(value)

    def _number(self, gives: Gives, unit: str) -> str:
        size = f"{gives.value:.3g}{unit}"
        return size if gives.sigma is None else f"{size}, give or take {gives.sigma:.2g}"

    @property
    def _unit_a_second(self) -> str:
        return f"{self.unit}/s" if self.unit == " m" else f"{self.unit} a second"

    def _time(self, frame: int) -> str:
        return f"{self.t_s[frame]:.2f} s"

    def _events(self, kinds: Sequence[str]) -> str:
        return " or ".join(dict.fromkeys(_EVENTS.get(kind, kind) for kind in kinds))

    @singledispatchmethod
    def _of(self, operation: p.Operation, gives: Gives) -> str:
        return f"{type(operation).__name__} gives {gives.value}."

    @_of.register
    def _(self, q: p.Path, gives: Gives) -> str:
        frame = "the ground" if q.reference == "world" else "the camera"
        return (
            f"Step by step, {self.thing(q.thing)} goes {self._number(gives, self.unit)}, relative "
            f"to {frame}."
        )

    @_of.register
    def _(self, q: p.Speed, gives: Gives) -> str:
        a_second = self._number(gives, self._unit_a_second)
        return f"Along its way {self.thing(q.thing)} makes {a_second} on average."

    @_of.register
    def _(self, q: p.Displacement, gives: Gives) -> str:
        return (
            f"Its last position lies {self._number(gives, self.unit)} from the first, for "
            f"{self.thing(q.thing)}."
        )

    @_of.register
    def _(self, q: p.NetSpeed, gives: Gives) -> str:
        return (
            f"Straight on, {self.thing(q.thing)} makes {self._number(gives, self._unit_a_second)}."
        )

    @_of.register
    def _(self, q: p.Distance, gives: Gives) -> str:
        both = f"{self.thing(q.one)} and {self.thing(q.other)}"
        return f"At {self._time(q.frame)}, {both} are {self._number(gives, self.unit)} apart."

    @_of.register
    def _(self, q: p.DirectionClock, gives: Gives) -> str:
        first, last = (f"from {self._time(a)} to {self._time(b)}" for a, b in (q.base, q.step))
        return (
            f"What {self.thing(q.thing)} does {first} is 12 o'clock; {last} it moves towards "
            f"{gives.value} o'clock, give or take {gives.sigma:.0f} degrees."
        )

    @_of.register
    def _(self, q: p.When, gives: Any) -> str:
        start, end = gives.value
        return (
            f"{self.thing(q.thing).capitalize()} moves towards {q.hour} o'clock from "
            f"{start:.2f} s to {end:.2f} s, its longest such stretch."
        )

    @_of.register
    def _(self, q: p.Compare, gives: Gives) -> str:
        first, second = (self._subject(each) for each in (q.one, q.other))
        more, less = (first, second) if gives.value == "first" else (second, first)
        return f"That is more for {more} than for {less}."

    @_of.register
    def _(self, q: p.DirectionsDiffer, gives: Gives) -> str:
        both = f"{self.thing(q.one)} and {self.thing(q.other)}"
        more = "more" if gives.value == "yes" else "no more"
        return f"From start to end {both} go {more} than {q.degrees:g} degrees apart."

    @_of.register
    def _(self, q: p.Count, gives: Gives) -> str:
        who = "something" if q.thing is None else self.thing(q.thing)
        times = counted(int(str(gives.value)), "time")
        return f"It is recorded {times} that {who} {self._events(q.kinds)}."

    @_of.register
    def _(self, q: p.Happens, gives: Gives) -> str:
        known = "It is" if gives.value == "yes" else "It is not"
        return f"{known} recorded that {self.thing(q.thing)} {self._events(q.kinds)}."

    @_of.register
    def _(self, q: p.EventTime, gives: Gives) -> str:
        when = self._number(gives, " s")
        return f"{self.thing(q.thing).capitalize()} first {self._events(q.kinds)} at {when}."

    @_of.register
    def _(self, q: p.Order, gives: Any) -> str:
        places = [self._subject(q.items[i]) for i in gives.value]
        return f"In the order of these: {', then '.join(places)}."

    @_of.register
    def _(self, q: p.StateSequence, gives: Any) -> str:
        stays = "stays where it is" if q.viewpoint == "absolute" else "is followed"
        words = [_STATES[q.quantity][state] for state in gives.value]
        change = ", then ".join(words) or "does not change by enough"
        what = "direction" if q.quantity == "bearing" else q.quantity
        return (
            f"For {self.thing(q.viewer)}, which {stays} from {self._time(q.first)} to "
            f"{self._time(q.last)}, the {what} of {self.thing(q.thing)} {change}."
        )

    @_of.register
    def _(self, q: p.Turning, gives: Any) -> str:
        words = [_STATES["bearing"][state] for state in gives.value]
        ground = " (taken from its motion)" if q.by == "motion" else ""
        change = ", then ".join(words) or "does not turn by enough"
        return (
            f"From {self._time(q.first)} to {self._time(q.last)} the front of "
            f"{self.thing(q.thing)}{ground} {change}, seen from above."
        )

    @_of.register
    def _(self, q: p.Faster, gives: Any) -> str:
        both = {"first": self.thing(q.one), "second": self.thing(q.other)}
        order = ", then ".join(both[name] for name in gives.value)
        return f"From {self._time(q.first)} to {self._time(q.last)} the faster one is {order}."

    @_of.register
    def _(self, q: p.Having, gives: Any) -> str:
        those = ", ".join(self.names[thing] for thing in gives.value)
        return f"What {self._events(q.kinds)}: {those or 'nothing'}."

    @_of.register
    def _(self, q: p.Most, gives: Gives) -> str:
        return f"Of these, the most has {self.value(gives.value, q)}."

    @_of.register
    def _(self, q: p.FirstTo, gives: Gives) -> str:
        return f"The first that {self._events(q.kinds)} is {self.value(gives.value, q)}."

    @_of.register
    def _(self, q: p.Gravity, gives: Gives) -> str:
        has = "have" if gives.value == "yes" else "do not have"
        return f"The flights of {self.thing(q.thing)} {has} an acceleration of 9.81 m/s2."

    @_of.register
    def _(self, q: p.Counterfactual, gives: Gives) -> str:
        done = {"mirrored": "mirrored", "reversed": "played backwards", "shifted": "begun later"}
        return f"All of this in the video {done[q.how]}."

    def _subject(self, operation: p.Operation) -> str:
        thing = getattr(operation, "thing", None)
        return type(operation).__name__ if thing is None else self.thing(thing)


def certainty(program: dict[str, Any]) -> str:
    """How sure the answer is, and on what ground, from the row of `question_programs`."""
    grounds = {
        "exact": "The rows are the truth of a simulated scene.",
        "calibrated": "The intervals held known truths as often as they say.",
        "internal": "The intervals are the clip's own evidence, a lower bound.",
        "none": "No interval is known: usual errors, or the scores of events, were taken.",
    }
    margin = program["margin"]
    limits = ", ".join(f"{k} {v:g}" for k, v in json.loads(program["thresholds"]).items())
    words = "Nothing in it is uncertain" if margin is None else (
        f"The nearest other answer is {margin:.1f} standard deviations away"
    )  # fmt: skip
    if limits:
        words += f" (thresholds: {limits})"
    return f"{words}. {grounds[program['basis']]}"
