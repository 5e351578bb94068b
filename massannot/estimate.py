"""How long a job may take, said before its first frame: frames ahead, times what a frame costs; and
how long its first clip may take before it counts as hung.

Rough on purpose: headers of at most a few videos are read, and the costs are those measured on one
CPU thread (BENCHMARKS.md). Where nothing was measured, nothing is promised.
"""

from __future__ import annotations

from collections.abc import Sequence

from massannot.chosen_models import default_profile
from massannot.errors import ClipError
from massannot.executors.watchdog import Patience
from massannot.io.video import Sampling, probe

PROBED = 12
"""Videos whose headers are read: enough for a guess, a second at most."""
CPU_SECONDS_A_FRAME = {"none": 0.1, "small": 15.0, "permissive-relative": 13.0, "embedded": 0.4}
"""Rounded from the tables of BENCHMARKS.md, 3 entities; `none`: files or oracles with
Lucas-Kanade."""
UNMEASURED_CPU_SECONDS_A_FRAME = 60.0
SLOWER = 3.0
"""Another CPU, or one that is shared, may be so much slower than the one that was measured."""


def frames_ahead(uris: Sequence[str], sampling: Sampling) -> int | None:
    """Annotated frames in all, from the headers of a sample; None when no header tells."""
    step = max(1, len(uris) // PROBED)
    known = [n for uri in uris[::step][:PROBED] if (n := _frames(uri, sampling)) is not None]
    return round(sum(known) / len(known) * len(uris)) if known else None


def _frames(uri: str, sampling: Sampling) -> float | None:
    try:
        header = probe(uri)
    except ClipError:
        return None
    rate = None if header.frame_rate is None else float(header.frame_rate)
    if header.duration_s is None or rate is None:
        return None
    return header.duration_s * (rate if sampling.fps is None else min(rate, sampling.fps))


def sentence(
    uris: Sequence[str], sampling: Sampling, *, profile: str, device: str, workers: int
) -> str:
    """'3 videos, about 600 frames, about 12 minutes' as far as it is known."""
    parts = [f"{len(uris)} video" + "s" * (len(uris) != 1)]
    n_frames = frames_ahead(uris, sampling)
    if n_frames is not None:
        parts.append(f"about {n_frames} frames")
        cost = CPU_SECONDS_A_FRAME.get(profile)
        if device == "cpu" and cost is not None:
            parts.append(f"about {_spoken(n_frames * cost / max(1, workers))}")
    return ", ".join(parts)


def patience_with(profile: str) -> Patience:
    """The usual patience, and with the first clip as much as the models need on a CPU."""
    name = default_profile() if profile == "auto" else profile
    seconds = CPU_SECONDS_A_FRAME.get(name, UNMEASURED_CPU_SECONDS_A_FRAME)
    return Patience(first_frame_on_cpu_s=SLOWER * seconds)


def _spoken(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} seconds"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} minutes"
    return f"{seconds / 3600:.1f} hours"
