"""On Ray: the same bytes as a local run, whatever happens to clips, actors and machines."""

import os
import socket
import time

import pytest

from massannot.dataset.layout import Layout
from massannot.dataset.reading import open_dataset
from massannot.engine.progress import WorkerDied, WorkerReady
from massannot.engine.watchdog import Patience
from tests.faults import killing, tiny_run
from tests.faults.ray_cluster import cluster
from tests.faults.siege import finish
from tests.faults.tiny_run import Tiny, data_files, done, plan_of

N_VIDEOS = 4
N_CLIPS = N_VIDEOS * tiny_run.CLIPS_PER_VIDEO
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own


@pytest.fixture(scope="module")
def uris(tmp_path_factory):
    return tiny_run.write_videos(tmp_path_factory.mktemp("videos"), N_VIDEOS)


@pytest.fixture(scope="module")
def undisturbed(uris, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    tiny_run.run(
        plan_of(uris, per_shard=1),
        Tiny(),
        out=out,
        sampling=tiny_run.SAMPLING,
        workers=0,
        device="cpu",
    )
    return out


@pytest.fixture(scope="module")
def two_machines():
    with cluster(2, 2) as made:
        yield made


def annotate(uris, out, address, *, tiny=None, workers=2, **options):
    return tiny_run.run(
        plan_of(uris, per_shard=1),
        tiny or Tiny(),
        out=out,
        sampling=tiny_run.SAMPLING,
        workers=workers,
        device="cpu",
        executor="ray",
        address=address,
        **options,
    )


@pytest.mark.seen("Ray", "engine alone")
@pytest.mark.seen("equal bytes again", "engine alone")
@pytest.mark.parametrize(
    "workers",
    [pytest.param(1, marks=pytest.mark.faults), 2, pytest.param(3, marks=pytest.mark.faults)],
)
def test_files_are_those_of_a_local_run(uris, undisturbed, two_machines, tmp_path, workers):
    events = []
    summary = annotate(
        uris, tmp_path / "out", two_machines.address, workers=workers, progress=events.append
    )
    assert (summary.planned, summary.done, summary.remaining) == (N_CLIPS, N_CLIPS, 0)
    assert len([e for e in events if isinstance(e, WorkerReady)]) == workers
    assert data_files(tmp_path / "out") == data_files(undisturbed)
    logs = sorted(path.name for path in Layout(tmp_path / "out").logs.iterdir())
    driver = f"{socket.gethostname()}.{os.getpid()}"
    assert logs == [f"worker-{number}.{driver}.log" for number in range(workers)]


@pytest.mark.faults
def test_without_a_number_every_machine_without_gpus_gets_an_actor(uris, two_machines, tmp_path):
    events = []
    annotate(uris, tmp_path / "out", two_machines.address, workers=None, progress=events.append)
    assert len([e for e in events if isinstance(e, WorkerReady)]) == 2


@pytest.mark.faults
@pytest.mark.parametrize("kills", [{"v001/1"}, {"v000/0", "v003/1"}], ids=["one", "two"])
def test_exactly_the_clips_that_kill_their_process_are_quarantined(
    uris, two_machines, tmp_path, kills
):
    tally, events = tmp_path / "tally", []
    tiny = Tiny(kills=frozenset(kills), tally=tally)
    summary = annotate(
        uris, tmp_path / "out", two_machines.address, tiny=tiny, progress=events.append
    )
    rows = open_dataset(tmp_path / "out").table("failures").to_pylist()
    quarantined = {f"{r['uri'].rpartition('/')[2][:4]}/{r['clip_index']}" for r in rows}
    assert quarantined == kills
    assert (summary.planned, summary.quarantined) == (N_CLIPS, len(kills))
    assert set(done(tally).values()) == {1}
    assert {e.exit_code for e in events if isinstance(e, WorkerDied)} == {-9}


@pytest.mark.faults
def test_a_clip_that_hangs_is_stopped_and_is_one_row(uris, two_machines, tmp_path):
    tally = tmp_path / "tally"
    summary = annotate(
        uris,
        tmp_path / "out",
        two_machines.address,
        tiny=Tiny(hangs=frozenset({"v001/1"}), tally=tally),
        patience=Patience(hung_after_s=1.0),
    )
    (row,) = open_dataset(tmp_path / "out").table("failures").to_pylist()
    assert (row["clip_index"], row["class"], row["status"]) == (1, "hung", "failed")
    assert (summary.done, summary.failed) == (N_CLIPS - 1, 1)
    assert (set(done(tally).values()), len(done(tally))) == ({1}, N_CLIPS - 1)
    assert killing.workers_of(Layout(tmp_path / "out")) == []


@pytest.mark.faults
def test_a_run_ends_although_a_machine_is_lost_and_blames_no_clip(uris, undisturbed, tmp_path):
    folder = tmp_path / "out"
    layout, tally = Layout(folder), tmp_path / "tally"
    videos = tmp_path / "videos"
    tiny_run.write_videos(videos, 8)
    expected = tmp_path / "expected"
    finish(killing.start(expected, videos, tmp_path / "other", workers=1))
    with cluster(1, 1) as made:
        process = killing.start(
            folder, videos, tally, workers=2, ray_address=made.address, seconds=0.3
        )
        while len(killing.workers_of(layout)) < 2 or not done(tally):
            assert process.poll() is None
            time.sleep(0.05)
        made.remove_node(made.worker_nodes.copy().pop(), allow_graceful=False)
        summary = finish(process)
    assert (summary["done"], summary["quarantined"]) == (16, 0)
    assert data_files(folder) == data_files(expected)
