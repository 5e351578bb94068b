"""What the guard says of two folders of files."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tools import guard

STEP = guard.Step("annotate", "data", ())
ROWS = {"frame": [0, 1, 2], "x": [0.5, float("nan"), 2.5]}


def write(folder: Path, name: str, rows: dict[str, list[float]]) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(rows), path)


def compared(base: Path, head: Path) -> guard.Group:
    group = guard.Group("annotate")
    guard.compare(STEP, base, head, group)
    return group


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders that hold the same."""
    base, head = tmp_path / "base", tmp_path / "head"
    for folder in (base, head):
        write(folder, "masks/000000.parquet", ROWS)
        write(folder, "masks/000001.parquet", {"frame": [3], "x": [1.0]})
    return base, head


def test_equal_folders_are_equal(sides: tuple[Path, Path]) -> None:
    group = compared(*sides)
    assert list(guard.lines(group)) == ["annotate: 2 files, equal"]
    assert guard.exit_code([group]) == guard.EQUAL


def test_a_changed_number_is_named_with_its_column_and_row(sides: tuple[Path, Path]) -> None:
    base, head = sides
    write(head, "masks/000000.parquet", ROWS | {"x": [0.5, float("nan"), 2.75]})
    group = compared(base, head)
    assert group.differ == {"masks/000000.parquet": ["x: 1 of 3 rows; row 2: 2.5 -> 2.75"]}
    assert guard.exit_code([group]) == guard.DIFFERENT


def test_rows_and_types_that_differ_are_named(sides: tuple[Path, Path]) -> None:
    base, head = sides
    write(head, "masks/000000.parquet", {"frame": [0], "x": [0.5]})
    write(head, "masks/000001.parquet", {"frame": [3], "y": [1.0]})
    assert compared(base, head).differ == {
        "masks/000000.parquet": ["3 -> 1 rows"],
        "masks/000001.parquet": ["x: double -> no column", "y: no column -> double"],
    }


def test_the_same_rows_in_other_bytes_are_no_equal_file(sides: tuple[Path, Path]) -> None:
    base, head = sides
    pq.write_table(pa.table(ROWS), head / "masks/000000.parquet", compression="gzip")
    found = {"masks/000000.parquet": ["the same rows; metadata or encoding differ"]}
    assert compared(base, head).differ == found


def test_a_file_of_one_side_is_named(sides: tuple[Path, Path]) -> None:
    base, head = sides
    (base / "masks/000001.parquet").unlink()
    write(base, "tracks/000000.parquet", ROWS)
    group = compared(base, head)
    assert group.only_base == ["tracks/000000.parquet"]
    assert group.only_head == ["masks/000001.parquet"]


def test_other_names_of_the_same_bytes_are_said_to_be_that(sides: tuple[Path, Path]) -> None:
    base, head = sides
    for path in (head / "masks").iterdir():
        path.rename(path.with_stem(f"shard-{path.stem}"))
    group = compared(base, head)
    assert list(guard.lines(group)) == [
        "annotate: 4 files, DIFFERENT",
        "  masks (2 files): the same bytes under other names",
    ]
    assert guard.exit_code([group]) == guard.DIFFERENT


def test_a_command_that_fails_for_both_compares_nothing(tmp_path: Path) -> None:
    group = compared(tmp_path / "base", tmp_path / "head")
    assert guard.exit_code([group]) == guard.BROKEN
    group.errors["base"] = "base: annotate: exit code 2: no such option"
    assert guard.exit_code([group]) == guard.DIFFERENT
    group.errors["head"] = "head: annotate: exit code 2: no such option"
    assert guard.exit_code([group]) == guard.BROKEN
