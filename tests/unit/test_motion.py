"""Centres of what is seen, and the ends of segments."""

from __future__ import annotations

import numpy as np
import pytest

from massannot.geometry.motion import first_and_last, surface_centre


def points(n_frames: int = 4, n_points: int = 41) -> np.ndarray:
    """(T, N, 3): a cloud around (1, 2, 3) that moves 0.1 a frame along x."""
    rng = np.random.default_rng(0)
    cloud = np.array([1.0, 2.0, 3.0]) + 0.1 * rng.standard_normal((n_points, 3))
    return cloud + np.arange(n_frames)[:, None, None] * np.array([0.1, 0, 0])


def test_the_centre_is_the_median_of_each_axis() -> None:
    xyz = points()
    found = surface_centre(xyz, np.ones(xyz.shape[:2], bool), min_points=3)
    np.testing.assert_allclose(found.xyz, np.median(xyz, axis=1))
    distance = np.linalg.norm(xyz - np.median(xyz, axis=1)[:, None], axis=-1)
    np.testing.assert_allclose(found.spread, np.median(distance, axis=1))


def test_a_third_of_the_points_may_be_anywhere() -> None:
    xyz = points()
    astray = xyz.copy()
    astray[:, :13] += 50
    seen = np.ones(xyz.shape[:2], bool)
    right, wrong = (surface_centre(p, seen, min_points=3) for p in (xyz, astray))
    assert np.abs(wrong.xyz - right.xyz).max() < 0.15


def test_hidden_points_only_count_where_too_few_are_seen() -> None:
    xyz = points(n_frames=2)
    xyz[:, 5:] += 7
    seen = np.zeros(xyz.shape[:2], bool)
    seen[0, :5] = True
    seen[1, :2] = True
    found = surface_centre(xyz, seen, min_points=3)
    np.testing.assert_allclose(found.xyz[0], np.median(xyz[0, :5], axis=0))
    np.testing.assert_allclose(found.xyz[1], np.median(xyz[1], axis=0))
    assert found.measured.tolist() == [True, False]
    assert found.present.tolist() == [True, True]
    assert found.n_measured.tolist() == [5, 2]


def test_without_enough_points_there_is_no_centre() -> None:
    xyz = points()
    xyz[:, 2:] = np.nan
    found = surface_centre(xyz, np.ones(xyz.shape[:2], bool), min_points=3)
    assert not found.present.any()
    assert np.isnan(found.xyz).all()


ENDS = [
    # present, segment, first and last frame
    ("whole, joined to the next", "111111", (0, 3), (0, 3)),
    ("the last segment", "111111", (3, 6), (3, 5)),
    ("comes late", "001111", (0, 3), (2, 3)),
    ("absent at the next one's first frame", "111011", (0, 3), (0, 2)),
    ("leaves early", "110000", (0, 3), (0, 1)),
    ("one frame only", "010000", (0, 3), (1, 1)),
    ("absent", "000111", (0, 3), None),
]


@pytest.mark.parametrize(("what", "present", "segment", "ends"), ENDS, ids=[e[0] for e in ENDS])
def test_a_segments_last_position_is_the_next_ones_first(
    what: str, present: str, segment: tuple[int, int], ends: tuple[int, int] | None
) -> None:
    there = np.array([c == "1" for c in present])
    assert first_and_last(there, first=segment[0], end=segment[1]) == ends
