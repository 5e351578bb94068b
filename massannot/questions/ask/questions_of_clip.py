"""Candidates: the questions about one clip whose answers are certain enough to be asked.

A proposal is dropped where its program cannot be answered, where another reading of the text (the
body for the visible surface, the net for the way) has another answer, and where the margin is too
small. What rests on intervals of the clip alone needs INTERNAL_MARGIN.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from massannot.questions.ask import program as p
from massannot.questions.ask.cited_rows import ClipRows
from massannot.questions.ask.family import AskedFamily, Proposal, Sight
from massannot.questions.ask.run_program import Derived, Gives, ProgramRun, Value
from massannot.questions.ask.thing_tracks import Basis, Unanswerable

INTERNAL_MARGIN = 3.0
AGREE_REL = 0.15
"""Two readings of a number may differ by so much."""
_SAID_REL = 0.01


@dataclass(frozen=True)
class Candidate:
    """A question that may be asked."""

    family: AskedFamily
    clip_id: str
    video_id: str
    proposal: Proposal
    nouns: tuple[str, ...]
    """Of the things, in the order of mention; empty ones where boxes speak for them."""
    gives: Gives
    basis: Basis
    options: tuple[Value, ...] = ()
    """To choose from, of a question that has none of its own; see distractors."""

    @property
    def question_id(self) -> str:
        text = json.dumps([self.clip_id, self.family.name, p.as_json(self.proposal.program)])
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def is_certain(self, min_margin: float) -> bool:
        """Whether its margin is as large, and that of INTERNAL_MARGIN where that is asked for."""
        return _is_certain(self.family, self.gives, self.basis, min_margin)


def candidates(
    sight: Sight, rows: ClipRows, family: AskedFamily, *, min_margin: float
) -> Iterator[Candidate]:
    """The certain ones among a family's proposals."""
    if family.needs_metres and not sight.metric:
        return
    nouns = {thing.entity: "" if sight.boxes else thing.noun for thing in sight.things}
    for proposal in family.propose(sight):
        run, gives = answered(rows, proposal.program)
        if gives is None or not _askable(family, proposal, run, gives, min_margin):
            continue
        if not _readings_agree(rows, family, proposal, gives):
            continue
        if proposal.answer is not None and not _says(proposal.answer, gives.value):
            continue
        yield Candidate(
            family,
            rows.clip_id,
            sight.clip["video_id"],
            proposal,
            tuple(nouns.get(thing, "") for thing in proposal.things),
            gives,
            run.basis,
        )


def answered(
    rows: ClipRows, program: p.Operation, *, reading: Any = "surface"
) -> tuple[ProgramRun, Gives | None]:
    """A run on rows of which nothing is cited yet, and what it gives; None: no answer."""
    run = ProgramRun(rows.fresh(), reading)
    try:
        return run, run.result(program)
    except Unanswerable:
        return run, None


def plain_value(value: Value) -> Any:
    """As JSON has it: numbers with six digits, lists for tuples."""
    if isinstance(value, tuple):
        return [plain_value(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _says(answer: Any, value: Value) -> bool:
    """Whether a writer's answer is the program's: numbers within one in a hundred."""
    found = plain_value(value)
    if isinstance(answer, int | float) and isinstance(found, int | float):
        return abs(answer - found) <= _SAID_REL * abs(found)
    return bool(answer == found)


def _askable(
    family: AskedFamily, proposal: Proposal, run: ProgramRun, gives: Gives, min_margin: float
) -> bool:
    if family.needs_metres and run.basis == "none":
        return False
    choices = proposal.choices or family.choices
    if choices and gives.value not in choices:
        return False
    earliest = family.thresholds.get("earliest")
    if earliest is not None and float(gives.value) < earliest:  # type: ignore[arg-type]
        return False
    ratio = family.thresholds.get("ratio")
    if ratio and isinstance(proposal.program, p.Compare) and not _apart(run.steps, ratio):
        return False
    return _is_certain(family, gives, run.basis, min_margin)


def _is_certain(family: AskedFamily, gives: Gives, basis: Basis, min_margin: float) -> bool:
    least = max(min_margin, INTERNAL_MARGIN) if basis == "internal" and min_margin else min_margin
    if family.tolerance_abs is not None and gives.sigma is not None:
        return family.tolerance_abs >= least * gives.sigma and gives.margin >= least
    return gives.margin >= least


def _apart(steps: list[Derived], ratio: float) -> bool:
    low, high = sorted(float(step.gives.value) for step in steps[-3:-1])  # type: ignore[arg-type]
    return high >= ratio * low


def _readings_agree(rows: ClipRows, family: AskedFamily, proposal: Proposal, gives: Gives) -> bool:
    """Things that are a tie in one reading are apart in none."""
    ratio = family.thresholds.get("ratio")
    others = [answered(rows, other) for other in proposal.agree]
    others.append(answered(rows, proposal.program, reading="body"))
    for run, other in others:
        if other is None or not same_value(other.value, gives.value):
            return False
        compares = isinstance(proposal.program, p.Compare)
        if ratio and compares and not _apart(run.steps, ratio):
            return False
    return True


def same_value(one: Value, other: Value, *, rel: float = AGREE_REL) -> bool:
    """Equal words; numbers within `rel` of each other, intervals that overlap by half."""
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= rel * max(abs(one), abs(other))
    if isinstance(one, tuple) and isinstance(other, tuple) and one and isinstance(one[0], float):
        both = min(one[1], other[1]) - max(one[0], other[0])
        return both >= 0.5 * (max(one[1], other[1]) - min(one[0], other[0]))
    return one == other
