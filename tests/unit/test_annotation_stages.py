"""From 2D tracks to positions, motions and the clip's row, on an exact world of planes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from massannot.clip import Clip, DepthMaps
from massannot.geometry.camera import apply, inverse, rigid
from massannot.stages.summarize_clip import SummarizeClip
from tests.unit.plane_world import SOURCE, PlaneWorld

N_FRAMES = 70
T_S = np.arange(N_FRAMES) / 10


def moving() -> np.ndarray:
    return np.stack([-0.9 + 0.25 * T_S, -0.25 + 0 * T_S, 3 + 0.1 * T_S], axis=-1)


def standing() -> np.ndarray:
    return np.tile([0.2, 0.62, 2.5], (N_FRAMES, 1))


def boards() -> np.ndarray:
    return np.stack([moving(), standing()])


def panning() -> np.ndarray:
    """(T, 4, 4) a camera that turns by 6 degrees."""
    angle = np.radians(6) * np.linspace(0, 1, N_FRAMES)
    c, s, o, i = np.cos(angle), np.sin(angle), 0 * angle, 0 * angle + 1
    turn = np.moveaxis(np.array([[c, o, s], [o, i, o], [-s, o, c]]), -1, 0)
    return rigid(turn, np.zeros((N_FRAMES, 3)))


SEEN = [0, 2]
"""Axes in which the visible surface's centre is the board's: the picture cuts the standing board
from below. Masks are whole pixels, of which one is 2.5 cm there."""


@pytest.fixture(scope="module")
def exact() -> Clip:
    return PlaneWorld(boards()).annotated()


def positions(clip: Clip, board: int, frame_of_reference: str = "cam") -> np.ndarray:
    rows = clip.table("positions").filter(clip.table("positions")["entity"].to_numpy() == board)
    names = [f"{axis}_{frame_of_reference}" for axis in "xyz"]
    return np.stack([rows[name].to_numpy(zero_copy_only=False) for name in names], axis=-1)


def motions(clip: Clip, board: int, reference: str = "camera") -> list[dict[str, float]]:
    rows = clip.table("motions").to_pylist()
    return [r for r in rows if r["entity"] == board and r["reference"] == reference]


def paths(clip: Clip, board: int) -> float:
    return sum(row["path"] for row in motions(clip, board))


def test_positions_are_the_boards_centres(exact: Clip) -> None:
    for board, path in enumerate(boards()):
        for frame_of_reference in ("cam", "world"):
            found = positions(exact, board, frame_of_reference)
            np.testing.assert_allclose(found[:, SEEN], path[:, SEEN], atol=0.025)


def test_motions_join_and_are_last_minus_first(exact: Clip) -> None:
    rows = motions(exact, 0)
    assert [row["segment"] for row in rows] == [0, 1, 2]
    for row, first, last in zip(rows, (0, 32, 64), (32, 64, 69), strict=True):
        for axis, name in enumerate("xyz"):
            assert row[f"first_{name}"] == pytest.approx(moving()[first, axis], abs=0.025)
            assert row[f"last_{name}"] == pytest.approx(moving()[last, axis], abs=0.025)
            expected = moving()[last, axis] - moving()[first, axis]
            assert row[f"motion_{name}"] == pytest.approx(expected, abs=0.03)
        assert row["t0_s"] == pytest.approx(T_S[first])
        assert row["t1_s"] == pytest.approx(T_S[last])
        way = float(np.linalg.norm(moving()[last] - moving()[first]))
        assert row["path"] == pytest.approx(way, abs=0.01)


def test_what_moves_is_above_the_noise_and_what_stands_is_not(exact: Clip) -> None:
    noisy = PlaneWorld(boards(), jitter_px=0.5).annotated()
    for clip in (exact, noisy):
        assert all(row["above_noise"] for row in motions(clip, 0))
    assert not any(row["above_noise"] for row in motions(noisy, 1))


def test_with_a_still_camera_both_frames_of_reference_are_one(exact: Clip) -> None:
    for board in (0, 1):
        for here, there in zip(motions(exact, board), motions(exact, board, "world"), strict=True):
            assert {**here, "reference": ""} == {**there, "reference": ""}


def test_a_moving_camera_is_taken_out_in_the_world_and_left_in_its_own_frame() -> None:
    world = PlaneWorld(boards(), cam_from_world=panning())
    clip = world.annotated()
    for board, path in enumerate(boards()):
        np.testing.assert_allclose(
            positions(clip, board, "world")[:, SEEN], path[:, SEEN], atol=0.045
        )
        there = apply(panning(), path)
        np.testing.assert_allclose(positions(clip, board)[:, SEEN], there[:, SEEN], atol=0.045)
    assert paths(clip, 1) > 0.1
    # Outlines of whole pixels jump across the ray, which nothing smooths: 3 mm a frame.
    assert sum(row["path"] for row in motions(clip, 1, "world")) < 0.3
    np.testing.assert_allclose(
        positions(clip, 1, "world"), apply(inverse(panning()), positions(clip, 1)), atol=1e-5
    )


CAMERAS = [
    # what, world, static, noise floor known
    ("still", {}, True, True),
    ("moving, poses given", {"cam_from_world": panning()}, False, True),
    (
        "moving, stillness assumed",
        {"cam_from_world": panning(), "pose_origin": "assumed"},
        False,
        False,
    ),
]


@pytest.mark.parametrize(
    ("what", "options", "static", "floor"), CAMERAS, ids=[c[0] for c in CAMERAS]
)
def test_the_clips_row_says_whether_the_camera_stands_and_what_noise_is(
    what: str, options: dict[str, object], static: bool, floor: bool
) -> None:
    clip = PlaneWorld(boards(), **options).annotated()  # type: ignore[arg-type]
    row = clip.table("clips").to_pylist()[0]
    assert row["camera_static"] is static
    assert (row["noise_floor"] is not None) is floor
    assert (row["noise_floor_p90"] is not None) is floor
    in_world = [r["above_noise"] is not None for r in motions(clip, 0, "world")]
    # Nothing has a place in the world where a camera moved and its poses are assumed.
    assert in_world == ([True] * 3 if floor else [])
    in_camera = [r["above_noise"] is not None for r in motions(clip, 0)]
    assert in_camera == [static] * 3


def test_the_clips_row_says_its_sizes_span_and_scale(exact: Clip) -> None:
    row = exact.table("clips").to_pylist()[0]
    assert row["scale_type"] == "metric"
    assert (row["source_width"], row["source_height"]) == SOURCE
    assert (row["working_width"], row["working_height"]) == (160, 120)
    assert (row["t0_s"], row["t1_s"]) == (0.0, pytest.approx(6.9))
    assert row["n_frames"] == N_FRAMES
    assert row["background_motion_px"] == 0


@pytest.mark.parametrize(
    ("z", "factors", "share"),
    [
        ([5, 17.9, 18, 20], {}, 0.5),
        ([5, np.nan, 18, 20], {}, 2 / 3),
        ([10, 35.7, 36.1, 41], {"scale": [2], "shift": [0.1]}, 0.5),
        ([np.nan] * 4, {}, None),
        ([5, 17.9, 18, 20], {"max_depth": None}, None),
    ],
    ids=["the last tenth", "of valid depth", "before factor and offset", "none", "no range"],
)
def test_depth_at_the_edge_of_the_models_range_is_counted(
    exact: Clip, z: list[float], factors: dict[str, Any], share: float | None
) -> None:
    maps = np.tile(np.array(z, np.float32), (N_FRAMES, 1, 1))
    given = {
        name: np.full(N_FRAMES, value, np.float32) if isinstance(value, list) else value
        for name, value in factors.items()
    }
    depth = DepthMaps(maps, "metric", **{"max_depth": 20.0, **given})
    (row,) = SummarizeClip().process(exact.with_depth(depth)).table("clips").to_pylist()
    assert row["depth_at_edge_share"] == (None if share is None else pytest.approx(share))


def test_flicker_is_fitted_on_the_background_and_kept_in_cameras() -> None:
    factor = np.exp(0.05 * np.random.default_rng(3).standard_normal(N_FRAMES))
    factor /= np.median(factor)
    clip = PlaneWorld(boards(), flicker=factor).annotated()
    scale = clip.table("cameras")["depth_scale"].to_numpy(zero_copy_only=False)
    np.testing.assert_allclose(scale * factor, 1, atol=2e-3)
    np.testing.assert_allclose(clip.depth.scale, scale)  # type: ignore[union-attr]
    for board, path in enumerate(boards()):
        np.testing.assert_allclose(positions(clip, board)[:, SEEN], path[:, SEEN], atol=0.045)


@pytest.mark.parametrize("jitter_px", [0.0, 0.5])
def test_static_objects_walk_five_times_less_after_the_background_fit(jitter_px: float) -> None:
    walked: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(3):
        factor = np.exp(0.05 * np.random.default_rng(seed).standard_normal(N_FRAMES))
        world = PlaneWorld(standing()[None], flicker=factor, jitter_px=jitter_px)
        given, pipeline = world.clip(), world.pipeline()
        for fitted in walked:
            clip = given
            for stage in pipeline.stages:
                if fitted or stage.name != "stabilize_depth":
                    clip = stage.process(clip)
            steps = np.diff(positions(clip, 0), axis=0)
            walked[fitted].append(float(np.linalg.norm(steps, axis=1).sum()))
    assert np.mean(walked[True]) < np.mean(walked[False]) / 5


def test_a_moving_cameras_depth_is_left_alone() -> None:
    factor = np.exp(0.05 * np.random.default_rng(3).standard_normal(N_FRAMES))
    clip = PlaneWorld(boards(), flicker=factor, cam_from_world=panning()).annotated()
    assert clip.table("cameras")["depth_scale"].null_count == N_FRAMES
    assert clip.depth is not None
    assert clip.depth.scale is None


def test_nothing_is_lifted_from_affine_depth() -> None:
    clip = PlaneWorld(boards(), kind="affine").annotated()
    for name in ("tracks_xyz", "positions", "motions"):
        assert clip.table(name).num_rows == 0
    row = clip.table("clips").to_pylist()[0]
    assert row["scale_type"] == "affine"
    assert row["noise_floor"] is None
    entity = clip.table("entities").to_pylist()[0]
    assert entity["depth_valid_share"] is None
    assert entity["quality"] is not None


def test_relative_depth_is_never_called_metric() -> None:
    clip = PlaneWorld(boards(), kind="relative").annotated()
    for name in ("tracks_xyz", "positions", "motions", "clips"):
        assert set(clip.table(name)["scale_type"].to_pylist()) == {"relative"}


def test_a_hidden_board_is_interpolated_and_says_so() -> None:
    clip = PlaneWorld(boards(), hidden={0: range(20, 30)}).annotated()
    rows = clip.table("positions").to_pylist()
    states = [row["state"] for row in rows if row["entity"] == 0]
    assert set(states[20:30]) == {"hidden"}
    assert set(states[:20] + states[30:]) == {"measured"}
    assert all(row["n_points"] == 0 for row in rows[20:30])
    np.testing.assert_allclose(positions(clip, 0), moving(), atol=0.03)


def test_a_board_that_has_left_the_picture_is_absent_and_has_no_motion_there() -> None:
    leaving = moving()
    leaving[:, 0] = -0.5 - 0.45 * T_S
    leaving[50:, 0] = leaving[:20, 0][::-1]  # and comes back
    clip = PlaneWorld(np.stack([leaving, standing()])).annotated()
    rows = [row for row in clip.table("positions").to_pylist() if row["entity"] == 0]
    masks = [row for row in clip.table("masks").to_pylist() if row["entity"] == 0]
    outside = [row["frame"] for row in masks if row["area"] == 0]
    assert len(outside) > 5
    assert {rows[frame]["state"] for frame in outside} == {"left"}
    assert {rows[frame]["x_cam"] for frame in outside} == {None}


def test_quality_names_its_parts(exact: Clip) -> None:
    row = exact.table("entities").to_pylist()[1]
    assert row["fb_error_px"] == pytest.approx(0.25)
    assert row["in_mask_share"] == 1
    assert row["points_alive_share"] == 1
    assert row["depth_valid_share"] == 1
    assert row["mask_score"] == pytest.approx(0.8)
    assert 0.8 < row["quality"] <= 1


def test_worse_tracks_have_lower_quality(exact: Clip) -> None:
    found = [
        PlaneWorld(boards(), jitter_px=jitter).annotated().table("entities")["quality"].to_numpy()
        for jitter in (1.0, 4.0)
    ]
    best = exact.table("entities")["quality"].to_numpy()
    assert (best >= found[0]).all()
    assert (found[0] >= found[1]).all()
    assert best.sum() > found[1].sum()


def test_every_motion_has_a_quality(exact: Clip) -> None:
    assert exact.table("motions")["quality"].null_count == 0


def test_no_entities_and_no_points_is_a_result_not_a_failure() -> None:
    clip = PlaneWorld(np.zeros((0, N_FRAMES, 3))).annotated()
    assert clip.table("positions").num_rows == clip.table("motions").num_rows == 0
    assert clip.table("clips")["noise_floor"].null_count == 0


def test_the_same_clip_gives_the_same_tables_twice() -> None:
    once, again = (PlaneWorld(boards(), jitter_px=0.3).annotated() for _ in range(2))
    assert set(once.tables) == set(again.tables)
    for name, table in once.tables.items():
        assert table.equals(again.tables[name]), name
