"""TAPVid-3D: scores of point tracks in camera space.

Source: Koppula et al., TAPVid-3D (2024), and the metric of its authors' evaluation, whose numbers
these are. A prediction is first rescaled (most trackers know no metres), then a point is near when
it lies within the length that x pixels span at its true depth. Unlike 2D TAP-Vid, the query frame
counts too. All positions are in the camera frame of their frame, z forward.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from massannot.evaluate.tapvid_scores import (
    THRESHOLDS,
    PointCounts,
    check_shapes,
    count_points,
    query_frames,
)

Bool = NDArray[np.bool_]
F64 = NDArray[np.float64]
Scaling = Literal[
    "median",
    "mean",
    "none",
    "median_on_queries",
    "per_trajectory",
    "reproduce_2d",
    "local_neighborhood",
]

EVALUATION_SHORT_SIDE = 256
FIXED_THRESHOLDS_M = (0.01, 0.04, 0.16, 0.64, 2.56)
NEIGHBORHOOD_M = 0.05
_LEAST_NORM = 1e-6
_LEAST_DEPTH = 1e-12


@overload
def score(
    gt_tracks_xyz: ArrayLike,
    gt_visibility: ArrayLike,
    pred_tracks_xyz: ArrayLike,
    pred_visibility: ArrayLike,
    fx_fy_cx_cy: ArrayLike,
    queries_xyt: ArrayLike | None = ...,
    scaling: Scaling = ...,
    fixed_thresholds: bool = ...,
    trackwise: Literal[False] = False,
) -> dict[str, float]: ...
@overload
def score(
    gt_tracks_xyz: ArrayLike,
    gt_visibility: ArrayLike,
    pred_tracks_xyz: ArrayLike,
    pred_visibility: ArrayLike,
    fx_fy_cx_cy: ArrayLike,
    queries_xyt: ArrayLike | None = ...,
    scaling: Scaling = ...,
    fixed_thresholds: bool = ...,
    *,
    trackwise: Literal[True],
) -> dict[str, F64]: ...
def score(
    gt_tracks_xyz: ArrayLike,
    gt_visibility: ArrayLike,
    pred_tracks_xyz: ArrayLike,
    pred_visibility: ArrayLike,
    fx_fy_cx_cy: ArrayLike,
    queries_xyt: ArrayLike | None = None,
    scaling: Scaling = "median",
    fixed_thresholds: bool = False,
    trackwise: bool = False,
) -> dict[str, float] | dict[str, F64]:
    """Scores in 0..1 of tracks (T, N, 3) and visibilities (T, N); NaN where nothing is counted.

    `fx_fy_cx_cy` (4,) are the intrinsics at the evaluation size, whose shorter side is 256 (see
    `evaluation_intrinsics`). `queries_xyt` (N, 3) is needed by the scalings `median_on_queries`,
    `per_trajectory` and `local_neighborhood`, which read the query's frame. `fixed_thresholds`
    takes 1 cm .. 2.56 m instead of pixels. `trackwise` gives (N,) per score instead of one number.
    Keys: occlusion_accuracy (also OA), pts_within_1 .. _16 and average_pts_within_thresh (APD_3D),
    jaccard_1 .. _16 and average_jaccard (AJ_3D).
    """
    truth, tracks = np.asarray(gt_tracks_xyz, np.float64), np.asarray(pred_tracks_xyz, np.float64)
    visible, said_visible = np.asarray(gt_visibility, bool), np.asarray(pred_visibility, bool)
    check_shapes(truth, visible, tracks, said_visible, n_coordinates=3)
    frames = None if queries_xyt is None else query_frames(queries_xyt, shape=visible.shape)
    reach = _fixed_reach(truth) if fixed_thresholds else _pixel_reach(truth, fx_fy_cx_cy)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        factor = _factor(scaling, truth, tracks, both=visible & said_visible, query_frame=frames)
        if scaling == "local_neighborhood" and truth.shape[1]:
            counts = _count_neighborhoods(
                truth, visible, tracks, said_visible, factor=factor, reach=reach
            )
        else:
            counts = count_points(
                _near(factor[..., None] * tracks, truth, reach),
                gt_visibility=visible,
                pred_visibility=said_visible,
                weight=np.ones(visible.shape),
            )
    scores = (counts if trackwise else counts.over_tracks()).scores()
    scores["OA"] = scores["occlusion_accuracy"]
    scores["APD_3D"] = scores["average_pts_within_thresh"]
    scores["AJ_3D"] = scores["average_jaccard"]
    return scores if trackwise else {name: float(value) for name, value in scores.items()}


def evaluation_intrinsics(fx_fy_cx_cy: ArrayLike, *, height: int, width: int) -> F64:
    """Intrinsics (..., 4) of a picture, at the size at which the benchmark scores."""
    return np.asarray(fx_fy_cx_cy, np.float64) * (EVALUATION_SHORT_SIDE / min(height, width))


def _factor(
    scaling: Scaling, truth: F64, tracks: F64, *, both: Bool, query_frame: NDArray[np.int64] | None
) -> F64:
    """The factor of the predictions, broadcast to (T, N)."""
    if scaling not in get_args(Scaling):
        raise ValueError(f"scaling: found {scaling!r}, expected one of {get_args(Scaling)}")
    if scaling == "none":
        return np.ones((1, 1))
    if scaling == "reproduce_2d":
        return truth[..., 2] / tracks[..., 2]
    norms = np.maximum(np.linalg.norm(np.stack([truth, tracks]), axis=-1), _LEAST_NORM)
    if scaling == "median":
        return np.reshape(_ratio(np.median, *norms[:, both]), (1, 1))
    if scaling == "mean":
        return np.reshape(_ratio(np.mean, *norms[:, both]), (1, 1))
    if query_frame is None:
        raise ValueError(f"scaling {scaling!r} reads the frames of queries_xyt: found none")
    at_query = query_frame, np.arange(truth.shape[1])
    if scaling == "median_on_queries":
        of_queries = norms[:, *at_query][:, both[at_query]]
        return np.reshape(_ratio(np.median, *of_queries), (1, 1))
    true_depth, depth = truth[*at_query, 2], tracks[*at_query, 2]
    return (np.maximum(true_depth, _LEAST_DEPTH) / np.maximum(depth, _LEAST_DEPTH))[None, :]


def _ratio(average: Callable[[F64], np.float64], truth: F64, predicted: F64) -> float:
    """Average over average, each of what is known; NaN where nothing is."""
    truth, predicted = truth[~np.isnan(truth)], predicted[~np.isnan(predicted)]
    if truth.size == 0 or predicted.size == 0:
        return float("nan")
    return float(average(truth) / average(predicted))


def _pixel_reach(truth: F64, fx_fy_cx_cy: ArrayLike) -> F64:
    """The length (5, T, N) that each threshold spans at the true depth; negative behind the
    camera."""
    intrinsics = np.asarray(fx_fy_cx_cy, np.float64)
    if intrinsics.shape != (4,):
        raise ValueError(f"fx_fy_cx_cy: found shape {intrinsics.shape}, expected (4,)")
    focal_length = np.sqrt(intrinsics[0] * intrinsics[1])
    return np.asarray(THRESHOLDS)[:, None, None] * truth[..., 2] / focal_length


def _fixed_reach(truth: F64) -> F64:
    return np.broadcast_to(np.reshape(FIXED_THRESHOLDS_M, (-1, 1, 1)), (5, *truth.shape[:2]))


def _near(tracks: F64, truth: F64, reach: F64) -> Bool:
    """Which predictions lie within each threshold (5, T, N). Squared: points behind count too."""
    return np.asarray(np.square(tracks - truth).sum(axis=-1) < np.square(reach))


def _count_neighborhoods(
    truth: F64, visible: Bool, tracks: F64, said_visible: Bool, *, factor: F64, reach: F64
) -> PointCounts:
    """Counts per track over the points of all tracks near it in the same frame, under its factor.

    Each group weighs as much as its track has visible frames, however many neighbours came along.
    """
    groups = []
    for track in range(truth.shape[1]):
        offset = np.square(truth - truth[:, track, None]).sum(axis=-1)
        near = offset < NEIGHBORHOOD_M**2
        weight = visible[:, track].sum() / max(1, visible[near].sum())
        moved = factor[0, track] * tracks[near]
        groups.append(
            count_points(
                _near(moved, truth[near], reach[:, near])[..., None],
                gt_visibility=visible[near][:, None],
                pred_visibility=said_visible[near][:, None],
                weight=np.full((len(moved), 1), weight),
            )
        )
    return PointCounts.of_tracks(groups)
