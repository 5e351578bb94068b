"""numeric: 1 within the tolerance, after conversion to one unit, else 0.

Definition: |said - true| <= max(tolerance * |true|, tolerance_abs). Source: STKit-Bench (arXiv
2503.19355) calls distances and speeds right within 25 %. Video-R1's form (equal to two decimals) is
tolerance 0, tolerance_abs 0.005.
"""

from __future__ import annotations

from massannot.questions.answers import Number
from massannot.questions.expected import Expected
from massannot.questions.units import unit
from massannot.rft.completion import Completion
from massannot.rft.said import said_and_true

# A conversion rounds: 125 cm must not miss 1 m by the last bit.
_ROUNDING = 1e-9


def reward(completion: Completion, *, expected: Expected) -> float:
    said, true = said_and_true(completion, expected=expected, kind=Number)
    if said is None:
        return 0.0
    absolute = expected.tolerance_abs
    if expected.unit:
        absolute = unit(expected.unit).to_base(absolute)
    allowed = max(expected.tolerance * abs(true.value), absolute)
    return float(abs(said.value - true.value) <= allowed + _ROUNDING * abs(true.value))
