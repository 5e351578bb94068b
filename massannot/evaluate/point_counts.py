"""What every TAP-Vid score counts per track, and the ratios of these counts.

A point counts as found within a threshold only where it is really visible; a point that is visible,
said to be visible, and too far off is missed once and a false positive once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Bool = NDArray[np.bool_]
F64 = NDArray[np.float64]

THRESHOLDS = (1, 2, 4, 8, 16)
"""Pixels of the evaluation picture; in space, what they span at the true depth."""


@dataclass(frozen=True, eq=False)
class PointCounts:
    """Sums over frames, one number per track (N,) or one in all (); the last three per threshold
    too: (5, N) or (5,). Weighted where the metric weights points."""

    points: F64
    visibility_agrees: F64
    visible: F64
    within: F64
    """Visible points whose prediction is within the threshold, whatever its visibility says."""
    true_positives: F64
    false_positives: F64

    @classmethod
    def of_tracks(cls, tracks: Sequence[PointCounts]) -> PointCounts:
        """Counts of single tracks (1,) side by side."""
        return cls(
            *(
                np.concatenate([getattr(track, field.name) for track in tracks], axis=-1)
                for field in fields(cls)
            )
        )

    def over_tracks(self) -> PointCounts:
        """One sum over all tracks."""
        return PointCounts(*(getattr(self, field.name).sum(axis=-1) for field in fields(self)))

    def scores(self) -> dict[str, F64]:
        """The ratios under TAP-Vid's own names, in 0..1; NaN where nothing was there to count."""
        with np.errstate(divide="ignore", invalid="ignore"):
            accuracy = self.visibility_agrees / self.points
            pts_within = self.within / self.visible
            jaccard = self.true_positives / (self.visible + self.false_positives)
        return {
            "occlusion_accuracy": accuracy,
            **{f"pts_within_{x}": share for x, share in zip(THRESHOLDS, pts_within)},
            "average_pts_within_thresh": pts_within.mean(axis=0),
            **{f"jaccard_{x}": share for x, share in zip(THRESHOLDS, jaccard)},
            "average_jaccard": jaccard.mean(axis=0),
        }


def count_points(
    near: Bool, *, gt_visibility: Bool, pred_visibility: Bool, weight: F64 | Bool
) -> PointCounts:
    """Counts per track of `near` (5, T, N), is the prediction within each threshold, and of the two
    visibilities (T, N); a point counts `weight` (T, N) times."""
    found = near & gt_visibility
    wrong = pred_visibility & ~found
    return PointCounts(
        points=_sum(weight),
        visibility_agrees=_sum((gt_visibility == pred_visibility) * weight),
        visible=_sum(gt_visibility * weight),
        within=_sum(found * weight),
        true_positives=_sum((found & pred_visibility) * weight),
        false_positives=_sum(wrong * weight),
    )


def _sum(counted: F64 | Bool) -> F64:
    """Over frames."""
    return np.asarray(counted.sum(axis=-2, dtype=np.float64))
