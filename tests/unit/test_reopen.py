"""Retrying: exactly the clips that ended so are done again, and then nothing tells it apart."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from massannot.dataset import commits, plans, reopening
from massannot.dataset.layout import Layout
from massannot.dataset.reading import open_dataset
from massannot.jobs.status import standing
from massannot.storage import durable
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


def test_a_generation_that_another_retry_finishes_first_stands(
    uris, undisturbed, tmp_path, monkeypatch
):
    out, write_part = tmp_path / "out", reopening.write_part
    run(plan_of(uris), out, Tiny(raises=frozenset({"v001/1"})))
    shutil.copytree(out, tmp_path / "other")
    again(tmp_path / "other")

    def another_is_quicker(folder, name, rows):
        monkeypatch.setattr(reopening, "write_part", write_part)
        shutil.rmtree(out)
        shutil.copytree(tmp_path / "other", out)
        (out / "_run" / "commits" / "000000.json").unlink(missing_ok=True)
        raise FileNotFoundError(folder)

    monkeypatch.setattr(reopening, "write_part", another_is_quicker)
    after = again(out)
    assert (after.done, after.failed) == (N_CLIPS, 0)
    assert data_files(out) == data_files(undisturbed)


def test_of_two_commits_of_a_generation_the_first_wins(uris, undisturbed, tmp_path, monkeypatch):
    out, put = tmp_path / "out", commits.put
    run(plan_of(uris), out, Tiny(raises=frozenset({"v001/1"})))

    def second(layout, commit):
        assert put(layout, commit)
        return put(layout, commit)

    monkeypatch.setattr(commits, "put", second)
    assert again(out).done == N_CLIPS
    assert data_files(out) == data_files(undisturbed)
    assert {path.name for path in Layout(out).commits.iterdir()} == {"000000.1.json", "000001.json"}


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


def test_a_retry_that_breaks_off_takes_no_row_away_and_goes_on_where_it_was(
    uris, undisturbed, tmp_path
):
    out, tally = tmp_path / "out", tmp_path / "tally"
    run(plan_of(uris), out, Tiny(raises=frozenset({"v001/1", "v002/0"}), tally=tally))
    before = data_files(out)
    with pytest.raises(KeyError):
        again(out, Tiny(breaks=frozenset({"v002/0"}), tally=tally))
    assert data_files(out) == before
    assert done(tally)["v001/1"] == 1
    run(plan_of(uris), out, Tiny(tally=tally))
    assert data_files(out) == before, "another command leaves the retry alone"
    again(out, Tiny(tally=tally))
    assert data_files(out) == data_files(undisturbed)
    assert max(done(tally).values()) == 1
    assert Layout(out).shards_in_staging() == set()


class Killed(BaseException):
    """Nothing after it runs, as after a SIGKILL."""


@pytest.mark.parametrize("n_replaced", [0, 1, 3, "all"])
def test_killed_while_files_are_replaced_the_next_start_replaces_the_rest(
    uris, undisturbed, tmp_path, monkeypatch, n_replaced
):
    out, link_over, replaced = tmp_path / "out", durable.link_over, []
    run(plan_of(uris), out, Tiny(raises=frozenset({"v001/1"})))

    def broken_off(source: Path, target: Path) -> None:
        if len(replaced) == n_replaced:
            raise Killed
        link_over(source, target)
        replaced.append(target)
        if n_replaced == "all" and target.parent.name == "clips":
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(durable, "link_over", broken_off)
        with pytest.raises(Killed):
            again(out)
    assert len({p.stem for p in (out / "data" / "clips").glob("*.parquet")}) == 2
    after = run(plan_of(uris), out)
    assert (after.done, after.failed) == (N_CLIPS, 0)
    assert data_files(out) == data_files(undisturbed)
    assert failed(out) == []
    assert list(commits.damage(Layout(out))) == []


def test_a_generation_whose_files_are_damaged_before_they_are_there_leaves_the_rows(
    uris, undisturbed, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    run(plan_of(uris), out, Tiny(raises=frozenset({"v001/1"})))
    before, publish = data_files(out), commits.publish

    def cut(layout, commit):
        if not commit.generation:
            return publish(layout, commit)
        (layout.attempt(commit.edition, commit.attempt) / "tracks_xy.parquet").write_bytes(b"")
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(commits, "publish", cut)
        with pytest.raises(Killed):
            again(out)
    assert commits.recover(Layout(out)) == ()
    assert data_files(out) == before
    assert again(out).failed == 0
    assert data_files(out) == data_files(undisturbed)


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
