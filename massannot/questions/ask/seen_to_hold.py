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
    "embedded": {
        "direction_comparison": (42, 0.952),
        "distance_comparison": (62, 0.87),
        "dsr_direction_absolute": (31, 1.0),
        "dsr_direction_relative": (37, 1.0),
        "dsr_distance_absolute": (21, 0.666),
        "dsr_distance_relative": (9, 0.444),
        "dsr_prediction_absolute": (2, 1.0),
        "dsr_prediction_relative": (1, 1.0),
        "speed_comparison": (62, 0.87),
        "travelled_distance": (8, 0.875),
        "travelling_speed": (8, 0.875),
    },
    "oracle": {
        "direction_comparison": (232, 1.0),
        "direction_timestamp": (7, 1.0),
        "distance_comparison": (316, 0.993),
        "dsr_direction_absolute": (247, 0.995),
        "dsr_direction_relative": (291, 1.0),
        "dsr_distance_absolute": (255, 0.996),
        "dsr_distance_relative": (222, 1.0),
        "dsr_prediction_absolute": (48, 1.0),
        "dsr_prediction_relative": (64, 1.0),
        "dsr_speed_absolute": (101, 0.99),
        "dsr_speed_relative": (106, 0.99),
        "dsr_speed_comparison_absolute": (52, 0.923),
        "dsr_speed_comparison_relative": (58, 0.965),
        "movement_direction": (5, 1.0),
        "speed_comparison": (340, 0.982),
        "travelled_distance": (113, 0.991),
        "travelling_speed": (113, 0.991),
    },
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
