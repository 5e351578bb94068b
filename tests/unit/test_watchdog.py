"""The watchdog: a clip is overdue when it takes ten times what its size usually takes."""

import time

import pytest

from massannot.dataset.layout import Layout
from massannot.dataset.leases import Leases
from massannot.dataset.record import RunRecord
from massannot.engine.driver import Driver, StopSignals
from massannot.engine.handles import ChildProcesses
from massannot.engine.progress import ClipBegun
from massannot.engine.watchdog import Patience, Watchdog
from massannot.engine.worker_config import WorkerConfig
from massannot.jobs.estimate import patience_with
from massannot.recipes.model_flags import ModelFlags, run_spec
from tests.faults.tiny_run import Tiny

PATIENCE = Patience(hung_after_s=120, hung_factor=10, first_clip_s=600, first_frame_on_cpu_s=5)


def overdue(
    *, usual_s_per_cost: list[float], cost: float, after_s: float, n_frames: int = 10
) -> list[float]:
    """How long each overdue clip was allowed to take."""
    now = 0.0
    watchdog = Watchdog(PATIENCE, clock=lambda: now)
    for seconds in usual_s_per_cost:
        watchdog.begun(ClipBegun(0, "usual.mp4", 0, 1.0, 10))
        now += seconds
        watchdog.done(0, "usual.mp4", 0)
    watchdog.begun(ClipBegun(1, "this.mp4", 0, cost, n_frames))
    now += after_s
    return [hung.allowed_s for hung in watchdog.overdue()]


@pytest.mark.parametrize(
    ("usual", "cost", "after_s", "expected"),
    [
        pytest.param([30, 30, 30], 1, 299, [], id="ten times what is usual is allowed"),
        pytest.param([30, 30, 30], 1, 301, [300], id="and no more"),
        pytest.param([30, 30, 30], 4, 1199, [], id="a clip four times as large may take so long"),
        pytest.param([30, 30, 30], 4, 1201, [1200], id="and no longer"),
        pytest.param([1, 1, 1], 1, 119, [], id="two minutes are always allowed"),
        pytest.param([1, 1, 1], 1, 121, [120], id="but not more where seconds are usual"),
        pytest.param([30, 30, 9000], 1, 301, [300], id="one slow clip changes nothing: a median"),
        pytest.param([], 1, 599, [], id="nothing is usual before the first clip"),
        pytest.param([], 1, 601, [600], id="ten minutes for that one"),
    ],
)
def test_a_clip_is_overdue(usual, cost, after_s, expected):
    assert overdue(usual_s_per_cost=usual, cost=cost, after_s=after_s) == expected


@pytest.mark.parametrize(
    ("after_s", "expected"),
    [pytest.param(999, [], id="what its frames need"), pytest.param(1001, [1000], id="no more")],
)
def test_a_long_first_clip_may_take_longer_where_frames_are_slow(after_s, expected):
    assert overdue(usual_s_per_cost=[], cost=1, after_s=after_s, n_frames=200) == expected


@pytest.mark.parametrize(
    ("profile", "seconds"),
    [
        pytest.param("small", 3 * 15, id="three times what was measured"),
        pytest.param("auto", 3 * 15, id="auto is small"),
        pytest.param("mass", 3 * 60, id="of what was not measured, four times small"),
    ],
)
def test_the_first_clip_s_time_on_a_cpu_is_the_profile_s(profile, seconds):
    spec = run_spec(flags=ModelFlags(profile=profile))
    assert patience_with(spec, Patience()) == Patience(first_frame_on_cpu_s=seconds)


@pytest.mark.parametrize(
    ("devices", "expected"),
    [(["cuda:0", "cuda:1"], [600]), (["cpu"], [2000]), (["cuda:0", "cpu"], [2000])],
)
def test_frames_are_slow_on_a_cpu_alone(tmp_path, monkeypatch, devices, expected):
    configs = [
        WorkerConfig(tmp_path, n, name, Tiny(), lambda *_: (), 1) for n, name in enumerate(devices)
    ]
    driver = Driver(
        Layout(tmp_path), RunRecord({}, {}, ""), [], configs, StopSignals(), lambda event: None,
        workplace=ChildProcesses(), patience=PATIENCE, leases=Leases(Layout(tmp_path)),
    )  # fmt: skip
    driver._hear(None, ClipBegun(0, "a.mp4", 0, 1.0, 400))
    now = time.monotonic()
    monkeypatch.setattr(driver._watchdog, "_clock", lambda: now + 1e6)
    assert [hung.allowed_s for hung in driver._watchdog.overdue()] == expected


def test_a_clip_that_ended_or_failed_is_not_waited_for():
    now = 0.0
    watchdog = Watchdog(PATIENCE, clock=lambda: now)
    for worker, end in ((0, watchdog.done), (1, watchdog.failed)):
        watchdog.begun(ClipBegun(worker, "a.mp4", 0, 1.0, 10))
        end(worker, "a.mp4", 0)
    now = 1e6
    assert watchdog.overdue() == []
