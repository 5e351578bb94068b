"""Which families are offered for which models: those that were seen to hold on rendered scenes.

`MEASURED` is what `python -m tools.measure_questions` printed for the shipped models and for the
oracles, at margin 2 on scenes that no threshold was set on, see docs/questions.md. Other models
were not measured: every family is offered, and the card says so.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from massannot.dataset import record as run_record
from massannot.dataset.layout import PUBLISHED_RECORD
from massannot.dataset.reading import Dataset
from massannot.questions.ask.family import AskedFamily

Profile = Literal["embedded", "oracle"]


@dataclass(frozen=True)
class Measured:
    """A family, of one profile."""

    askable: int
    """Questions that have an answer, whatever its margin."""
    kept: int
    """With a margin of 2."""
    right: float
    """Share of those that were kept."""


LEAST_QUESTIONS = 30
LEAST_KEPT = 0.1
"""Share of the askable."""
LEAST_RIGHT: dict[Profile, float] = {"embedded": 0.95, "oracle": 0.98}
MEASURED: dict[Profile, dict[str, Measured]] = {
    "embedded": {
        "composed_fastest": Measured(9, 0, 0.000),
        "composed_first": Measured(2, 0, 0.000),
        "direction_comparison": Measured(91, 43, 0.954),
        "direction_timestamp": Measured(516, 0, 0.000),
        "distance_comparison": Measured(111, 66, 0.924),
        "dsr_direction_absolute": Measured(138, 71, 0.986),
        "dsr_direction_relative": Measured(157, 73, 1.000),
        "dsr_distance_absolute": Measured(141, 36, 0.806),
        "dsr_distance_relative": Measured(155, 15, 0.733),
        "dsr_prediction_absolute": Measured(32, 4, 1.000),
        "dsr_prediction_relative": Measured(38, 1, 1.000),
        "dsr_speed_absolute": Measured(113, 0, 0.000),
        "dsr_speed_comparison_absolute": Measured(29, 0, 0.000),
        "dsr_speed_comparison_relative": Measured(29, 0, 0.000),
        "dsr_speed_relative": Measured(114, 0, 0.000),
        "event_count": Measured(529, 214, 0.925),
        "event_happens": Measured(1906, 486, 0.901),
        "event_order": Measured(146, 17, 0.647),
        "event_time": Measured(455, 93, 0.667),
        "free_fall": Measured(106, 0, 0.000),
        "movement_direction": Measured(184, 0, 0.000),
        "physical_abnormality": Measured(19, 0, 0.000),
        "speed_comparison": Measured(116, 67, 0.925),
        "travelled_distance": Measured(84, 23, 0.870),
        "travelling_speed": Measured(84, 23, 0.870),
    },
    "oracle": {
        "composed_fastest": Measured(65, 0, 0.000),
        "composed_first": Measured(29, 0, 0.000),
        "direction_comparison": Measured(141, 120, 1.000),
        "direction_timestamp": Measured(339, 5, 1.000),
        "distance_comparison": Measured(184, 126, 0.992),
        "dsr_direction_absolute": Measured(271, 252, 0.996),
        "dsr_direction_relative": Measured(340, 274, 1.000),
        "dsr_distance_absolute": Measured(264, 232, 0.996),
        "dsr_distance_relative": Measured(326, 212, 0.991),
        "dsr_prediction_absolute": Measured(81, 63, 1.000),
        "dsr_prediction_relative": Measured(116, 78, 1.000),
        "dsr_speed_absolute": Measured(372, 75, 1.000),
        "dsr_speed_comparison_absolute": Measured(85, 17, 0.941),
        "dsr_speed_comparison_relative": Measured(87, 16, 0.938),
        "dsr_speed_relative": Measured(388, 57, 1.000),
        "event_count": Measured(1522, 567, 0.997),
        "event_happens": Measured(4813, 1091, 0.997),
        "event_order": Measured(708, 138, 0.964),
        "event_time": Measured(1350, 281, 0.982),
        "free_fall": Measured(363, 0, 0.000),
        "movement_direction": Measured(142, 7, 1.000),
        "physical_abnormality": Measured(211, 0, 0.000),
        "speed_comparison": Measured(191, 131, 0.992),
        "travelled_distance": Measured(133, 114, 1.000),
        "travelling_speed": Measured(133, 114, 1.000),
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
    found = MEASURED[profile].get(family.name, Measured(0, 0, 0.0))
    enough = found.kept >= max(LEAST_QUESTIONS, LEAST_KEPT * found.askable)
    return enough and found.right >= LEAST_RIGHT[profile]


def offered(families: Sequence[AskedFamily], profile: Profile | None) -> tuple[AskedFamily, ...]:
    """Those that are asked where none is named."""
    return tuple(family for family in families if profile is None or holds(family, profile))
