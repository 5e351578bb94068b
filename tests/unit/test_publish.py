"""A published dataset: the same rows in few files, whoever broke off meanwhile, and nothing that a
validator or a reader would stumble over."""

import re
import shutil
import subprocess
import sys

import datasets
import duckdb
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from massannot import cli, tables
from massannot.dataset import commits
from massannot.dataset import publish as publishing
from massannot.dataset import record as run_record
from massannot.dataset.card import write_card
from massannot.dataset.commits import Commit, CommittedFile
from massannot.dataset.layout import Layout
from massannot.dataset.publish import RECORD, files_of, publish
from massannot.dataset.reading import Dataset, open_dataset
from massannot.dataset.validate import problems
from massannot.errors import BadTable, UsageError
from massannot.storage import durable
from massannot.storage.store import store_of
from tests import s3_server
from tests.unit import small_dataset as small

N_SHARDS = 12
NAMES = sorted(small.small_tables(("clip-a",)))
PER_CLIP = [name for name in NAMES if tables.spec(name).key[0] == "clip_id"]


def write_run(out, n_shards=N_SHARDS):
    """Shards of one or two clips, whose ids do not follow the shards' names."""
    layout = Layout(out)
    run_record.begin(layout, small.RECORD)
    for number in range(n_shards):
        clips = tuple(f"clip-{(7 * number + n) % 97:02d}-{number}" for n in range(1 + number % 2))
        shard = f"{number:06d}"
        commit = small.stage(layout, shard, layout.new_attempt(shard), small.small_tables(clips))
        assert commits.put(layout, commit)
        commits.publish(layout, commit)
    write_card(layout)
    return layout


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run") / "out").out


@pytest.fixture(scope="module")
def published(out, tmp_path_factory):
    """In files of a few shards each."""
    dest = tmp_path_factory.mktemp("published") / "dataset"
    publish(out, dest, file_bytes=9000)
    return dest


def contents(dest):
    files = sorted(path for path in dest.rglob("*") if path.is_file())
    return {str(path.relative_to(dest)): path.read_bytes() for path in files}


def test_every_row_is_there_and_clips_lie_whole_in_one_row_group(out, published):
    assert Dataset(Layout(published)).names == tuple(NAMES)
    for name in NAMES:
        there, before = (open_dataset(of).table(name) for of in (published, out))
        if name == "videos":
            assert set(there["split"].to_pylist()) <= {"train", "val"}
            there, before = (table.drop_columns("split") for table in (there, before))
        assert there.equals(before)
        groups_of_clip = {}
        for path in sorted((published / "data" / name).glob("*.parquet")):
            with pq.ParquetFile(path) as file:
                for number in range(file.num_row_groups):
                    for key in file.read_row_group(number)[tables.spec(name).key[0]].to_pylist():
                        groups_of_clip.setdefault(key, set()).add((path.name, number))
        assert all(len(groups) == 1 for groups in groups_of_clip.values())


def test_some_clips_read_together_have_the_rows_that_each_has(published):
    dataset = open_dataset(published)
    some = dataset.clip_ids[::5]
    few = dataset.few(some)
    for name in PER_CLIP:
        for clip_id in some:
            assert few(clip_id).table(name).equals(dataset.clip(clip_id).table(name))


def test_a_table_is_cut_by_its_own_size(published):
    n_files = {name: len(list((published / "data" / name).iterdir())) for name in NAMES}
    assert n_files["positions"] > n_files["tracks_xyz"] > n_files["frames"] >= 1


def test_by_default_files_are_few(out, tmp_path):
    done = publish(out, tmp_path / "dataset")
    assert [file.name for file in done.files] == [f"data/{name}/00000.parquet" for name in NAMES]


def test_nothing_is_wrong_with_it(published):
    assert list(problems(open_dataset(published))) == []


def test_it_loads_as_it_lies(out, published, tmp_path):
    for name in ("clips", "tracks_xyz", "masks"):
        expected = open_dataset(out).table(name)
        glob = f"{published}/data/{name}/*.parquet"
        rows = expected.num_rows
        assert pads.dataset(published / "data" / name).count_rows() == rows
        assert duckdb.sql(f"select count(*) from '{glob}'").fetchall() == [(rows,)]
        found = datasets.load_dataset(
            str(published), name, split="train", cache_dir=str(tmp_path / "cache")
        )
        assert found.num_rows == rows
    assert found.features["clip_id"].dtype == "string"


def test_its_clips_are_the_run_s(out, published):
    ours, theirs = open_dataset(published), open_dataset(out)
    assert ours.clip_ids == theirs.clip_ids
    for clip_id in ours.clip_ids[:3]:
        for name in PER_CLIP:
            assert ours.clip(clip_id).table(name).equals(theirs.clip(clip_id).table(name))


def test_the_card_says_how_many_how_noisy_and_by_which_command(published):
    text = (published / "README.md").read_text()
    assert f"{sum(1 + n % 2 for n in range(N_SHARDS))} clips" in text
    assert "## Models" in text
    assert "## Noise" in text
    assert "## Published by\n`" in text


@pytest.mark.parametrize("n_files", [0, 1, 7, 13])
def test_broken_off_the_same_command_goes_on(out, published, tmp_path, monkeypatch, n_files):
    dest, write = tmp_path / "dataset", publishing._write
    n_begun = 0

    def broken_off(*args):
        nonlocal n_begun
        n_begun += 1
        if n_begun > n_files:
            raise KeyboardInterrupt
        return write(*args)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(publishing, "_write", broken_off)
        publish(out, dest, file_bytes=9000, workers=1)
    assert Dataset(Layout(dest)).names == ()
    assert not (dest / "README.md").exists()
    done = publish(out, dest, file_bytes=9000)
    assert done.written == len(done.files) - n_files
    assert contents(dest) == contents(published)


def test_a_second_time_nothing_is_written(out, published):
    before = {path: path.stat().st_mtime_ns for path in published.rglob("*.parquet")}
    assert publish(out, published, file_bytes=9000).written == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_in_a_bucket_it_is_the_same(out, published, tmp_path):
    with s3_server.running("bucket"):
        publish(out, "s3://bucket/dataset", file_bytes=9000)
        store = store_of("s3://bucket/")
        found = {
            entry.uri.removeprefix("s3://bucket/dataset/"): store.get(entry.uri)
            for entry in store.list("s3://bucket/dataset")
        }
        assert found == contents(published)
        assert list(problems(open_dataset("s3://bucket/dataset"))) == []
        with pytest.raises(UsageError, match="another published dataset"):
            publish(out, "s3://bucket/dataset")


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        pytest.param(
            lambda dest: (dest / "data/masks/00000.parquet").unlink(),
            r"data/masks/00000\.parquet is missing",
            id="a file has gone",
        ),
        pytest.param(
            lambda dest: shutil.copy(
                dest / "data/masks/00000.parquet", dest / "data/masks/00099.parquet"
            ),
            r"data/masks/00099\.parquet is there, but not in massannot\.json",
            id="a file too many",
        ),
        pytest.param(
            lambda dest: (dest / "data/masks/00000.parquet").write_bytes(b"PAR1"),
            r"data/masks/00000\.parquet cannot be read as Parquet",
            id="a file cut short",
        ),
        pytest.param(
            lambda dest: rewrite(dest / "data/frames", lambda t: t.slice(0, t.num_rows - 1)),
            r"data/frames/.* has \d+ rows, massannot\.json says \d+",
            id="a row has gone",
        ),
        pytest.param(
            lambda dest: rewrite(dest / "data/entities", other_clip),
            r"table entities: rows of clip zzz, which is not in clips",
            id="another clip's row",
        ),
        pytest.param(
            lambda dest: rewrite(dest / "data/phrases", more_entities),
            r"table phrases: phrase \d of clip .* says 9 entities",
            id="counts that do not count",
        ),
    ],
)
def test_what_is_wrong_is_named(published, tmp_path, break_it, says):
    dest = tmp_path / "dataset"
    shutil.copytree(published, dest)
    break_it(dest)
    found = list(problems(open_dataset(dest)))
    assert found
    assert re.search(says, "\n".join(found)), found


def rewrite(folder, change):
    path = sorted(folder.glob("*.parquet"))[-1]
    pq.write_table(change(pq.read_table(path)), path)


def other_clip(table):
    ids = [*table["clip_id"].to_pylist()[:-1], "zzz"]
    return table.set_column(0, table.schema.field("clip_id"), pa.array(ids))


def more_entities(table):
    place = table.schema.get_field_index("n_entities")
    counts = pa.array([*table["n_entities"].to_pylist()[:-1], 9], table.schema.types[place])
    return table.set_column(place, table.schema.field(place), counts)


def test_a_run_that_is_not_over_is_only_published_when_asked(tmp_path, monkeypatch):
    layout = write_run(tmp_path / "out", 2)
    monkeypatch.setattr(publishing, "shard_table", lambda layout: ["one"] * 3)
    with pytest.raises(UsageError, match="2 of 3 shards are finished"):
        publish(layout.out, tmp_path / "dataset")
    assert publish(layout.out, tmp_path / "dataset", partial=True).files


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        pytest.param(lambda dest: durable.write_over(dest / "x", b""), "other files", id="files"),
        pytest.param(lambda dest: durable.write_over(dest / RECORD, b"{}"), "another pub", id="an"),
    ],
)
def test_a_folder_that_holds_something_else_is_refused(out, tmp_path, prepare, says):
    prepare(tmp_path / "dataset")
    with pytest.raises(UsageError, match=says):
        publish(out, tmp_path / "dataset")


def test_a_run_s_file_that_was_damaged_is_not_published(tmp_path):
    layout = write_run(tmp_path / "out", 2)
    layout.published("masks", "000001").write_bytes(b"PAR1")
    with pytest.raises(BadTable, match=r"000001\.parquet has 4 bytes, its commit says"):
        publish(layout.out, tmp_path / "dataset")
    assert Dataset(Layout(tmp_path / "dataset")).names == ()


GIB = 1 << 30


@pytest.mark.parametrize(
    ("shard_mib", "most_files", "largest_gib"),
    [
        pytest.param(1, 100, 0.6, id="three million small clips"),
        pytest.param(85, 8000, 0.6, id="four TB in one table"),
        pytest.param(427, 8000, 3.1, id="twenty TB in one table"),
    ],
)
def test_three_million_clips_are_fewer_than_ten_thousand_files(shard_mib, most_files, largest_gib):
    """46,875 shards of 64 clips, on paper."""
    size = shard_mib << 20
    found = [
        Commit(f"{n:06d}", 1, 64, (), (CommittedFile("masks", 64, size, ""),))
        for n in range(46_875)
    ]
    files = files_of(found, file_bytes=publishing.FILE_BYTES)
    assert len(files) <= most_files
    assert sum(file.rows for file in files) == 3_000_000
    sizes = [len(file.shards) * size for file in files]
    assert max(sizes) <= largest_gib * GIB
    assert min(sizes[:-1], default=0) >= 0.25 * GIB


def test_a_full_disk_ends_the_command_with_a_message(tmp_path, monkeypatch, capsys):
    out, disk = write_run(tmp_path / "out", 1).out, tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount a small file system")
    try:
        monkeypatch.setattr(sys, "argv", ["massannot", "publish", str(out), str(disk / "dataset")])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
    assert ended.value.code == 4
    assert "no space left on the disk; what is finished is kept" in capsys.readouterr().err
