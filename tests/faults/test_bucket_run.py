"""A run whose videos and output lie in a bucket: the bytes of a local one, whatever the store, or
another machine, does meanwhile."""

import contextlib
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from massannot.dataset import commits
from massannot.dataset.layout import Layout
from massannot.dataset.reading import open_dataset
from massannot.engine.progress import ShardDone, silent
from massannot.errors import NothingToRun
from massannot.jobs.onto_tables import add_tables
from massannot.storage import object_store
from massannot.storage.path import place
from massannot.storage.store import store_of
from tests import s3_server
from tests.faults import tiny_run
from tests.faults.killing import breaks_off
from tests.faults.tiny_run import Tiny, data_files, done

N_VIDEOS = 4
N_CLIPS = N_VIDEOS * tiny_run.CLIPS_PER_VIDEO


@pytest.fixture(scope="module")
def server():
    with s3_server.running("bucket") as found:
        yield found


@pytest.fixture(scope="module")
def uris(server, tmp_path_factory):
    """The same videos for every run, in the bucket."""
    paths = tiny_run.write_videos(tmp_path_factory.mktemp("videos"), N_VIDEOS)
    uris = [f"s3://bucket/videos/{os.path.basename(path)}" for path in paths]
    for path, uri in zip(paths, uris, strict=True):
        store_of(uri).upload(path, uri)
    return uris


@pytest.fixture(scope="module")
def local(uris, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    annotate(uris, out)
    return out


@pytest.fixture(scope="module")
def undisturbed(local):
    return data_files(local)


@pytest.fixture
def out(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MASSANNOT_WORK_DIR", str(tmp_path / "work"))
    return f"s3://bucket/{tmp_path.name}"


def annotate(uris, out, *, tiny=None, workers=0, progress=silent):
    return tiny_run.run(
        tiny_run.plan_of(uris, per_shard=2),
        tiny or Tiny(),
        out=out,
        sampling=tiny_run.SAMPLING,
        workers=workers,
        device="cpu",
        progress=progress,
    )


def in_bucket(out):
    folder = f"{out}/data/"
    entries = [e for e in store_of(out).list(folder) if "/failures/" not in e.uri]
    return {e.uri.removeprefix(folder): store_of(out).get(e.uri) for e in entries}


@pytest.mark.seen("buckets", "engine alone")
@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.faults)])
def test_a_run_into_a_bucket_gives_the_bytes_of_a_local_one(
    uris, undisturbed, out, tmp_path, workers
):
    summary = annotate(uris, out, tiny=Tiny(tally=tmp_path / "tally"), workers=workers)
    assert (summary.planned, summary.done, summary.remaining) == (N_CLIPS, N_CLIPS, 0)
    assert in_bucket(out) == undisturbed
    assert list(commits.damage(Layout(out))) == []
    assert len(open_dataset(out).clip_ids) == N_CLIPS
    again = annotate(uris, out, tiny=Tiny(tally=tmp_path / "tally"))
    assert (again.done, again.done_now) == (N_CLIPS, 0)
    assert list(done(tmp_path / "tally").values()) == [1] * N_CLIPS


def test_tables_are_added_in_a_bucket_as_in_a_folder(uris, local, out, tmp_path, monkeypatch):
    added = ["segments,cameras"]
    annotate(uris, out)
    shutil.copytree(local, tmp_path / "local")
    add_tables(tmp_path / "local", added, quiet=True)
    broken_off = breaks_off(commits.durable.link_over, after=2)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(commits.durable, "link_over", broken_off)
        add_tables(place(out), added, quiet=True)
    monkeypatch.setenv("MASSANNOT_WORK_DIR", str(tmp_path / "elsewhere"))
    add_tables(place(out), added, quiet=True)
    assert in_bucket(out) == data_files(tmp_path / "local")
    assert list(commits.damage(Layout(out))) == []


@pytest.mark.faults
def test_a_start_on_another_machine_continues(uris, undisturbed, out, tmp_path, monkeypatch):
    with pytest.raises(KeyError):
        annotate(uris, out, tiny=Tiny(breaks=frozenset({"v000/0"})))
    assert len(commits.shards(Layout(out))) == 1
    monkeypatch.setenv("MASSANNOT_WORK_DIR", str(tmp_path / "elsewhere"))
    summary = annotate(uris, out)
    assert (summary.done, summary.done_now) == (N_CLIPS, N_CLIPS // 2)
    assert in_bucket(out) == undisturbed


@pytest.mark.parametrize("n_files", [pytest.param(0, marks=pytest.mark.faults), 3])
def test_what_is_committed_is_published_by_the_next_start(
    uris, undisturbed, out, tmp_path, monkeypatch, n_files
):
    broken_off = breaks_off(commits.durable.link_once, after=n_files)
    tally = tmp_path / "tally"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(commits.durable, "link_once", broken_off)
        annotate(uris, out, tiny=Tiny(tally=tally))
    assert len(list(store_of(out).list(f"{out}/data"))) == n_files
    annotate(uris, out, tiny=Tiny(tally=tally))
    assert in_bucket(out) == undisturbed
    assert list(done(tally).values()) == [1] * N_CLIPS


@pytest.mark.faults
def test_a_store_that_is_unwell_meanwhile_is_waited_for(
    uris, undisturbed, out, server, monkeypatch
):
    monkeypatch.setattr(object_store, "_MAX_RETRIES", 1)
    answer, n = server._answer, 0

    def every_third(request, start):
        nonlocal n
        n += 1
        if n % 3 == 0:
            server.fail(503 if n % 2 else 500, after_doing_it=n % 4 == 0)
        return answer(request, start)

    monkeypatch.setattr(server._server, "app", every_third)
    object_store_of = store_of(out)
    monkeypatch.setattr(object_store_of, "_bucket", object_store._connect("s3", "bucket"))
    annotate(uris, out)
    assert n > 60
    monkeypatch.setattr(server._server, "app", answer)
    assert in_bucket(out) == undisturbed


def test_a_video_that_changed_since_planning_is_a_failure(uris, out):
    plan = tiny_run.plan_of(uris, per_shard=2)
    first = plan[0]
    changed = replace(first.videos[0], etag='"another"')
    plan = (replace(first, videos=(changed, *first.videos[1:])), *plan[1:])
    summary = tiny_run.run(
        plan, Tiny(), out=out, sampling=tiny_run.SAMPLING, workers=0, device="cpu"
    )
    assert [(f.reason, f.clips) for f in summary.failures] == [("video_changed", 1)]
    (failure,) = open_dataset(out).table("failures").to_pylist()
    assert failure["uri"] == changed.uri


RACER = """
import sys
from tests.faults import test_bucket_run as test
from tests.faults.tiny_run import Tiny
print("ready", flush=True)
sys.stdin.readline()
test.annotate(sys.argv[2:], sys.argv[1], tiny=Tiny(seconds=0.05))
"""


@pytest.mark.faults
def test_two_machines_race_and_one_dataset_comes_of_it(uris, undisturbed, out, tmp_path):
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, out, *uris],
            env={**os.environ, "MASSANNOT_WORK_DIR": str(tmp_path / name), "PYTHONPATH": "."},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "other")
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("\n")
        racer.stdin.flush()
    assert [racer.communicate(timeout=120) and racer.returncode for racer in racers] == [0, 0]
    assert in_bucket(out) == undisturbed
    assert list(commits.damage(Layout(out))) == []


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, of 4 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount a small file system")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.faults)])
def test_a_full_disk_stops_the_run_and_loses_nothing(
    uris, undisturbed, small_disk, tmp_path, workers
):
    out, ballast, tally = small_disk / "out", small_disk / "ballast", tmp_path / "tally"

    def fill(event):
        """After the first shard nothing more fits."""
        if isinstance(event, ShardDone) and not ballast.exists():
            with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))

    with pytest.raises(NothingToRun, match=r"no space left on the disk; what is finished is kept"):
        annotate(uris, out, tiny=Tiny(tally=tally), workers=workers, progress=fill)
    there = data_files(out)
    assert len(there) == len(undisturbed) // 2
    assert there == {name: undisturbed[name] for name in there}
    ballast.unlink()
    annotate(uris, out, tiny=Tiny(tally=tally), workers=workers)
    assert data_files(out) == undisturbed
    assert sorted(done(tally).values()) in ([1] * N_CLIPS, [1] * (N_CLIPS - 1) + [2])
