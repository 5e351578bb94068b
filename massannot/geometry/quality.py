"""Quality in 0..1 without a calibration: a rank, made of what a video shows by itself.

A logistic function of parts that a video shows by itself. The weights of jitter and of points
beside the mask, which say most, and the bias were fitted on rendered scenes whose oracles were made
wrong in many ways (tests/bench/calibrate_quality.py prints them: on scenes that were not fitted,
clips are ranked by their true error with a Spearman correlation of 0.65). The others, which oracles
can hardly show, were given small weights by hand. A wrong scale of the whole clip, or a wrong field
of view, shows in none of the parts, and so it is no probability. A part that is unknown counts as
half bad, and the whole is multiplied with the share of frames in which there is a position.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, isfinite, log10


@dataclass(frozen=True)
class QualityParts:
    """Evidence about an entity over some frames; None: unknown, which is no good sign."""

    fb_error: float | None = None
    """Median forward-backward error of its points, as a share of the picture's diagonal."""
    in_mask_share: float | None = None
    """Share of visible points that lie inside the mask."""
    depth_valid_share: float | None = None
    """Share of visible points whose depth was measured."""
    points_alive_share: float | None = None
    """Share of (point, visible-mask frame) pairs in which the point is visible."""
    mask_score: float | None = None
    """Mean mask score over visible frames."""
    jitter: float | None = None
    """Noise of the position from frame to frame, as a share of its distance from the camera."""
    measured_share: float | None = None
    """Share of the frames with a visible mask that have a measured position; None: nothing was
    lifted, and quality is about masks and tracks alone."""


def quality(parts: QualityParts) -> float:
    """From the parts; 0 where nothing was measured."""
    evidence = _BIAS + sum(
        weight * (unknown if value is None else value)
        for weight, value, unknown in zip(_WEIGHTS, features(parts), _UNKNOWN, strict=True)
    )
    measured = 1.0 if parts.measured_share is None else parts.measured_share
    return measured / (1.0 + exp(-evidence))


def features(parts: QualityParts) -> tuple[float | None, ...]:
    """One number a part, zero where nothing is wrong; None: unknown."""
    return (
        _times(parts.fb_error, 100.0),
        _missing(parts.in_mask_share),
        _missing(parts.depth_valid_share),
        _missing(parts.points_alive_share),
        _missing(parts.mask_score),
        _decades(parts.jitter),
    )


_BIAS = 4.3
_WEIGHTS = (-0.3, -3.4, -0.5, -0.5, -1.0, -1.9)
_UNKNOWN = (1.0, 0.5, 0.5, 0.5, 0.5, 1.5)
"""Features of a part that is unknown: 1 % of the diagonal, half of the share, a jitter of 0.3 %."""
_STILL = 1e-4
"""Jitter, as a share of the distance, below which less of it means nothing."""


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None or not isfinite(value) else factor * value


def _missing(share: float | None) -> float | None:
    return None if share is None or not isfinite(share) else 1.0 - share


def _decades(value: float | None) -> float | None:
    """Powers of ten above _STILL."""
    return None if value is None or not isfinite(value) else log10(max(value, _STILL) / _STILL)
