"""A local run: the same bytes whoever did the work, nothing done twice, every failure named."""

import filecmp
import itertools
import json
import os
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from massannot import tables
from massannot.dataset import commits
from massannot.dataset.layout import Layout
from massannot.dataset.reading import open_dataset
from massannot.engine.driver import WorkerBroke
from massannot.engine.progress import ClipBegun, ClipDone, ShardDone, WorkerDied
from massannot.engine.watchdog import Patience
from massannot.engine.worker import ReadPlanned
from massannot.errors import NothingToRun, OtherRecipe
from massannot.tables import _consistency as consistency
from tests.faults import tiny_run
from tests.faults.tiny_run import Tiny, data_files, done, plan_of, run

N_VIDEOS = 4
N_CLIPS = N_VIDEOS * tiny_run.CLIPS_PER_VIDEO


@pytest.fixture(scope="module")
def uris(tmp_path_factory):
    return tiny_run.write_videos(tmp_path_factory.mktemp("videos"), N_VIDEOS)


@pytest.fixture(scope="module")
def undisturbed(uris, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    annotate(uris, out, workers=0)
    return out


def annotate(
    uris,
    out,
    *,
    tiny=None,
    workers=1,
    progress=lambda event: None,
    patience=Patience(),  # noqa: B008
    **options,
):
    return run(
        plan_of(uris, **options),
        tiny or Tiny(),
        out=out,
        sampling=tiny_run.SAMPLING,
        workers=workers,
        device="cpu",
        progress=progress,
        patience=patience,
    )


def test_what_a_driver_that_died_has_committed_is_published_by_one_that_ends(uris, tmp_path):
    """The other driver dies between its commit and its publication while this one computes."""
    whole, out = Layout(tmp_path / "whole"), Layout(tmp_path / "out")
    annotate(uris, whole.out, workers=0, per_shard=2)
    left = {shard.id for shard in plan_of(uris, per_shard=2)}

    def dies(event) -> None:
        if isinstance(event, ClipBegun) and not commits.shards(out):
            (other,) = {shard for shard in left if not out.attempts(shard)}
            staged = out.attempt(other, commits.read(whole, other).attempt)
            staged.mkdir(parents=True)
            for path in whole.data.glob(f"*/{other}.parquet"):
                shutil.copy(path, staged / f"{path.parent.name}.parquet")
            out.commit(other).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(whole.commit(other), out.commit(other))

    annotate(uris, out.out, workers=1, per_shard=2, progress=dies)
    assert same_files(out.out, whole.out)
    assert out.shards_in_staging() == set()


def failures(out: Path) -> list[tuple[str, int, str, str, str]]:
    return [
        (Path(row["uri"]).stem, row["clip_index"], row["stage"], row["class"], row["status"])
        for row in open_dataset(out).table("failures").to_pylist()
    ]


def same_files(out: Path, other: Path) -> bool:
    names = list(data_files(other))
    assert list(data_files(out)) == names
    match, mismatch, errors = filecmp.cmpfiles(out / "data", other / "data", names, shallow=False)
    return (len(match), mismatch, errors) == (len(names), [], [])


@pytest.mark.parametrize("workers", [0, 1, pytest.param(2, marks=pytest.mark.faults), 3])
def test_files_do_not_depend_on_the_number_of_workers(uris, undisturbed, tmp_path, workers):
    summary = annotate(uris, tmp_path / "out", workers=workers)
    assert (summary.planned, summary.done, summary.remaining) == (N_CLIPS, N_CLIPS, 0)
    assert same_files(tmp_path / "out", undisturbed)


def test_every_shard_is_consistent(undisturbed):
    dataset = open_dataset(undisturbed)
    for shard in dataset.shards:
        assert list(consistency.problems(dataset.shard(shard))) == []
    assert list(commits.damage(dataset.layout)) == []


def test_a_second_run_does_nothing(uris, tmp_path):
    tally = tmp_path / "tally"
    annotate(uris, tmp_path / "out", tiny=Tiny(tally=tally), workers=0)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "data").rglob("*.parquet")}
    events = []
    summary = annotate(
        uris, tmp_path / "out", tiny=Tiny(tally=tally), workers=2, progress=events.append
    )
    assert (summary.done, summary.done_now, events) == (N_CLIPS, 0, [])
    assert done(tally) == dict.fromkeys(done(tally), 1)
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_more_videos_are_added_and_the_old_ones_left_alone(uris, tmp_path):
    tally = tmp_path / "tally"
    annotate(uris[:3], tmp_path / "out", tiny=Tiny(tally=tally), workers=0)
    old = data_files(tmp_path / "out")
    summary = annotate(uris, tmp_path / "out", tiny=Tiny(tally=tally), workers=0)
    assert (summary.planned, summary.done, summary.done_now) == (N_CLIPS, N_CLIPS, 2)
    assert max(done(tally).values()) == 1
    assert {name: data_files(tmp_path / "out")[name] for name in old} == old


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param({"tiny": Tiny(points=5)}, r"points\s+3\s+5", id="another option"),
        pytest.param({"prompt": "circle"}, r"square.*circle", id="another prompt"),
    ],
)
def test_a_folder_of_another_recipe_is_refused_and_the_difference_shown(
    uris, undisturbed, tmp_path, change, says
):
    shutil.copytree(undisturbed, tmp_path / "out")
    with pytest.raises(OtherRecipe, match=says):
        annotate(uris, tmp_path / "out", workers=0, **change)
    assert same_files(tmp_path / "out", undisturbed)


def test_progress_tells_every_clip_and_shard(uris, tmp_path):
    events = []
    summary = annotate(uris, tmp_path / "out", workers=2, progress=events.append)
    clips = [e for e in events if isinstance(e, ClipDone)]
    assert sorted((Path(e.uri).stem, e.clip_index) for e in clips) == [
        (f"v{v:03d}", c) for v in range(N_VIDEOS) for c in range(tiny_run.CLIPS_PER_VIDEO)
    ]
    assert sorted(e.shard for e in events if isinstance(e, ShardDone)) == ["000000", "000001"]
    assert summary.frames_now == N_VIDEOS * tiny_run.SECONDS * tiny_run.FPS


def test_a_clip_that_raises_is_one_row_and_the_others_are_done(uris, undisturbed, tmp_path):
    summary = annotate(uris, tmp_path / "out", tiny=Tiny(raises=frozenset({"v001/1"})))
    assert failures(tmp_path / "out") == [("v001", 1, "misbehave", "model_failed", "failed")]
    assert (summary.planned, summary.done, summary.failed) == (N_CLIPS, N_CLIPS - 1, 1)
    found, whole = (open_dataset(out).table("tracks_xy") for out in (tmp_path / "out", undisturbed))
    lost = set(whole["clip_id"].to_pylist()) - set(found["clip_id"].to_pylist())
    assert len(lost) == 1
    assert found.to_pylist() == [r for r in whole.to_pylist() if r["clip_id"] not in lost]


def test_a_clip_that_hangs_is_stopped_and_is_one_row(uris, undisturbed, tmp_path):
    tally, events = tmp_path / "tally", []
    summary = annotate(
        uris,
        tmp_path / "out",
        tiny=Tiny(hangs=frozenset({"v001/1"}), tally=tally),
        workers=2,
        progress=events.append,
        patience=Patience(hung_after_s=1.0),
    )
    assert failures(tmp_path / "out") == [("v001", 1, "process", "hung", "failed")]
    assert (summary.planned, summary.done, summary.failed) == (N_CLIPS, N_CLIPS - 1, 1)
    assert (set(done(tally).values()), len(done(tally))) == ({1}, N_CLIPS - 1)
    assert not any(isinstance(event, WorkerDied) for event in events)


@pytest.mark.parametrize(
    "number", [signal.SIGUSR1, pytest.param(signal.SIGTERM, marks=pytest.mark.faults)]
)
def test_a_signal_waits_for_the_clip_in_hand_no_longer_than_the_grace_time(
    uris, undisturbed, tmp_path, number
):
    tally = tmp_path / "tally"

    def signal_when_it_hangs(event):
        if isinstance(event, ClipBegun) and (Path(event.uri).stem, event.clip_index) == ("v001", 1):
            os.kill(os.getpid(), number)

    first = annotate(
        uris,
        tmp_path / "out",
        tiny=Tiny(hangs=frozenset({"v001/1"}), tally=tally),
        progress=signal_when_it_hangs,
        patience=Patience(grace_s=0.5),
    )
    assert (first.interrupted, first.done, first.failed) == (True, 3, 0)
    second = annotate(uris, tmp_path / "out", tiny=Tiny(tally=tally), workers=0)
    assert (second.interrupted, second.done) == (False, N_CLIPS)
    assert set(done(tally).values()) == {1}
    assert same_files(tmp_path / "out", undisturbed)


def test_a_clip_without_room_on_the_device_is_done_in_halves_and_then_fails(uris, tmp_path):
    tiny = Tiny(needs={"v001/1": 4, "v002/0": 3})
    summary = annotate(uris, tmp_path / "out", tiny=tiny)
    assert failures(tmp_path / "out") == [("v002", 0, "misbehave", "out_of_memory", "failed")]
    rows = open_dataset(tmp_path / "out").table("clips").to_pylist()
    halved = [(Path(r["uri"]).stem, r["clip_index"]) for r in rows if r["micro_batch"] == 1]
    assert halved == [("v001", 1)]
    assert (summary.done, summary.failed, {r["micro_batch"] for r in rows}) == (7, 1, {0, 1})


def test_messages_in_tables_hold_no_folder_of_the_host(uris, tmp_path):
    annotate(uris, tmp_path / "out", tiny=Tiny(raises=frozenset({"v001/1"})), workers=0)
    (message,) = open_dataset(tmp_path / "out").table("failures")["message"].to_pylist()
    assert message == "v001.mp4: a model had enough of v001/1"


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param({"v001/1"}, id="one", marks=pytest.mark.faults),
        pytest.param({"v000/0", "v003/1"}, id="two, in two shards"),
        pytest.param({"v001/0", "v001/1"}, id="two, one after the other"),
    ],
)
def test_exactly_the_clips_that_kill_their_process_are_quarantined(uris, tmp_path, kills):
    tally, events = tmp_path / "tally", []
    summary = annotate(
        uris,
        tmp_path / "out",
        tiny=Tiny(kills=frozenset(kills), tally=tally),
        workers=2,
        progress=events.append,
    )
    quarantined = {f"{video}/{clip}" for video, clip, *_, status in failures(tmp_path / "out")}
    assert quarantined == kills
    assert (summary.planned, summary.quarantined) == (N_CLIPS, len(kills))
    assert done(tally) == {
        f"v{v:03d}/{c}": 1
        for v in range(N_VIDEOS)
        for c in range(2)
        if f"v{v:03d}/{c}" not in kills
    }
    assert all(e.exit_code == -9 for e in events if isinstance(e, WorkerDied))


def test_a_worker_killed_once_leaves_no_trace(uris, undisturbed, tmp_path):
    tally = tmp_path / "tally"
    tiny = Tiny(kills_once=tmp_path / "killed", tally=tally)
    summary = annotate(uris, tmp_path / "out", tiny=tiny, workers=2)
    assert (summary.done, summary.quarantined) == (N_CLIPS, 0)
    assert max(done(tally).values()) == 1
    assert same_files(tmp_path / "out", undisturbed)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bug_stops_the_run_and_the_next_run_continues(uris, undisturbed, tmp_path, workers):
    tally = tmp_path / "tally"
    with pytest.raises((WorkerBroke, KeyError), match=r"a bug met v002/1"):
        annotate(
            uris,
            tmp_path / "out",
            tiny=Tiny(breaks=frozenset({"v002/1"}), tally=tally),
            workers=workers,
        )
    annotate(uris, tmp_path / "out", tiny=Tiny(tally=tally), workers=0)
    assert max(done(tally).values()) == 1
    assert same_files(tmp_path / "out", undisturbed)


def test_videos_that_cannot_be_read_are_rows(uris, tmp_path):
    text = tmp_path / "text.mp4"
    text.write_text("not a video\n" * 50)
    twin = tmp_path / "twin.mp4"
    shutil.copy(uris[0], twin)
    changed = tmp_path / "changed.mp4"
    shutil.copy(uris[1], changed)
    plan = plan_of([*uris[:1], str(twin), str(text), str(tmp_path / "gone.mp4"), str(changed)])
    changed.write_bytes(changed.read_bytes() + b"more")
    summary = run(
        plan, Tiny(), out=tmp_path / "out", sampling=tiny_run.SAMPLING, workers=0, device="cpu"
    )
    assert failures(tmp_path / "out") == [
        ("changed", -1, "read", "video_changed", "failed"),
        ("gone", -1, "read", "not_found", "failed"),
        ("text", -1, "read", "not_a_video", "failed"),
    ]
    assert (summary.planned, summary.done, summary.failed, summary.copies) == (5, 2, 3, 1)


def test_a_shard_without_one_finished_clip_is_a_readable_dataset(tmp_path):
    (tmp_path / "text.mp4").write_text("not a video\n" * 50)
    summary = annotate([str(tmp_path / "text.mp4")], tmp_path / "out", workers=0)
    assert (summary.planned, summary.failed) == (1, 1)
    dataset = open_dataset(tmp_path / "out")
    assert dataset.clip_ids == ()
    assert {"clips", "events", "failures", "frames", "tracks_xy", "videos"} <= set(dataset.names)
    rows = {name: dataset.table(name).num_rows for name in dataset.names}
    assert rows == {**dict.fromkeys(dataset.names, 0), "failures": 1}


@pytest.mark.parametrize("workers", [0, 1])
def test_the_next_shard_is_read_while_the_models_work_on_this_one(uris, tmp_path, workers):
    log = tmp_path / "log"
    run(
        plan_of(uris, per_shard=1),
        Tiny(tally=log, seconds=0.3),
        out=tmp_path / "out",
        sampling=tiny_run.SAMPLING,
        workers=workers,
        device="cpu",
        reader=ReadAndSay(tiny_run.SAMPLING, log=log),
    )
    order = log.read_text().split()
    read = [line.removeprefix("read:") for line in order if line.startswith("read:")]
    for video, following in itertools.pairwise(read):
        last_clip = order.index(f"{video}/{tiny_run.CLIPS_PER_VIDEO - 1}")
        assert order.index(f"read:{following}") < last_clip


def test_the_record_says_what_was_run(undisturbed):
    record = json.loads((undisturbed / "_run" / "spec.json").read_text())
    assert record["spec"]["phrases"] == ["square"]
    assert record["recipe"] == Tiny()().describe()
    assert record["digest"] == Tiny()().digest
    assert {"python", "numpy", "pyarrow"} <= set(record["starts"][0]["versions"])


def test_workers_that_cannot_load_their_models_end_the_run(uris, tmp_path):
    with pytest.raises(
        NothingToRun, match=r"died 3 times while it loaded its models \(exit code 7: no GPU today\)"
    ):
        annotate(uris, tmp_path / "out", tiny=Tiny(more=(DieInSetup(),)), workers=1)


def test_all_readers_load_what_was_written(undisturbed):
    layout = Layout(undisturbed)
    for name in ("clips", "tracks_xy", "frames", "videos", "events"):
        found = pq.read_table(layout.data / name)
        tables.spec(name).check(tables.spec(name).sorted(found))


@dataclass(frozen=True)
class ReadAndSay(ReadPlanned):
    """Leaves a line when a video is begun."""

    log: Path | None = None

    def __call__(self, video, *, memory):
        with open(self.log, "a") as log:
            log.write(f"read:{Path(video.uri).stem}\n")
        yield from super().__call__(video, memory=memory)


class DieInSetup(tiny_run.DescribeClip):
    """A stage whose process ends while it loads."""

    def setup(self, *, device: str) -> None:
        sys.stderr.write("no GPU today\n")
        sys.stderr.flush()
        os._exit(7)
