"""Certainty in words that hold: which terms a ground knows, what cancels, and what stays null."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from massannot.clip import Clip
from massannot.errors import UsageError
from massannot.evaluate.calibrate import LEAST_CLIPS, TrueClip, calibrate
from massannot.evaluate.clip_truth import ClipTruth
from massannot.evaluate.position_scores import surface_centres
from massannot.geometry.background_fit import SIGMA_FROM_MAD
from massannot.geometry.calibration import (
    Calibration,
    MotionCalibration,
    PositionCalibration,
    from_json,
)
from massannot.geometry.conformal import Logistic, LogScale
from massannot.stages._evidence import (
    MOTION_FEATURES,
    POSITION_FEATURES,
    PositionErrors,
    motion_evidence,
    position_evidence,
    quality_features,
)
from massannot.stages._track_arrays import BACKGROUND
from massannot.stages.state_intervals import ChosenCalibration, StateIntervals, stated
from massannot.tables._matrices import symmetric_matrices
from tests.unit.plane_world import PlaneWorld
from tests.unit.stated_intervals import stated_clips

N = 16
LEVELS = ("50", "68", "90")
STILL, MOVER = 0, 1
WAY = np.array([0.6, 0.0, 0.9])
INF = float("inf")
NOISE = 0.02


def world(**options: Any) -> Clip:
    """A board that stands and one that goes WAY, annotated up to quality; no intervals yet."""
    paths = np.array([np.tile([-1.0, 0.3, 3.0], (N, 1)), np.tile([0.3, -0.4, 3.0], (N, 1))])
    paths[MOVER] += np.linspace(0, 1, N)[:, None] * WAY
    return PlaneWorld(paths, **options).annotated()


@pytest.fixture(scope="module")
def clip() -> Clip:
    """The world with positions that are NOISE of their distance off, frame by frame."""
    exact = world()
    positions = exact.table("positions")
    factor = np.exp(NOISE * np.random.default_rng(0).standard_normal(positions.num_rows))
    for axis in "xyz":
        index = positions.schema.get_field_index(f"{axis}_cam")
        values = (positions[index].to_numpy() * factor).astype(np.float32)
        positions = positions.set_column(index, positions.schema.field(index), pa.array(values))
    return exact.with_table("positions", positions)


def flat(value: float, n_features: int) -> LogScale:
    zeros, ones = (0.0,) * n_features, (1.0,) * n_features
    return LogScale(float(np.log(value)), zeros, zeros, ones, zeros, ones)


def calibration(clip: Clip, *, factor: float = 1.0, bound: float = 1.0) -> Calibration:
    """The same scale everywhere: 4 % along the ray, a pixel across it."""
    evidence = position_evidence(clip, n_frames=N)
    errors = PositionErrors(*(np.ones(len(evidence.entity)) for _ in range(4)))
    factors = {axis: dict.fromkeys(LEVELS, factor) for axis in "xyz"}
    bounds = dict.fromkeys(LEVELS, (-bound, bound))
    n_motion, n_position = len(MOTION_FEATURES), len(POSITION_FEATURES)
    n_quality = quality_features(evidence, errors).shape[1]
    one = flat(1.0, n_motion)
    return Calibration(
        "flat",
        {},
        "a made-up truth",
        100,
        PositionCalibration(flat(0.04, n_position), flat(1.0, n_position), 0.25, 0.5, factors),
        MotionCalibration(one, one, one, factors, bounds, bounds),
        Logistic(flat(3.0, n_quality)),
    )


def rows_of(table: pa.Table, entity: int) -> list[dict[str, Any]]:
    return [row for row in table.to_pylist() if row["entity"] == entity]


def test_without_a_calibration_intervals_are_internal(clip: Clip) -> None:
    found = stated(clip, None)
    for name in ("positions", "motions"):
        assert set(found[name]["interval_basis"].to_pylist()) == {"internal"}
        assert found[name]["cov"].null_count == 0
    assert set(found["entities"]["quality_basis"].to_pylist()) == {"internal"}
    assert found["positions"]["z_half_90"].null_count == 0


def farther_at_the_end(clip: Clip, share: float) -> Clip:
    """With all background points farther by `share` in the last frame."""
    points = clip.table("tracks_xyz")
    rows = points.to_pylist()
    for row in rows:
        if row["entity"] == BACKGROUND:
            for axis in "xyz":
                row[axis][-1] = row[axis][-1] and row[axis][-1] * (1 + share)
    return clip.with_table("tracks_xyz", pa.Table.from_pylist(rows, schema=points.schema))


def test_without_a_calibration_a_motion_is_no_surer_than_what_stands_still(clip: Clip) -> None:
    seen = farther_at_the_end(clip, 0.05)
    for row, before in zip(
        stated(seen, None)["motions"].to_pylist(), stated(clip, None)["motions"].to_pylist()
    ):
        place = np.array([row[f"first_{axis}"] for axis in "xyz"])
        ray, distance = place / np.linalg.norm(place), np.linalg.norm(place)
        cov, own = (
            symmetric_matrices(pa.chunked_array([[r["cov"]]]), size=3)[0] for r in (row, before)
        )
        assert ray @ cov @ ray == pytest.approx((0.05 * SIGMA_FROM_MAD * distance) ** 2, rel=0.1)
        across = np.eye(3) - np.outer(ray, ray)
        np.testing.assert_allclose(across @ cov @ across, across @ own @ across, atol=1e-6)


def test_background_says_nothing_where_nobody_knows_how_the_camera_moved(clip: Clip) -> None:
    def unknown(clip: Clip) -> Clip:
        for name, said in {
            "clips": {"camera_static": None},
            "cameras": {"pose_origin": "assumed"},
        }.items():
            rows = [row | said for row in clip.table(name).to_pylist()]
            clip = clip.with_table(name, pa.Table.from_pylist(rows, schema=clip.table(name).schema))
        return clip

    seen, bare = (unknown(c) for c in (farther_at_the_end(clip, 0.05), clip))
    assert stated(seen, None)["motions"]["cov"].equals(stated(bare, None)["motions"]["cov"])


def test_without_a_calibration_what_a_clip_has_in_common_is_null(clip: Clip) -> None:
    found = stated(clip, None)
    assert found["clips"]["range_rel_sd"].to_pylist() == [None]
    assert found["entities"]["range_rel_sd"].null_count == 0
    assert found["positions"]["range_rel_sd"].null_count == 0


def test_the_noise_of_a_frame_is_seen_from_frame_to_frame(clip: Clip) -> None:
    noisy = stated(clip, None)["positions"]["range_rel_sd"].to_numpy()
    assert np.median(noisy) == pytest.approx(NOISE, rel=0.5)
    still = stated(world(), None)["positions"]["range_rel_sd"].to_numpy()
    assert np.median(still) < 0.001


def test_where_nothing_shows_an_error_the_ground_is_none() -> None:
    paths = np.tile([-1.0, 0.3, 3.0], (1, 5, 1))  # too short for noise to show
    found = stated(PlaneWorld(paths).annotated(), None)
    assert set(found["positions"]["interval_basis"].to_pylist()) == {"none"}
    assert found["positions"]["z_half_90"].null_count == 5
    assert found["positions"]["cov"].null_count == 5


def test_a_position_that_does_not_exist_has_no_ground() -> None:
    paths = np.tile([-1.0, 0.3, 3.0], (1, N, 1))
    found = stated(PlaneWorld(paths, hidden={0: range(10, N)}).annotated(), None)
    for row in found["positions"].to_pylist():
        assert (row["interval_basis"] is None) == (row["x_cam"] is None)
        assert row["x_cam"] is not None or row["cov"] is None


def errors(clip: Clip, *, shared: float, frame: float = 0.0) -> PositionErrors:
    n_rows = clip.table("positions").num_rows
    unknown = np.full(n_rows, np.nan)
    return PositionErrors(
        unknown, np.full(n_rows, shared), np.full(n_rows, frame), np.zeros(n_rows)
    )


def motion_covs(clip: Clip, **sizes: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Entity (M,), motion (M, 3) and cov (M, 3, 3)."""
    evidence = position_evidence(clip, n_frames=N)
    found = motion_evidence(clip, evidence, errors(clip, **sizes), n_frames=N)
    entity = clip.table("motions")["entity"].to_numpy()
    return entity, found.motion, found.cov


def test_what_all_frames_share_cancels_where_nothing_moves() -> None:
    entity, motion, cov = motion_covs(world(), shared=0.05)
    np.testing.assert_allclose(motion[entity == STILL], 0, atol=1e-3)
    assert np.abs(cov[entity == STILL]).max() < 1e-8


def test_what_all_frames_share_stretches_a_motion() -> None:
    entity, motion, cov = motion_covs(world(), shared=0.05)
    way = motion[entity == MOVER]
    assert len(way) >= 1
    np.testing.assert_allclose(way[0], WAY, atol=0.05)
    for m, found in zip(way, cov[entity == MOVER], strict=True):
        np.testing.assert_allclose(found, 0.05**2 * np.outer(m, m), atol=1e-12)


def test_what_frames_have_of_their_own_adds_up_over_both_ends() -> None:
    entity, _, cov = motion_covs(world(), shared=0.05, frame=0.02)
    ray = np.array([-1.0, 0.3, 3.0])
    for found in cov[entity == STILL]:
        np.testing.assert_allclose(found, 2 * 0.02**2 * np.outer(ray, ray), rtol=0.05, atol=1e-5)


def test_the_terms_of_a_calibration_add_up_to_its_scale(clip: Clip) -> None:
    found = stated(clip, calibration(clip))
    frame = found["positions"]["range_rel_sd"].to_numpy()
    entity = found["entities"]["range_rel_sd"].to_numpy()[0]
    (whole,) = found["clips"]["range_rel_sd"].to_pylist()
    assert [whole, entity, frame[0]] == pytest.approx([0.02, 0.04 * 0.5**0.5, 0.02], rel=1e-4)
    assert set(found["positions"]["interval_basis"].to_pylist()) == {"calibrated"}
    assert set(found["entities"]["quality_basis"].to_pylist()) == {"calibrated"}
    assert found["entities"]["quality"].to_pylist() == pytest.approx([0.75, 0.75], abs=0.01)


def test_an_infinite_factor_gives_null(clip: Clip) -> None:
    content = calibration(clip)
    content.position.factors["z"]["90"] = INF  # type: ignore[index]
    motion = replace(content.motion, path_bounds={**content.motion.path_bounds, "90": (-INF, INF)})
    found = stated(clip, replace(content, motion=motion))
    positions, motions = found["positions"], found["motions"]
    assert positions["z_half_90"].null_count == positions.num_rows
    assert positions["z_half_68"].null_count == positions["y_half_90"].null_count == 0
    assert motions["path_high_90"].null_count == motions.num_rows
    assert motions["speed_high_90"].null_count == motions.num_rows
    assert motions["path_high_68"].null_count == 0


def test_bounds_of_lengths_are_never_negative(clip: Clip) -> None:
    motions = stated(clip, calibration(clip, bound=1000.0))["motions"]
    for name in ("length", "path", "speed"):
        low, high = (motions[f"{name}_{side}_90"].to_numpy() for side in ("low", "high"))
        assert (low == 0).all()
        assert (high > low).all()


def test_the_stage_writes_what_its_calibration_states(clip: Clip) -> None:
    content = calibration(clip)
    done = StateIntervals(ChosenCalibration("flat", "0" * 64, content)).process(clip)
    for name, table in stated(clip, content).items():
        assert done.table(name).equals(table), name


def test_the_stage_changes_the_columns_that_it_names_alone(clip: Clip) -> None:
    after = StateIntervals(ChosenCalibration("x", "0", calibration(clip))).process(clip)
    assert set(StateIntervals.fills) == set(StateIntervals.writes)
    for name, filled in StateIntervals.fills.items():
        old, new = clip.table(name), after.table(name)
        changed = {c for c in new.column_names if not old[c].equals(new[c])}
        assert changed
        assert changed <= set(filled)


def test_stating_again_forgets_what_was_stated_before(clip: Clip) -> None:
    content = calibration(clip)
    before = StateIntervals().process(clip)
    again = stated(before, content)
    for name, table in stated(clip, content).items():
        assert again[name].equals(table), name


# Calibrations of clips whose errors are drawn from a known law.


def true_clip(drawn: ClipTruth) -> TrueClip:
    positions = drawn.view.table("positions")
    entity = positions["entity"].to_numpy()
    surface = np.full((len(entity), 3), np.nan)
    for thing in np.unique(entity):
        surface[entity == thing] = surface_centres(drawn, int(thing))
    known = np.ones(len(entity), bool)
    return TrueClip(
        drawn.view, drawn.n_frames, surface, known, known, drawn.answers.cam_from_world()
    )


@pytest.fixture(scope="module")
def drawn() -> list[TrueClip]:
    return [true_clip(clip) for clip in stated_clips(80, scenes=(1, 2, 3, 4))]


@pytest.fixture(scope="module")
def learnt(drawn: list[TrueClip]) -> Calibration:
    return calibrate(drawn[:40], name="drawn", key={"recipe": "annotate"}, truth="drawn errors")


@pytest.mark.parametrize("level", [50, 68, 90])
def test_intervals_hold_clips_that_the_calibration_has_not_seen(
    drawn: list[TrueClip], learnt: Calibration, level: int
) -> None:
    held = []
    for clip in drawn[40:]:
        table = stated(clip.tables, learnt)["positions"]
        for i, axis in enumerate("xyz"):
            half = table[f"{axis}_half_{level}"].to_numpy()
            missed = np.abs(table[f"{axis}_cam"].to_numpy() - clip.surface[:, i])
            rows = np.isfinite(half) & np.isfinite(missed)
            held.append((missed <= half)[rows].mean())
    assert level / 100 - 0.12 < np.mean(held) < level / 100 + 0.12


def test_most_of_the_drawn_error_is_shared(learnt: Calibration) -> None:
    # 3 % of the clip and 2.5 % of the entity beside 1.5 % of the frame.
    shared = learnt.position.clip_share + learnt.position.entity_share
    assert 0.6 < shared < 0.98
    assert learnt.position.clip_share > 0.2


def test_too_few_clips_make_no_calibration(drawn: list[TrueClip]) -> None:
    with pytest.raises(UsageError, match=f"found {LEAST_CLIPS - 1} clips .* expected"):
        calibrate(drawn[: LEAST_CLIPS - 1], name="few", key={}, truth="")


def test_a_calibration_survives_its_file(learnt: Calibration) -> None:
    read = from_json(learnt.to_json(), where="mine.json")
    assert read.to_json() == learnt.to_json()
    assert read.key == {"recipe": "annotate"}


def test_a_bound_for_which_clips_are_too_few_is_null_in_the_file(learnt: Calibration) -> None:
    unknown = replace(learnt.motion, path_bounds={**learnt.motion.path_bounds, "90": (-INF, INF)})
    text = replace(learnt, motion=unknown).to_json()
    assert json.loads(text)["motion"]["path_bounds"]["90"] == [None, None]
    assert from_json(text, where="mine.json").motion.path_bounds["90"] == (-INF, INF)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "mine.json: found no calibration"),
        ("no json", "mine.json: found no calibration"),
        ('{"format": 99}', "a calibration of format 99, expected 1"),
        (json.dumps({"format": 1, "position": {}, "motion": {}}), "found no calibration"),
    ],
)
def test_a_file_that_is_no_calibration_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        from_json(text, where="mine.json")
