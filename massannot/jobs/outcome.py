"""Outcome: how a job ended, as text, as JSON and as an exit code."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from massannot.engine.driver import SENT_TO_STOP
from massannot.engine.tally import RunSummary

DONE, TOO_MANY_FAILED, INTERRUPTED = 0, 3, 75


@dataclass(frozen=True)
class Outcome:
    """A job that is over, for people and for scripts."""

    code: int
    text: str
    as_json: dict[str, Any]


def run_and_print(job: Callable[[], Outcome], *, as_json: bool) -> int:
    """Run a job, print its outcome (text or JSON) to stdout and return the exit code."""
    before = [signal.signal(number, _stop_between_clips) for number in SENT_TO_STOP]
    try:  # while clips are worked on, the driver's own handlers are there
        outcome = job()
    finally:
        for number, handler in zip(SENT_TO_STOP, before, strict=True):
            signal.signal(number, handler)
    if as_json:
        print(json.dumps(outcome.as_json, indent=2, ensure_ascii=False))
    else:
        print(outcome.text)
    return outcome.code


def _stop_between_clips(number: int, frame: object) -> None:
    """Handle a signal that comes before the workers start, or while films are drawn."""
    print("interrupted; the same command continues", file=sys.stderr)
    sys.exit(INTERRUPTED)


def exit_code(summary: RunSummary, max_failed: float) -> int:
    """0, 3 or 75. `max_failed` is a share of the clips, and of the rows of manifests."""
    if summary.interrupted:
        return INTERRUPTED
    if summary.questions.bad_share > max_failed:
        return TOO_MANY_FAILED
    failed = summary.failed + summary.quarantined
    settled = summary.done + failed
    if settled and failed / settled > max_failed:
        return TOO_MANY_FAILED
    return DONE


def run_lines(run: RunSummary) -> list[str]:
    """How a run stands: counts that close, failures by class, and a manifest's rows."""
    speed = ""
    if run.done_now:
        speed = (
            f"; {run.done_now} now in {run.seconds:.1f} s, "
            f"{1000 * run.seconds / max(run.frames_now, 1):.0f} ms a frame"
        )
    lines = [run.counts + speed]
    if run.interrupted:
        lines.append("interrupted; the same command continues")
    lines += [f"{f.status}: {f.clips} x {f.reason}" for f in run.failures]
    return [*lines, *run.questions.lines]
