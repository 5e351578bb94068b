"""TAPVid-3D scores: hand-computed cases of every branch, and a plain form, one point at a time."""

from __future__ import annotations

import math
import statistics
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from massannot.evaluate.tapvid3d_scores import (
    Scaling,
    evaluation_intrinsics,
    score,
)

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

SCALINGS = get_args(Scaling)
PIXELS = (1, 2, 4, 8, 16)
METRES = {1: 0.01, 2: 0.04, 4: 0.16, 8: 0.64, 16: 2.56}
INTRINSICS = (200.0, 50.0, 128.0, 128.0)  # f = 100: one pixel spans 1 cm at one metre


def points(*rows: object) -> F64:
    return np.array(rows, np.float64)


def flags(*rows: str) -> Bool:
    """One row per frame, one letter per track; v: visible."""
    return np.array([[letter == "v" for letter in row] for row in rows])


def divide(a: float, b: float) -> float:
    if b == 0:
        return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a)
    return a / b


def length(point: F64) -> float:
    return max(math.sqrt(sum(float(c) ** 2 for c in point)), 1e-6)


def factors_slowly(g: F64, p: F64, v: Bool, w: Bool, frame: list[int], scaling: str) -> list:
    """One factor per track and frame."""
    n_frames, n_tracks = v.shape
    cells = [(t, n) for t in range(n_frames) for n in range(n_tracks)]
    if scaling == "reproduce_2d":
        return [[divide(g[t, n, 2], p[t, n, 2]) for n in range(n_tracks)] for t in range(n_frames)]
    if scaling in ("per_trajectory", "local_neighborhood"):
        row = [
            max(g[frame[n], n, 2], 1e-12) / max(p[frame[n], n, 2], 1e-12) for n in range(n_tracks)
        ]
        return [row] * n_frames
    if scaling == "none":
        return [[1.0] * n_tracks] * n_frames
    if scaling == "median_on_queries":
        cells = [(frame[n], n) for n in range(n_tracks)]
    average = statistics.mean if scaling == "mean" else statistics.median
    used = [(t, n) for t, n in cells if v[t, n] and w[t, n]]
    factor = math.nan
    if used:
        factor = average([length(g[c]) for c in used]) / average([length(p[c]) for c in used])
    return [[factor] * n_tracks] * n_frames


def score_slowly(
    g: F64,
    v: Bool,
    p: F64,
    w: Bool,
    intrinsics: tuple[float, ...],
    queries_xyt: F64,
    scaling: str,
    fixed: bool,
    track: int | None,
) -> dict[str, float]:
    """All sums point by point, for one track or for all."""
    n_frames, n_tracks = v.shape
    factor = factors_slowly(g, p, v, w, [round(t) for t in queries_xyt[:, 2]], scaling)
    focal = math.sqrt(intrinsics[0] * intrinsics[1])
    counted = []  # (frame, track, factor, weight)
    for n in range(n_tracks) if track is None else [track]:
        if scaling != "local_neighborhood":
            counted += [(t, n, factor[t][n], 1.0) for t in range(n_frames)]
            continue
        group = [
            (t, m)
            for t in range(n_frames)
            for m in range(n_tracks)
            if math.dist(g[t, m], g[t, n]) < 0.05
        ]
        weight = sum(v[:, n]) / max(1, sum(v[c] for c in group))
        counted += [(t, m, factor[t][n], weight) for t, m in group]

    scores = {
        "occlusion_accuracy": divide(
            sum(weight * (v[t, n] == w[t, n]) for t, n, _, weight in counted),
            sum(weight for *_, weight in counted),
        )
    }
    n_visible = sum(weight * v[t, n] for t, n, _, weight in counted)
    for x in PIXELS:
        found = hits = false_alarms = 0.0
        for t, n, scale, weight in counted:
            reach = METRES[x] if fixed else abs(x * g[t, n, 2] / focal)
            near = math.dist(scale * p[t, n], g[t, n]) < reach
            if v[t, n] and near:
                found += weight
            if v[t, n] and near and w[t, n]:
                hits += weight
            if w[t, n] and (not v[t, n] or not near):
                false_alarms += weight
        scores[f"pts_within_{x}"] = divide(found, n_visible)
        scores[f"jaccard_{x}"] = divide(hits, n_visible + false_alarms)
    scores["average_pts_within_thresh"] = sum(scores[f"pts_within_{x}"] for x in PIXELS) / 5
    scores["average_jaccard"] = sum(scores[f"jaccard_{x}"] for x in PIXELS) / 5
    scores["OA"] = scores["occlusion_accuracy"]
    scores["APD_3D"] = scores["average_pts_within_thresh"]
    scores["AJ_3D"] = scores["average_jaccard"]
    return scores


def random_case(seed: int) -> tuple[F64, Bool, F64, Bool, tuple[float, ...], F64]:
    """Clustered tracks (neighbours exist), wrong scale, some behind the camera, one never seen."""
    rng = np.random.default_rng(seed)
    n_frames, n_tracks = rng.integers(1, 7), rng.integers(1, 8)
    centre = rng.normal([0, 0, 3], [1, 1, 0.5], (n_frames, 1, 3))
    g = centre + rng.normal(scale=rng.choice([0.02, 0.3]), size=(n_frames, n_tracks, 3))
    g[rng.random(g.shape[:2]) < 0.05] *= -1
    noise = rng.normal(size=g.shape) * rng.choice([0.005, 0.03, 0.3], size=(*g.shape[:2], 1))
    p = (g + noise) / rng.uniform(0.3, 3)
    v, w = rng.random(g.shape[:2]) < 0.7, rng.random(g.shape[:2]) < 0.7
    v[:, 0] &= rng.random() < 0.7
    queries = (
        rng.uniform(0, n_frames - 1, (n_tracks, 3)) if n_frames > 1 else np.zeros((n_tracks, 3))
    )
    return g, v, p, w, INTRINSICS, queries


@pytest.mark.parametrize("fixed", [False, True], ids=["pixels", "metres"])
@pytest.mark.parametrize("scaling", SCALINGS)
def test_scores_equal_the_plain_form(scaling: Scaling, fixed: bool) -> None:
    for seed in range(12):
        *arrays, queries = random_case(seed)
        fast = score(*arrays, queries, scaling, fixed)
        slow = score_slowly(*arrays, queries, scaling, fixed, None)
        assert fast == pytest.approx(slow, nan_ok=True, abs=1e-12), seed


@pytest.mark.parametrize("scaling", SCALINGS)
def test_trackwise_scores_equal_the_plain_form_of_each_track(scaling: Scaling) -> None:
    for seed in range(12):
        *arrays, queries = random_case(seed)
        fast = score(*arrays, queries, scaling, trackwise=True)
        for track in range(len(queries)):
            slow = score_slowly(*arrays, queries, scaling, False, track)
            of_track = {name: values[track] for name, values in fast.items()}
            assert of_track == pytest.approx(slow, nan_ok=True, abs=1e-12), (seed, track)


# One track, one frame, truth at (0, 0, 1): thresholds are 1, 2, 4, 8 and 16 cm.
ONE_POINT = {
    "exact": ("v", "v", 0.0, (1, 1, 1, 1, 1), (1, 1, 1, 1, 1), 1),
    "3 cm off": ("v", "v", 0.03, (0, 0, 1, 1, 1), (0, 0, 1, 1, 1), 1),
    "on a threshold is outside": ("v", "v", 0.04, (0, 0, 0, 1, 1), (0, 0, 0, 1, 1), 1),
    "missed": ("v", "-", 0.0, (1, 1, 1, 1, 1), (0, 0, 0, 0, 0), 0),
    "made up": ("-", "v", 0.0, (np.nan,) * 5, (0, 0, 0, 0, 0), 0),
    "rightly hidden": ("-", "-", 0.0, (np.nan,) * 5, (np.nan,) * 5, 1),
}


@pytest.mark.parametrize(
    ("v", "w", "off", "pts_within", "jaccard", "accuracy"), ONE_POINT.values(), ids=ONE_POINT.keys()
)
def test_one_point_scores_as_counted_by_hand(
    v: str, w: str, off: float, pts_within: tuple, jaccard: tuple, accuracy: int
) -> None:
    scores = score(
        points([[0, 0, 1]]), flags(v), points([[off, 0, 1]]), flags(w), INTRINSICS, scaling="none"
    )
    np.testing.assert_array_equal([scores[f"pts_within_{x}"] for x in PIXELS], pts_within)
    np.testing.assert_array_equal([scores[f"jaccard_{x}"] for x in PIXELS], jaccard)
    assert scores["OA"] == accuracy


def test_a_visible_point_too_far_off_is_missed_once_and_a_false_positive_once() -> None:
    truth = points([[0, 0, 1], [1, 0, 1], [2, 0, 1]])
    predicted = points([[0, 0, 1], [1, 0, 1], [2, 9, 1]])
    scores = score(truth, flags("vvv"), predicted, flags("vvv"), INTRINSICS, scaling="none")
    assert scores["average_pts_within_thresh"] == pytest.approx(2 / 3)
    assert scores["average_jaccard"] == pytest.approx(2 / 4)


def test_a_point_behind_the_camera_is_tested_with_its_distance() -> None:
    scores = score(
        points([[0, 0, -1]]),
        flags("v"),
        points([[0.03, 0, -1]]),
        flags("v"),
        INTRINSICS,
        scaling="none",
    )
    assert [scores[f"pts_within_{x}"] for x in PIXELS] == [0, 0, 1, 1, 1]


# One frame, three tracks on the axis at 1, 2 and 3 m: which of them does the scaling make exact?
SCALED = {
    "median: 2 over 1.2": ("median", "vvv", "vvv", (0.5, 1.2, 1.3), (0, 1, 0)),
    "mean: 2 over 1.0": ("mean", "vvv", "vvv", (0.5, 1.2, 1.3), (1, 0, 0)),
    "none": ("none", "vvv", "vvv", (0.5, 2, 1.3), (0, 1, 0)),
    "a factor for every point": ("reproduce_2d", "vvv", "vvv", (0.5, 1.2, 1.3), (1, 1, 1)),
    "at depth 0 there is no factor": ("reproduce_2d", "vvv", "vvv", (0, 2, 3), (0, 1, 1)),
    "predicted hidden: not read": ("median", "vvv", "v-v", (0.5, 7, 1.5), (1, 0, 1)),
    "really hidden: not read": ("median", "v-v", "vvv", (0.5, 7, 1.5), (1, np.nan, 1)),
    "nothing seen by both": ("median", "vv-", "--v", (1, 2, 3), (0, 0, np.nan)),
    "nothing seen by both, mean": ("mean", "vv-", "--v", (1, 2, 3), (0, 0, np.nan)),
    "an unknown prediction: not read": ("median", "vvv", "vvv", (0.5, np.nan, 1.5), (1, 0, 1)),
    "a prediction of zero length": ("median", "v--", "v--", (0, 2, 3), (0, np.nan, np.nan)),
}


@pytest.mark.parametrize(
    ("scaling", "v", "w", "depths", "exact"), SCALED.values(), ids=SCALED.keys()
)
def test_a_scaling_multiplies_by_the_ratio_of_what_both_see(
    scaling: Scaling, v: str, w: str, depths: tuple, exact: tuple
) -> None:
    truth = points([[0, 0, 1], [0, 0, 2], [0, 0, 3]])
    predicted = points([[0, 0, depth] for depth in depths])
    scores = score(
        truth, flags(v), predicted, flags(w), INTRINSICS, scaling=scaling, trackwise=True
    )
    np.testing.assert_array_equal(scores["pts_within_1"], exact)


# Two frames, two tracks; the queries are frame 1 of the first and frame 0 of the second.
TRUTH = points([[0, 0, 1], [0, 0, 3]], [[0, 0, 5], [0, 0, 7]])
AT_QUERIES = {
    "one factor, 4 over 2": (
        "median_on_queries",
        flags("vv", "vv"),
        points([[0, 0, 9], [0, 0, 1.5]], [[0, 0, 2.5], [0, 0, 9]]),
        (1 / 2, 1 / 2),
    ),
    "one factor, the hidden query is not read": (
        "median_on_queries",
        flags("v-", "vv"),
        points([[0, 0, 0.5], [0, 0, 9]], [[0, 0, 2.5], [0, 0, 3.5]]),
        (1, 1 / 2),
    ),
    "a factor per track": (
        "per_trajectory",
        flags("vv", "vv"),
        points([[0, 0, 0.5], [0, 0, 9]], [[0, 0, 2.5], [0, 0, 21]]),
        (1, 1),
    ),
    "a factor per track, from depth and not length": (
        "per_trajectory",
        flags("vv", "vv"),
        points([[0, 0, 1], [4, 0, 3]], [[0, 0, 5], [0, 0, 7]]),
        (1, 1 / 2),
    ),
    "a factor per track, although hidden": (
        "per_trajectory",
        flags("--", "--"),
        points([[0, 0, 0.5], [0, 0, 9]], [[0, 0, 2.5], [0, 0, 21]]),
        (1, 1),
    ),
}


@pytest.mark.parametrize(
    ("scaling", "seen", "predicted", "found"), AT_QUERIES.values(), ids=AT_QUERIES.keys()
)
def test_a_scaling_at_the_queries_reads_their_frames_only(
    scaling: Scaling, seen: Bool, predicted: F64, found: tuple
) -> None:
    queries = [(0, 0, 1), (0, 0, 0)]
    scores = score(
        TRUTH, flags("vv", "vv"), predicted, seen, INTRINSICS, queries, scaling, trackwise=True
    )
    np.testing.assert_array_equal(scores["pts_within_1"], found)


def test_a_neighborhood_is_scaled_as_its_track_and_weighs_as_much() -> None:
    """Two tracks 1 cm apart, one predicted at half its distance, and a third far away."""
    truth = points([[0, 0, 1], [0.01, 0, 1], [9, 0, 1]])
    predicted = points([[0, 0, 1], [0.005, 0, 0.5], [9, 0, 1]])
    case = truth, flags("vvv"), predicted, flags("vvv"), INTRINSICS, np.zeros((3, 3))
    of_tracks = score(*case, "local_neighborhood", trackwise=True)
    np.testing.assert_allclose(of_tracks["pts_within_1"], (1 / 2, 1 / 2, 1))
    assert score(*case, "local_neighborhood")["pts_within_1"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("size", [(3, 0), (1, 2)], ids=["no tracks", "never visible"])
def test_nothing_to_count_gives_nan_without_a_warning(
    scaling: Scaling, size: tuple[int, int], recwarn: pytest.WarningsRecorder
) -> None:
    nowhere, hidden = np.ones((*size, 3)), np.zeros(size, bool)
    scores = score(nowhere, hidden, nowhere, hidden, INTRINSICS, np.zeros((size[1], 3)), scaling)
    assert math.isnan(scores["APD_3D"])
    assert math.isnan(scores["AJ_3D"])
    assert not recwarn.list


def test_the_evaluation_picture_has_a_shorter_side_of_256() -> None:
    intrinsics = evaluation_intrinsics((1000, 900, 640, 360), height=720, width=1280)
    np.testing.assert_allclose(intrinsics, np.array([1000, 900, 640, 360]) * 256 / 720)


GOOD = (TRUTH, flags("vv", "vv"), TRUTH, flags("vv", "vv"), INTRINSICS)
REFUSED = {
    "another scaling": ((*GOOD, None, "max"), "scaling: found 'max'"),
    "no queries to scale at": ((*GOOD, None, "per_trajectory"), "queries_xyt: found none"),
    "too few queries": ((*GOOD, np.zeros((1, 3))), r"found shape \(1, 3\), expected \(2, 3\)"),
    "a query after the end": ((*GOOD, [(0, 0, 0), (0, 0, 2)]), "expected 0 to 1"),
    "a query before the start": ((*GOOD, [(0, 0, 0), (0, 0, -1)]), "expected 0 to 1"),
    "an unknown query": ((*GOOD, [(0, 0, 0), (0, 0, np.nan)]), "expected 0 to 1"),
    "pictures instead of space": ((TRUTH[..., :2], *GOOD[1:]), r"expected \(T, N, 3\)"),
    "fewer predicted frames": ((*GOOD[:2], TRUTH[:1], *GOOD[3:]), "predicted tracks: found"),
    "tracks first": ((GOOD[0], flags("v", "v"), *GOOD[2:]), "true visibility: found"),
    "intrinsics per frame": ((*GOOD[:4], [INTRINSICS] * 2), r"expected \(4,\)"),
}


@pytest.mark.parametrize(("arguments", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_does_not_fit_is_refused_by_name(arguments: tuple, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        score(*arguments)
