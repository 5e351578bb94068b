"""What a person reads while a run runs."""

import threading

import pytest

from massannot.engine.progress import (
    ClipBegun,
    ClipDone,
    ClipFailed,
    Load,
    RunBegun,
    ShardElsewhere,
    WorkerDied,
)
from massannot.jobs.console import Watcher
from massannot.jobs.heartbeat import Heartbeat
from massannot.stages._stage import StageTime

GIB = 2**30


def done(worker: int, load: Load) -> ClipDone:
    times = (StageTime("track_points", 6.0), StageTime("estimate_depth", 3.0))
    return ClipDone(worker, "a.mp4", 0, "id", 50, 1.0, times, load)


def failed(reason: str) -> ClipFailed:
    return ClipFailed(0, "b.mp4", 0, "track_points", reason, "no", "failed")


@pytest.mark.parametrize(
    ("events", "after_s", "expected"),
    [
        pytest.param([], 5, "0 clips", id="nothing is known yet"),
        pytest.param([RunBegun(40, 8)], 5, "0 of about 40 clips", id="nothing is done yet"),
        pytest.param([RunBegun(1, 1)], 5, "0 of about 1 clip", id="one clip"),
        pytest.param(
            [RunBegun(40, 8), ShardElsewhere("000003", 12)],
            5,
            "0 of about 28 clips",
            id="another driver has done a shard",
        ),
        pytest.param(
            [RunBegun(40, 8), done(0, Load(0.5, 30 * GIB, 80 * GIB)), done(1, Load(1.0))],
            10,
            "2 of about 40 clips; 0.2 clips/s, 10.0 frames/s; 3 min 10 s left; track_points 60%, "
            "estimate_depth 30%, waiting for pictures 10%; GPU memory 30 of 80 GiB; "
            "prefetch 75% full",
            id="clips done",
        ),
        pytest.param(
            [RunBegun(7202, 8), failed("hung"), failed("not_a_video"), failed("hung")],
            3,
            "3 of about 7202 clips; 1 clips/s, 0.0 frames/s; 1 h 59 min left; "
            "3 failed (hung 2, not_a_video 1)",
            id="failures by class",
        ),
        pytest.param(
            [RunBegun(1, 1), failed("hung"), failed("hung")],
            1,
            "2 of about 2 clips; 2 clips/s, 0.0 frames/s; 2 failed (hung 2)",
            id="more than was expected of a whole video",
        ),
    ],
)
def test_one_line_says_how_the_run_goes(events, after_s, expected):
    now = 100.0
    watcher = Watcher(quiet=True, clock=lambda: now)
    for event in events:
        watcher.watch(event)
    now += after_s
    assert watcher.line() == expected


def test_a_lost_worker_is_told_from_a_dead_one(capsys):
    watcher = Watcher()
    watcher.watch(WorkerDied(3, None, "000001"))
    watcher.watch(WorkerDied(4, -9, "000002"))
    assert capsys.readouterr().err.splitlines() == [
        "worker 3 was lost; its clips go on",
        "worker 4 died (exit code -9); its clips go on",
    ]


def begun(worker: int, uri: str, clip_index: int = 0) -> ClipBegun:
    return ClipBegun(worker, uri, clip_index, cost=1.0, n_frames=8)


def test_who_waits_hears_every_half_minute_what_is_done(capsys):
    now = 0.0

    def heard(after_s: float, *events) -> list[str]:
        nonlocal now
        now += after_s
        for event in events:
            watcher.watch(event)
        watcher.beat()
        return capsys.readouterr().err.splitlines()

    watcher = Watcher(clock=lambda: now)
    assert heard(30) == ["at work for 30 s"], "videos are planned"
    assert heard(30, RunBegun(3, 1)) == ["0 of about 3 clips; models are being loaded"]
    assert heard(30, begun(0, "a.mp4")) == ["0 of about 3 clips; a.mp4 in hand for 0 s"]
    (line,) = heard(50, begun(1, "b.mp4", 2))
    assert line == "0 of about 3 clips; a.mp4 and 1 more in hand for 50 s"
    (line,) = heard(30, done(0, Load(0.0)))
    assert line.startswith("1 of about 3 clips; ")
    assert line.endswith("; b.mp4#2 in hand for 30 s")
    watcher.say("failed: b.mp4")
    assert heard(5) == ["failed: b.mp4"], "something was said a moment ago"
    watcher.begin("drawing films")
    assert heard(75) == ["drawing films", "drawing films, for 1 min 15 s"]


def test_a_heart_beats_until_the_work_is_over():
    beats, twice = [], threading.Event()

    def beat() -> None:
        beats.append(1)
        if len(beats) == 2:
            twice.set()

    with Heartbeat(beat, every_s=0.01):
        assert twice.wait(10)
    assert "heartbeat" not in {thread.name for thread in threading.enumerate()}
