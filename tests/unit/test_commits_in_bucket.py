"""What holds of commits in a folder holds in a bucket: the first wins, what is committed gets
published, damage is noticed."""

import shutil

import pytest

from massannot.dataset import commits
from massannot.dataset import record as run_record
from massannot.dataset.layout import Layout
from massannot.dataset.reading import open_dataset
from massannot.dataset.validate import problems
from massannot.errors import OtherRecipe
from massannot.plan import shared as shared_plan
from massannot.storage.store import store_of
from tests import s3_server
from tests.faults.killing import breaks_off
from tests.unit import small_dataset as small

SHARD = "000000"


@pytest.fixture(scope="module")
def server():
    with s3_server.running("bucket") as found:
        yield found


@pytest.fixture
def out(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MASSANNOT_WORK_DIR", str(tmp_path / "work"))
    return f"s3://bucket/{tmp_path.name}"


@pytest.fixture
def elsewhere(out, tmp_path, monkeypatch):
    """Go on as if on another machine."""

    def go() -> Layout:
        monkeypatch.setenv("MASSANNOT_WORK_DIR", str(tmp_path / "elsewhere"))
        return Layout(out)

    return go


def staged(layout: Layout, clip_ids=("clip-a",)) -> commits.Commit:
    attempt = layout.new_attempt(SHARD)
    return small.stage(layout, SHARD, attempt, small.small_tables(clip_ids))


def names(out: str) -> list[str]:
    return [entry.uri.removeprefix(f"{out}/") for entry in store_of(out).list(out)]


def in_data(out: str) -> list[str]:
    return [name.split("/")[1] for name in names(out) if name.startswith("data/")]


def test_a_dataset_in_a_bucket_is_the_local_one_byte_for_byte(out, tmp_path):
    local = small.write_small_dataset(tmp_path / "out")
    small.write_small_dataset(out)
    found = {name: store_of(out).get(f"{out}/{name}") for name in names(out) if name[0] != "_"}
    files = [path for path in local.out.rglob("*") if path.is_file()]
    expected = {str(path.relative_to(local.out)): path.read_bytes() for path in files}
    assert found == {name: text for name, text in expected.items() if name[0] != "_"}
    assert list(problems(open_dataset(out))) == []
    assert list(problems(open_dataset(tmp_path / "out"))) == []


def test_the_first_of_two_machines_wins(out, elsewhere):
    here = Layout(out)
    first = staged(here)
    there = elsewhere()
    second = staged(there, ("clip-b",))
    assert (first.attempt, second.attempt) == (1, 1)
    assert (commits.put(here, first), commits.put(there, second)) == (True, False)
    commits.publish(there, commits.read(there, SHARD))
    assert commits.read(here, SHARD) == first
    assert open_dataset(out).clip_ids == ("clip-a",)
    assert not [name for name in names(out) if name.startswith("_run/staging")]


def test_nothing_is_seen_before_it_is_published(out):
    layout = Layout(out)
    commits.put(layout, staged(layout))
    assert in_data(out) == []


@pytest.mark.parametrize("n_published", [0, 5])
def test_whoever_starts_next_publishes_the_rest(out, elsewhere, n_published, monkeypatch):
    layout = Layout(out)
    commit = staged(layout)
    commits.put(layout, commit)
    link_once = commits.durable.link_once
    monkeypatch.setattr(commits.durable, "link_once", breaks_off(link_once, after=n_published))
    if n_published < len(commit.files):
        with pytest.raises(KeyboardInterrupt):
            commits.publish(layout, commit)
    assert len(in_data(out)) == n_published
    assert "clips" not in in_data(out)
    monkeypatch.setattr(commits.durable, "link_once", link_once)
    assert commits.recover(elsewhere()) == ()
    assert in_data(out) == sorted(file.table for file in commit.files)
    assert list(commits.damage(Layout(out))) == []
    assert not [name for name in names(out) if name.startswith("_run/staging")]


def test_a_file_cut_before_it_is_uploaded_is_noticed(out):
    layout = Layout(out)
    commit = staged(layout)
    (layout.attempt(SHARD, commit.attempt) / "masks.parquet").write_bytes(b"PAR1")
    with pytest.raises(commits.DamagedFile, match=r"masks\.parquet has 4 bytes"):
        commits.put(layout, commit)
    assert commits.shards(layout) == set()


def test_a_commit_whose_files_have_gone_is_withdrawn_whole(out, elsewhere):
    layout = Layout(out)
    commits.put(layout, staged(layout))
    store_of(out).delete(
        next(f"{out}/{name}" for name in names(out) if name.endswith("tracks_xy.parquet"))
    )
    assert commits.recover(elsewhere()) == (SHARD,)
    assert (commits.shards(layout), in_data(out)) == (set(), [])


def test_a_published_file_that_was_changed_is_named(out):
    small.write_small_dataset(out)
    store_of(out).put(f"{out}/data/masks/000001.parquet", b"x")
    store_of(out).delete(f"{out}/data/frames/000000.parquet")
    first, second = commits.damage(Layout(out))
    assert first == "data/frames/000000.parquet is missing"
    assert second.startswith("data/masks/000001.parquet has 1 bytes, its commit says")


def test_a_plan_is_the_same_on_every_machine(out, elsewhere, tmp_path):
    plan = tmp_path / "work-plan" / "000000"
    plan.mkdir(parents=True)
    for name in ("videos.parquet", "shards.parquet"):
        (plan / name).write_bytes(name.encode())
    layout = Layout(out)
    shutil.copytree(plan, layout.plans / "000000")
    commits.recover(layout)
    there = elsewhere()
    found = {path.name: path.read_bytes() for path in (there.plans / "000000").iterdir()}
    assert found == {path.name: path.read_bytes() for path in plan.iterdir()}


def test_of_two_plans_made_at_once_the_second_is_refused(out, elsewhere):
    for layout, content in ((Layout(out), b"one"), (elsewhere(), b"other")):
        folder = layout.local / "_run" / "plan" / "000000"
        folder.mkdir(parents=True)
        (folder / "videos.parquet").write_bytes(content)
        (folder / shared_plan.LAST).write_bytes(content)
    Layout(out).plans  # noqa: B018  # what is there is not replaced
    store_of(out).put(f"{out}/_run/plan/000000/videos.parquet", b"one")
    with pytest.raises(OtherRecipe, match="same command again"):
        commits.recover(Layout(out))
    assert list((Layout(out).local / "_run" / "plan").iterdir()) == []


@pytest.mark.parametrize("there", [["videos.parquet"], ["videos.parquet", shared_plan.LAST]])
def test_a_plan_that_another_start_of_the_same_command_is_putting_is_completed(out, there):
    layout = Layout(out)
    folder, shared = layout.local / "_run" / "plan" / "000000", f"{out}/_run/plan/000000"
    folder.mkdir(parents=True)
    for name in ("videos.parquet", shared_plan.LAST):
        (folder / name).write_bytes(name.encode())
    for name in there:
        store_of(out).put(f"{shared}/{name}", name.encode())
    commits.recover(layout)
    assert (folder / shared_plan.LAST).is_file()
    put = {
        name: store_of(out).get(f"{shared}/{name}") for name in ("videos.parquet", shared_plan.LAST)
    }
    assert put == {name: name.encode() for name in ("videos.parquet", shared_plan.LAST)}


def test_another_recipe_is_refused_and_its_address_shown(out, elsewhere):
    run_record.begin(Layout(out), small.RECORD)
    run_record.add_weights(Layout(out), small.RECORD, [])
    other = run_record.RunRecord({"phrases": [], "sampling": {"fps": 10.0}}, digest="1")
    with pytest.raises(OtherRecipe, match=f"{out} belongs to a run with another recipe"):
        run_record.begin(elsewhere(), other)


def test_the_run_record_holds_no_credential(out):
    small.write_small_dataset(out)
    texts = [store_of(out).get(f"{out}/{name}") for name in names(out) if ".json" in name]
    assert texts
    for text in texts:
        assert s3_server.KEY.encode() not in text
        assert s3_server.SECRET.encode() not in text
