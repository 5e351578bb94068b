"""TAP-Vid scores in the picture: hand-computed cases, and a plain form, one point at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from massannot.evaluate.tapvid_scores import QueryMode, score

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

PIXELS = (1, 2, 4, 8, 16)


def flags(*rows: str) -> Bool:
    """One row per frame, one letter per track; v: visible."""
    return np.array([[letter == "v" for letter in row] for row in rows])


def divide(a: float, b: float) -> float:
    return a / b if b else math.nan


def score_slowly(
    g: F64, v: Bool, p: F64, w: Bool, queries: F64, size: tuple[int, int], mode: str, tracks: list
) -> dict[str, float]:
    counted = [
        (t, n)
        for n in tracks
        for t in range(len(g))
        if (t > round(queries[n, 2]) if mode == "first" else t != round(queries[n, 2]))
    ]
    scores = {"OA": divide(sum(v[c] == w[c] for c in counted), len(counted))}
    for x in PIXELS:
        found = hits = false_alarms = 0
        for c in counted:
            dx, dy = (p[c] - g[c]) * 256 / np.array(size)
            near = math.hypot(dx, dy) < x
            found += v[c] and near
            hits += v[c] and near and w[c]
            false_alarms += w[c] and not (v[c] and near)
        n_visible = sum(v[c] for c in counted)
        scores[f"pts_within_{x}"] = divide(found, n_visible)
        scores[f"jaccard_{x}"] = divide(hits, n_visible + false_alarms)
    scores["delta_avg"] = sum(scores[f"pts_within_{x}"] for x in PIXELS) / 5
    scores["AJ"] = sum(scores[f"jaccard_{x}"] for x in PIXELS) / 5
    scores["occlusion_accuracy"] = scores["OA"]
    scores["average_pts_within_thresh"] = scores["delta_avg"]
    scores["average_jaccard"] = scores["AJ"]
    return scores


@pytest.mark.parametrize("mode", ["first", "strided"])
def test_scores_equal_the_plain_form(mode: QueryMode) -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        n_frames, n_tracks = int(rng.integers(1, 9)), int(rng.integers(1, 7))
        size = (int(rng.integers(100, 900)), int(rng.integers(100, 900)))
        g = rng.uniform(0, 1, (n_frames, n_tracks, 2)) * size
        p = g + rng.normal(size=g.shape) * rng.choice([0.5, 3, 20], size=(*g.shape[:2], 1))
        v, w = rng.random(g.shape[:2]) < 0.6, rng.random(g.shape[:2]) < 0.6
        queries = rng.uniform(0, n_frames - 1 + 1e-9, (n_tracks, 3))
        fast = score(g, v, p, w, queries, size=size, query_mode=mode)
        slow = score_slowly(g, v, p, w, queries, size, mode, list(range(n_tracks)))
        assert fast == pytest.approx(slow, nan_ok=True, abs=1e-12), seed
        by_track = score(g, v, p, w, queries, size=size, query_mode=mode, trackwise=True)
        for n in range(n_tracks):
            slow = score_slowly(g, v, p, w, queries, size, mode, [n])
            of_track = {name: values[n] for name, values in by_track.items()}
            assert of_track == pytest.approx(slow, nan_ok=True, abs=1e-12), (seed, n)


# Three frames, one track that stands still; each frame's error in pixels of 256.
THREE_FRAMES = {
    "first: only what comes after the query": ("first", 1, "vvv", "vvv", (99, 99, 0), 1, 1, 1),
    "first: nothing after the last frame": ("first", 2, "vvv", "vvv", (0, 0, 0), *[np.nan] * 3),
    "strided: before and after, not the query": ("strided", 1, "vvv", "vvv", (0, 99, 0), 1, 1, 1),
    "within 4, 8 and 16 pixels": ("first", 1, "vvv", "vvv", (0, 0, 3), 1, 3 / 5, 3 / 5),
    "on the threshold is outside": ("first", 1, "vvv", "vvv", (0, 0, 4), 1, 2 / 5, 2 / 5),
    "missed": ("first", 1, "vvv", "vv-", (0, 0, 0), 0, 1, 0),
    "made up": ("first", 1, "vv-", "vvv", (0, 0, 0), 0, np.nan, 0),
    "too far: missed once and false once": ("first", 0, "vvv", "vvv", (0, 0, 99), 1, 1 / 2, 1 / 3),
}


@pytest.mark.parametrize(
    ("mode", "query", "v", "w", "errors", "oa", "delta_avg", "aj"),
    THREE_FRAMES.values(),
    ids=THREE_FRAMES.keys(),
)
def test_three_frames_score_as_counted_by_hand(
    mode: QueryMode,
    query: int,
    v: str,
    w: str,
    errors: tuple,
    oa: float,
    delta_avg: float,
    aj: float,
) -> None:
    truth = np.full((3, 1, 2), 100.0)
    predicted = truth + np.array([[[error, 0]] for error in errors])
    scores = score(truth, flags(*v), predicted, flags(*w), [(100, 100, query)], query_mode=mode)
    found = [scores["OA"], scores["delta_avg"], scores["AJ"]]
    np.testing.assert_allclose(found, [oa, delta_avg, aj])


def test_a_pixel_is_a_256th_of_each_side() -> None:
    truth, seen = np.zeros((2, 1, 2)), flags("v", "v")
    wide, high = np.full((2, 1, 2), [9.0, 0]), np.full((2, 1, 2), [0, 9.0])
    size, queries = (2560, 1280), [(0, 0, 0)]
    assert score(truth, seen, wide, seen, queries, size=size)["pts_within_1"] == 1
    assert score(truth, seen, high, seen, queries, size=size)["pts_within_1"] == 0


def test_another_query_mode_is_refused() -> None:
    still, seen = np.zeros((1, 1, 2)), flags("v")
    with pytest.raises(ValueError, match="query_mode: found 'last'"):
        score(still, seen, still, seen, [(0, 0, 0)], query_mode="last")
