"""With oracles in place of models, the tables must be the truth; an error put into one oracle must
show in the tables as exactly that error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from massannot.dataset.reading import Dataset, open_dataset
from massannot.evaluate.clip_truth import ClipTruth
from massannot.evaluate.disagreement import compared
from massannot.evaluate.position_scores import metric_positions, surface_centres, true_motions
from massannot.jobs.annotate import Annotated
from massannot.scenes.scene_record import SceneLibrary
from massannot.scenes.true_tracks import ROOM, surface_points
from tests.end_to_end.conftest import FINER, ONE, annotate

STEP_M = 1 / 1024
"""Places that were found are stored in whole steps of this, see the table tracks_xyz."""


def truths(dataset: Dataset, world: SceneLibrary) -> list[ClipTruth]:
    return [
        ClipTruth(view, world.scene(view.row["video_id"]), usual_depth_m=4.0)
        for view in dataset.clips()
    ]


def opened(done: Annotated) -> Dataset:
    assert done.run.failed == done.run.quarantined == done.run.remaining == 0
    assert done.dataset is not None
    return done.dataset


@pytest.mark.seen("masks through time", "oracle")
def test_masks_are_the_true_masks_in_every_frame(exact: Annotated, world: SceneLibrary) -> None:
    n_compared = 0
    for clip in truths(opened(exact), world):
        assert len(clip.pairs) == len(clip.entities) > 0
        for true, entity in clip.pairs:
            for frame in range(clip.n_frames):
                mask = clip.found_masks.get((entity, frame), np.zeros((128, 160), bool))
                np.testing.assert_array_equal(mask, clip.answers.mask(frame, true))
                n_compared += int(mask.any())
    assert n_compared > 200


@pytest.mark.seen("boxes from phrases", "oracle")
def test_boxes_are_the_true_boxes(exact: Annotated, world: SceneLibrary) -> None:
    for clip in truths(opened(exact), world):
        names = clip.scene.phrases()
        rows = clip.view.table("detections").to_pylist()
        assert rows
        for row in rows:
            true = names.index(clip.view.phrases[row["phrase"]])
            box = [row[name] for name in ("x0", "y0", "x1", "y1")]
            assert box == list(clip.answers.box_xyxy(row["frame"], true))


@pytest.mark.seen("who is who", "oracle")
def test_every_visible_thing_is_found_once(exact: Annotated, world: SceneLibrary) -> None:
    for clip in truths(opened(exact), world):
        seen = [k for k in range(len(clip.scene.entities)) if clip.present[:, k].sum() >= 8]
        assert set(seen) <= {true for true, _ in clip.pairs}


def lifted_errors(clip: ClipTruth) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Error, curvature, depth and slant (1/cos) of every measured point, flat."""
    tracks = clip.view.tracks()
    at = np.arange(len(tracks.entity))
    queries = np.column_stack([tracks.query_frame, tracks.xy[tracks.query_frame, at]])
    truth = clip.answers.tracks(queries)
    points = surface_points(clip.scene, queries.astype(np.float64))
    measured = (tracks.state == "measured") & truth.visible
    error = np.linalg.norm(tracks.xyz - truth.xyz_cam, axis=-1)
    curvature = np.broadcast_to(points.curvature_per_m, error.shape)
    of_room = np.broadcast_to(points.entity == ROOM, error.shape)
    return error[measured], curvature[measured], truth.xyz_cam[..., 2][measured], of_room[measured]


@pytest.mark.seen("point tracks", "oracle")
@pytest.mark.seen("depth", "oracle")
def test_points_on_planes_are_exact_and_none_is_far_off(
    exact: Annotated, world: SceneLibrary
) -> None:
    n_points = 0
    for clip in truths(opened(exact), world):
        error, curvature, _, _ = lifted_errors(clip)
        assert error.max() < 0.05
        on_planes = error[curvature == 0]
        # Beside a crease between two planes bilinear 1/z bends by up to the crease's own depth,
        # within one pixel of the depth map: a share of points, not a shift of all.
        assert np.quantile(on_planes, 0.97) < 1e-3
        assert np.median(on_planes) < STEP_M
        n_points += len(error)
    assert n_points > 5_000


def test_points_on_curved_surfaces_keep_the_second_order_bound(
    exact: Annotated, world: SceneLibrary
) -> None:
    """Linear interpolation over a cell of side d of a surface of curvature k seen at slant s errs
    by at most k (d s)^2 / 4 (two directions, each h^2 k / 8) along the normal, s times that along
    the ray; a kept point's slant is bounded by the edge rule, here taken as 4."""
    pixel = 1 / FINER  # of a picture pixel
    for clip in truths(opened(exact), world):
        focal = clip.answers.intrinsics()[0]
        error, curvature, z, _ = lifted_errors(clip)
        curved = curvature > 0
        if not curved.any():
            continue
        slant = 4.0
        side = z[curved] / focal * pixel
        bound = slant * curvature[curved] * (side * slant) ** 2 / 4 + STEP_M
        assert np.mean(error[curved] <= bound) > 0.99
        assert np.median(error[curved]) < 2e-4 + STEP_M / 2


@pytest.mark.seen("positions and motions", "oracle")
@pytest.mark.seen("moving camera", "oracle")
def test_positions_and_motions_are_those_of_the_visible_surface(
    exact: Annotated, world: SceneLibrary
) -> None:
    apart: list[float] = []
    for clip in truths(opened(exact), world):
        for true, positions in metric_positions(clip):
            error = np.linalg.norm(positions.xyz - surface_centres(clip, true), axis=1)
            assert np.median(error[positions.measured]) < 6e-3
            apart += error[positions.measured].tolist()
        for motion in true_motions(clip):
            np.testing.assert_allclose(motion.estimate, motion.displacement, atol=0.008)
            assert motion.row["path"] == pytest.approx(motion.path, abs=0.06)
    assert max(apart) < 0.04
    assert np.median(apart) < 3e-3


SHIFTS = [
    ("a box by 3 px", "detect.shift_x_px", "3.0"),
    ("a mask by 2 px", "masks.shift_x_px", "2"),
    ("a track by 1.5 px", "tracks.shift_x_px", "1.5"),
    ("depth by 10 %", "depth.factor", "1.1"),
]


@pytest.mark.parametrize(("what", "option", "value"), SHIFTS, ids=[s[0] for s in SHIFTS])
def test_an_error_put_in_shows_as_exactly_that_error(
    what: str,
    option: str,
    value: str,
    plain: Annotated,
    world: SceneLibrary,
    tmp_path: Path,
) -> None:
    right = opened(plain)
    wrong = opened(annotate(world, tmp_path / "out", {option: value}, videos=ONE))
    for clip_id in right.clip_ids:
        a, b = right.clip(clip_id), wrong.clip(clip_id)
        if option == "detect.shift_x_px":
            x = [v.table("detections")["x0"].to_numpy() for v in (a, b)]
            np.testing.assert_allclose(x[1] - x[0], 3.0, atol=1e-4)
        elif option == "masks.shift_x_px":
            for row in b.table("masks").to_pylist():
                if row["area"]:
                    mask = a.mask(row["entity"], frame=row["frame"])
                    moved = np.zeros_like(mask)
                    moved[:, 2:] = mask[:, :-2]
                    np.testing.assert_array_equal(b.mask(row["entity"], frame=row["frame"]), moved)
        elif option == "tracks.shift_x_px":
            moved = b.tracks().xy - a.tracks().xy
            np.testing.assert_allclose(moved[..., 0], 1.5, atol=1e-3)
            np.testing.assert_allclose(moved[..., 1], 0.0, atol=1e-3)
        else:
            both = (a.tracks().state == "measured") & (b.tracks().state == "measured")
            ratio = b.tracks().xyz[both] / a.tracks().xyz[both]
            np.testing.assert_allclose(np.median(ratio[:, 2]), 1.1, rtol=1e-4)
            assert np.quantile(abs(ratio[:, 2] - 1.1), 0.99) < STEP_M  # nothing is nearer than 1 m
            assert compared(a, b).depth_ratio == pytest.approx(1.1, rel=1e-3)


@pytest.mark.seen("equal bytes again", "oracle")
def test_the_same_bytes_come_twice_and_from_another_process(
    plain: Annotated, world: SceneLibrary, tmp_path: Path
) -> None:
    again = opened(annotate(world, tmp_path / "out", videos=ONE, workers=1))
    first = open_dataset(plain.out)
    files = sorted(p.relative_to(plain.out) for p in (plain.out / "data").rglob("*.parquet"))
    assert files == sorted(
        p.relative_to(again.layout.out) for p in again.layout.data.rglob("*.parquet")
    )
    assert len(files) >= len(first.names)
    for file in files:
        assert (plain.out / file).read_bytes() == (again.layout.out / file).read_bytes(), file
