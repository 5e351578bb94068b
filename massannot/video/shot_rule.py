"""ShotRule: the numbers that decide where a shot ends, as shots.py applies them.

They are part of a run's record, because clips are cut where shots end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from massannot.errors import UsageError


@dataclass(frozen=True)
class ShotRule:
    """When a film changes from one shot to the next."""

    fps: float = 10.0
    """Frames a second that are looked at."""
    change: float = 15.0
    """Least mean difference (levels of hue, saturation, value) at a hard cut, ..."""
    ratio: float = 3.0
    """... and over the mean of the differences of ..."""
    around: int = 3
    """... so many frames before and after."""
    back: int = 4
    """Frames within which a flash is over."""
    same: float = 0.6
    """Correlation of two pictures from which they show the same."""
    stays: float = 0.4
    """The same of their details, wherever they lie: a large thing may hide the rest."""
    mix_over: tuple[int, ...] = (2, 4, 7, 12)
    """A mix is tried of the pictures so many frames before and after."""
    differ: float = 0.5
    """Largest correlation of these two."""
    share: float = 0.25
    """Least share of each of them in a mix."""
    fit: float = 0.5
    """Least part of the mix that they explain."""
    pad: int = 6
    """A mix is only seen from `share` on: frames left out beyond, at most, and half as many as
    were seen."""
    blank: float = 8.0
    """Largest difference, in levels, between a blank picture's pixels and their mean."""

    def __post_init__(self) -> None:
        numbers = [value for name, value in asdict(self).items() if name != "mix_over"]
        try:
            valid = bool(self.mix_over) and all(n > 0 for n in (*numbers, *self.mix_over))
        except TypeError:  # a text in JSON
            valid = False
        if not valid:
            raise UsageError(f"{self}: expected numbers above 0")

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ShotRule:
        """The rule that `to_json` gave. Raises UsageError for fields of another name."""
        names = [field.name for field in fields(cls)]
        if unknown := sorted(set(values) - set(names)):
            raise UsageError(
                f"sampling.shots: found the fields {', '.join(unknown)}, expected "
                f"{', '.join(names)}"
            )
        return cls(**{**values, "mix_over": tuple(values.get("mix_over", cls.mix_over))})

    def to_json(self) -> dict[str, Any]:
        """Fields by name, as plain JSON values."""
        return {**asdict(self), "mix_over": list(self.mix_over)}

    @property
    def look_ahead(self) -> int:
        """Frames that must follow one before its shot is known; more only where a mix goes on."""
        return max(self.mix_over) + self.back + self.pad

    @property
    def look_back(self) -> int:
        """Frames before one that decide on it, or on a later one."""
        return max(self.mix_over) + 3 * self.pad + self.back
