"""One writer: equal rows give equal bytes, however they were cut; readers get what was given."""

import filecmp
import itertools

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from massannot import tables
from massannot.errors import BadTable
from massannot.storage.parquet import write_parquet

TRACKS = tables.spec("tracks_xyz")
N_FRAMES = 7


def tracks(clip_id: str, n_points: int, *, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng([seed, *clip_id.encode()])
    xyz = rng.normal(size=(3, n_points, N_FRAMES)).astype(np.float32)
    lists = [[[None if v > 1.5 else v for v in row] for row in axis.tolist()] for axis in xyz]
    return TRACKS.from_columns(
        {
            "clip_id": [clip_id] * n_points,
            "entity": np.zeros(n_points, int),
            "point": np.arange(n_points),
            "scale_type": ["metric"] * n_points,
            "x": lists[0],
            "y": lists[1],
            "z": lists[2],
            "state": [["measured"] * N_FRAMES] * n_points,
        }
    )


WHOLE = pa.concat_tables([tracks(f"{c:02x}", 3 + c) for c in range(12)]).combine_chunks()


def in_pieces(table: pa.Table, cuts: list[int]) -> list[pa.Table]:
    edges = [0, *sorted(cuts), table.num_rows]
    return [table.slice(a, b - a) for a, b in itertools.pairwise(edges)]


@settings(max_examples=25)
@given(cuts=st.lists(st.integers(0, WHOLE.num_rows), max_size=6), group=st.integers(1, 60_000))
def test_bytes_do_not_depend_on_how_the_rows_were_cut(tmp_path_factory, cuts, group):
    folder = tmp_path_factory.mktemp("cut")
    write_parquet(folder / "one", [WHOLE], spec=TRACKS, row_group_bytes=group)
    write_parquet(folder / "many", in_pieces(WHOLE, cuts), spec=TRACKS, row_group_bytes=group)
    assert filecmp.cmp(folder / "one", folder / "many", shallow=False)


def test_bytes_do_not_depend_on_the_order_of_rows_or_on_chunks(tmp_path):
    shuffled = WHOLE.take(np.random.default_rng(1).permutation(WHOLE.num_rows))
    chunked = pa.concat_tables(in_pieces(shuffled, [5, 20]))
    write_parquet(tmp_path / "sorted", [WHOLE], spec=TRACKS)
    write_parquet(tmp_path / "shuffled", [chunked], spec=TRACKS)
    assert filecmp.cmp(tmp_path / "sorted", tmp_path / "shuffled", shallow=False)


def test_what_is_read_is_what_was_written(tmp_path):
    written = write_parquet(tmp_path / "t.parquet", [WHOLE], spec=TRACKS)
    assert written.rows == WHOLE.num_rows
    assert written.size_bytes == (tmp_path / "t.parquet").stat().st_size
    found = pq.read_table(tmp_path / "t.parquet")
    assert TRACKS.checked(found).equals(WHOLE, check_metadata=True)


@pytest.mark.parametrize(
    ("row_group_bytes", "expected_groups"),
    [
        pytest.param(1, 12, id="a group holds at least one clip"),
        pytest.param(2**25, 1, id="small clips share a group"),
    ],
)
def test_row_groups_hold_whole_clips(tmp_path, row_group_bytes, expected_groups):
    path = tmp_path / "t.parquet"
    write_parquet(path, in_pieces(WHOLE, [1, 40]), spec=TRACKS, row_group_bytes=row_group_bytes)
    file = pq.ParquetFile(path)
    assert file.num_row_groups == expected_groups
    clips = [set(file.read_row_group(g)["clip_id"].to_pylist()) for g in range(expected_groups)]
    assert sum(map(len, clips)) == len(set().union(*clips))


def test_encodings_are_chosen_by_type(tmp_path):
    write_parquet(tmp_path / "t.parquet", [WHOLE], spec=TRACKS)
    group = pq.ParquetFile(tmp_path / "t.parquet").metadata.row_group(0)
    columns = {c.path_in_schema: c for c in map(group.column, range(group.num_columns))}
    assert "RLE_DICTIONARY" in columns["clip_id"].encodings
    assert "RLE_DICTIONARY" in columns["state.list.element"].encodings
    assert "RLE_DICTIONARY" not in columns["point"].encodings
    assert "BYTE_STREAM_SPLIT" in columns["x.list.element"].encodings
    assert {c.compression for c in columns.values()} == {"ZSTD"}
    assert all(c.has_column_index and c.has_offset_index for c in columns.values())


def test_a_table_without_rows_is_a_readable_file(tmp_path):
    written = write_parquet(tmp_path / "t.parquet", [], spec=TRACKS)
    assert written.rows == 0
    assert pq.read_table(tmp_path / "t.parquet").equals(TRACKS.empty())


@pytest.mark.parametrize("name", tables.names())
def test_every_table_can_be_written_empty(tmp_path, name):
    spec = tables.spec(name)
    write_parquet(tmp_path / "t.parquet", [spec.empty()], spec=spec)
    spec.check(pq.read_table(tmp_path / "t.parquet"))


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([tracks("02", 2), tracks("01", 2)], id="clips in the wrong order"),
        pytest.param([tracks("01", 2), tracks("01", 2)], id="a clip twice"),
        pytest.param([tracks("01", 2).drop(["z"])], id="a column is missing"),
    ],
)
def test_a_refused_table_leaves_no_file(tmp_path, pieces):
    with pytest.raises(BadTable, match="tracks_xyz"):
        write_parquet(tmp_path / "t.parquet", pieces, spec=TRACKS)
    assert list(tmp_path.iterdir()) == []
