"""How long a job may take, said before its first frame: frames ahead, times what a frame costs; and
how long its first clip may take before it counts as hung.

Rough on purpose: headers of at most a few videos are read, and the costs are those measured on one
CPU thread (BENCHMARKS.md). Where nothing was measured, nothing is promised.

What a plan will take, measured on a few of its clips: device time, decoding, disk, and what is
the narrowest of them. The rest is proportion: models' and decoders' time to pixels, tables to
frames.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from massannot.clip import Clip
from massannot.dataset.reading import open_dataset
from massannot.engine import local
from massannot.engine.progress import ClipDone, Event, Progress
from massannot.engine.watchdog import Patience
from massannot.errors import ClipError, NothingToRun
from massannot.inputs.span import Span
from massannot.jobs.kept_choice import KeptChoice
from massannot.models.runtime import torch_state
from massannot.plan.folder import read_shard, shard_table
from massannot.plan.planned_videos import PlannedVideo, deal
from massannot.plan.record import PlanRecord
from massannot.recipes.models import default_profile
from massannot.video.reader import probe, read_clips, release
from massannot.video.sampling import Sampling

CLIPS = 32
DECODED = 8
"""Of these clips, how many are decoded once more without models beside."""
WORKERS = (1, 8, 64, 512)


@dataclass(frozen=True)
class Measured:
    """A few clips: what they are, and what they took."""

    clips: int
    frames: int
    pixels: float
    """Annotated frames times working pixels, as costs in a plan."""
    stage_s: Mapping[str, float]
    decode_s: float
    """Core-seconds for `decode_pixels`."""
    decode_pixels: float
    table_bytes: int


@dataclass(frozen=True)
class Bill:
    device: str
    measured: Measured
    device_hours: float
    decode_core_hours: float
    cores_a_worker: float
    """Decoding cores that keep one worker busy."""
    cores_here: float
    """Cores of this machine for each of its workers."""
    table_bytes: float
    hours: Mapping[int, float] = field(default_factory=dict)
    """By number of workers, if decoding keeps up."""

    @property
    def bottleneck(self) -> str:
        if self.cores_a_worker > self.cores_here:
            return (
                f"decoding: a worker needs {self.cores_a_worker:.1f} cores, this machine has "
                f"{self.cores_here:.1f} for each"
            )
        stage, seconds = Counter(self.measured.stage_s).most_common(1)[0]
        return f"{stage}: {seconds / sum(self.measured.stage_s.values()):.0%} of the models' time"


def bill_of(measured: Measured, counts: Mapping[str, Any], *, device: str, cores: float) -> Bill:
    """The whole plan's bill, in proportion. `counts` are those of its record."""
    share = counts["cost"] / measured.pixels
    model_s = sum(measured.stage_s.values())
    decode_s = measured.decode_s / measured.decode_pixels * measured.pixels
    device_hours = model_s * share / 3600
    return Bill(
        device,
        measured,
        device_hours,
        decode_s * share / 3600,
        decode_s / model_s,
        cores,
        measured.table_bytes / measured.frames * counts["expected_frames"],
        {n: device_hours / n for n in WORKERS},
    )


def measure(folder: Path, kept: KeptChoice, *, device: str, progress: Progress) -> Measured:
    """Annotate and decode a few of the plan's clips. Raises NothingToRun when none could be,
    KeyboardInterrupt when asked to stop: too few clips would make a wrong bill."""
    videos = _few(folder, kept.sampling)
    stage_s: Counter[str] = Counter()

    def heard(event: Event) -> None:
        if isinstance(event, ClipDone):
            for each in event.times:
                stage_s[each.stage] += each.seconds  # type: ignore[assignment]  # seconds
        progress(event)

    with tempfile.TemporaryDirectory(prefix="massannot-estimate-") as scratch:
        out = Path(scratch) / "out"
        done = local.run(
            deal(videos, per_shard=len(videos)),
            kept.choice.build,
            out=out,
            sampling=kept.sampling,
            workers=1,
            device=device,
            patience=patience_with(kept.choice.profile),
            progress=heard,
        )
        if done.interrupted:
            raise KeyboardInterrupt
        if not stage_s:
            raise NothingToRun(
                f"{folder}: none of {len(videos)} clips could be annotated; look at some of its "
                "videos with `massannot annotate VIDEO`"
            )
        clips = open_dataset(out).table("clips").to_pylist()
        table_bytes = sum(path.stat().st_size for path in (out / "data").rglob("*.parquet"))
    annotated = {row["uri"] for row in clips}
    decode_s, decode_pixels = _decoded(
        [v for v in videos if v.uri in annotated][:DECODED], kept.sampling
    )
    return Measured(
        len(clips),
        sum(row["n_frames"] for row in clips),
        sum(_pixels(row["n_frames"], row["working_width"], row["working_height"]) for row in clips),
        dict(stage_s),
        decode_s,
        decode_pixels,
        table_bytes,
    )


def estimate(
    folder: Path,
    record: PlanRecord,
    kept: KeptChoice,
    *,
    device: str,
    progress: Progress,
) -> Bill:
    """What the finished plan in `folder` will take, measured here on `device`."""
    found = measure(folder, kept, device=device, progress=progress)
    cores = (os.cpu_count() or 1) / max(1, len(torch_state().cuda_devices))
    return bill_of(found, record.counts, device=device, cores=cores)


def as_text(bill: Bill) -> str:
    cores = _short(bill.cores_a_worker)
    m, kind = bill.measured, {"cpu": "CPU"}.get(bill.device, "GPU")
    hours = ", ".join(f"{_spoken_hours(h)} on {n}" for n, h in bill.hours.items())
    lines = [
        f"measured on {m.clips} clips, {m.frames} frames, one worker on {bill.device}:",
        f"device: {_short(bill.device_hours)} {kind}-hours; workers: {hours}",
        f"decode: {_short(bill.decode_core_hours)} core-hours, {cores} cores for each worker",
        f"tables: {_of_bytes(bill.table_bytes)}",
        f"narrowest: {bill.bottleneck}",
    ]
    return "\n".join(lines)


def as_json(bill: Bill) -> dict[str, Any]:
    return {**asdict(bill), "bottleneck": bill.bottleneck}


def _few(folder: Path, sampling: Sampling) -> list[PlannedVideo]:
    """A clip each of videos from all over the plan."""
    table = shard_table(folder)
    step = max(1, -(-len(table) // CLIPS))
    videos = [video for shard in table[::step] for video in read_shard(shard).videos]
    step = max(1, -(-len(videos) // CLIPS))
    return [replace(v, spans=(_first_clip(v, sampling),)) for v in videos[::step]]


def _first_clip(video: PlannedVideo, sampling: Sampling) -> Span:
    span = video.spans[0] if video.spans else Span()
    if span.end_s is not None:
        return span
    return replace(span, end_s=(span.start_s or 0.0) + sampling.clip_s)


def _decoded(videos: Sequence[PlannedVideo], sampling: Sampling) -> tuple[float, float]:
    """(seconds, pixels): one decoder at a time, so that its seconds are a core's."""
    seconds = pixels = 0.0
    for video in videos:
        began = time.perf_counter()
        try:
            for clip in read_clips(video, sampling=sampling):
                if isinstance(clip, Clip):
                    pixels += _pixels(len(clip), clip.frames.width, clip.frames.height)
                    release(clip)
        except ClipError:
            continue
        seconds += time.perf_counter() - began
    return seconds, pixels


def _pixels(frames: int, width: int, height: int) -> float:
    return float(frames * width * height)


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.2g}"


def _of_bytes(n: float) -> str:
    for unit, name in ((1e12, "TB"), (1e9, "GB")):
        if n >= unit / 10:
            return f"{n / unit:.1f} {name}"
    return f"{n / 1e6:.2f} MB"


def _spoken_hours(hours: float) -> str:
    if hours >= 48:
        return f"{hours / 24:.1f} days"
    if hours >= 1:
        return f"{hours:.1f} h"
    return f"{hours * 60:.1f} min" if hours * 60 >= 1 else f"{hours * 3600:.0f} s"


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
