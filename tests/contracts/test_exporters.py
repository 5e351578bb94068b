"""Every exporter, found by its file, gives back the tables that it wrote."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from massannot import exporters, tables
from massannot.dataset.arrays import good_entities
from massannot.dataset.reading import Dataset
from massannot.errors import UsageError
from massannot.scenes.scene_record import SceneLibrary
from tests.asked_scenes import annotate, questions_about, write_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> SceneLibrary:
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def dataset(world: SceneLibrary, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return annotate(world, tmp_path_factory.mktemp("run") / "out", [questions_about(world)])


def of_entities(table: pa.Table) -> pa.Table:
    """Points of the background are no entity's and are not exported."""
    if "entity" not in table.column_names or "detection" in table.column_names:
        return table
    return table.filter(pc.greater_equal(table["entity"], 0))


def has_entities(name: str) -> bool:
    """Else questions are left out whose entities are (tests/unit/test_export_training.py)."""
    return any("entity" in tables.spec(each).names for each in exporters.exporter(name).TABLES)


LEAVES_OUT = {"dsr-bench"}
"""Formats of choices alone, see tests/unit/test_export_benches.py."""


@pytest.mark.parametrize("name", [n for n in exporters.names() if n not in LEAVES_OUT])
def test_what_was_exported_loads_back_equal(name: str, dataset: Dataset, tmp_path: Path) -> None:
    exporter = exporters.exporter(name)
    written = exporter.export(dataset, tmp_path / name)
    assert all(path.is_file() for path in written.files)
    assert written.left_out == ()
    found = exporter.load(tmp_path / name)
    assert sorted(found) == sorted(exporter.TABLES)
    for table in exporter.TABLES:
        assert found[table].num_rows > 0, table
        tables.spec(table).check(found[table])
        assert found[table].equals(of_entities(dataset.table(table))), table


OTHER_BYTES = {"rerun"}
"""Formats whose writer puts the moment of writing into the file: rerun-sdk, into the message that
begins a recording, and an order of metadata that differs. See tests/unit/test_export_rerun.py."""


@pytest.mark.parametrize("name", [n for n in exporters.names() if n not in OTHER_BYTES])
def test_exporting_twice_gives_equal_bytes(name: str, dataset: Dataset, tmp_path: Path) -> None:
    exporter = exporters.exporter(name)
    first, second = (exporter.export(dataset, tmp_path / n).files for n in ("a", "b"))
    assert [p.name for p in first] == [p.name for p in second]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


@pytest.mark.parametrize("name", [n for n in exporters.names() if has_entities(n)])
def test_entities_below_the_quality_asked_for_are_left_out(
    name: str, dataset: Dataset, tmp_path: Path
) -> None:
    qualities = sorted(q for q in dataset.table("entities")["quality"].to_pylist() if q is not None)
    least = qualities[-1]  # the best stay
    kept = {
        (view.clip_id, entity)
        for view in dataset.clips()
        for entity in good_entities(view, min_quality=least)
    }
    assert 0 < len(kept) < dataset.table("entities").num_rows
    exporter = exporters.exporter(name)
    exporter.export(dataset, tmp_path, options=exporter.OPTIONS(min_quality=least))
    for table in exporter.load(tmp_path).values():
        if "entity" in table.column_names:
            rows = table.select(["clip_id", "entity"]).to_pylist()
            found = {(row["clip_id"], row["entity"]) for row in rows if row["entity"] is not None}
            assert found == kept


@pytest.mark.parametrize("name", exporters.names())
def test_a_folder_without_an_export_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        exporters.exporter(name).load(tmp_path)


def test_a_format_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(UsageError, match=r"coco.*mass-bench"):
        exporters.exporter("excel")


@pytest.mark.parametrize("name", exporters.names())
def test_a_format_says_what_it_is_without_being_imported(name: str) -> None:
    assert exporters.summary(name).startswith(f"{name}: ")
