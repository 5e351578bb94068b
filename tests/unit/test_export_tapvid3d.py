"""tapvid3d speaks the benchmark's conventions, and the benchmark's own files read as truth."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from massannot import tables
from massannot.dataset.arrays import lifted_tracks, tracks_table
from massannot.dataset.reading import ClipView, Dataset, open_dataset
from massannot.errors import UsageError
from massannot.evaluate.tapvid3d_scores import score
from massannot.exporters import tapvid3d
from tests.asked_scenes import OPTIONS, write_world
from tests.unit.small_dataset import (
    N_FRAMES,
    N_POINTS,
    small_tables,
    write_small_dataset,
    xyz_of,
)


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return open_dataset(write_world(tmp_path_factory.mktemp("world")).folder)


@pytest.fixture(scope="module")
def path(truth: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tapvid3d.export(truth, tmp_path_factory.mktemp("npz")).files[0]


def test_a_visible_point_projects_to_its_pixel_with_centres_at_whole_numbers(
    truth: Dataset, path: Path
) -> None:
    found = tapvid3d.read(path)
    fx, fy, cx, cy = found.fx_fy_cx_cy
    assert (cx, cy) == (OPTIONS.width / 2 - 0.5, OPTIONS.height / 2 - 0.5)
    assert found.queries_xyt is not None
    frame = found.queries_xyt[:, 2].astype(int)
    x, y, z = found.tracks_xyz[frame, np.arange(len(frame))].T
    pixels = np.column_stack([fx * x / z + cx, fy * y / z + cy])
    seen = found.visibility[frame, np.arange(len(frame))]
    assert seen.any()
    assert np.abs(pixels - found.queries_xyt[:, :2])[seen].max() < 1e-2


def test_pictures_are_jpegs_that_need_no_pickle(path: Path) -> None:
    with np.load(path, allow_pickle=False) as arrays:
        pictures = [Image.open(io.BytesIO(data)) for data in arrays["images_jpeg_bytes"]]
    assert [picture.size for picture in pictures] == [(OPTIONS.width, OPTIONS.height)] * 12


def test_the_truth_scores_one_against_itself(path: Path) -> None:
    found = tapvid3d.read(path)
    scores = score(
        found.tracks_xyz,
        found.visibility,
        found.tracks_xyz,
        found.visibility,
        found.fx_fy_cx_cy,
        found.queries_xyt,
    )
    assert scores["average_jaccard"] == pytest.approx(1.0)


def test_clips_without_cameras_are_left_out_by_name(tmp_path: Path) -> None:
    dataset = open_dataset(write_small_dataset(tmp_path / "out").out)
    written = tapvid3d.export(dataset, tmp_path / "npz")
    assert written.files == ()
    assert [sentence.split(":")[0] for sentence in written.left_out] == [
        "clip clip-a",
        "clip clip-b",
        "clip clip-c",
    ]


def test_absent_points_are_held_and_hidden_and_absent_again_in_the_table() -> None:
    found = small_tables(("clip-a",))
    row = {"clip_id": "clip-a", "fx": 8.0, "fy": 8.0, "cx": 4.0, "cy": 3.0}
    row |= {"intrinsics_origin": "given", "pose_origin": "given"}
    pose = np.eye(4).ravel().tolist()
    found["cameras"] = tables.spec("cameras").from_rows(
        [{**row, "cam_from_world": pose, "frame": frame} for frame in range(N_FRAMES)]
    )
    tracks = lifted_tracks(ClipView("clip-a", lambda name, _: found[name]), entities={0})
    assert tracks is not None
    xyz = xyz_of("clip-a")
    assert np.isnan(xyz[1, 2]).all()
    xyz[1, 2] = xyz[0, 2]
    assert np.array_equal(tracks.xyz, xyz)
    assert np.array_equal(tracks.xyz_world, xyz)
    assert not tracks.visible[1, 2]
    again = tracks_table(
        clip_id="clip-a",
        entity=tracks.entity,
        point=tracks.point,
        xyz=tracks.xyz,
        state=tracks.state,
        scale_type=tracks.scale_type,
    )
    assert again.equals(found["tracks_xyz"])


def test_a_file_of_the_benchmark_reads_as_truth(tmp_path: Path) -> None:
    xyz = np.nan_to_num(xyz_of("clip-a"))
    visible = np.ones(xyz.shape[:2], bool)
    visible[2, 1] = False
    np.savez(
        tmp_path / "drivetrack_7.npz",
        images_jpeg_bytes=np.array([b"a", b"bc"], object),
        queries_xyt=np.zeros((N_POINTS, 3)),
        tracks_XYZ=xyz,
        visibility=visible,
        fx_fy_cx_cy=np.array([8.0, 8.0, 3.5, 2.5]),
    )
    found = tapvid3d.read(tmp_path / "drivetrack_7.npz")
    assert np.array_equal(found.tracks_xyz, xyz)
    assert np.array_equal(found.visibility, visible)
    assert found.extrinsics_w2c is None
    table = tapvid3d.load(tmp_path)["tracks_xyz"].to_pylist()
    assert [row["clip_id"] for row in table] == ["drivetrack_7"] * N_POINTS
    assert table[1]["state"] == ["measured", "measured", "interpolated", "measured"]
    assert table[1]["z"] == xyz[:, 1, 2].tolist()


@pytest.mark.parametrize(
    "arrays",
    [
        pytest.param({"tracks_XYZ": np.zeros((2, 3, 3))}, id="no visibility"),
        pytest.param(
            {
                "tracks_XYZ": np.zeros((2, 3, 3)),
                "visibility": np.zeros((3, 2)),
                "fx_fy_cx_cy": np.ones(4),
            },
            id="another order",
        ),
    ],
)
def test_another_npz_is_refused(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(UsageError, match="expected"):
        tapvid3d.read(tmp_path / "x.npz")
