"""A finished dataset is asked for a further phrase: what stands stays byte for byte, and what is
new is numbered after it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from massannot.dataset.layout import Layout
from massannot.dataset.reading import open_dataset
from massannot.dataset.validate import problems
from massannot.errors import UsageError
from massannot.jobs.onto import add_phrases
from massannot.jobs.run import RunOptions
from massannot.scenes.scene_record import SceneLibrary
from tests.end_to_end.conftest import HERE, names_of, small_run
from tests.faults.tiny_run import data_files
from tests.in_process import run_massannot

OF_CLIP = ("clips", "frames", "segments", "cameras", "videos", "questions")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("found")
    small_run(folder / "all")
    world = SceneLibrary(folder / "all" / "world")
    small_run(folder / "some", but=names_of(world)[:1])
    return folder


def first_name(found: Path) -> str:
    return names_of(SceneLibrary(found / "all" / "world"))[0]


@pytest.fixture
def out(found: Path, tmp_path: Path) -> Path:
    shutil.copytree(found / "some" / "out", tmp_path / "out")
    return tmp_path / "out"


def rows_before(before: pa.Table, after: pa.Table) -> pa.Table:
    """The rows of `after` whose keys `before` has."""
    spec_key = (before.schema.metadata[b"massannot.key"]).decode().split(",")
    keys = {tuple(row.values()) for row in before.select(spec_key).to_pylist()}
    stays = [tuple(row.values()) in keys for row in after.select(spec_key).to_pylist()]
    return after.filter(np.array(stays, bool))


@pytest.mark.seen("phrases added to a finished dataset", "oracle")
def test_rows_of_other_phrases_stay_and_the_new_thing_is_as_if_asked_alone(
    found: Path, out: Path
) -> None:
    before, text = open_dataset(found / "some" / "out"), first_name(found)
    run_massannot(f"annotate --onto {out} --add-phrase '{text}'", out.parent)
    after, alone = open_dataset(out), open_dataset(found / "all" / "out")
    assert list(problems(after)) == []
    for name in before.names:
        old, new = before.table(name), after.table(name)
        if name in OF_CLIP:
            shard = before.shards[0]
            path, other = (o.layout.published(name, shard) for o in (before, after))
            assert path.read_bytes() == other.read_bytes(), name
        assert rows_before(old, new).equals(old), name
    (phrase,) = {r["phrase"] for r in after.table("phrases").to_pylist() if r["text"] == text}
    rows = [r for r in after.table("entities").to_pylist() if r["phrase"] == phrase]
    assert rows
    for row in rows:
        view = after.clip(row["clip_id"])
        assert row["entity"] > max(
            before.clip(row["clip_id"]).table("entities")["entity"].to_pylist()
        )
        (twin,) = [
            e["entity"]
            for e in alone.clip(row["clip_id"]).table("entities").to_pylist()
            if alone.clip(row["clip_id"]).phrases[e["phrase"]] == text
        ]
        for frame in range(10):
            mask = view.mask(row["entity"], frame=frame)
            np.testing.assert_array_equal(mask, alone.clip(row["clip_id"]).mask(twin, frame=frame))
        here, there = view.positions(), alone.clip(row["clip_id"]).positions()
        mine = here.xyz_cam[:, list(here.entity).index(row["entity"])]
        np.testing.assert_allclose(
            mine, there.xyz_cam[:, list(there.entity).index(twin)], rtol=0.02, atol=0.02
        )
    card = (out / "README.md").read_text()
    assert f"1. `{text}`, by `massannot annotate --onto" in card


def test_a_clip_that_cannot_be_read_keeps_its_rows_and_is_asked_by_the_same_command(
    found: Path, out: Path
) -> None:
    before, text = open_dataset(found / "some" / "out"), first_name(found)
    video = Path(before.table("videos")["uri"][0].as_py())
    away = video.rename(video.with_suffix(".away"))
    try:
        first = add_phrases(out, [text], HERE, RunOptions(), quiet=True)
        assert first.as_json["shards_left"] == 1
        after = open_dataset(out)
        assert after.clip_ids == before.clip_ids
        lost = [c.clip_id for c in before.clips() if c.row["uri"] == str(video)]
        for name in ("entities", "masks", "positions", "phrases"):
            assert after.clip(lost[0]).table(name).equals(before.clip(lost[0]).table(name))
        assert after.table("failures").num_rows == 0
    finally:
        away.rename(video)
    second = add_phrases(out, [text], HERE, RunOptions(), quiet=True)
    assert second.as_json["shards_left"] == 0
    files = data_files(out)
    assert (
        add_phrases(out, [text], HERE, RunOptions(), quiet=True).as_json["found"]
        == second.as_json["found"]
    )
    assert data_files(out) == files
    assert Layout(out).shards_in_staging() == set()


@pytest.mark.parametrize("wrong", ["", "known"])
def test_what_was_asked_before_is_refused(found: Path, wrong: str) -> None:
    out = found / "all" / "out"
    asked = [first_name(found)] if wrong else []
    with pytest.raises(UsageError, match="expected phrases that"):
        add_phrases(out, asked, HERE, RunOptions(), quiet=True)


def test_one_flag_alone_or_videos_beside_them_are_refused(found: Path) -> None:
    out = found / "all" / "out"
    assert "expected both" in run_massannot(f"annotate --onto {out}", found, code=2)
    assert "expected both" in run_massannot("annotate --add-phrase x", found, code=2)
    both = f"annotate a.mp4 --onto {out} --add-phrase x"
    assert "found a.mp4 beside it" in run_massannot(both, found, code=2)
    assert "expected PLAN" in run_massannot("run", found, code=2)
    assert "expected files" in run_massannot("annotate", found, code=2)
