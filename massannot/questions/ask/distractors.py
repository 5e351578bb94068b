"""Distractors: what the same program gives on counterfactual tracks, as options of a question.

The tracks are those of another thing (swapped), of the video mirrored, played backwards, or begun
at its middle (shifted). All options come from one distribution, since each would be the answer had
another thing been asked about, or another video been shown; `balanced` sees to it that each place
in their order is right equally often. Without them a number or an hour is asked for openly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import get_args

from massannot.questions.ask import program as p
from massannot.questions.ask.cited_rows import ClipRows
from massannot.questions.ask.family import RATIO, AskedFamily, Proposal, Sight
from massannot.questions.ask.questions_of_clip import Candidate, answered, same_value
from massannot.questions.ask.run_program import Value

LEAST_OPTIONS, N_OPTIONS = 3, 4
OPEN_KINDS = ("number", "clock", "interval")
"""Kinds of questions that have no options of their own."""


def with_options(candidate: Candidate, rows: ClipRows, sight: Sight) -> Candidate | None:
    """The candidate with LEAST_OPTIONS to N_OPTIONS values in ascending order, no two of which
    could pass for each other; as it is where it has options of its own. None: there are fewer."""
    family = candidate.family
    if family.kind not in OPEN_KINDS:
        return candidate
    found = [candidate.gives.value]
    for program in counterfactuals(sight, family, candidate.proposal):
        _, gives = answered(rows, program)
        if gives is not None and not any(_near(family, gives.value, one) for one in found):
            found.append(gives.value)
        if len(found) == N_OPTIONS:
            break
    if len(found) < LEAST_OPTIONS:
        return None
    return replace(candidate, options=tuple(sorted(found, key=_order)))


def counterfactuals(sight: Sight, family: AskedFamily, proposal: Proposal) -> Iterator[p.Operation]:
    """The proposal's program about other things of which the family asks the same, then each of
    these in another video."""
    alike = [other for other in family.propose(sight) if other.text == proposal.text]
    others = [other.program for other in alike if other.program != proposal.program]
    about = [proposal.program, *others]
    yield from others
    for how in get_args(p.How):
        yield from (p.Counterfactual(how, program) for program in about)


def _near(family: AskedFamily, one: Value, other: Value) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        if family.tolerance_abs is not None:
            return abs(one - other) <= 2 * family.tolerance_abs
        return max(one, other) < RATIO**2 * min(one, other)
    return same_value(one, other)


def _order(value: Value) -> tuple[float, ...]:
    return value if isinstance(value, tuple) else (float(value),)
