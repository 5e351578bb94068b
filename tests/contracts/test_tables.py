"""Every table declaration keeps the cell rules, and a table that breaks one is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from massannot import tables
from massannot.errors import BadTable, NewerTable
from massannot.tables import _json_schema as json_schema

ROOT = Path(__file__).parents[2]
MASK = {
    "clip_id": "c",
    "entity": 0,
    "frame": 0,
    "height": 2,
    "width": 2,
    "counts": "04",
    "area": 4,
    "x0": 0.0,
    "y0": 0.0,
    "x1": 2.0,
    "y1": 2.0,
    "score": 1.0,
    "state": "visible",
}


def masks(**changes: object) -> pa.Table:
    return tables.spec("masks").from_rows([MASK | changes])


@pytest.mark.parametrize("name", tables.names())
def test_a_declaration_keeps_the_cell_rules(name: str) -> None:
    spec = tables.spec(name)
    assert spec.name == name
    assert set(spec.key) <= set(spec.names)
    for column in spec.columns:
        kind = column.type.value_type if pa.types.is_list(column.type) else column.type
        assert not pa.types.is_fixed_size_list(column.type), column.name
        assert not pa.types.is_struct(kind), column.name
        assert not pa.types.is_dictionary(kind), column.name
        assert column.doc, column.name
        assert not column.name.endswith("_m"), "metres have scale_type in the same row"
        assert column.name not in spec.key or not column.nullable, column.name
        if column.one_of:
            assert pa.types.is_string(kind), column.name


@pytest.mark.parametrize("name", tables.names())
def test_references_name_existing_columns_of_the_same_type(name: str) -> None:
    spec = tables.spec(name)
    for reference in spec.references:
        target = tables.spec(reference.table)
        for column, there in zip(
            reference.columns, reference.target_columns or reference.columns, strict=True
        ):
            assert spec.column(column).type == target.column(there).type


@pytest.mark.parametrize("name", tables.names())
def test_lengths_have_their_scale_beside_them(name: str) -> None:
    spec = tables.spec(name)
    if any(column.name.startswith(("x_cam", "first_x", "path")) for column in spec.columns):
        assert "scale_type" in spec.names


BROKEN = [
    ("null in a key", {"entity": None}, "null in row 0, but this is a key"),
    ("null where it is never null", {"counts": None}, "never null"),
    ("NaN", {"score": float("nan")}, "NaN or infinity"),
    ("infinity", {"x0": float("inf")}, "NaN or infinity"),
    ("a word that is not allowed", {"state": "hidden"}, "'hidden' is not one of"),
    ("text for a number", {"area": "four"}, "expected int32"),
    ("a number that does not fit", {"area": 2**40}, "expected int32"),
]


@pytest.mark.parametrize(("what", "change", "message"), BROKEN, ids=[row[0] for row in BROKEN])
def test_a_broken_cell_is_refused(what: str, change: dict[str, object], message: str) -> None:
    with pytest.raises(BadTable, match=message):
        masks(**change)


def test_unsorted_and_repeated_keys_are_refused_by_check() -> None:
    spec = tables.spec("masks")
    two = pa.concat_tables([masks(frame=1), masks(frame=0)])
    with pytest.raises(BadTable, match="out of order"):
        spec.check(two)
    with pytest.raises(BadTable, match="repeated"):
        spec.check(pa.concat_tables([masks(), masks()]))
    assert spec.checked(two)["frame"].to_pylist() == [0, 1]


def test_a_newer_version_is_refused_by_name() -> None:
    newer = masks().replace_schema_metadata({"massannot.table": "masks", "massannot.version": "9"})
    with pytest.raises(NewerTable, match=r"version 9.*reads up to 1"):
        tables.spec("masks").check(newer)


def test_a_missing_column_or_another_type_is_refused() -> None:
    spec = tables.spec("masks")
    with pytest.raises(BadTable, match="'score' is missing"):
        spec.check(masks().drop_columns(["score"]))
    wrong = masks().set_column(spec.names.index("area"), "area", pa.array([4], pa.int64()))
    with pytest.raises(BadTable, match="found int64, expected int32"):
        spec.check(wrong)


def test_minus_zero_is_stored_as_zero_also_in_lists() -> None:
    table = masks(x0=-0.0)
    assert not np.signbit(table["x0"].to_numpy())[0]
    tracks = tables.spec("tracks_xy").from_rows(
        [
            {
                "clip_id": "c",
                "entity": 0,
                "point": 0,
                "query_frame": 0,
                "x": [-0.0, 1.0],
                "y": [-0.0, 1.0],
                "visible": [True, False],
                "visibility": [1.0, 0.0],
                "confidence": [1.0, 0.0],
                "fb_error_px": [None, -0.0],
            }
        ]
    )
    assert not np.signbit(tracks["x"].combine_chunks().values.to_numpy()).any()
    assert tracks["fb_error_px"].to_pylist() == [[None, 0.0]]


def test_nan_means_unknown_only_where_null_is_allowed() -> None:
    table = tables.spec("masks").from_columns(
        {name: [value] for name, value in MASK.items()} | {"x0": np.array([np.nan])}
    )
    assert table["x0"].to_pylist() == [None]


def test_lists_of_a_fixed_length_are_checked() -> None:
    row = {
        "clip_id": "c",
        "frame": 0,
        "fx": 1.0,
        "fy": 1.0,
        "cx": 1.0,
        "cy": 1.0,
        "intrinsics_origin": "given",
        "pose_origin": "given",
    }
    with pytest.raises(BadTable, match="row 0 has 3 items, expected 16"):
        tables.spec("cameras").from_rows([row | {"cam_from_world": [1.0, 0.0, 0.0]}])


def test_the_generated_schemas_are_those_in_the_folder() -> None:
    assert json_schema.drift(ROOT / "schemas") == []


def test_drift_names_every_difference(tmp_path: Path) -> None:
    json_schema.write(tmp_path)
    (tmp_path / "masks.v1.json").unlink()
    (tmp_path / "clips.v1.json").write_text("{}")
    (tmp_path / "clips.v0.json").write_text("{}")
    assert json_schema.drift(tmp_path) == [
        "clips.v0.json is not declared any more",
        "clips.v1.json differs from its declaration",
        "masks.v1.json is missing",
    ]
