"""Answers that rest on events: how large their margin may be, and what may be said to be absent."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from massannot import tables
from massannot.errors import BadQuestion
from massannot.questions.ask import program as p
from massannot.questions.ask.cited_rows import ClipRows
from massannot.questions.ask.event_certainty import STATED, UNSTATED
from massannot.questions.ask.phases import levels
from massannot.questions.ask.run_program import Gives, ProgramRun

ID = "0" * 32
FRAMES = range(4)


def rows(
    *events: dict[str, Any], hidden: tuple[int, int] | None = None, origin: str = "question"
) -> ClipRows:
    """Two things, seen in four frames of a tenth of a second but for thing and frame `hidden`."""
    made: dict[str, list[dict[str, Any]]] = {
        "frames": [{"frame": f, "t_s": f / 10} for f in FRAMES],
        "phrases": [{"phrase": 0, "text": "ball", "origin": origin}],
        "entities": [{"entity": e, "phrase": 0} for e in (0, 1)],
        "masks": [
            {"entity": e, "frame": f, "state": "occluded" if (e, f) == hidden else "visible"}
            for e in (0, 1)
            for f in FRAMES
        ],
        "events": [{"event": i, **event} for i, event in enumerate(events)],
    }
    index: dict[str, dict[tuple[Any, ...], Any]] = {
        name: {
            tuple(row[k] for k in tables.spec(name).key): row
            for row in ({"clip_id": ID, **r} for r in some)
        }
        for name, some in made.items()
    }
    return ClipRows({}, ID, _index=index)


def event(kind: str, thing: int, t_s: float, score: float | None = 0.999) -> dict[str, Any]:
    return {"kind": kind, "entities": [thing], "t_s": t_s, "t_sd_s": 0.01, "score": score}


def gives(found: ClipRows, program: p.Operation) -> Gives:
    return ProgramRun(found).result(program)


@pytest.mark.parametrize(
    ("found", "program", "value", "margin"),
    [
        (rows(), p.Happens(("leave",), 0), "no", math.inf),  # it is in view all the time
        (rows(hidden=(0, 2)), p.Happens(("leave",), 0), "no", UNSTATED),
        (rows(hidden=(1, 2)), p.Happens(("leave",), 0), "no", math.inf),  # the other is hidden
        (rows(event("leave", 0, 0.1)), p.Happens(("leave",), 0), "yes", 3.09),
        (rows(event("leave", 0, 0.1, 0.95)), p.Count(("leave",), 0), 1, 1.645),
        (rows(event("rebound", 0, 0.1)), p.Happens(("rebound",), 0), "yes", STATED),
        (rows(), p.Happens(("rebound",), 0), "no", UNSTATED),
        (rows(event("flight", 0, 0.1, None)), p.Happens(("flight",), 0), "yes", STATED),
        (rows(event("landing", 0, 0.1)), p.EventTime(("landing",), 0), 0.1, STATED),
        (rows(event("stop", 0, 0.1), origin="scene"), p.EventTime(("stop",), 0), 0.1, math.inf),
        (rows(origin="scene"), p.Happens(("rebound",), 0), "no", math.inf),
    ],
)  # fmt: skip
def test_a_margin_is_no_larger_than_what_is_known_of_events(
    found: ClipRows, program: p.Operation, value: Any, margin: float
) -> None:
    found_to_be = gives(found, program)
    assert found_to_be.value == value
    assert found_to_be.margin == pytest.approx(margin, abs=0.01)


def test_who_is_first_is_as_sure_as_that_nobody_was_before() -> None:
    leaving = [event("leave", 0, 0.1), event("leave", 1, 0.3)]
    assert gives(rows(*leaving), p.FirstTo(("leave",))).margin == pytest.approx(3.09, abs=0.01)
    landing = [event("landing", 0, 0.1), event("landing", 1, 0.3)]
    assert gives(rows(*landing), p.FirstTo(("landing",))).margin == UNSTATED


def flight(length: float, verdict: str) -> dict[str, Any]:
    pull = {"acceleration_x": 0.0, "acceleration_y": length, "acceleration_z": 0.0}
    return {**event("flight", 0, 0.0, None), **pull, "verdict": verdict,
            "acceleration_half_90": 1.645, "interval_basis": "calibrated"}  # fmt: skip


def test_gravity_is_told_from_none_by_half_of_it() -> None:
    found = rows(flight(9.81 + 4.405, "consistent with gravity"))
    assert gives(found, p.Gravity(0)).value == "yes"
    assert gives(found, p.Gravity(0)).margin == pytest.approx(0.5)
    found = rows(flight(1.0, "not gravity"))
    assert gives(found, p.Gravity(0)).value == "no"
    assert gives(found, p.Gravity(0)).margin == UNSTATED  # what breaks a law may go unseen
    up = event("upward_acceleration", 0, 0.1)
    assert gives(rows(flight(9.81, "consistent with gravity"), up), p.Gravity(0)).value == "no"
    lawful = {**event("flight", 0, 0.0, 1.0), "verdict": None}
    assert gives(rows(lawful, origin="scene"), p.Gravity(0)) == Gives("yes")
    with pytest.raises(BadQuestion, match="nobody can tell"):
        gives(rows(flight(9.81, "cannot tell")), p.Gravity(0))


def test_who_is_faster_must_not_depend_on_how_much_counts() -> None:
    assert levels(np.array([2, 2, 0, -2, -2.0]), least=1).names == ("first", "second")  # type: ignore[union-attr]
    assert levels(np.array([2, 2, 0, -1.2, -1.2]), least=1) is None
    assert levels(np.array([2, 2, 0, -0.8, -0.8]), least=1) is None
