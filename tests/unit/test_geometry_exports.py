"""export geometry, export ply and ClipView.point_cloud: points lie where the scene has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from massannot.dataset.reading import Dataset, open_dataset
from massannot.errors import UsageError
from massannot.exporters import geometry, ply, trl
from massannot.exporters.geometry import GeometryOptions
from massannot.exporters.ply import PlyOptions
from massannot.questions.scene_dataset import scene_of, write_scene_questions
from massannot.scenes.render import render
from massannot.scenes.scene_record import SceneLibrary
from massannot.scenes.world import Scene
from massannot.storage.safetensors_file import read_safetensors, write_safetensors
from tests.asked_scenes import annotate, questions_about, write_world
from tests.in_process import run_massannot


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> SceneLibrary:
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def dataset(world: SceneLibrary, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return annotate(world, tmp_path_factory.mktemp("run") / "out", [questions_about(world)])


def scenes(dataset: Dataset, world: SceneLibrary) -> dict[str, Scene]:
    """By clip id."""
    made = {Path(record.video).name: record.make() for record in world.records.values()}
    return {view.clip_id: made[Path(view.row["uri"]).name] for view in dataset.clips()}


def in_world(scene: Scene, frame: int, xy: np.ndarray) -> np.ndarray:
    """(N, 3) of whole pixels: the renderer's depth, by the scene's own matrices."""
    lens, z = scene.camera.lens, render(scene, frame).depth_m[xy[:, 1], xy[:, 0]]
    x, y = xy[:, 0] + 0.5 - lens.cx, xy[:, 1] + 0.5 - lens.cy
    in_cam = np.stack([x * z / lens.focal_px, y * z / lens.focal_px, z, np.ones_like(z)], axis=1)
    cam_from_world = scene.cam_from_room(frame) @ np.linalg.inv(scene.cam_from_room(0))
    return np.asarray((in_cam @ np.linalg.inv(cam_from_world).T)[:, :3])


@pytest.mark.parametrize("frame", [0, 11])
def test_a_point_of_every_reliable_pixel_lies_where_the_scene_has_it(
    dataset: Dataset, world: SceneLibrary, frame: int
) -> None:
    """The camera turns: frame 11 seen in the axes of frame 0."""
    for view in dataset.clips():
        scene = scenes(dataset, world)[view.clip_id]
        cloud = view.point_cloud(frame)
        assert (cloud.reference, cloud.scale_type) == ("world", "metric")
        assert cloud.valid.mean() > 0.8
        pixels = np.floor(cloud.xy).astype(int)
        true = in_world(scene, frame, pixels)
        off = np.linalg.norm(cloud.xyz[0] - true, axis=1)[cloud.valid[0]]
        assert np.median(off) < 0.002
        assert np.quantile(off, 0.99) < 0.05
        ids = render(scene, frame).ids[pixels[:, 1], pixels[:, 0]].astype(int) - 1
        phrases = [view.phrases[row["phrase"]] for row in view.table("entities").to_pylist()]
        named = [scene.phrases()[i] if i >= 0 else None for i in ids]
        found = [phrases[i] if i >= 0 else None for i in cloud.entity[0]]
        same = np.array([a == b for a, b in zip(named, found, strict=True)])
        assert same[[b is not None for b in found]].all()


@pytest.mark.seen("points and geometry tokens", "oracle")
def test_geometry_holds_a_grid_of_points_and_says_what_they_are(
    dataset: Dataset, tmp_path: Path
) -> None:
    options = GeometryOptions(frames=4, grid=8)
    written = geometry.export(dataset, tmp_path, options=options)
    assert (len(written.files), written.left_out) == (2, ())
    for view, path in zip(sorted(dataset.clips(), key=lambda view: view.clip_id), written.files,
                          strict=True):  # fmt: skip
        arrays, about = read_safetensors(path)
        assert arrays["frames"].tolist() == [0, 4, 7, 11]
        cloud = view.point_cloud(4)
        assert arrays["points"].shape == (4, 8, 8, 3)
        cell = 5 * 8 + 3
        xy = np.array([3.5 * 96 / 8, 5.5 * 80 / 8])
        nearest = np.linalg.norm(cloud.xy - xy, axis=1).argmin()
        if arrays["valid"].reshape(4, -1)[1, cell] and cloud.valid[0, nearest]:
            point = arrays["points"].reshape(4, -1, 3)[1, cell]
            assert np.linalg.norm(point - cloud.xyz[0, nearest]) < 0.1
        assert (arrays["points"][~arrays["valid"]] == 0).all()
        assert (about["reference"], about["scale_type"]) == ("world", "metric")
        names = json.loads(about["entities"])
        assert set(np.unique(arrays["entity"])) - {-1} <= set(map(int, names))
        np.testing.assert_allclose(arrays["times_s"], np.array([0, 4, 7, 11]) / 24, atol=1e-6)
        np.testing.assert_allclose(arrays["intrinsics"][:, 2:], 0.5, atol=1e-6)


def test_trainers_rows_name_the_points_of_their_clips(dataset: Dataset, tmp_path: Path) -> None:
    geometry.export(dataset, tmp_path / "geometry", options=GeometryOptions(frames=2, grid=4))
    options = trl.OPTIONS(geometry=tmp_path / "geometry", frames=2)
    trl.export(dataset, tmp_path / "rows", options=options)
    for row in pq.read_table(tmp_path / "rows" / "train.parquet").to_pylist():
        assert [Path(name).is_file() for name in row["geometry"]] == [True]
    next((tmp_path / "geometry").glob("*.safetensors")).unlink()
    left_out = trl.export(dataset, tmp_path / "rows", options=options).left_out
    assert len(left_out) == 2
    assert "expected the points of its clip" in left_out[0]


def test_a_file_a_clip_and_frame_is_not_a_line_on_the_screen(
    dataset: Dataset, tmp_path: Path
) -> None:
    command = f"export ply {dataset.layout.out} points --frames 24"
    assert len(run_massannot(command, tmp_path).splitlines()) == 20
    files = json.loads(run_massannot(f"{command} --json", tmp_path))["files"]
    assert len(files) == len([*(tmp_path / "points").rglob("*.ply")]) > 20


def test_ply_holds_the_colours_of_the_film(dataset: Dataset, tmp_path: Path) -> None:
    written = ply.export(dataset, tmp_path, options=PlyOptions(frames=2))
    assert sorted({path.name for path in written.files}) == ["00000.ply", "00011.ply"]
    view = next(dataset.clips())
    cloud = view.point_cloud(11)
    content = (tmp_path / view.clip_id / "00011.ply").read_bytes()
    header, _, body = content.partition(b"end_header\n")
    assert f"element vertex {cloud.valid.sum()}\n".encode() in header
    assert b"comment metres, world" in header
    points = np.frombuffer(body, ply._POINT)
    np.testing.assert_array_equal(points["x"], cloud.xyz[0, cloud.valid[0], 0])
    of_thing = points[points["entity"] >= 0]
    assert len(of_thing) > 20
    name = view.phrases[view.table("entities")["phrase"][int(of_thing["entity"][0])].as_py()]
    assert np.ptp([of_thing[colour].mean() for colour in ("red", "green", "blue")]) > 30, name


def test_points_of_asked_scenes_are_those_of_the_renderer(tmp_path: Path) -> None:
    """Kept beside the pictures, or of a scene that is simulated once more: the same bytes."""
    seeds = range(1_000_000, 1_000_003)
    kept, again = tmp_path / "kept", tmp_path / "again"
    write_scene_questions(kept, seeds=seeds, names=("colour",), depth_maps=True)
    write_scene_questions(again, seeds=seeds, names=("colour",))
    options = GeometryOptions(frames=4, grid=8)
    files = geometry.export(open_dataset(kept), tmp_path / "a", options=options).files
    others = geometry.export(open_dataset(again), tmp_path / "b", options=options).files
    assert [a.read_bytes() for a in files] == [b.read_bytes() for b in others]
    view = open_dataset(kept).clip(files[0].stem)
    arrays, _ = read_safetensors(files[0])
    picture = render(scene_of(view.row["uri"]), 21)
    np.testing.assert_array_equal(arrays["points"][1, ..., 2], picture.depth_m[2::4, 2::4])
    np.testing.assert_array_equal(arrays["entity"][1], picture.ids[2::4, 2::4].astype(int) - 1)


def test_clips_without_depth_are_left_out_by_name(dataset: Dataset, tmp_path: Path) -> None:
    class NoDepth(Dataset):
        def _rows_of_clip(self, name: str, clip_id: str) -> Any:
            rows = super()._rows_of_clip(name, clip_id)
            return rows.slice(0, 0) if name == "depth_maps" else rows

    bare = NoDepth(dataset.layout)
    with pytest.raises(UsageError, match="found 0 stored depth maps of 12 frames"):
        next(bare.clips()).point_cloud(0)
    for exporter in (geometry, ply):
        assert "annotate with --depth-maps" in exporter.export(bare, tmp_path).left_out[0]  # type: ignore[attr-defined]


def test_safetensors_of_ours_are_those_of_the_library(tmp_path: Path) -> None:
    load_file = pytest.importorskip("safetensors.numpy").load_file
    arrays = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.array([True, False]),
              "c": np.zeros((0, 3), np.int16)}  # fmt: skip
    write_safetensors(tmp_path / "file", arrays, about={"unit": "m"})
    for found in (load_file(tmp_path / "file"), read_safetensors(tmp_path / "file")[0]):
        assert sorted(found) == ["a", "b", "c"]
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)
    assert read_safetensors(tmp_path / "file")[1] == {"unit": "m"}
    (tmp_path / "file").write_bytes(b"not a file of that kind")
    with pytest.raises(UsageError, match="found no whole safetensors file"):
        read_safetensors(tmp_path / "file")
