"""First commit wins; what is committed gets published, and damage is noticed before that."""

import dataclasses
import errno
import fcntl
import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from massannot.dataset import commits
from massannot.dataset.layout import Layout
from massannot.storage import durable
from massannot.storage.file_lock import locked
from tests.unit import small_dataset as small

SHARD = "000000"


def staged(layout: Layout, clip_ids=("clip-a",)) -> commits.Commit:
    attempt = layout.new_attempt(SHARD)
    return small.stage(layout, SHARD, attempt, small.small_tables(clip_ids))


def published(layout: Layout) -> list[str]:
    return sorted(path.parent.name for path in layout.data.rglob("*.parquet"))


def test_nothing_staged_or_committed_is_seen_in_data(tmp_path):
    layout = Layout(tmp_path)
    commit = staged(layout)
    assert published(layout) == []
    commits.put(layout, commit)
    assert published(layout) == []


def test_the_first_commit_wins(tmp_path):
    layout = Layout(tmp_path)
    first, second = staged(layout), staged(layout, ("clip-b",))
    assert (commits.put(layout, first), commits.put(layout, second)) == (True, False)
    assert commits.read(layout, SHARD) == first
    commits.publish(layout, commits.read(layout, SHARD))
    assert commits.shards(layout) == {SHARD}
    assert published(layout) == sorted(file.table for file in first.files)


def test_attempts_of_two_drivers_get_two_folders(tmp_path):
    layout = Layout(tmp_path)
    assert [layout.new_attempt(SHARD) for _ in range(3)] == [1, 2, 3]


def test_clips_are_published_last(tmp_path, monkeypatch):
    layout, order = Layout(tmp_path), []
    commit = staged(layout)
    link = os.link
    monkeypatch.setattr(os, "link", lambda s, t: (order.append(t.parent.name), link(s, t)))
    commits.publish(layout, commit)
    assert order[-1] == "clips"
    assert len(order) == len(commit.files)


def test_publishing_leaves_no_staging_and_can_be_repeated(tmp_path):
    layout = Layout(tmp_path)
    commit = staged(layout)
    commits.put(layout, commit)
    commits.publish(layout, commit)
    commits.publish(layout, commit)
    assert layout.shards_in_staging() == set()
    assert list(commits.damage(layout)) == []


@pytest.mark.parametrize("n_published", range(10))
def test_whoever_starts_next_publishes_the_rest(tmp_path, n_published):
    layout = Layout(tmp_path)
    commit = staged(layout)
    commits.put(layout, commit)
    in_order = sorted(commit.files, key=lambda file: (file.table == "clips", file.table))
    for file in in_order[:n_published]:
        source = layout.attempt(SHARD, commit.attempt) / f"{file.table}.parquet"
        target = layout.published(file.table, SHARD)
        target.parent.mkdir(parents=True)
        os.link(source, target)
    assert commits.recover(layout) == ()
    assert published(layout) == sorted(file.table for file in commit.files)
    assert list(commits.damage(layout)) == []
    assert layout.shards_in_staging() == set()


def test_a_staged_file_cut_at_any_byte_is_noticed(tmp_path):
    layout = Layout(tmp_path)
    commit = staged(layout)
    commit = dataclasses.replace(commit, files=tuple(f for f in commit.files if f.table == "clips"))
    path = layout.attempt(SHARD, commit.attempt) / "clips.parquet"
    for n_bytes in reversed(range(path.stat().st_size)):
        os.truncate(path, n_bytes)
        with pytest.raises(commits.DamagedFile, match=rf"clips\.parquet has {n_bytes} bytes"):
            commits.publish(layout, commit)
    assert published(layout) == []


def test_a_staged_file_with_one_other_bit_is_noticed(tmp_path):
    layout = Layout(tmp_path)
    commit = staged(layout)
    path = layout.attempt(SHARD, commit.attempt) / "masks.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(commits.DamagedFile, match="has other bytes"):
        commits.publish(layout, commit)


def test_nothing_is_published_of_a_commit_with_one_damaged_file(tmp_path):
    layout = Layout(tmp_path)
    commit = staged(layout)
    (layout.attempt(SHARD, commit.attempt) / "videos.parquet").write_bytes(b"")
    with pytest.raises(commits.DamagedFile):
        commits.publish(layout, commit)
    assert published(layout) == []


@pytest.mark.parametrize("how", ["cut", "gone"])
def test_a_commit_that_cannot_be_published_is_withdrawn_whole(tmp_path, how):
    layout = Layout(tmp_path)
    commit = staged(layout)
    commits.put(layout, commit)
    path = layout.attempt(SHARD, commit.attempt) / "tracks_xy.parquet"
    path.write_bytes(b"") if how == "cut" else path.unlink()
    assert commits.recover(layout) == (SHARD,)
    assert (commits.shards(layout), published(layout)) == (set(), [])


def test_a_shard_that_another_start_publishes_at_the_same_moment_is_published(
    tmp_path, monkeypatch
):
    layout = Layout(tmp_path)
    commit = staged(layout)
    commits.put(layout, commit)
    hashed = durable.sha256_of

    def somebody_is_quicker(path):
        monkeypatch.setattr(durable, "sha256_of", hashed)
        commits.publish(layout, commit)
        return hashed(path)

    monkeypatch.setattr(durable, "sha256_of", somebody_is_quicker)
    assert commits.recover(layout) == ()
    assert published(layout) == sorted(file.table for file in commit.files)


def test_a_commit_that_another_start_withdraws_at_the_same_moment_is_withdrawn(
    tmp_path, monkeypatch
):
    layout = Layout(tmp_path)
    commit = staged(layout)
    commits.put(layout, commit)
    read = commits.read

    def somebody_is_quicker(layout, shard):
        monkeypatch.setattr(commits, "read", read)
        commits.withdraw(layout, commit)
        return read(layout, shard)

    monkeypatch.setattr(commits, "read", somebody_is_quicker)
    assert commits.recover(layout) == (SHARD,)


def mend(layout: Layout, damaged: commits.Commit) -> commits.Commit:
    """What a start does with a damaged commit, to the end: the shard is done again."""
    layout.published("clips", SHARD).unlink(missing_ok=True)
    for file in damaged.files:
        layout.published(file.table, SHARD).unlink(missing_ok=True)
    layout.commit(SHARD).unlink()
    again = staged(layout)
    assert commits.put(layout, again)
    commits.publish(layout, again)
    return again


def test_what_another_start_has_mended_in_the_meantime_is_left_alone(tmp_path, monkeypatch):
    layout = Layout(tmp_path)
    damaged = staged(layout)
    commits.put(layout, damaged)
    (layout.attempt(SHARD, damaged.attempt) / "tracks_xy.parquet").write_bytes(b"")
    withdraw = commits.withdraw

    def somebody_is_quicker(layout, commit):
        monkeypatch.setattr(commits, "withdraw", withdraw)
        mend(layout, commit)
        return withdraw(layout, commit)

    monkeypatch.setattr(commits, "withdraw", somebody_is_quicker)
    assert commits.recover(layout) == ()
    assert commits.shards(layout) == {SHARD}
    assert list(commits.damage(layout)) == []


def test_while_one_start_mends_a_shard_another_waits_and_takes_nothing_away(tmp_path):
    layout = Layout(tmp_path)
    damaged = staged(layout)
    commits.put(layout, damaged)
    with ThreadPoolExecutor(1) as pool:
        with locked(layout.lock):
            other = pool.submit(commits.withdraw, layout, damaged)
            with pytest.raises(TimeoutError):
                other.result(timeout=0.3)
            again = mend(layout, damaged)
        assert other.result(timeout=60) is False
    assert commits.read(layout, SHARD) == again
    assert list(commits.damage(layout)) == []


def test_where_nothing_can_be_locked_a_damaged_commit_is_withdrawn_all_the_same(
    tmp_path, monkeypatch
):
    def unknown(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", unknown)
    layout = Layout(tmp_path)
    damaged = staged(layout)
    commits.put(layout, damaged)
    assert commits.withdraw(layout, damaged)
    assert commits.shards(layout) == set()


def test_a_published_file_that_was_changed_is_named(tmp_path):
    layout = small.write_small_dataset(tmp_path / "out")
    layout.published("masks", "000001").write_bytes(b"x")
    layout.published("frames", "000000").unlink()
    assert list(commits.damage(layout)) == [
        "data/frames/000000.parquet is missing",
        f"data/masks/000001.parquet has 1 bytes, its commit says {size_of(layout, 'masks')}",
    ]


def test_what_a_dead_attempt_left_of_a_published_shard_is_removed(tmp_path):
    layout = small.write_small_dataset(tmp_path / "out")
    layout.attempt("000000", 7).mkdir(parents=True)
    layout.journals.mkdir(parents=True)
    layout.journal("000001", 2).write_text("")
    assert commits.recover(layout) == ()
    assert layout.shards_in_staging() == set()


def test_a_commit_survives_being_moved_with_its_folder(tmp_path):
    layout = small.write_small_dataset(tmp_path / "out")
    shutil.move(layout.out, tmp_path / "elsewhere")
    assert list(commits.damage(Layout(tmp_path / "elsewhere"))) == []


def size_of(layout: Layout, table: str) -> int:
    return next(f.size_bytes for f in commits.read(layout, "000001").files if f.table == table)
