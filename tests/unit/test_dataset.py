"""A dataset opens as numpy, and other readers see the very same rows."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from massannot import tables
from massannot.dataset.reading import open_dataset
from massannot.errors import BadTable, NewerTable, UsageError
from massannot.storage.parquet import upgraded
from massannot.tables._spec import INT32, STRING, Column, TableSpec
from tests.unit import small_dataset as small


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return small.write_small_dataset(tmp_path_factory.mktemp("small") / "out").out


def test_tracks_are_frames_by_points_with_nan_where_absent(out):
    tracks = open_dataset(out).clip("clip-b").tracks()
    np.testing.assert_array_equal(tracks.xyz, small.xyz_of("clip-b"))
    np.testing.assert_array_equal(tracks.xy[:, 2], [[0.5, 2], [1.5, 2], [2.5, 2], [3.5, 2]])
    np.testing.assert_array_equal(tracks.visible[:, 0], [True, False, True, True])
    np.testing.assert_array_equal(tracks.state[:, 2], ["measured", "absent"] + ["measured"] * 2)
    np.testing.assert_array_equal(tracks.point, [0, 1, 2])
    assert (tracks.xyz.dtype, tracks.visible.dtype) == (np.float32, np.bool_)
    assert tracks.scale_type == "metric"


def test_masks_are_decoded_in_source_pixels(out):
    clip = open_dataset(out).clip("clip-c")
    expected = np.stack([small.mask_of("clip-c", f) for f in range(small.N_FRAMES)])
    np.testing.assert_array_equal(clip.masks(0), expected)
    np.testing.assert_array_equal(clip.mask(0, frame=2), expected[2])
    assert not clip.masks(7).any()


def test_positions_are_frames_by_entities(out):
    positions = open_dataset(out).clip("clip-a").positions()
    np.testing.assert_array_equal(positions.xyz_cam[:, 0], [[f + 1, 2, 3] for f in range(4)])
    assert np.isnan(positions.xyz_world).all()


def test_a_clip_without_any_track_gives_empty_arrays(tmp_path):
    layout = small.write_small_dataset(tmp_path / "out")
    shutil.rmtree(layout.data / "tracks_xy")
    shutil.rmtree(layout.data / "tracks_xyz")
    tracks = open_dataset(tmp_path / "out").clip("clip-a").tracks()
    assert tracks.xyz.shape == (small.N_FRAMES, 0, 3)
    assert tracks.xy.shape == (small.N_FRAMES, 0, 2)


def test_clips_come_in_order_of_video(out):
    assert [clip.clip_id for clip in open_dataset(out).clips()] == ["clip-a", "clip-b", "clip-c"]


def test_a_shard_whose_clips_are_not_published_yet_is_not_seen(tmp_path):
    layout = small.write_small_dataset(tmp_path / "out")
    layout.published("clips", "000001").unlink()
    dataset = open_dataset(tmp_path / "out")
    assert dataset.clip_ids == ("clip-a", "clip-b")
    assert set(dataset.table("masks")["clip_id"].to_pylist()) == {"clip-a", "clip-b"}


def test_a_published_folder_needs_no_run_folder(tmp_path):
    layout = small.write_small_dataset(tmp_path / "out")
    shutil.rmtree(layout.run)
    layout.published("masks", "000001").rename(layout.data / "masks" / "part-00001.parquet")
    np.testing.assert_array_equal(
        open_dataset(tmp_path / "out").clip("clip-c").mask(0, frame=0), small.mask_of("clip-c", 0)
    )


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        pytest.param(lambda out: open_dataset(out / "nowhere"), "no dataset", id="no folder"),
        pytest.param(lambda out: open_dataset(out).clip("x"), "no clip 'x'", id="no clip"),
        pytest.param(lambda out: open_dataset(out).table("motions"), "motions", id="no table"),
    ],
)
def test_what_is_not_there_is_named(out, ask, says):
    with pytest.raises(UsageError, match=says):
        ask(out)


@pytest.mark.parametrize("name", sorted(small.small_tables(("clip-a",))))
def test_every_reader_sees_the_same_rows(out, name):
    duckdb, polars = pytest.importorskip("duckdb"), pytest.importorskip("polars")
    spec = tables.spec(name)
    expected = spec.sorted(open_dataset(out).table(name))
    glob = str(out / "data" / name / "*.parquet")
    found = {
        "pyarrow": pads.dataset(out / "data" / name).to_table(),
        "duckdb": duckdb.sql(f"select * from '{glob}'").to_arrow_table(),
        "polars": polars.read_parquet(glob).to_arrow(),
    }
    for reader, table in found.items():
        assert rows_in_key_order(table, spec) == expected.to_pylist(), reader


@pytest.mark.parametrize("name", ["clips", "masks", "tracks_xyz"])
def test_datasets_loads_the_folder_as_it_lies(out, tmp_path, name):
    datasets = pytest.importorskip("datasets")
    loaded = datasets.load_dataset(str(out), name, split="train", cache_dir=str(tmp_path))
    expected = open_dataset(out).table(name).to_pylist()
    assert rows_in_key_order(loaded.data.table, tables.spec(name)) == expected


def test_datasets_streams_a_table_without_rows(out, tmp_path):
    datasets = pytest.importorskip("datasets")
    loaded = datasets.load_dataset(
        str(out), "events", split="train", streaming=True, cache_dir=str(tmp_path)
    )
    assert list(loaded) == []
    assert loaded.column_names == list(tables.spec("events").names)


def test_datasets_loads_clips_when_no_table_is_named(out, tmp_path):
    datasets = pytest.importorskip("datasets")
    loaded = datasets.load_dataset(str(out), cache_dir=str(tmp_path))
    assert sorted(loaded["train"]["clip_id"]) == ["clip-a", "clip-b", "clip-c"]


def rows_in_key_order(table: pa.Table, spec: TableSpec) -> list[dict]:
    return table.sort_by([(name, "ascending") for name in spec.key]).to_pylist()


def things(version: int, *columns: Column) -> TableSpec:
    return TableSpec("things", version, ("id",), "Things.", (Column("id", INT32, "Id."), *columns))


NAME, SIZE = Column("name", STRING, "Name."), Column("size", INT32, "Size.", nullable=True)


def test_a_column_added_since_is_null():
    old = things(1, NAME).from_rows([{"id": 1, "name": "a"}])
    new = upgraded(old, spec=things(1, NAME, SIZE), upgrades={})
    assert new.to_pylist() == [{"id": 1, "name": "a", "size": None}]


def test_an_older_version_is_brought_up_step_by_step():
    old = things(1, NAME).from_rows([{"id": 1, "name": "a"}])
    new = upgraded(
        old,
        spec=things(3, Column("label", STRING, "Label."), SIZE),
        upgrades={
            1: lambda table: table.rename_columns(["id", "title"]),
            2: lambda table: table.rename_columns(["id", "label"]),
        },
    )
    assert new.to_pylist() == [{"id": 1, "label": "a", "size": None}]


@pytest.mark.parametrize(
    ("written", "wanted", "error", "says"),
    [
        pytest.param(2, 1, NewerTable, "version 2.*newer massannot", id="from the future"),
        pytest.param(1, 2, BadTable, "nothing leads from version 1 to 2", id="no way"),
    ],
)
def test_other_versions_are_refused_by_name(written, wanted, error, says):
    with pytest.raises(error, match=says):
        upgraded(things(written).empty(), spec=things(wanted), upgrades={})


def test_a_file_of_another_table_is_refused(out, tmp_path):
    shutil.copytree(out, tmp_path / "out")
    there = tmp_path / "out" / "data" / "masks" / "000000.parquet"
    pq.write_table(tables.spec("events").empty(), there)
    with pytest.raises(BadTable, match=r"000000\.parquet: found table events, expected"):
        open_dataset(tmp_path / "out").table("masks")
