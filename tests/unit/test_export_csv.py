"""csv opens in a spreadsheet: numbers as they are, empty where unknown."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from massannot.dataset.reading import open_dataset
from massannot.exporters import csv as exporter
from tests.unit.small_dataset import N_FRAMES, write_small_dataset


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """The ball of the first clip: x grows by 1 a frame, ten frames a second."""
    folder = tmp_path_factory.mktemp("csv")
    dataset = open_dataset(write_small_dataset(folder / "out").out)
    files = exporter.export(dataset, folder / "csv").files
    assert [path.name for path in files] == [f"clip-{n}-clip-{n}.csv" for n in "abc"]
    with files[0].open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_says_where_and_when(rows: list[dict[str, str]]) -> None:
    assert [row["frame"] for row in rows] == [str(f) for f in range(N_FRAMES)]
    assert [row["t_s"] for row in rows] == ["0.0", "0.1", "0.2", "0.3"]
    assert [row["x"] for row in rows] == ["1.0", "2.0", "3.0", "4.0"]
    assert {(row["name"], row["y"], row["z"], row["visible"]) for row in rows} == {
        ("ball", "2.0", "3.0", "true")
    }


def test_speed_is_the_distance_of_the_neighbours_over_their_time(
    rows: list[dict[str, str]],
) -> None:
    assert [row["speed"] for row in rows] == ["", "10.0", "10.0", ""]


def test_unknown_is_an_empty_cell(rows: list[dict[str, str]]) -> None:
    assert {row["quality"] for row in rows} == {""}
    assert {row["x_world"] for row in rows} == {""}


def test_what_is_unknown_loads_as_null(tmp_path: Path) -> None:
    dataset = open_dataset(write_small_dataset(tmp_path / "out").out)
    exporter.export(dataset, tmp_path / "csv")
    assert exporter.load(tmp_path / "csv")["positions"].equals(dataset.table("positions"))
