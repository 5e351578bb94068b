# ruff: noqa: E501
"""Damaged files that fuzzing found to end in a traceback once: a row for each kind, what is wrong
with the file in words, and the error that now names it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from massannot.errors import BadTable, MassannotError, UsageError
from massannot.models.recorded.picture_names import numbers_in
from tests.fuzz.doors import DOORS

Damage = Callable[[Path], object]
DEEP = "[" * 100_000 + "]" * 100_000


def says(text: str) -> Damage:
    return lambda path: path.write_text(text)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def changed(change: Callable[[Any], object]) -> Damage:
    """A JSON file with something else in it."""

    def damage(path: Path) -> None:
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return damage


def header(text: str, *, method: int = zipfile.ZIP_STORED) -> Damage:
    """An npz whose one array has this header; `method`: as the zip's directory calls its packing."""

    def damage(path: Path) -> None:
        whole = io.BytesIO()
        with np.load(path) as arrays, zipfile.ZipFile(whole, "w") as packed:
            name = f"{arrays.files[0]}.npy"
            padded = text.encode().ljust(117) + b"\n"
            start = b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little")
            packed.writestr(name, start + padded + bytes(64))
        content = whole.getvalue()
        if method != zipfile.ZIP_STORED:
            at = content.rindex(b"PK\x01\x02") + 10
            content = content[:at] + method.to_bytes(2, "little") + content[at + 2 :]
        path.write_bytes(content)

    return damage


def no_zip(path: Path) -> None:
    """An array by itself, under the ending of several."""
    with open(path, "wb") as file:
        np.save(file, np.zeros(4))


def without_rows(path: Path) -> None:
    pq.write_table(pq.read_table(path).slice(0, 0), path)


def retyped(column: str) -> Damage:
    def damage(path: Path) -> None:
        table = pq.read_table(path)
        texts = [str(value) for value in table[column].to_pylist()]
        index = table.column_names.index(column)
        pq.write_table(table.set_column(index, column, [texts]), path)

    return damage


def no_text(column: str) -> Damage:
    """Bytes in a column of texts that are no UTF-8, which Parquet's writers need not check."""

    def damage(path: Path) -> None:
        table = pq.read_table(path)
        index, kind = table.column_names.index(column), table.schema.field(column).type
        raw = pa.array([b"\xff"] * table.num_rows, pa.binary()).cast(kind, safe=False)
        pq.write_table(table.set_column(index, table.schema.field(column), raw), path)

    return damage


def misnamed(column: str) -> Damage:
    """A column whose name is no UTF-8."""

    def damage(path: Path) -> None:
        name = column.encode()
        path.write_bytes(path.read_bytes().replace(name, b"\xff" + name[1:]))

    return damage


def stating(**metadata: bytes) -> Damage:
    """A table whose metadata say something else."""

    def damage(path: Path) -> None:
        table = pq.read_table(path)
        said = {f"massannot.{name}".encode(): text for name, text in metadata.items()}
        pq.write_table(table.replace_schema_metadata({**table.schema.metadata, **said}), path)

    return damage


HUGE = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000, 1000), }"
ROWS: list[tuple[str, str, str, Damage, type[MassannotError], str]] = [
    ("a manifest of lists within lists", "manifest json", "m.json", says(DEEP), UsageError, "too deep"),
    ("entities of lists within lists", "manifest csv", "m.csv", says(f"video,entities\na.mp4,{DEEP}\n"), UsageError, "field limit|too long|larger"),
    ("questions of lists within lists", "questions", "q.json", says(DEEP), UsageError, "too deep"),
    ("boxes of lists within lists", "boxes and masks", "b.json", says(DEEP), UsageError, "too deep"),
    ("a picture's name that is a number", "boxes and masks", "b.json", changed(lambda c: c["images"][0].update(file_name=0.1)), UsageError, "found 0.1 for a .*name"),
    ("two numbers of a thing, one of them an object", "boxes and masks", "b.json", changed(lambda c: c["annotations"][0].update(instance_id=1, attributes={"track_id": {}})), UsageError, "attributes.track_id {}, expected a whole number"),
    ("cameras of lists within lists", "cameras json", "c.json", says(DEEP), UsageError, "too deep"),
    ("an array of petabytes", "tracks", "t.npz", header(HUGE), UsageError, "plain arrays"),
    ("an array's header that does not close", "depth", "d.npz", header("(" * 100), UsageError, "plain arrays"),
    ("arrays packed in a way that Python does not know", "cameras npz", "c.npz", header(HUGE, method=97), UsageError, "plain arrays"),
    ("one array under the name of several", "cameras npz", "c.npz", no_zip, UsageError, "npz"),
    ("a plan.json that was cut", "plan", "plan.json", cut, UsageError, "damaged or changed.*plan anew"),
    ("a plan.json without its version", "plan", "plan.json", changed(lambda c: c.pop("version")), UsageError, "damaged or changed"),
    ("a spec.json that is a list", "plan", "spec.json", says("[]"), UsageError, "other bytes|damaged"),
    ("a plan's videos that were cut", "plan", "videos.parquet", cut, UsageError, "damaged or changed"),
    ("a plan's videos without rows", "plan", "videos.parquet", without_rows, UsageError, "damaged or changed"),
    ("a plan's shards that were cut", "plan", "shards.parquet", cut, UsageError, "damaged or changed"),
    ("a commit that was cut", "run folder", "_run/commits/000000.json", cut, UsageError, "remove the file"),
    ("a commit with a text for a number", "run folder", "_run/commits/000000.json", changed(lambda c: c.update(attempt="1")), UsageError, "found counts"),
    ("a commit of another shard", "run folder", "_run/commits/000000.json", changed(lambda c: c.update(shard="000001")), UsageError, "found names"),
    ("a commit with a table's name of 5,000 letters", "run folder", "_run/commits/000000.json", changed(lambda c: c["files"][0].update(table="x" * 5000)), UsageError, "found names"),
    ("a run's record that is a number", "run folder", "_run/spec.json", says("7"), UsageError, "damaged or changed.*another output folder"),
    ("lists where the table says texts", "tables", "data/tracks_xyz/000000.parquet", retyped("x"), BadTable, "tracks_xyz"),
    ("texts in a table that are no UTF-8", "tables", "data/masks/000000.parquet", no_text("state"), BadTable, "masks.*UTF8"),
    ("a column whose name is no UTF-8", "tables", "data/masks/000000.parquet", misnamed("state"), BadTable, "masks"),
    ("texts in a plan that are no UTF-8", "plan", "videos.parquet", no_text("uri"), UsageError, "damaged or changed"),
    ("a table whose name is no text", "tables", "data/frames/000000.parquet", stating(table=b"\xff"), BadTable, "frames.*metadata.*damaged"),
    ("a table whose version is no number", "tables", "data/masks/000000.parquet", stating(version=b"x"), BadTable, "masks.*metadata.*damaged"),
    ("a pose with an object for a number", "cameras json", "c.json", changed(lambda c: c["cam_from_world"][0][0].__setitem__(0, {})), UsageError, "poses object, expected numbers"),
    ("a pose with a text for a number", "cameras json", "c.json", changed(lambda c: c["cam_from_world"][0][0].__setitem__(0, "")), UsageError, "poses .*, expected numbers"),
    ("a calibration of lists within lists", "calibration", "oracle.json", says(DEEP), UsageError, "no calibration"),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_damaged_file_is_refused_by_name(row, tmp_path):
    _, door, name, damage, error, message = row
    DOORS[door].sound(tmp_path)
    damage(tmp_path / name)
    with pytest.raises(error, match=message):
        DOORS[door].open(tmp_path / name)


@pytest.mark.parametrize("name", ["ball/\u00b2.jpg", f"ball/{'1' * 5000}.jpg"])
def test_digits_that_are_no_number_of_a_frame_tell_no_frame(name):
    assert numbers_in([name]) is None
