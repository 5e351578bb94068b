"""SQL over a dataset: the page's queries run, and `flat` says what the other tables say."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest

from massannot.cli import app
from massannot.dataset.publish import publish
from massannot.dataset.reading import open_dataset
from massannot.dataset.sql_views import answer
from massannot.dataset.validate import problems
from massannot.errors import UsageError
from tests.looked_at import N_FRAMES, centre, clip_id_of, write_looked_at

pytest.importorskip("duckdb")
PAGE = Path(__file__).parents[2] / "docs" / "sql.md"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asked") / "out"
    write_looked_at(folder, [(f"clip {n}", "a 'ball'" if n else "a hoop") for n in range(3)])
    return folder


def test_flat_has_a_row_per_thing_and_frame_with_its_name_time_and_speed(out: Path) -> None:
    rows = answer(open_dataset(out), "select * from flat order by clip_id, frame").to_pylist()
    assert len(rows) == 3 * N_FRAMES
    third = rows[2 * N_FRAMES + 7]
    assert (third["clip_id"], third["name"], third["source_id"]) == (
        clip_id_of(2),
        "a 'ball'",
        "clip 2",
    )
    assert (third["t_s"], third["state"], third["visible"]) == (0.7, "hidden", True)
    assert third["x0"] == pytest.approx(centre(7)[0] - 18, abs=1)
    assert third["speed"] == pytest.approx(1.0, abs=1e-4)  # 0.1 m in 0.1 s
    assert third["distance"] == pytest.approx(np.hypot(0.3, np.hypot(0.5, 2.0)), abs=1e-5)
    assert [rows[k]["speed"] for k in (0, N_FRAMES - 1)] == [None, None]  # one neighbour is missing


def test_publishing_writes_flat_as_a_table_of_the_contract(out: Path, tmp_path: Path) -> None:
    dest = publish(out, tmp_path / "dataset", flat=True).dest
    dataset = open_dataset(dest)
    assert list(problems(dataset)) == []
    view = answer(open_dataset(out), "select * from flat order by clip_id, entity, frame")
    published = dataset.table("flat")
    schema = published.schema.remove_metadata()
    assert view.cast(schema).to_pylist() == published.to_pylist()
    assert "| flat | 60 |" in (dest / "README.md").read_text()


def test_every_query_of_the_page_runs(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("massannot sql")]
    assert len(lines) >= 6
    monkeypatch.chdir(out.parent)
    for line in lines:
        words = shlex.split(line)[1:]
        app(words, standalone_mode=False)
    printed = capsys.readouterr().out
    assert "a 'ball'" in printed
    assert "hidden" in printed
    assert printed.count("\n") > N_FRAMES


def test_a_wrong_query_names_the_views(out: Path) -> None:
    with pytest.raises(UsageError, match=r"(?s)nothing.*views: .*flat.*positions"):
        answer(open_dataset(out), "select * from nothing")
