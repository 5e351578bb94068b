"""Quality against what happened: its rank, its reliability, and the frames that count as wrong."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from massannot.evaluate.clip_truth import ClipTruth
from massannot.evaluate.quality_scores import (
    ClipQuality,
    area_under_roc,
    clip_quality,
    quality_over_clips,
)
from massannot.evaluate.reliability_picture import svg
from massannot.geometry.calibration import RIGHT_WITHIN
from tests.unit.stated_intervals import changed, stated_clips


@pytest.fixture(scope="module")
def still() -> ClipTruth:
    return stated_clips(1, scenes=[5])[0]


def test_the_area_is_the_share_of_pairs_in_the_right_order_ties_half() -> None:
    rng = np.random.default_rng(0)
    score, positive = rng.integers(0, 6, 60).astype(float), rng.random(60) < 0.3
    difference = score[positive][:, None] - score[~positive][None]
    pairs = (difference > 0).mean() + (difference == 0).mean() / 2
    assert area_under_roc(score, positive) == pytest.approx(pairs)
    assert math.isnan(area_under_roc(score, np.zeros(60, np.bool_)))


def clips_of(stated: np.ndarray, observed: np.ndarray, error: np.ndarray) -> list[ClipQuality]:
    """Two entities a clip."""
    halves = (np.split(values, len(values) // 2) for values in (stated, observed, error))
    return [ClipQuality(*parts) for parts in zip(*halves, strict=True)]


def test_the_largest_gap_is_that_of_the_worst_fifth() -> None:
    stated = np.repeat([0.1, 0.3, 0.5, 0.7, 0.9], 20)
    observed = stated + np.repeat([0.0, 0.05, 0.0, -0.25, 0.02], 20)
    mixed = np.random.default_rng(0).permutation(100)
    done = quality_over_clips(clips_of(stated[mixed], observed[mixed], np.full(100, 0.03)), seed=0)
    assert done.largest_gap.value == pytest.approx(25)
    assert [fifth.n for fifth in done.bins] == [20] * 5
    assert [fifth.stated for fifth in done.bins] == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9])
    assert done.bins[3].observed.value == pytest.approx(0.45)


def test_quality_that_falls_with_the_error_ranks_and_one_by_chance_does_not() -> None:
    rng = np.random.default_rng(1)
    error = rng.lognormal(-3, 1, 400)
    right = quality_over_clips(clips_of(1 / (1 + error), np.zeros(400), error), seed=0).auc
    chance = quality_over_clips(clips_of(rng.random(400), np.zeros(400), error), seed=0).auc
    assert right.value == 1
    assert chance.low < 0.5 < chance.high


def test_an_entity_without_a_single_position_is_far_off() -> None:
    error = np.array([0.01] * 9 + [math.inf])
    stated = np.array([0.9] * 9 + [0.1])
    assert quality_over_clips(clips_of(stated, stated, error), seed=0).auc.value == 1


def test_a_dataset_without_quality_has_unknown_scores() -> None:
    none = quality_over_clips([ClipQuality(*np.zeros((3, 0)))] * 3, seed=0)
    assert math.isnan(none.auc.value)
    assert math.isnan(none.largest_gap.value)
    assert none.bins == ()


def at(still: ClipTruth, row: dict[str, Any], far: float) -> dict[str, Any]:
    """The position `far` shares of the distance behind the true one."""
    centre = still.surfaces[row["entity"]][row["frame"]]
    return dict(zip(("x_cam", "y_cam", "z_cam"), centre * (1 + far), strict=True))


def test_a_frame_is_right_within_a_share_of_the_distance(still: ClipTruth) -> None:
    for far, share in ((0.98 * RIGHT_WITHIN, 1.0), (1.02 * RIGHT_WITHIN, 0.0)):
        moved = changed(
            still, "positions", lambda row, far=far: at(still, row, far) if row["cov"] else {}
        )
        quality = clip_quality(moved)
        assert len(quality.observed)
        assert (quality.observed == share).all()
        np.testing.assert_allclose(quality.error, far, rtol=1e-4)


def test_a_frame_with_a_mask_and_without_a_position_is_wrong(still: ClipTruth) -> None:
    nowhere = {"x_cam": None, "y_cam": None, "z_cam": None, "state": "lost"}
    first_alone = changed(
        still,
        "positions",
        lambda row: nowhere if row["frame"] else at(still, row, 0.0) if row["cov"] else {},
    )
    quality = clip_quality(first_alone)
    seen = [still.present[:, true] for true, _ in still.pairs]
    expected = [frames[0] / frames.sum() for frames in seen]
    np.testing.assert_allclose(quality.observed, expected)


def test_the_picture_names_its_numbers_and_says_when_there_are_none() -> None:
    stated = np.repeat([0.1, 0.3, 0.5, 0.7, 0.9], 4)
    bins = quality_over_clips(clips_of(stated, stated, np.full(20, 0.1)), seed=0).bins
    assert "stated 30 %: observed 30 % [30, 30]" in svg([], bins)
    assert "no quality is stated" not in svg([], bins)
    empty = svg([], ())
    assert "no interval is stated" in empty
    assert "no quality is stated" in empty
