"""Files from outside, made wrong: used or refused by name, each in its time and memory. The long
form is `make fuzz`."""

import pytest

from tests.fuzz import __main__ as fuzz
from tests.fuzz.cases import SOUND
from tests.fuzz.doors import DOORS, TEETH

QUICK = [door for door in DOORS if door != "weights"]  # which imports torch
A_SEED = 1000


def test_what_is_handed_in_is_used_or_refused_by_name(tmp_path, monkeypatch):
    films = {"film mp4", "film ts"}
    cases = [(door, SOUND) for door in QUICK if not door.startswith("film") or door in films]
    cases += [
        (door, A_SEED + n)
        for door, _ in tuple(cases)
        for n in range(1 if door in films or door == "tables" else 3)
    ]
    log = tmp_path / "log"
    found = list(fuzz.answers_of(cases, processes=1, log=log))
    assert sorted((a.door, a.number) for a in found) == sorted(cases)
    assert [a for a in found if a.outcome == "bug"] == []
    assert [a for a in found if a.number == SOUND and a.outcome != "used"] == []
    assert any(a.outcome not in ("used", "bug") for a in found)
    monkeypatch.setattr(fuzz, "Process", None)  # what the log knows is not run again
    assert [*fuzz.answers_of(cases, processes=1, log=log)] == sorted(
        found, key=lambda a: cases.index((a.door, a.number))
    )


@pytest.mark.parametrize("door", TEETH)
def test_the_fuzzing_notices_what(door, monkeypatch):
    monkeypatch.setattr(fuzz, "STARTING_S", 10.0)  # a second process starts in that time too
    cases = [(door, 0), ("list", 1)]
    bad, good = sorted(fuzz.answers_to(cases, processes=1, seconds=1.0), key=lambda a: a.number)
    assert bad.outcome == "bug"
    assert good.outcome in ("used", "UsageError")
