"""What models warn of while a clip is annotated reaches the summary, each sentence once."""

from __future__ import annotations

import warnings

from massannot.engine.annotation import _warnings_heard
from massannot.engine.progress import ClipDone
from massannot.engine.tally import RunSummary, Tally
from massannot.errors import MassannotWarning
from massannot.jobs.outcome import SHOWN_WARNINGS, run_lines


def summary_of(*heard: str) -> RunSummary:
    """Of two clips that both say this."""
    tally = Tally()
    for number in range(2):
        tally.add(ClipDone(0, "a.mp4", number, "id", 10, 0.0, (), None, heard))
    return RunSummary(
        planned=2, done=2, failed=0, quarantined=0, remaining=0, failures=(), copies=0,
        done_now=2, frames_now=20, seconds=1.0, stage_seconds={}, interrupted=False,
        warnings=tuple(tally.warnings),
    )  # fmt: skip


def test_our_warnings_are_heard_and_all_are_shown() -> None:
    with warnings.catch_warnings(record=True) as shown, _warnings_heard() as heard:
        warnings.simplefilter("always")
        warnings.warn("b.json: 2 of 10 rows answer for no frame", MassannotWarning, stacklevel=1)
        warnings.warn("of a library", UserWarning, stacklevel=1)
    assert heard == ["b.json: 2 of 10 rows answer for no frame"]
    assert len(shown) == 2


def test_each_sentence_is_in_the_summary_once_and_the_rest_are_counted() -> None:
    assert run_lines(summary_of("b.json: 2 rows"))[1:] == ["warning: b.json: 2 rows"]
    many = [f"{number}" for number in range(SHOWN_WARNINGS + 3)]
    lines = run_lines(summary_of(*many))
    assert lines[-2:] == [f"warning: {SHOWN_WARNINGS - 1}", "warnings: 3 more in _run/logs"]
