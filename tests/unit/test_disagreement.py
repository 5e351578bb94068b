"""compare: nothing apart from itself, each difference in its own column, the worst clip first."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from massannot import tables
from massannot.dataset import commits
from massannot.dataset import record as run_record
from massannot.dataset.layout import Layout
from massannot.dataset.reading import Dataset, open_dataset
from massannot.errors import UsageError
from massannot.evaluate.disagreement import as_json, as_text, disagreements
from tests.unit.small_dataset import RECORD, SHARDS, small_tables, stage

Row = dict[str, Any]
Change = Callable[[Row], Row | None]
CHANGED = "clip-b"
OF_ENTITIES = "every table of entities"
MOTION: Row = {
    "entity": 0, "segment": 0, "reference": "camera", "scale_type": "metric", "path": 1.0,
    "t0_s": 0.0, "t1_s": 1.0,
    **{f"{at}_{axis}": 1.0 for at in ("first", "last", "motion") for axis in "xyz"},
}  # fmt: skip


def written(out: Path, table: str = "", change: Change = lambda row: row) -> Dataset:
    """The small dataset, with the rows of one clip in one table changed; None: left out."""
    layout = Layout(out)
    run_record.begin(layout, RECORD)
    for shard, clip_ids in SHARDS.items():
        found = small_tables(clip_ids)
        found["motions"] = _table("motions", [{"clip_id": n, **MOTION} for n in clip_ids])
        chosen = [n for n, rows in found.items() if "entity" in rows.column_names]
        for name in chosen if table == OF_ENTITIES else [table] if table else []:
            rows = [
                change(row) if row["clip_id"] == CHANGED else row for row in found[name].to_pylist()
            ]
            found[name] = _table(name, [row for row in rows if row is not None])
        staged = stage(layout, shard, layout.new_attempt(shard), found)
        assert commits.put(layout, staged)
        commits.publish(layout, staged)
    return open_dataset(out)


def _table(name: str, rows: list[Row]) -> pa.Table:
    spec = tables.spec(name)
    return spec.from_rows(rows) if rows else spec.empty()


@pytest.fixture
def same(tmp_path: Path) -> Dataset:
    return written(tmp_path / "same")


def test_a_dataset_agrees_with_itself(same: Dataset) -> None:
    clips = disagreements(same, same)
    assert [clip.clip_id for clip in clips] == ["clip-a", "clip-b", "clip-c"]
    for clip in clips:
        assert (clip.n_entities, clip.n_paired) == ((1, 1), 1)
        assert clip.depth_ratio == 1
        assert clip.score == clip.entities == clip.masks == clip.tracks == clip.depth == 0


def farther(row: Row) -> Row:
    return row | {"z_cam": row["z_cam"] * 2}


def parted(row: Row) -> Row:
    return row | {"x": [x + n for n, x in enumerate(row["x"])]}


def turned(row: Row) -> Row:
    return row | {"motion_x": row["motion_x"] + 1.0}


@pytest.mark.parametrize(
    ("table", "change", "column"),
    [
        pytest.param("positions", farther, "depth", id="twice as far"),
        pytest.param("tracks_xy", parted, "tracks", id="points that part"),
        pytest.param("motions", turned, "motions", id="another motion"),
        pytest.param(
            "masks", lambda row: row if row["frame"] else None, "masks", id="a mask missing"
        ),
        pytest.param(OF_ENTITIES, lambda row: None, "entities", id="nothing found"),
    ],
)
def test_a_difference_shows_in_its_column_and_puts_the_clip_first(
    same: Dataset, tmp_path: Path, table: str, change: Change, column: str
) -> None:
    first, *others = disagreements(same, written(tmp_path / "other", table, change))
    assert first.clip_id == CHANGED
    assert getattr(first, column) > 0
    assert 0 < first.score <= 1
    assert {clip.score for clip in others} == {0.0}
    if column == "depth":
        assert first.depth_ratio == pytest.approx(2)
        assert first.depth == pytest.approx(math.log(2))
    if column == "entities":
        assert (first.entities, first.masks, first.tracks) == (1.0, 1.0, None)


def test_depth_without_a_unit_is_compared_after_one_factor(same: Dataset, tmp_path: Path) -> None:
    other = written(
        tmp_path / "other", "positions", lambda row: farther(row) | {"scale_type": "relative"}
    )
    clip = next(c for c in disagreements(same, other) if c.clip_id == CHANGED)
    assert (clip.depth_ratio, clip.depth) == (pytest.approx(2), pytest.approx(0))


def test_other_videos_and_other_frames_are_refused(same: Dataset, tmp_path: Path) -> None:
    later = written(tmp_path / "later", "frames", lambda row: row | {"pts": row["pts"] + 1})
    with pytest.raises(UsageError, match="frames at other times"):
        disagreements(same, later)
    nothing = written(tmp_path / "nothing")
    nothing.__dict__["clip_ids"] = ("clip-x",)
    with pytest.raises(UsageError, match="found no clip of both among 3 and 1"):
        disagreements(same, nothing)


def test_the_table_has_the_worst_and_json_has_all(same: Dataset, tmp_path: Path) -> None:
    clips = disagreements(same, written(tmp_path / "other", "positions", farther))
    _, worst, total = as_text(clips, shown=1).splitlines()
    assert CHANGED in worst
    assert "2.00" in worst
    assert total.startswith("3 clips")
    assert [row["clip_id"] for row in as_json(clips)] == [clip.clip_id for clip in clips]
    assert as_json(clips)[0]["score"] == clips[0].score
