"""Calibration: what was learnt from clips whose truth is known, as one small JSON value.

It turns the evidence about a position or a motion into intervals, and the evidence about a position
into the probability that it is right. Where the numbers come from: evaluate/calibrate.py.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

from massannot.errors import UsageError
from massannot.geometry.conformal import Logistic, LogScale

FORMAT = 1
RIGHT_WITHIN = 0.05
"""Share of its distance within which a position counts as right."""


@dataclass(frozen=True)
class PositionCalibration:
    """Of positions: scales of the error along the ray (relative) and across it (pixels)."""

    along: LogScale
    across: LogScale
    clip_share: float
    """Share of the variance along the ray that a clip's positions have in common."""
    entity_share: float
    """Share that an entity's positions have in common beyond it."""
    factors: Mapping[str, Mapping[str, float]]
    """Axis and level to the factor on the standard deviation that gives the half-width."""


@dataclass(frozen=True)
class MotionCalibration:
    """Of motions: a factor on the propagated standard deviation, and quantiles of what is left."""

    vector: LogScale
    """Of the motion's components, over their standard deviations."""
    length: LogScale
    """Of the length's error, over its standard deviation."""
    path: LogScale
    """Of the path's error, over the motion's total standard deviation."""
    factors: Mapping[str, Mapping[str, float]]
    """Axis and level to the factor that gives the half-width."""
    length_bounds: Mapping[str, tuple[float, float]]
    """Level to the quantiles of (measured - true) / scale: truth = measured - quantile scale."""
    path_bounds: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Calibration:
    """`key`: of whom it is true, see recipes/calibrated.py."""

    name: str
    key: Mapping[str, Any]
    truth: str
    """What it was learnt from, in words."""
    n_clips: int
    position: PositionCalibration
    motion: MotionCalibration
    quality: Logistic
    """The probability that a position lies within RIGHT_WITHIN of its distance of the truth."""

    def to_json(self) -> str:
        """Text of the file, the same for the same numbers."""
        content = {"format": FORMAT, **dataclasses.asdict(self)}
        return json.dumps(_rounded(content), indent=1, sort_keys=True) + "\n"


def from_json(text: str, *, where: str) -> Calibration:
    """Raises UsageError, beginning with `where`, for what is no calibration."""
    try:
        content = json.loads(text)
        if content["format"] != FORMAT:
            raise UsageError(
                f"{where}: a calibration of format {content['format']}, expected {FORMAT}; make "
                "it again with `massannot calibrate`"
            )
        position, motion = content["position"], content["motion"]
        return Calibration(
            name=content["name"],
            key=content["key"],
            truth=content["truth"],
            n_clips=int(content["n_clips"]),
            position=PositionCalibration(
                **{
                    **position,
                    **{n: _scale(position[n]) for n in ("along", "across")},
                    "factors": _factors(position["factors"]),
                }
            ),
            motion=MotionCalibration(
                **{
                    **motion,
                    **{n: _scale(motion[n]) for n in ("vector", "length", "path")},
                    **{n: _bounds(motion[n]) for n in ("length_bounds", "path_bounds")},
                    "factors": _factors(motion["factors"]),
                }
            ),
            quality=Logistic(_scale(content["quality"]["score"])),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"{where}: found no calibration ({type(error).__name__}: {error}), expected a file "
            "that `massannot calibrate` wrote"
        ) from error


def _factors(values: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    return {
        axis: {level: inf if f is None else float(f) for level, f in levels.items()}
        for axis, levels in values.items()
    }


def _bounds(values: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    return {
        level: (-inf if low is None else float(low), inf if high is None else float(high))
        for level, (low, high) in values.items()
    }


def _scale(values: Mapping[str, Any]) -> LogScale:
    tuples = {n: tuple(map(float, v)) for n, v in values.items() if n != "intercept"}
    return LogScale(intercept=float(values["intercept"]), **tuples)


def _rounded(value: Any) -> Any:
    """Six digits, which is more than the clips can tell; null: too few clips for that bound."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value
