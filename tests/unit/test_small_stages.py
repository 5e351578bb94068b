"""Stages around single models and tables: depth, cameras, segments, stored depth."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from massannot.clip import Clip, DepthKind, DepthMaps
from massannot.errors import BadModelOutput, BadRecipe
from massannot.models.protocols import Cameras
from massannot.stages.estimate_cameras import EstimateCameras
from massannot.stages.estimate_depth import EstimateDepth
from massannot.stages.split_segments import SplitSegments
from massannot.stages.store_depth import StoreDepth
from tests.unit.plane_world import ANAMORPHIC, PlaneWorld, Told

N_FRAMES = 3


def world(n_frames: int = N_FRAMES) -> PlaneWorld:
    return PlaneWorld(np.tile([0.0, 0.3, 3.0], (1, n_frames, 1)))


def cameras() -> Cameras:
    poses = np.tile(np.eye(4), (N_FRAMES, 1, 1))
    return Cameras(np.tile(ANAMORPHIC / 2, (N_FRAMES, 1)), poses, "given", "assumed")


def told_depth(values: np.ndarray, kind: DepthKind = "metric") -> Clip:
    """A clip after a depth model that answered so."""
    told = Told(DepthMaps(values.astype(np.float32, copy=False), kind), cameras())
    return EstimateDepth(told).process(EstimateCameras(told).process(world().clip()))


IMPOSSIBLE = [
    # value, kind, becomes invalid
    (np.nan, "metric", True),
    (np.inf, "metric", True),
    (0.0, "metric", True),
    (-1.0, "relative", True),
    (-1.0, "affine", False),
    (np.inf, "affine", True),
]


@pytest.mark.parametrize(("value", "kind", "invalid"), IMPOSSIBLE)
def test_what_cannot_be_depth_becomes_one_kind_of_invalid(
    value: float, kind: DepthKind, invalid: bool
) -> None:
    values = np.full((N_FRAMES, 4, 5), 2.0)
    values[1, 2, 3] = value
    depth = told_depth(values, kind).depth
    assert depth is not None
    assert bool(np.isnan(depth.values[1, 2, 3])) is invalid
    assert np.isnan(depth.values).sum() == invalid


def test_possible_depth_is_handed_on_without_a_copy() -> None:
    values = np.full((N_FRAMES, 4, 5), 2.0, np.float32)
    depth = told_depth(values).depth
    assert depth is not None
    assert depth.values is values


def test_the_model_hears_the_focal_length_in_the_pixels_that_it_sees() -> None:
    told = Told(DepthMaps(np.ones((N_FRAMES, 4, 5), np.float32), "metric"), cameras())
    EstimateDepth(told).process(EstimateCameras(told).process(world().clip()))
    assert told.heard_focal_px == ANAMORPHIC[0] / 2


def test_another_number_of_maps_is_refused() -> None:
    with pytest.raises(BadModelOutput, match="found 2 maps, expected one for each of 3"):
        told_depth(np.ones((2, 4, 5)))


def test_depth_that_is_nowhere_valid_is_refused() -> None:
    with pytest.raises(BadModelOutput, match="none of 60 values is a metric depth"):
        told_depth(np.zeros((N_FRAMES, 4, 5)))


def test_cameras_are_written_in_source_pixels() -> None:
    clip = EstimateCameras(Told(DepthMaps(np.ones((3, 4, 5), np.float32), "metric"), cameras()))
    rows = clip.process(world().clip()).table("cameras").to_pylist()
    assert [row["frame"] for row in rows] == [0, 1, 2]
    for row in rows:
        assert [row[name] for name in ("fx", "fy", "cx", "cy")] == ANAMORPHIC.tolist()
        assert row["cam_from_world"] == np.eye(4).ravel().tolist()
        assert (row["intrinsics_origin"], row["pose_origin"]) == ("given", "assumed")
        assert row["depth_scale"] is row["depth_shift"] is None


def shifted_poses() -> np.ndarray:
    poses = np.tile(np.eye(4), (N_FRAMES, 1, 1))
    poses[:, 0, 3] = 1
    return poses


BAD_CAMERAS = [
    ("too few", {"intrinsics": np.ones((2, 4))}, r"intrinsics \(2, 4\)"),
    ("no focal length", {"intrinsics": np.zeros((3, 4))}, "focal length"),
    ("not a number", {"intrinsics": np.full((3, 4), np.nan)}, "finite"),
    ("stretched", {"cam_from_world": np.tile(np.diag([2.0, 2, 2, 1]), (3, 1, 1))}, "rotation"),
    ("another world", {"cam_from_world": shifted_poses()}, "first pose is not the identity"),
]


@pytest.mark.parametrize(("what", "changes", "says"), BAD_CAMERAS, ids=[b[0] for b in BAD_CAMERAS])
def test_cameras_that_are_none_are_refused(
    what: str, changes: dict[str, np.ndarray], says: str
) -> None:
    wrong = dataclasses.replace(cameras(), **changes)  # type: ignore[arg-type]
    told = Told(DepthMaps(np.ones((3, 4, 5), np.float32), "metric"), wrong)
    with pytest.raises(BadModelOutput, match=says):
        EstimateCameras(told).process(world().clip())


SEGMENTS = [
    # frames, length, segments
    (1, 32, [(0, 1)]),
    (31, 32, [(0, 31)]),
    (32, 32, [(0, 32)]),
    (33, 32, [(0, 32), (32, 33)]),
    (64, 32, [(0, 32), (32, 64)]),
    (7, 3, [(0, 3), (3, 6), (6, 7)]),
]


@pytest.mark.parametrize(("n_frames", "length", "segments"), SEGMENTS)
def test_segments_cover_every_frame_once(
    n_frames: int, length: int, segments: list[tuple[int, int]]
) -> None:
    clip = SplitSegments(length).process(world(n_frames).clip())
    rows = clip.table("segments").to_pylist()
    assert [(row["first_frame"], row["end_frame"]) for row in rows] == segments
    assert [row["segment"] for row in rows] == list(range(len(segments)))


def test_a_segment_of_no_frames_is_refused_when_the_recipe_is_made() -> None:
    with pytest.raises(BadRecipe, match=r"split_segments\.length"):
        SplitSegments(0)


def stored(values: np.ndarray, kind: DepthKind = "metric") -> list[np.ndarray]:
    """What a reader of depth_maps gets back: values, NaN where invalid."""
    rows = StoreDepth().process(told_depth(values, kind)).table("depth_maps").to_pylist()
    found = []
    for row in rows:
        image = np.asarray(Image.open(io.BytesIO(row["png"])), np.int64)
        assert image.shape == (row["height"], row["width"])
        found.append(np.where(image == 0, np.nan, row["scale"] * image + row["offset"]))
    return found


@pytest.mark.parametrize("kind", ["metric", "relative", "affine"])
def test_stored_depth_reads_back_within_half_a_step(kind: DepthKind) -> None:
    values = np.random.default_rng(0).uniform(0.5, 20, (N_FRAMES, 40, 60))
    values[0, 3, 4] = np.nan
    for back, given in zip(stored(values, kind), values, strict=True):
        np.testing.assert_array_equal(np.isnan(back), np.isnan(given))
        assert np.nanmax(np.abs(back - given)) <= 19.5 / 65534 / 2 + 1e-6


def test_large_maps_are_thinned_not_blended() -> None:
    values = np.full((N_FRAMES, 600, 700), 2.0)
    values[:, :, 350:] = 10.0
    back = stored(values)[0]
    assert back.shape == (256, 298)
    assert set(np.round(np.unique(back), 3)) == {2.0, 10.0}


def test_depth_of_one_value_is_stored() -> None:
    np.testing.assert_allclose(stored(np.full((N_FRAMES, 8, 8), 3.0))[0], 3.0)


def test_maps_beyond_the_tables_limit_are_refused_when_the_recipe_is_made() -> None:
    with pytest.raises(BadRecipe, match=r"store_depth\.short_side"):
        StoreDepth(short_side=400)
