"""What a person reads while a run runs."""

import pytest

from massannot.engine.progress import (
    ClipDone,
    ClipFailed,
    Load,
    RunBegun,
    ShardElsewhere,
    WorkerDied,
)
from massannot.jobs.console import Watcher
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
