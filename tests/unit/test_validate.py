"""Validation rejects what is wrong, by name, and nothing that is right."""

import json
import shutil

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from massannot.dataset.reading import open_dataset
from massannot.dataset.validate import problems
from massannot.errors import BadTable
from massannot.geometry import rle
from massannot.tables import _consistency as consistency
from tests.unit import small_dataset as small


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return small.write_small_dataset(tmp_path_factory.mktemp("small") / "out").out


def with_column(table: pa.Table, name: str, values: list) -> pa.Table:
    place = table.schema.get_field_index(name)
    field = pa.field(name, table.schema.field(name).type)
    return table.set_column(place, field, pa.array(values, field.type)).replace_schema_metadata(
        table.schema.metadata
    )


def with_cell(table: pa.Table, name: str, row: int, value: object) -> pa.Table:
    values = table[name].to_pylist()
    values[row] = value
    return with_column(table, name, values)


def in_version(table: pa.Table, version: int) -> pa.Table:
    return table.replace_schema_metadata(
        {**table.schema.metadata, b"massannot.version": str(version).encode()}
    )


SMALLER_MASK = rle.encode(small.mask_of("clip-a", 0)[:, :4])
WRONG = [
    pytest.param(
        "masks", lambda t: with_cell(t, "clip_id", 0, None), "clip_id.*null", id="null in a key"
    ),
    pytest.param(
        "masks",
        lambda t: with_cell(t, "entity", t.num_rows - 1, 9),
        "masks: 1 row points to .*'entity': 9.* not in entities",
        id="dangling entity",
    ),
    pytest.param(
        "frames",
        lambda t: with_cell(t, "clip_id", t.num_rows - 1, "clip-x"),
        "frames: .*clip-x.* not in clips",
        id="dangling clip",
    ),
    pytest.param(
        "clips",
        lambda t: with_cell(t, "video_id", 0, "another"),
        "clips: 1 row points to .*another.* not in videos",
        id="dangling video",
    ),
    pytest.param(
        "tracks_xyz",
        lambda t: with_cell(t, "point", 2, 7),
        "tracks_xyz: .*'point': 7.* not in tracks_xy",
        id="a lifted point that was never tracked",
    ),
    pytest.param(
        "masks",
        lambda t: with_cell(t, "counts", 0, SMALLER_MASK),
        "masks: row 0: .*24 pixels.*48",
        id="run lengths of another size",
    ),
    pytest.param(
        "masks",
        lambda t: with_cell(with_cell(t, "counts", 0, SMALLER_MASK), "width", 0, 4),
        "masks: row 0 is 4x6, the picture of clip clip-a is 8x6",
        id="mask of another picture size",
    ),
    pytest.param(
        "masks",
        lambda t: with_cell(t, "area", 0, 47),
        "row 0 says 47 pixels",
        id="area that is not the mask's",
    ),
    pytest.param(
        "tracks_xy",
        lambda t: t.take([1, 0, *range(2, t.num_rows)]),
        "tracks_xy: key .* in row 1 is out of order",
        id="unsorted rows",
    ),
    pytest.param(
        "tracks_xy",
        lambda t: pa.concat_tables([t.slice(0, 1), t]),
        "tracks_xy: key .* in row 1 is repeated",
        id="a key twice",
    ),
    pytest.param(
        "tracks_xyz",
        lambda t: with_cell(t, "x", 0, [1.0, float("nan"), 1.0, 1.0]),
        "tracks_xyz.*'x': NaN",
        id="NaN in a list",
    ),
    pytest.param(
        "positions",
        lambda t: with_cell(t, "z_cam", 0, float("inf")),
        "positions.*'z_cam': NaN or infinity",
        id="infinity",
    ),
    pytest.param(
        "tracks_xy",
        lambda t: with_cell(t, "visible", 0, [True] * 3),
        "tracks_xy, column 'visible': 1 list of another length.*3 items.* 4 frames",
        id="a list of another length than the clip",
    ),
    pytest.param(
        "clips",
        lambda t: with_cell(t, "n_frames", 0, 5),
        "clip clip-a says 5 frames, table frames has 4",
        id="frames that are not there",
    ),
    pytest.param(
        "phrases",
        lambda t: with_cell(t, "n_entities", 1, 2),
        "phrase 1 of clip clip-a says 2 entities, table entities has 0",
        id="entities that are not there",
    ),
    pytest.param(
        "masks",
        lambda t: with_cell(t, "state", 0, "seen"),
        "'seen' is not one of",
        id="a word that is not allowed",
    ),
    pytest.param(
        "masks", lambda t: t.drop(["score"]), r"columns \['score'\] are missing", id="no column"
    ),
    pytest.param(
        "masks",
        lambda t: t.set_column(7, "score", pc.cast(t["score"], pa.string())),
        "masks",
        id="a column of another type",
    ),
    pytest.param(
        "events", lambda t: in_version(t, 2), "version 2.*newer massannot", id="newer version"
    ),
]


@pytest.mark.parametrize(("name", "break_it", "says"), WRONG)
def test_what_is_wrong_in_a_file_is_rejected_with_a_sentence(whole, tmp_path, name, break_it, says):
    import re

    shutil.copytree(whole, tmp_path / "out")
    path = tmp_path / "out" / "data" / name / "000000.parquet"
    pq.write_table(break_it(pq.read_table(path)), path)
    found = [p for p in problems(open_dataset(tmp_path / "out")) if "its commit says" not in p]
    assert any(re.search(says, problem) for problem in found), found


def test_nothing_is_wrong_with_what_the_project_writes(whole):
    assert list(problems(open_dataset(whole))) == []


@pytest.mark.parametrize("without", ["entities", "phrases", "videos", "frames"])
def test_a_table_that_others_refer_to_must_be_there(without):
    found = small.small_tables(("clip-a",))
    del found[without]
    with pytest.raises(BadTable, match=f"refers to {without}, which is not there"):
        consistency.check(found)


def test_no_table_is_needed_to_refer_to_nothing():
    found = {n: t.slice(0, 0) for n, t in small.small_tables(("clip-a",)).items()}
    del found["videos"]
    consistency.check(found)


def test_a_clip_in_two_shards_is_named(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "out")
    for folder in (tmp_path / "out" / "data").iterdir():
        shutil.copy(folder / "000001.parquet", folder / "000002.parquet")
    assert any(
        "clip clip-c of videos/clip-c.mp4 is there 2 times" in problem
        for problem in problems(open_dataset(tmp_path / "out"))
    )


def test_a_changed_byte_is_named_although_every_cell_is_valid(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "out")
    commit = tmp_path / "out" / "_run" / "commits" / "000000.json"
    values = json.loads(commit.read_text())
    values["files"][0]["sha256"] = "0" * 64
    commit.write_text(json.dumps(values))
    table = values["files"][0]["table"]
    assert list(problems(open_dataset(tmp_path / "out"))) == [
        f"data/{table}/000000.parquet has other bytes than its commit says"
    ]


def test_half_a_shard_is_named(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "out")
    (tmp_path / "out" / "data" / "clips" / "000001.parquet").unlink()
    found = list(problems(open_dataset(tmp_path / "out")))
    assert "data/clips/000001.parquet is missing" in found
    assert any("data/masks/000001.parquet is there, but not its clips" in p for p in found)
