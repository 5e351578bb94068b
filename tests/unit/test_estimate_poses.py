"""Which clips get estimated poses, what is written, and what the errors of poses do to motions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from massannot import tables
from massannot.cli.options import RecipeOptions
from massannot.clip import Clip, Frames
from massannot.evaluate.camera_scores import kind_of, region_share, rpe_deg
from massannot.geometry.bundle_adjustment import rotations
from massannot.geometry.camera import apply, inverse, rigid
from massannot.models.background_corners import BackgroundCorners
from massannot.recipes.model_flags import ModelFlags
from massannot.stages._evidence import PositionErrors, motion_evidence, position_evidence
from massannot.stages._track_arrays import camera_arrays, pose_covariances, world_known
from massannot.stages.estimate_poses import EstimatePoses
from massannot.stages.state_intervals import stated
from tests.unit.plane_world import PlaneWorld

N = 16


def pan() -> np.ndarray:
    turn = np.linspace(0, 0.2, N)[:, None] * [0.0, 1.0, 0.0]
    return rigid(rotations(turn), np.zeros((N, 3)))


def annotated(**options: Any) -> Clip:
    path = np.linspace(0, 1, N)[:, None] * [0.6, 0.0, 0.3] + [-0.3, 0.3, 3.0]
    return PlaneWorld(path[None], **options).annotated()


def estimated(clip: Clip) -> Clip:
    stage = EstimatePoses(BackgroundCorners())
    stage.setup(device="cpu")
    return stage.process(clip)


UNTOUCHED = [
    ("given poses", {"cam_from_world": pan(), "pose_origin": "given"}),
    (
        "depth without a scale",
        {"cam_from_world": pan(), "pose_origin": "assumed", "kind": "affine"},
    ),
    ("a background without corners", {"cam_from_world": pan(), "pose_origin": "assumed"}),
]


@pytest.mark.parametrize(("what", "options"), UNTOUCHED, ids=[u[0] for u in UNTOUCHED])
def test_a_clip_is_handed_on_as_it_is_with(what: str, options: dict[str, Any]) -> None:
    clip = annotated(**options)
    assert estimated(clip) is clip


def test_a_camera_that_stands_still_is_said_to() -> None:
    clip = estimated(annotated(pose_origin="assumed"))
    rows = clip.table("cameras").to_pylist()
    assert {row["pose_origin"] for row in rows} == {"estimated"}
    assert all(row["cam_from_world"] == np.eye(4).ravel().tolist() for row in rows)
    assert all(row["pose_cov"] is None for row in rows)
    assert world_known(clip)


def test_corners_are_followed_only_where_the_picture_is_free() -> None:
    rng = np.random.default_rng(0)
    wide = np.kron(rng.integers(0, 255, (20, 34), np.uint8), np.ones((5, 5), np.uint8))
    pixels = np.stack([np.repeat(wide[:96, t : t + 128, None], 3, axis=2) for t in range(N)])
    times = np.arange(N)
    frames = Frames(pixels, "v", "v", times, times / 10, Fraction(1, 10), 128, 96)
    free = np.ones((N, 96, 128), np.bool_)
    free[:, :, :40] = False
    corners = BackgroundCorners()
    corners.setup(device="cpu")
    tracks = corners.follow(frames, free=free)
    assert tracks.visible.any(axis=0).sum() > 20
    assert tracks.xy[tracks.visible][:, 0].min() >= 40 + corners.margin_px
    both = tracks.visible[1:] & tracks.visible[:-1]
    steps = np.diff(tracks.xy, axis=0)[both]
    np.testing.assert_allclose(np.median(steps, axis=0), [-1, 0], atol=0.05)
    first, last = tracks.visible.argmax(axis=0), N - tracks.visible[::-1].argmax(axis=0)
    seen = tracks.visible.any(axis=0)
    assert (tracks.visible.sum(axis=0)[seen] == (last - first)[seen]).all()  # never lost and found


def with_pose_cov(clip: Clip, cov: np.ndarray) -> Clip:
    """The covariance (6, 6) for all frames after the first, which is the world."""
    upper = [cov[np.triu_indices(6)] * (frame > 0) for frame in range(N)]
    cameras = clip.table("cameras")
    index = cameras.schema.get_field_index("pose_cov")
    column = cameras.schema.field(index)
    cells = pa.array(upper, column.type)
    return clip.with_table("cameras", cameras.set_column(index, column, cells))


def test_the_errors_of_poses_are_in_motions_in_the_world_and_only_there() -> None:
    clip = annotated(cam_from_world=pan())
    rows = [
        {"clip_id": clip.clip_id, "frame": t, "pts": 100 * t, "t_s": t / 10, "keyframe": t == 0,
         "damaged": False} for t in range(N)
    ]  # fmt: skip
    clip = clip.with_table("frames", tables.spec("frames").from_rows(rows))
    root = np.random.default_rng(1).normal(0, 1e-3, (6, 6))
    cov = root @ root.T
    clip = with_pose_cov(clip, cov)
    np.testing.assert_allclose(pose_covariances(clip)[1:], np.tile(cov, (N - 1, 1, 1)))

    zero = np.zeros(clip.table("positions").num_rows)
    evidence = position_evidence(clip, n_frames=N)
    found = motion_evidence(clip, evidence, PositionErrors(zero, zero, zero, zero), n_frames=N)
    reference = clip.table("motions")["reference"].to_pylist()
    (in_world,), (in_camera,) = (
        np.flatnonzero([r == name for r in reference]) for name in ("world", "camera")
    )
    assert (found.cov == 0).all()
    assert (found.pose_cov[in_camera] == 0).all()

    drawn = np.random.default_rng(2).multivariate_normal(np.zeros(6), cov, 20_000)
    last = round(clip.table("motions")["t1_s"][int(in_world)].as_py() * 10)
    true_pose = rigid(rotations(drawn[:, :3]), drawn[:, 3:]) @ camera_arrays(clip)[1][last]
    places = apply(inverse(true_pose), evidence.xyz[last])
    np.testing.assert_allclose(found.pose_cov[in_world], np.cov(places.T), rtol=0.1, atol=1e-7)
    assert stated(clip, None)["motions"].num_rows == clip.table("motions").num_rows


WORDS = [
    ("auto", None, "auto"),
    ("assume", None, "assume"),
    ("lens.json,assume", "lens.json", "assume"),
    ("estimate", None, "estimate"),
    ("lens.json", "lens.json", "auto"),
    ("lens.json,estimate", "lens.json", "estimate"),
    ("./estimate", "./estimate", "auto"),
]


@pytest.mark.parametrize(("flag", "file", "poses"), WORDS)
def test_the_flag_takes_a_file_a_word_or_both(flag: str, file: str | None, poses: str) -> None:
    flags = RecipeOptions(cameras=flag).flags()
    assert (flags.files.get("cameras"), flags.poses) == (file, poses)


def test_poses_that_the_truth_gives_leave_nothing_to_estimate() -> None:
    flags = ModelFlags(profile="none", scenes="s", oracles=("cameras",), poses="estimate")
    assert any("--cameras estimate has no effect" in line for line in flags.without_effect())


def test_the_kind_of_a_camera_and_its_turn_from_frame_to_frame() -> None:
    still, turns = np.tile(np.eye(4), (N, 1, 1)), pan()
    moves = turns.copy()
    moves[:, 2, 3] = np.linspace(0, 0.1, N)
    assert [kind_of(poses) for poses in (still, turns, moves)] == ["still", "turns", "moves"]
    assert rpe_deg(still, turns) == pytest.approx(np.degrees(0.2 / (N - 1)))
    assert rpe_deg(turns, turns) == pytest.approx(0)


def test_the_share_of_poses_in_their_region_is_counted() -> None:
    truth, found = np.tile(np.eye(4), (N, 1, 1)), np.tile(np.eye(4), (N, 1, 1))
    found[4:, 0, 3] = 0.1
    near, far = np.eye(6) * 0.05**2, np.eye(6) * 0.01**2
    assert region_share(found, truth, np.tile(near, (N, 1, 1))) == 1.0
    assert region_share(found, truth, np.tile(far, (N, 1, 1))) == pytest.approx(3 / (N - 1))
    assert np.isnan(region_share(found, truth, np.full((N, 6, 6), np.nan)))
