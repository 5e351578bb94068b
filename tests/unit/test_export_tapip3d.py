"""tapip3d: what the viewers read fits together: pictures, depth, cameras and tracks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from massannot.dataset.reading import Dataset, open_dataset
from massannot.exporters import tapip3d
from tests.asked_scenes import OPTIONS, annotate, questions_about, write_world

HEIGHT, WIDTH, N_FRAMES = OPTIONS.height, OPTIONS.width, OPTIONS.n_frames


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    world = write_world(tmp_path_factory.mktemp("world"))
    return annotate(world, tmp_path_factory.mktemp("run") / "out", [questions_about(world)])


@pytest.fixture(scope="module")
def arrays(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    folder = tmp_path_factory.mktemp("npz")
    with np.load(tapip3d.export(dataset, folder).files[0], allow_pickle=False) as found:
        return dict(found)


def test_keys_shapes_and_types_are_the_viewers(arrays: dict[str, np.ndarray]) -> None:
    n_points = arrays["coords"].shape[1]
    assert n_points > 0
    found = {name: (arrays[name].shape, arrays[name].dtype.name) for name in arrays}
    expected = {
        "video": ((N_FRAMES, 3, HEIGHT, WIDTH), "float32"),
        "depths": ((N_FRAMES, HEIGHT, WIDTH), "float32"),
        "intrinsics": ((N_FRAMES, 3, 3), "float32"),
        "extrinsics": ((N_FRAMES, 4, 4), "float32"),
        "coords": ((N_FRAMES, n_points, 3), "float32"),
        "visibs": ((N_FRAMES, n_points), "bool"),
        "query_points": ((n_points, 4), "float32"),
    }
    assert {name: found[name] for name in expected} == expected
    assert 0 <= arrays["video"].min() < arrays["video"].max() <= 1
    assert all(np.isfinite(arrays[name]).all() for name in expected)


def test_a_seen_track_lies_on_the_depth_it_projects_to(arrays: dict[str, np.ndarray]) -> None:
    world = np.concatenate([arrays["coords"], np.ones((*arrays["visibs"].shape, 1))], axis=-1)
    in_camera = np.einsum("tij,tnj->tni", arrays["extrinsics"], world)[..., :3]
    assert np.allclose(in_camera, arrays["coords_cam"], atol=1e-4)
    pixels = np.einsum("tij,tnj->tni", arrays["intrinsics"], in_camera)
    column, row = np.rint(pixels[..., :2] / pixels[..., 2:]).astype(int).transpose(2, 0, 1)
    measured = arrays["visibs"] & (arrays["state"] == 0)
    measured &= (row >= 0) & (row < HEIGHT) & (column >= 0) & (column < WIDTH)
    frame, point = np.nonzero(measured)
    depth = arrays["depths"][frame, row[measured], column[measured]]
    error = np.abs(depth / in_camera[frame, point, 2] - 1)
    assert np.median(error) < 0.01


def test_a_query_is_its_points_place_in_its_frame(arrays: dict[str, np.ndarray]) -> None:
    frame = arrays["query_points"][:, 0].astype(int)
    n = np.arange(len(frame))
    assert np.array_equal(arrays["query_points"][:, 1:], arrays["coords"][frame, n])


def test_without_stored_depth_the_depth_is_invalid_everywhere(
    dataset: Dataset, tmp_path: Path
) -> None:
    """Scenes keep their truth without depth maps; their pictures are read again all the same."""
    films = Path(dataset.table("videos")["uri"][0].as_py()).parents[1]
    written = tapip3d.export(open_dataset(films), tmp_path)
    assert len(written.files) == 2
    with np.load(written.files[0]) as found:
        assert found["depths"].shape == (N_FRAMES, HEIGHT, WIDTH)
        assert not found["depths"].any()


def test_a_clip_whose_video_is_gone_is_left_out_by_name(
    tmp_path: Path,
) -> None:
    world = write_world(tmp_path / "world")
    gone = sorted((world.folder / "videos").glob("*.mp4"))[0]
    gone.unlink()
    written = tapip3d.export(open_dataset(world.folder), tmp_path / "npz")
    assert len(written.files) == 1
    assert len(written.left_out) == 1
    assert "cannot be read again" in written.left_out[0]
