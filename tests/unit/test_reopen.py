"""Retrying: exactly the clips that ended so are done again, and then nothing tells it apart."""

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from massannot.dataset import commits, plans
from massannot.dataset.journal import read_past
from massannot.dataset.layout import Layout
from massannot.dataset.reading import open_dataset
from massannot.jobs.status import standing
from tests import s3_server
from tests.faults import tiny_run
from tests.faults.tiny_run import Tiny, data_files, done, plan_of

N_VIDEOS = 4
N_CLIPS = N_VIDEOS * tiny_run.CLIPS_PER_VIDEO


@pytest.fixture(scope="module")
def uris(tmp_path_factory) -> list[str]:
    return tiny_run.write_videos(tmp_path_factory.mktemp("videos"), N_VIDEOS)


def run(plan, out: Path, tiny: Tiny = Tiny(), workers: int = 0, retry=()):  # noqa: B008
    return tiny_run.run(plan, tiny, out=out, workers=workers, retry=retry)


def again(out: Path, tiny: Tiny = Tiny(), workers: int = 0, status: str = "failed"):  # noqa: B008
    """Retries the folder's clips that ended so."""
    return run(tuple(plans.stored(Layout(out))), out, tiny, workers, (status,))


@pytest.fixture(scope="module")
def undisturbed(uris, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    run(plan_of(uris), out)
    return out


def failed(out: Path) -> list[tuple[str, int]]:
    rows = open_dataset(out).table("failures").to_pylist()
    return [(Path(row["uri"]).stem, row["clip_index"]) for row in rows]


def test_a_clip_that_no_longer_fails_leaves_no_trace_and_nothing_else_is_done_again(
    uris, undisturbed, tmp_path
):
    out, tally = tmp_path / "out", tmp_path / "tally"
    before = run(plan_of(uris), out, Tiny(raises=frozenset({"v001/1", "v003/0"}), tally=tally))
    assert (before.done, before.failed) == (N_CLIPS - 2, 2)
    after = again(out, Tiny(tally=tally))
    assert (after.planned, after.done, after.failed, after.done_now) == (N_CLIPS, N_CLIPS, 0, 2)
    assert done(tally) == Counter(dict.fromkeys(done(tally), 1))
    assert len(done(tally)) == N_CLIPS
    assert data_files(out) == data_files(undisturbed)
    assert failed(out) == []
    assert list(commits.damage(Layout(out))) == []


def test_two_retries_at_once_both_end_well(uris, undisturbed, tmp_path, monkeypatch):
    out, publish, first = tmp_path / "out", commits.publish, [True]
    run(plan_of(uris), out, Tiny(raises=frozenset({"v001/1"})))

    def another_retry_comes_between(layout, commit):
        publish(layout, commit)
        if first:
            first.clear()
            assert commits.withdraw(layout, commit)

    monkeypatch.setattr(commits, "publish", another_retry_comes_between)
    after = again(out)
    assert (after.done, after.failed) == (N_CLIPS, 0)
    assert data_files(out) == data_files(undisturbed)


def test_a_retry_whose_attempt_another_clears_away_leaves_the_shard_as_it_is(
    uris, tmp_path, monkeypatch
):
    out, put = tmp_path / "out", os.replace
    run(plan_of(uris), out, Tiny(raises=frozenset({"v001/1"})))
    before = data_files(out)

    def cleared_before(source, target):
        if Path(target).suffix == ".zip":
            shutil.rmtree(Path(target).parent)
        put(source, target)

    monkeypatch.setattr(os, "replace", cleared_before)
    after = again(out)
    assert (after.done, after.failed) == (N_CLIPS - 1, 1)
    assert data_files(out) == before


def test_a_committed_file_that_has_gone_is_said_by_a_retry(uris, tmp_path):
    out = tmp_path / "out"
    run(plan_of(uris), out, Tiny(raises=frozenset({"v001/1"})))
    (commit,) = (c for c in commits.read_all(Layout(out)) if c.failures)
    Layout(out).published("failures", commit.shard).unlink()
    with pytest.raises(commits.DamagedFile, match="failures"):
        again(out)


def test_a_clip_that_fails_again_is_one_row_again(uris, tmp_path):
    out, raises = tmp_path / "out", frozenset({"v001/1"})
    run(plan_of(uris), out, Tiny(raises=raises))
    before = data_files(out)
    after = again(out, Tiny(raises=raises))
    assert (after.planned, after.done, after.failed, after.done_now) == (
        N_CLIPS, N_CLIPS - 1, 1, 0,
    )  # fmt: skip
    assert failed(out) == [("v001", 1)]
    assert data_files(out) == before


def test_shards_without_such_clips_are_left_alone(uris, tmp_path):
    out = tmp_path / "out"
    run(plan_of(uris), out, Tiny(raises=frozenset({"v001/1"})))
    before = {path: path.stat().st_mtime_ns for path in (out / "data").rglob("*.parquet")}
    again(out, status="quarantined")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    again(out)
    changed = {path.stem for path in before if path.stat().st_mtime_ns != before[path]}
    assert changed == {"000000"}


def test_quarantined_clips_are_tried_again_and_failed_ones_kept(uris, tmp_path):
    out = tmp_path / "out"
    first = run(
        plan_of(uris), out, Tiny(kills=frozenset({"v000/1"}), raises=frozenset({"v002/0"})), 1
    )
    assert (first.failed, first.quarantined) == (1, 1)
    after = again(out, status="quarantined")
    assert (after.planned, after.done, after.failed, after.quarantined) == (
        N_CLIPS, N_CLIPS - 1, 1, 0,
    )  # fmt: skip
    assert failed(out) == [("v002", 0)]


def test_a_video_that_was_not_there_is_read_when_it_is(uris, undisturbed, tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    copies = [str(shutil.copy2(uri, folder)) for uri in uris]
    plan = plan_of(copies)
    away = shutil.move(copies[2], tmp_path / "away.mp4")
    out = tmp_path / "out"
    first = run(plan, out)
    assert (first.done, first.failed) == (N_CLIPS - 2, 1)
    shutil.move(away, copies[2])
    after = again(out)
    assert (after.planned, after.done, after.failed) == (N_CLIPS, N_CLIPS, 0)
    run(plan, tmp_path / "fresh")
    assert data_files(out) == data_files(tmp_path / "fresh")


def test_a_retry_that_breaks_off_is_ended_by_the_same_command_as_ever(uris, undisturbed, tmp_path):
    out, tally = tmp_path / "out", tmp_path / "tally"
    run(plan_of(uris), out, Tiny(raises=frozenset({"v001/1"}), tally=tally))
    with pytest.raises(KeyError):
        again(out, Tiny(breaks=frozenset({"v001/1"}), tally=tally))
    assert len(read_past(Layout(out), "000000").finished) == 5, "its finished clips are kept"
    run(plan_of(uris), out, Tiny(tally=tally))
    assert data_files(out) == data_files(undisturbed)
    assert max(done(tally).values()) == 1


class Killed(BaseException):
    """Nothing after it runs, as after a SIGKILL."""


@pytest.mark.parametrize("n_gone", [0, 1, 3, "all"])
def test_killed_while_a_shard_is_withdrawn_nothing_is_lost(
    uris, undisturbed, tmp_path, monkeypatch, n_gone
):
    out, tally = tmp_path / "out", tmp_path / "tally"
    run(plan_of(uris), out, Tiny(raises=frozenset({"v001/1"}), tally=tally))
    withdraw = commits.withdraw

    def broken_off(layout: Layout, commit: commits.Commit) -> None:
        if n_gone == "all":
            withdraw(layout, commit)
            raise Killed
        names = ["clips", *(file.table for file in commit.files if file.table != "clips")]
        for name in names[:n_gone]:
            layout.published(name, commit.shard).unlink()
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(commits, "withdraw", broken_off)
        with pytest.raises((Killed, commits.DamagedFile)):  # of whichever thread comes first
            again(out, Tiny(tally=tally))
    again(out, Tiny(tally=tally))
    assert data_files(out) == data_files(undisturbed)
    assert failed(out) == []
    assert max(done(tally).values()) == 1


def test_in_a_bucket_a_retry_gives_the_bytes_of_a_local_run(
    uris, undisturbed, tmp_path, monkeypatch
):
    monkeypatch.setenv("MASSANNOT_WORK_DIR", str(tmp_path / "work"))
    with s3_server.running("bucket"):
        out = Layout("s3://bucket/out")
        first = run(plan_of(uris), out.out, Tiny(raises=frozenset({"v001/1"})))
        assert (first.done, first.failed) == (N_CLIPS - 1, 1)
        monkeypatch.setenv("MASSANNOT_WORK_DIR", str(tmp_path / "another machine"))
        assert standing(out.out).run.failed == 1
        after = again(out.out)
        assert (after.planned, after.done, after.done_now) == (N_CLIPS, N_CLIPS, 1)
        for name, content in data_files(undisturbed).items():
            assert (out.data / name).read_bytes() == content
        assert open_dataset(out.out).table("failures").num_rows == 0
