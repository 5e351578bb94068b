"""TAP-Vid: scores of point tracks in the picture, at 256 x 256.

Source: Doersch et al., TAP-Vid (2022), section 3; the metric of its authors' evaluation. Tracks are
stretched to 256 x 256 whatever their aspect, so a "pixel" is 1/256 of a side. Unlike TAPVid-3D, the
query frame itself is never counted: in mode `first` only later frames, in `strided` all others.
Coordinates count from the corner or from the first pixel's centre, as long as all do alike.

`PointCounts` are the sums that all TAP-Vid scores share, TAPVid-3D's too. A point counts as found
within a threshold only where it is really visible; a point that is visible, called visible, and too
far off is missed once and a false positive once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

Bool = NDArray[np.bool_]
F64 = NDArray[np.float64]
QueryMode = Literal["first", "strided"]

EVALUATION_SIDE = 256
THRESHOLDS = (1, 2, 4, 8, 16)
"""Pixels of the evaluation picture; in space, what they span at the true depth."""


@overload
def score(
    gt_tracks_xy: ArrayLike,
    gt_visibility: ArrayLike,
    pred_tracks_xy: ArrayLike,
    pred_visibility: ArrayLike,
    queries_xyt: ArrayLike,
    *,
    size: tuple[int, int] = ...,
    query_mode: QueryMode = ...,
    trackwise: Literal[False] = False,
) -> dict[str, float]: ...
@overload
def score(
    gt_tracks_xy: ArrayLike,
    gt_visibility: ArrayLike,
    pred_tracks_xy: ArrayLike,
    pred_visibility: ArrayLike,
    queries_xyt: ArrayLike,
    *,
    size: tuple[int, int] = ...,
    query_mode: QueryMode = ...,
    trackwise: Literal[True],
) -> dict[str, F64]: ...
def score(
    gt_tracks_xy: ArrayLike,
    gt_visibility: ArrayLike,
    pred_tracks_xy: ArrayLike,
    pred_visibility: ArrayLike,
    queries_xyt: ArrayLike,
    *,
    size: tuple[int, int] = (EVALUATION_SIDE, EVALUATION_SIDE),
    query_mode: QueryMode = "first",
    trackwise: bool = False,
) -> dict[str, float] | dict[str, F64]:
    """Scores in 0..1 of tracks (T, N, 2) and visibilities (T, N); NaN where nothing is counted.

    `size` is the (width, height) of the picture whose pixels the tracks are in; `queries_xyt`
    (N, 3) says from which frame each track started (x and y are not read). `trackwise` gives (N,)
    per score instead of one number. Keys: occlusion_accuracy (also OA), pts_within_1 .. _16 and
    average_pts_within_thresh (delta_avg), jaccard_1 .. _16 and average_jaccard (AJ).
    """
    truth, tracks = np.asarray(gt_tracks_xy, np.float64), np.asarray(pred_tracks_xy, np.float64)
    visible, said_visible = np.asarray(gt_visibility, bool), np.asarray(pred_visibility, bool)
    check_shapes(truth, visible, tracks, said_visible, n_coordinates=2)
    with np.errstate(over="ignore", invalid="ignore"):
        error = (tracks - truth) * np.divide(EVALUATION_SIDE, size)
        squared = np.square(error).sum(axis=-1)
    counts = count_points(
        squared < np.square(THRESHOLDS)[:, None, None],
        gt_visibility=visible,
        pred_visibility=said_visible,
        weight=_evaluated(query_frames(queries_xyt, shape=visible.shape), visible, query_mode),
    )
    scores = (counts if trackwise else counts.over_tracks()).scores()
    scores["OA"] = scores["occlusion_accuracy"]
    scores["delta_avg"] = scores["average_pts_within_thresh"]
    scores["AJ"] = scores["average_jaccard"]
    return scores if trackwise else {name: float(value) for name, value in scores.items()}


def query_frames(queries_xyt: ArrayLike, *, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """The rounded frame of each query (N,), for N tracks of T frames: `shape` is (T, N)."""
    queries = np.asarray(queries_xyt, np.float64)
    if queries.shape != (shape[1], 3):
        raise ValueError(f"queries_xyt: found shape {queries.shape}, expected ({shape[1]}, 3)")
    frame = np.round(queries[:, 2])
    if not ((frame >= 0) & (frame < shape[0])).all():
        raise ValueError(
            f"queries_xyt: found frames {queries[:, 2].min()} to {queries[:, 2].max()}, "
            f"expected 0 to {shape[0] - 1} in the last column"
        )
    return frame.astype(np.int64)


def check_shapes(
    truth: F64,
    visible: Bool,
    tracks: F64,
    said_visible: Bool,
    *,
    n_coordinates: int,
) -> None:
    """ValueError unless tracks are (T, N, n_coordinates) and visibilities (T, N)."""
    if truth.ndim != 3 or truth.shape[2] != n_coordinates:
        raise ValueError(
            f"true tracks: found shape {truth.shape}, expected (T, N, {n_coordinates})"
        )
    for name, shape, expected in (
        ("true visibility", visible.shape, truth.shape[:2]),
        ("predicted tracks", tracks.shape, truth.shape),
        ("predicted visibility", said_visible.shape, truth.shape[:2]),
    ):
        if shape != expected:
            raise ValueError(f"{name}: found shape {shape}, expected {expected} as the true tracks")


def _evaluated(query_frame: NDArray[np.int64], visible: Bool, query_mode: QueryMode) -> Bool:
    """Which points (T, N) the query mode counts."""
    frame = np.arange(len(visible))[:, None]
    if query_mode == "first":
        return np.asarray(frame > query_frame)
    if query_mode == "strided":
        return np.asarray(frame != query_frame)
    raise ValueError(f"query_mode: found {query_mode!r}, expected 'first' or 'strided'")


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
    hits = near & gt_visibility
    wrong = pred_visibility & ~hits
    return PointCounts(
        points=_sum(weight),
        visibility_agrees=_sum((gt_visibility == pred_visibility) * weight),
        visible=_sum(gt_visibility * weight),
        within=_sum(hits * weight),
        true_positives=_sum((hits & pred_visibility) * weight),
        false_positives=_sum(wrong * weight),
    )


def _sum(counted: F64 | Bool) -> F64:
    """Over frames."""
    return np.asarray(counted.sum(axis=-2, dtype=np.float64))
