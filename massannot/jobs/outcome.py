"""Outcome: how a job ended, as text, as JSON and as an exit code."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from massannot.counts import counted
from massannot.engine.driver import SENT_TO_STOP
from massannot.engine.tally import RunSummary
from massannot.jobs.repeated import Outcome
from massannot.models.profiles import PROFILES, named
from massannot.models.prompts_by_hand import PromptsByHand
from massannot.recipes.model_flags import BY_HAND
from massannot.recipes.spec import RunSpec

DONE, TOO_MANY_FAILED, INTERRUPTED = 0, 3, 75

SHOWN_WARNINGS = 10
MUCH_AT_EDGE = 0.2
"""Share of a clip's depth at the edge of the trained range from which another profile is named."""


def run_and_print(job: Callable[[], Outcome], *, as_json: bool) -> int:
    """Run a job, print its outcome (text or JSON) to stdout and return the exit code."""
    before = [signal.signal(number, _stop_between_clips) for number in SENT_TO_STOP]
    try:  # while clips are worked on, the driver's own handlers are there
        outcome = job()
    finally:
        for number, handler in zip(SENT_TO_STOP, before, strict=True):
            signal.signal(number, handler)
    outcome.print(as_json=as_json)
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
    lines += [f"warning: {sentence}" for sentence in run.warnings[:SHOWN_WARNINGS]]
    if len(run.warnings) > SHOWN_WARNINGS:
        lines.append(f"warnings: {len(run.warnings) - SHOWN_WARNINGS} more in _run/logs")
    return [*lines, *run.copy_lines, *run.questions.lines]


def depth_lines(clips: pa.Table, spec: RunSpec) -> list[str]:
    """The range that the depth weights were trained for, how much of the depth lies at its edge,
    and a warning with the profile that reaches farther where that is much. Empty for other depth.
    """
    known = clips.filter(clips["depth_at_edge_share"].is_valid())
    if not known.num_rows:
        return []
    shares, frames = (known[n].to_numpy() for n in ("depth_at_edge_share", "n_frames"))
    answerer = spec.models["depth"]
    profile = next((p for p in PROFILES if p.name == answerer.name), None)
    own = profile is not None and answerer.weights is None
    range_m = profile.model("depth").range_m if profile is not None and own else None
    trained = "its weights' range" if range_m is None else f"the {range_m:g} m of its training"
    at_edge = f"{100 * np.average(shares, weights=frames):.0f} %"
    lines = [f"depth: {at_edge} lies in the last tenth of {trained}"]
    n_much = int((shares > MUCH_AT_EDGE).sum())
    if n_much:
        way = "take weights that were trained farther"
        if profile is not None and own and profile.farther:
            reach = named(profile.farther).model("depth").range_m
            way = f"--profile {profile.farther} was trained up to {reach:g} m"
        lines.append(
            f"warning: in {n_much} of {counted(len(shares), 'clip')} it is more than "
            f"{100 * MUCH_AT_EDGE:.0f} %, so things may be farther away than said; {way}"
        )
    return lines


def prompt_lines(frames: pa.Table, spec: RunSpec) -> list[str]:
    """A warning where boxes or points by hand name times at which nothing was annotated. `frames`:
    the table's clip_id, frame and t_s."""
    answerer = spec.models.get("detect")
    if answerer is None or answerer.name != BY_HAND or not frames.num_rows:
        return []
    by_hand = [str(spec.options.get(f"detect.{kind}", "")) for kind in ("boxes", "points")]
    ids, t_s = frames["clip_id"].to_numpy(), frames["t_s"].to_numpy()
    missed = PromptsByHand(*by_hand).outside([np.sort(t_s[ids == clip]) for clip in np.unique(ids)])
    if not missed:
        return []
    times = ", ".join(f"{t:g}s" for t in missed)
    between = f"{t_s.min():g} and {t_s.max():g} s"
    what = f"warning: no frame was annotated at {times}, where something was given by hand"
    return [f"{what}; frames lie between {between}: give a time among them"]
