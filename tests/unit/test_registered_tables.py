"""Tables of a user's own: declared beside the stage that writes them, read without it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from massannot import open_dataset, tables
from massannot.dataset import commits
from massannot.dataset import record as run_record
from massannot.dataset.card import write_card
from massannot.dataset.layout import Layout
from massannot.dataset.publish import publish
from massannot.dataset.validate import problems
from massannot.errors import BadTable
from massannot.plugins import outside_module
from massannot.tables._spec import FLOAT32, STRING, Column, TableSpec
from tests.unit.small_dataset import RECORD, SHARDS, small_tables, stage

OWN_STAGE = '''"""A stage and its table in one file of the user's."""

from dataclasses import dataclass
from typing import ClassVar

from massannot import tables
from massannot.stages._stage import Stage
from massannot.tables._spec import FLOAT32, STRING, Column, TableSpec

LOUDNESS = tables.register(
    TableSpec(
        name="loudness",
        version=1,
        key=("clip_id",),
        doc="One row per clip.",
        columns=(
            Column("clip_id", STRING, "The clip, see clips."),
            Column("level_db", FLOAT32, "Mean level; null: silent.", nullable=True),
        ),
    )
)


@dataclass(frozen=True)
class MeasureLoudness(Stage):
    reads: ClassVar[tuple[str, ...]] = ("frames",)
    writes: ClassVar[tuple[str, ...]] = ("loudness",)

    def process(self, clip):
        rows = [{"clip_id": clip.clip_id, "level_db": -3.0}]
        return clip.with_table("loudness", LOUDNESS.from_rows(rows))
'''

# Of a process that never loads the stage.
READER = """
import json, sys
from pathlib import Path
from massannot import open_dataset, tables
from massannot.dataset.publish import publish
from massannot.dataset.validate import problems

out, dest = map(Path, sys.argv[1:])
publish(out, dest)
found = {}
for folder in (out, dest):
    dataset = open_dataset(folder)
    found[folder.name] = {
        "names": "loudness" in dataset.names,
        "rows": dataset.table("loudness").to_pylist(),
        "clip": dataset.clip("clip-c").table("loudness").to_pylist(),
        "problems": list(problems(dataset)),
        "doc": dataset.spec("loudness").column("level_db").doc,
        "card": "| loudness | 3 | clip" in (folder / "README.md").read_text(),
    }
print(json.dumps(found))
"""


@pytest.fixture
def loudness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TableSpec:
    monkeypatch.setattr(tables, "_REGISTERED", {})
    file = tmp_path / "measure_loudness.py"
    file.write_text(OWN_STAGE)
    spec: TableSpec = outside_module(str(file)).LOUDNESS
    return spec


def write_dataset(out: Path, loudness: TableSpec) -> Layout:
    layout = Layout(out)
    run_record.begin(layout, RECORD)
    for shard, clip_ids in SHARDS.items():
        rows = [{"clip_id": clip_id, "level_db": -3.0} for clip_id in clip_ids]
        written = {**small_tables(clip_ids), "loudness": loudness.from_rows(rows)}
        staged = stage(layout, shard, layout.new_attempt(shard), written)
        assert commits.put(layout, staged)
        commits.publish(layout, staged)
    write_card(layout)
    return layout


def test_a_stage_writes_the_table_that_its_own_file_declares(loudness: TableSpec) -> None:
    assert tables.spec("loudness") is loudness
    assert "loudness" not in tables.names()


def test_a_process_that_never_saw_the_declaration_reads_validates_and_publishes_the_table(
    loudness: TableSpec, tmp_path: Path
) -> None:
    out = write_dataset(tmp_path / "out", loudness).out
    done = subprocess.run(
        [sys.executable, "-c", READER, str(out), str(tmp_path / "published")],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [{"clip_id": clip, "level_db": -3.0} for clip in ("clip-a", "clip-b", "clip-c")]
    expected = {
        "names": True,
        "rows": rows,
        "clip": rows[2:],
        "problems": [],
        "doc": "Mean level; null: silent.",
        "card": True,
    }
    assert json.loads(done.stdout) == {"out": expected, "published": expected}


def test_the_declaration_is_used_where_it_is_registered(
    loudness: TableSpec, tmp_path: Path
) -> None:
    dataset = open_dataset(write_dataset(tmp_path / "out", loudness).out)
    assert dataset.spec("loudness") is loudness
    assert list(problems(dataset)) == []
    publish(dataset.layout.out, tmp_path / "published")
    assert open_dataset(tmp_path / "published").table("loudness").num_rows == 3


def test_a_declaration_survives_the_way_through_a_file(loudness: TableSpec) -> None:
    again = TableSpec.from_schema(loudness.schema())
    assert again == replace(loudness, doc="One row per clip_id.")
    assert again.schema().equals(loudness.schema(), check_metadata=True)


def test_a_damaged_table_of_ones_own_is_named(loudness: TableSpec, tmp_path: Path) -> None:
    layout = write_dataset(tmp_path / "out", loudness)
    (layout.data / "loudness" / "000000.parquet").write_bytes(b"junk")
    (layout.data / "loudness" / "extra.parquet").write_bytes(b"junk")
    found = "\n".join(problems(open_dataset(layout.out)))
    assert "loudness/000000.parquet" in found
    assert "loudness/extra.parquet" in found


OWN = TableSpec(
    name="mine",
    version=1,
    key=("clip_id",),
    doc="One row per clip.",
    columns=(Column("clip_id", STRING, "The clip."), Column("x", FLOAT32, "Any.")),
)


@pytest.mark.parametrize(
    ("declared", "sentence"),
    [
        (replace(OWN, name="masks"), "found a table of massannot's own"),
        (replace(OWN, name="../up"), "found no name of a folder"),
        (replace(OWN, key=("x",)), "expected clip_id as its first"),
        (replace(OWN, key=("clip_id", "y")), "has no column 'y'"),
        (replace(OWN, version=2), "found two declarations that differ"),
    ],
)
def test_a_declaration_that_cannot_stand_is_refused(
    declared: TableSpec, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_REGISTERED", {})
    tables.register(OWN)
    assert tables.register(replace(OWN)) == OWN
    with pytest.raises(BadTable, match=sentence):
        tables.register(declared)


def test_an_older_file_is_led_to_the_registered_version(
    loudness: TableSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = write_dataset(tmp_path / "out", loudness).out
    monkeypatch.setattr(tables, "_REGISTERED", {})
    columns = (*loudness.columns, Column("gain", FLOAT32, "Added.", nullable=True))
    newer = replace(loudness, version=2, columns=columns)
    tables.register(newer, upgrades={1: lambda table: table})
    assert open_dataset(out).table("loudness")["gain"].null_count == 3
