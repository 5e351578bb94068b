"""Recordings for Rerun: what they hold, and what a program that changes or logs one gives back."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rerun as rr
from rerun.chunk import Chunk, LazyChunkStream, RrdReader

from massannot.dataset.reading import Dataset, open_dataset
from massannot.errors import NothingToRun, UsageError
from massannot.exporters import rerun
from massannot.geometry import rle
from massannot.jobs import view_rerun
from massannot.models.recorded import rrd_process
from massannot.models.recorded.object_files import RecordedBoxes
from massannot.models.recorded.rrd_files import read_rrd
from massannot.models.recorded.track_files import RecordedTracks
from massannot.scenes.scene_record import SceneLibrary
from tests.asked_scenes import annotate, questions_about, write_world
from tests.unit.odd_films import annotated, box_at
from tests.unit.test_answers import frames_at

pytestmark = pytest.mark.filterwarnings("error::rerun.error_utils.RerunWarning")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> SceneLibrary:
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def dataset(world: SceneLibrary, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return annotate(world, tmp_path_factory.mktemp("run") / "out", [questions_about(world)])


def contents(path: Path) -> list[Any]:
    """What a file logs, without the ids of chunks and rows."""
    found = []
    for chunk in RrdReader(path).stream():
        rows = chunk.to_record_batch()
        names = sorted(name for name in rows.schema.names if "RowId" not in name)
        found.append((chunk.entity_path, names, [rows[name].to_pylist() for name in names]))
    return sorted(found, key=repr)


def test_two_exports_hold_the_same(dataset: Dataset, tmp_path: Path) -> None:
    first, second = (rerun.export(dataset, tmp_path / name).files for name in "ab")
    assert [path.name for path in first] == [path.name for path in second]
    assert [contents(path) for path in first] == [contents(path) for path in second]


def test_film_camera_and_paths_are_the_datasets(dataset: Dataset, tmp_path: Path) -> None:
    view = next(dataset.clips())
    rerun.export(dataset, tmp_path)
    path = tmp_path / f"{view.clip_id}.rrd"
    reader = RrdReader(path)
    assert [(s.application_id, s.recording_id) for s in reader.recordings()] == [
        ("massannot", view.clip_id)
    ]
    rows: dict[str, list[Any]] = {}
    for chunk in reader.stream():
        rows.setdefault(chunk.entity_path, []).append(chunk.to_record_batch())
    frames = view.table("frames")
    film = [row for batch in rows["/world/camera/picture/film"] for row in batch.to_pylist()]
    assert [row["pts"] for row in film] == frames["pts"].to_pylist()
    assert [row["time"].total_seconds() for row in film] == pytest.approx(
        frames["t_s"].to_pylist(), abs=1e-6
    )
    assert all(bytes(row["EncodedImage:blob"][0][:2]) == b"\xff\xd8" for row in film)
    cameras = view.table("cameras").to_pylist()
    lenses = rows["/world/camera/picture"][0]["Pinhole:image_from_camera"].to_pylist()
    for (lens,), row in zip(lenses, cameras, strict=True):
        expected = [row["fx"], 0, 0, 0, row["fy"], 0, row["cx"], row["cy"], 1]  # column by column
        assert lens == pytest.approx(expected, rel=1e-6)
    moved = rows["/world/camera"][0].to_pylist()
    for row, cam_from_world in zip(moved, (c["cam_from_world"] for c in cameras), strict=True):
        turn = np.array(row["Transform3D:mat3x3"][0]).reshape(3, 3).T
        shift = np.array(row["Transform3D:translation"][0])
        matrix = np.array(cam_from_world).reshape(4, 4)
        assert matrix[:3, :3] @ turn == pytest.approx(np.eye(3), abs=1e-6)
        assert matrix[:3, :3] @ shift + matrix[:3, 3] == pytest.approx(0, abs=1e-5)
    positions = view.positions()
    for column, entity in enumerate(positions.entity.tolist()):
        (strip,) = rows[f"/world/paths/{entity}"][0]["LineStrips3D:strips"].to_pylist()[0]
        expected = positions.xyz_world[:, column]
        assert np.array_equal(strip, expected[np.isfinite(expected).all(axis=1)])


@pytest.mark.seen("exports", "oracle")
def test_points_come_back_as_tracks(world: SceneLibrary, dataset: Dataset, tmp_path: Path) -> None:
    from massannot.dataset.frames_again import clips_again

    rerun.export(dataset, tmp_path)
    (view, *_) = dataset.clips()
    tracks = view.tracks()
    own = tracks.entity >= 0
    (clip,) = clips_again(dataset.layout, {view.clip_id})
    model = RecordedTracks(str(tmp_path))
    model.setup(device="cpu")
    assert model.names_videos
    at = tracks.query_frame[own]
    queries = tracks.xy[at, np.flatnonzero(own)] / clip.frames.source_from_working
    found = model.track(clip.frames, queries_txy=np.column_stack([at, queries]))
    assert np.array_equal(found.visible, tracks.visible[:, own])
    there = found.xy * clip.frames.source_from_working
    assert np.abs(there - tracks.xy[:, own])[found.visible].max() < 1e-4


def test_a_box_that_a_program_moved_comes_back_moved(tmp_path: Path) -> None:
    clip, out = annotated("29.97", tmp_path)
    (path,) = rerun.export(open_dataset(out), tmp_path / "exported").files
    changed = []
    for chunk in RrdReader(path).stream():
        rows = chunk.to_record_batch()
        name = "Boxes2D:centers"
        if name in rows.schema.names:
            centres = rows[name].to_pylist()
            centres[0][0][0] += 3.5
            index = rows.schema.get_field_index(name)
            arrays = [*rows.columns]
            arrays[index] = type(arrays[index]).from_pandas(centres, type=arrays[index].type)
            (chunk,) = Chunk.from_record_batch(type(rows).from_arrays(arrays, schema=rows.schema))
        changed.append(chunk)
    moved = LazyChunkStream.from_iter(changed)
    moved.write_rrd(tmp_path / "moved.rrd", application_id="mine", recording_id="1")
    model = RecordedBoxes(str(tmp_path / "moved.rrd"))
    model.setup(device="cpu")
    found = model.detect(clip.frames, at=[0], phrases=("a ball",))
    x0, y0, x1, y1 = box_at(0)
    assert found.boxes_xyxy.tolist() == [[x0 + 3.5, y0, x1 + 3.5, y1]]


def logged(path: Path, *chunks: tuple[str, dict[str, Sequence[Any]], Any]) -> Path:
    """A recording of chunks: path, timelines and columns."""
    made = [
        Chunk.from_columns(
            where,
            [
                rr.TimeColumn(name, duration=values)
                if name.endswith("_s")
                else rr.TimeColumn(name, sequence=values)
                for name, values in times.items()
            ],
            columns,
        )
        for where, times, columns in chunks
    ]
    stream = LazyChunkStream.from_iter(made)
    stream.write_rrd(path, application_id="mine", recording_id="1")
    return path


PINHOLE = rr.Pinhole.columns(image_from_camera=[np.eye(3).ravel()], resolution=[[96, 64]])
NAMED = rr.AnnotationContext.columns(context=[rr.AnnotationInfo(4, label="a box")])


def boxes(*per_row: int, size: float = 8, **more: Any) -> Any:
    n = sum(per_row)
    centres = [[20 + k, 30] for k in range(n)]
    columns = rr.Boxes2D.columns(half_sizes=[[size, 8]] * n, centers=centres, **more)
    return columns.partition(per_row)


def test_what_others_logged_answers_for_the_moments_it_was_logged_at(tmp_path: Path) -> None:
    path = logged(
        tmp_path / "theirs.rrd",
        ("/film", {}, PINHOLE),
        ("/", {}, NAMED),
        ("/film/one", {"t_s": [0.0, 0.2, 0.4]}, boxes(1, 0, 1, class_ids=[4, 4])),
        ("/film/cones", {"t_s": [0.1, 0.2]}, boxes(2, 1)),
    )
    model = RecordedBoxes(str(path))
    model.setup(device="cpu")
    frames = frames_at()
    assert list(model.frames_named(frames)) == [0, 1, 2, 4]
    found = model.detect(frames, at=range(10), phrases=("box", "cones"))
    rows = list(zip(found.frame.tolist(), found.phrase.tolist(), found.boxes_xyxy[:, 0].tolist()))
    assert rows == [(0, 0, 12), (1, 1, 12), (1, 1, 13), (2, 1, 14), (4, 0, 13)]
    one = read_rrd(str(path)).videos[0].objects[-1]
    assert one.category == "a box"
    assert (one.is_known(1), one.is_known(2)) == (False, True)  # at 0.1 nothing, at 0.2 no box


def test_classes_of_a_segmentation_are_things(tmp_path: Path) -> None:
    picture = np.zeros((64, 96), np.uint16)
    picture[10:20, 30:50] = 4
    form = rr.components.ImageFormat(width=96, height=64, channel_datatype=rr.ChannelDatatype.U16)
    columns = rr.SegmentationImage.columns(buffer=[picture.tobytes()], format=[form])
    path = logged(tmp_path / "a.rrd", ("/", {}, NAMED), ("/film/seg", {"t_s": [0.3]}, columns))
    (video,) = read_rrd(str(path)).videos
    (thing,) = video.objects
    assert (video.width, video.height, thing.category) == (96, 64, "a box")
    assert thing.masks == {0: rle.encode(picture == 4)}
    assert thing.boxes == {0: (30, 10, 50, 20)}


def points(*per_row: int) -> Any:
    columns = rr.Points2D.columns(positions=[[5 + k, 6] for k in range(sum(per_row))])
    return columns.partition(per_row)


def test_points_that_others_logged_are_tracks_by_their_order(tmp_path: Path) -> None:
    path = logged(
        tmp_path / "a.rrd", ("/film", {}, PINHOLE), ("/pts", {"t_s": [0.0, 0.1]}, points(2, 2))
    )
    model = RecordedTracks(str(path))
    model.setup(device="cpu")
    found = model.track(frames_at(), queries_txy=np.array([[0, 6.0, 6.0]]))
    assert found.visible[:, 0].tolist() == [True, True] + [False] * 8
    assert found.xy[:2, 0].tolist() == [[6, 6], [8, 6]]


REFUSED: dict[str, tuple[tuple[Any, ...], str]] = {
    "no size": ((("/a", {"t_s": [0.0]}, boxes(1)),), "log a Pinhole with a resolution"),
    "no shared timeline": (
        (("/a", {"x_s": [0.0]}, boxes(1)), ("/b", {"y_s": [0.0]}, boxes(1))),
        "found x_s, y_s; log with `pts`",
    ),
    "two names": (
        (("/", {}, PINHOLE), ("/a", {"t_s": [0.0, 0.1]}, boxes(1, 1, labels=["a", "b"]))),
        "/a is 'a' and 'b'",
    ),
    "no extent": (
        (("/", {}, PINHOLE), ("/a", {"t_s": [0.0]}, boxes(1, size=0))),
        "/a has a box without extent at 0.0",
    ),
}


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_labels_that_tell_nothing_are_refused_by_name(case: str, tmp_path: Path) -> None:
    chunks, message = REFUSED[case]
    path = logged(tmp_path / "a.rrd", *chunks)
    with pytest.raises(UsageError) as caught:
        read_rrd(str(path))
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_half_a_file_and_another_file_are_refused(tmp_path: Path) -> None:
    path = logged(tmp_path / "a.rrd", ("/", {}, PINHOLE), ("/a", {"t_s": [0.0]}, boxes(1)))
    for content in (path.read_bytes()[: path.stat().st_size // 2], b"no", b""):
        path.write_bytes(content)
        with pytest.raises(UsageError, match="not a recording of Rerun"):
            read_rrd(str(path))


def test_a_file_that_ends_its_reader_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = "import os, sys; sys.stdin.readline(); print('no more', file=sys.stderr); os._exit(3)"
    monkeypatch.setattr(rrd_process, "_PROGRAM", ends)
    path = tmp_path / "a.rrd"
    path.write_bytes(b"whatever")
    expected = r"a\.rrd: .*ended with exit code 3 while it read this file \(no more\)"
    with pytest.raises(UsageError, match=expected):
        read_rrd(str(path))


def test_points_that_change_their_number_are_refused(tmp_path: Path) -> None:
    path = logged(
        tmp_path / "a.rrd", ("/film", {}, PINHOLE), ("/pts", {"t_s": [0.0, 0.1]}, points(2, 1))
    )
    with pytest.raises(UsageError, match=r"/pts has 1 point at 0\.1, expected 2"):
        RecordedTracks(str(path)).setup(device="cpu")


def test_view_opens_the_viewer_for_this_machine_alone(
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    viewer = tmp_path / "viewer"
    viewer.write_text(f"#!{sys.executable}\nimport os, sys\nprint(sys.argv[1:])\n"
                      "print([os.path.getsize(path) > 1000 for path in sys.argv[3:]])\n"
                      f"sys.exit('{tmp_path}' in os.environ.get('FAILS', ''))\n")  # fmt: skip
    viewer.chmod(0o755)
    monkeypatch.setenv("RERUN_CLI_PATH", str(viewer))
    view_rerun.view(dataset.layout.out)
    arguments, exist = map(eval, capfd.readouterr().out.splitlines())
    assert arguments[:2] == ["--bind", "127.0.0.1"]
    assert [os.path.basename(path) for path in arguments[2:]] == [
        f"{clip_id}.rrd" for clip_id in sorted(dataset.clip_ids)
    ]
    assert exist == [True] * len(dataset.clip_ids)
    assert not any(os.path.exists(path) for path in arguments[2:])
    monkeypatch.setenv("FAILS", str(tmp_path))
    with pytest.raises(NothingToRun, match="viewer ended with 1"):
        view_rerun.view(dataset.layout.out)
