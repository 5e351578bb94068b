"""Coverage as it is defined: what is compared with which truth, and how clips are weighed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from massannot.evaluate.clip_truth import ClipTruth
from massannot.evaluate.coverage import (
    KINDS,
    LEAST_CLIPS,
    ClipIntervals,
    Coverage,
    StatedIntervals,
    Traits,
    clip_intervals,
    coverage_over_clips,
)
from massannot.evaluate.dataset_scores import coverage_as_text
from massannot.evaluate.position_scores import motion_scores, position_scores, true_motions
from massannot.geometry.camera import apply
from massannot.scenes.true_answers import body_centres
from tests.unit.stated_intervals import GAUSSIAN, changed, stated_clips, with_tables

STILL, ORBIT = 5, 9


@pytest.fixture(scope="module")
def still() -> ClipTruth:
    return stated_clips(1, scenes=[STILL])[0]


@pytest.fixture(scope="module")
def orbit() -> ClipTruth:
    return stated_clips(1, scenes=[ORBIT])[0]


def rows(offsets: list[float], *, half: float = 1.0, **traits: Any) -> ClipIntervals:
    """A clip whose positions are off by `offsets` from a truth of 0; NaN: no interval."""
    n, estimate = len(offsets), np.array(offsets)[:, None]
    usual = {
        "distance_m": np.full(n, 3.0),
        "area": np.full(n, 0.1),
        "n_points": np.full(n, 20.0),
        "at_border": np.zeros(n, np.bool_),
        "still_thing": np.zeros(n, np.bool_),
        "still_camera": np.ones(n, np.bool_),
    }
    given = Traits(**{**usual, **{name: np.array(values) for name, values in traits.items()}})
    widths = half * np.array([[1.0, 2.0, 3.0]])
    stated = StatedIntervals(np.zeros(n), estimate - widths, estimate + widths, given)
    return ClipIntervals({("position", "x"): stated}, np.unique(given.distance_m), given.area)


def line(clips: list[ClipIntervals], subgroup: str = "all", nominal: int = 50) -> Coverage:
    (found,) = [
        row
        for row in coverage_over_clips(clips, seed=0)
        if (row.subgroup, row.nominal) == (subgroup, nominal)
    ]
    return found


def test_a_clip_with_many_rows_weighs_as_much_as_any_other() -> None:
    crowded, lone = rows([0.0] * 9 + [9.0]), rows([9.0])
    assert line([crowded, lone]).observed.value == pytest.approx((90 + 0) / 2)
    assert line([crowded, lone]).observed.n == 2


def test_the_mean_width_is_over_clips_too() -> None:
    assert line([rows([0.0] * 9, half=1.0), rows([0.0], half=3.0)]).mean_width == pytest.approx(4)


def test_rows_without_an_interval_are_left_out_and_counted() -> None:
    row = line([rows([0.0, math.nan, 5.0, math.nan]), rows([0.0])])
    assert row.observed.value == pytest.approx((50 + 100) / 2)
    assert (row.n, row.unknown_share) == (3, pytest.approx((0.5 + 0.0) / 2))


def test_a_dataset_that_states_nothing_has_unknown_coverage_and_says_so() -> None:
    clips = [rows([math.nan]), rows([math.nan])]
    row = line(clips)
    assert math.isnan(row.observed.value)
    assert row.n == 0
    assert row.unknown_share == 1
    assert "states no interval" in coverage_as_text(coverage_over_clips(clips, seed=0))


def test_fewer_clips_than_it_takes_are_reported_and_not_judged() -> None:
    enough = [rows([0.0])] * LEAST_CLIPS
    assert line(enough).judged
    assert not line(enough[1:]).judged


def test_the_bounds_of_an_interval_belong_to_it() -> None:
    assert line([rows([1.0, -1.0])]).observed.value == 100


SUBGROUPS = [
    # subgroup, trait, its values in a row that belongs and in one that does not
    ("near", "distance_m", 1.0, 5.0),
    ("far", "distance_m", 5.0, 1.0),
    ("small", "area", 0.01, 0.3),
    ("large", "area", 0.3, 0.01),
    ("border", "at_border", True, False),
    ("still_camera", "still_camera", True, False),
    ("moving_camera", "still_camera", False, True),
    ("still_thing", "still_thing", True, False),
    ("moving_thing", "still_thing", False, True),
    ("few_points", "n_points", 3.0, 40.0),
    ("many_points", "n_points", 40.0, 3.0),
]


@pytest.mark.parametrize(
    ("subgroup", "trait", "inside", "outside"), SUBGROUPS, ids=[s[0] for s in SUBGROUPS]
)
def test_a_subgroup_holds_its_rows_and_no_others(
    subgroup: str, trait: str, inside: Any, outside: Any
) -> None:
    clips = [rows([0.0, 0.0, 7.0], **{trait: [inside, inside, outside]})]
    clips += [rows([7.0, 7.0, 0.0], **{trait: [outside, outside, inside]})]
    row = line(clips, subgroup)
    assert (row.observed.value, row.n) == (100, 3)


def test_every_kind_of_a_still_clip_is_compared(still: ClipTruth) -> None:
    stated = clip_intervals(still).by_kind
    assert set(stated) == set(KINDS)
    n_seen = sum(
        int(still.present[:, true].sum()) for true, _ in still.pairs if still.requested_js[true]
    )
    assert len(stated["position", "x"].truth) == n_seen


def test_an_interval_of_the_distance_is_that_of_the_covariance_along_the_ray(
    still: ClipTruth,
) -> None:
    measured = [row for row in still.view.table("positions").to_pylist() if row["cov"]]
    expected = []
    for row in measured:
        xx, xy, xz, yy, yz, zz = row["cov"]
        cov = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        xyz = np.array([row["x_cam"], row["y_cam"], row["z_cam"]])
        ray = xyz / np.linalg.norm(xyz)
        expected.append(2 * GAUSSIAN[90] * np.sqrt(ray @ cov @ ray))
    of_length = clip_intervals(still).by_kind["position", "length"]
    width = (of_length.high - of_length.low)[:, 2]
    np.testing.assert_allclose(np.sort(width), np.sort(expected), rtol=1e-4)


def test_without_a_covariance_the_distance_has_no_interval(still: ClipTruth) -> None:
    stated = clip_intervals(changed(still, "positions", lambda row: {"cov": None})).by_kind
    assert np.isnan(stated["position", "length"].low).all()
    assert np.isfinite(stated["position", "z"].low).all()


def test_only_measured_positions_are_compared(still: ClipTruth) -> None:
    guessed = changed(
        still,
        "positions",
        lambda row: {"state": "interpolated"} if row["frame"] and row["cov"] else {},
    )
    of_x = clip_intervals(guessed).by_kind["position", "x"]
    assert len(of_x.truth) == sum(still.present[0, true] for true, _ in still.pairs)


def test_things_nobody_asked_for_are_not_compared(still: ClipTruth) -> None:
    other = changed(still, "phrases", lambda row: {"text": f"a thing {row['phrase']}"})
    assert clip_intervals(other).by_kind == {}


def test_motions_are_judged_by_the_camera_where_it_stands_still_else_in_the_world(
    still: ClipTruth, orbit: ClipTruth
) -> None:
    for clip, reference in ((still, "camera"), (orbit, "world")):
        judged = [m for m in true_motions(clip) if m.is_comparable(clip)]
        assert {m.reference for m in judged} == {reference}
        assert len(clip_intervals(clip).by_kind["motion", "x"].truth) == len(judged)


def test_a_moving_camera_whose_poses_are_assumed_has_no_motions_to_judge(orbit: ClipTruth) -> None:
    assumed = changed(orbit, "cameras", lambda row: {"pose_origin": "assumed"})
    assert ("motion", "x") not in clip_intervals(assumed).by_kind
    assert ("position", "x") in clip_intervals(assumed).by_kind


def test_a_surface_at_rest_in_the_world_moves_for_the_camera_alone(orbit: ClipTruth) -> None:
    clip = with_tables(orbit)
    at_rest = apply(orbit.answers.cam_from_world(), np.array([0.2, 0.1, 3.0]))
    clip.surfaces = dict.fromkeys(orbit.surfaces, at_rest)
    for motion in true_motions(clip):
        apart = np.linalg.norm(at_rest[motion.last] - at_rest[motion.first])
        expected = apart if motion.reference == "camera" else 0.0
        assert np.linalg.norm(motion.displacement) == pytest.approx(expected, abs=1e-9)
    assert apart > 0.01


def test_frames_in_which_a_thing_is_hidden_are_bridged_by_a_straight_line(
    still: ClipTruth,
) -> None:
    clip = with_tables(still)  # its own copy of the true centres
    true, _ = clip.pairs[0]
    centres = np.full((clip.n_frames, 3), np.nan)
    centres[0], centres[2], centres[-1] = (0, 0, 3), (3, 0, 3), (3, 4, 3)
    clip.surfaces = {**still.surfaces, true: centres}
    motions = [m for m in true_motions(clip) if m.true == true]
    assert motions
    for motion in motions:
        assert motion.path == pytest.approx(3 + 4)
        assert np.linalg.norm(motion.displacement) == pytest.approx(5)


def test_a_motion_whose_end_is_truly_hidden_is_left_out(still: ClipTruth) -> None:
    clip = with_tables(still)
    true, _ = clip.pairs[0]
    centres = still.surfaces[true].copy()
    centres[-1] = np.nan
    clip.surfaces = {**still.surfaces, true: centres}
    assert true not in {motion.true for motion in true_motions(clip)}


def scores(clip: ClipTruth) -> dict[str, float]:
    found = [*position_scores(clip), *motion_scores(clip)]
    return {f"{score.stage} {score.metric}": score.value for score in found}


def test_errors_are_those_from_the_visible_surface_and_from_the_body(still: ClipTruth) -> None:
    bodies = body_centres(still.answers)

    def exactly(row: dict[str, Any]) -> dict[str, Any]:
        if row["cov"] is None:
            return {}
        surface, body = still.surfaces[row["entity"]], bodies[:, row["entity"]]
        x, y, z = surface[row["frame"]] + [0.3, 0, 0.4]
        at_body = dict(zip(("body_x", "body_y", "body_z"), body[row["frame"]], strict=True))
        return {"x_cam": x, "y_cam": y, "z_cam": z, **at_body}

    assert [entity for true, entity in still.pairs] == [true for true, _ in still.pairs]
    found = scores(changed(still, "positions", exactly))
    assert found["positions median_error_m"] == pytest.approx(0.5, abs=1e-6)
    assert found["positions median_error_found_m"] == pytest.approx(0.5, abs=1e-6)
    assert found["positions body_median_error_m"] == pytest.approx(0, abs=1e-6)
    assert found["positions surface_from_body_m"] > 0.05


def test_errors_of_motions_are_those_from_the_visible_surface(still: ClipTruth) -> None:
    true = {(m.true, m.row["segment"], m.reference): m for m in true_motions(still)}

    def exactly(row: dict[str, Any]) -> dict[str, Any]:
        motion = true[row["entity"], row["segment"], row["reference"]]
        x, y, z = motion.displacement + np.array([0, 0.2, 0])
        return {"motion_x": x, "motion_y": y, "motion_z": z, "path": motion.path + 0.1}

    found = scores(changed(still, "motions", exactly))
    assert found["motions median_error_still_camera_m"] == pytest.approx(0.2, abs=1e-6)
    assert found["motions median_error_world_m"] == pytest.approx(0.2, abs=1e-6)
    assert found["motions path_median_bias_m"] == pytest.approx(0.1, abs=1e-6)
    assert found["motions path_median_error_m"] == pytest.approx(0.1, abs=1e-6)
