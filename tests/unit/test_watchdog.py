"""The watchdog: a clip is overdue when it takes ten times what its size usually takes."""

import pytest

from massannot.executors.progress import ClipBegun
from massannot.executors.watchdog import Patience, Watchdog

PATIENCE = Patience(hung_after_s=120, hung_factor=10, first_clip_s=3600)


def overdue(*, usual_s_per_cost: list[float], cost: float, after_s: float) -> list[float]:
    """How long each overdue clip was allowed to take."""
    now = 0.0
    watchdog = Watchdog(PATIENCE, clock=lambda: now)
    for seconds in usual_s_per_cost:
        watchdog.begun(ClipBegun(0, "usual.mp4", 0, 1.0))
        now += seconds
        watchdog.done(0, "usual.mp4", 0)
    watchdog.begun(ClipBegun(1, "this.mp4", 0, cost))
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
        pytest.param([], 1, 3599, [], id="nothing is usual before the first clip"),
        pytest.param([], 1, 3601, [3600], id="an hour for that one"),
    ],
)
def test_a_clip_is_overdue(usual, cost, after_s, expected):
    assert overdue(usual_s_per_cost=usual, cost=cost, after_s=after_s) == expected


def test_a_clip_that_ended_or_failed_is_not_waited_for():
    now = 0.0
    watchdog = Watchdog(PATIENCE, clock=lambda: now)
    for worker, end in ((0, watchdog.done), (1, watchdog.failed)):
        watchdog.begun(ClipBegun(worker, "a.mp4", 0, 1.0))
        end(worker, "a.mp4", 0)
    now = 1e6
    assert watchdog.overdue() == []
