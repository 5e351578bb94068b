"""What a plan will take, measured on a pilot of its clips; and rough guesses before that.

The rest is proportion: models' and decoders' time to annotated pixels, tables to frames. Intervals
come from the spread between the pilot's clips and between its shards.
"""

from __future__ import annotations

import heapq
import os
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from massannot.clip import Clip
from massannot.counts import counted
from massannot.dataset import plans
from massannot.dataset import record as run_record
from massannot.dataset.layout import Layout
from massannot.dataset.reading import open_dataset
from massannot.engine import execution, local
from massannot.engine.progress import ClipDone, Event, Progress
from massannot.engine.settings import ExecutorSettings
from massannot.engine.watchdog import Patience
from massannot.errors import ClipError, NothingToRun
from massannot.geometry.intervals import ConfidenceInterval, ratio_over_clips
from massannot.inputs.span import Span
from massannot.jobs.plan import read_record
from massannot.models.runtime import torch_state
from massannot.models.weights import require
from massannot.plan.deal import deal
from massannot.plan.folder import FinishedPlan, PlannedShard, read_shard, shard_table
from massannot.plan.planned_videos import PlannedVideo, PlannedVideos
from massannot.recipes.digests import record_of
from massannot.recipes.models import needed_weights
from massannot.recipes.spec import RunSpec
from massannot.video.reader import read_clips, release
from massannot.video.sampling import Sampling

PILOT = 32
"""Clips that are annotated to measure a plan."""
PILOT_SHARDS = 8
"""Parts of the pilot whose tables are compared, for the interval of their sizes."""
DECODED = 8
"""Of these clips, how many are decoded once more without models beside."""
WORKERS = (1, 8, 64, 512)
LEVEL = 0.9
CPU_SECONDS_A_FRAME = {
    "none": 0.1,
    "small": 15.0,
    "small-outdoor": 15.0,
    "permissive-relative": 13.0,
    "embedded": 0.4,
}
"""Rounded from the tables of BENCHMARKS.md, 3 entities; `none`: files or oracles with
Lucas-Kanade; small-outdoor has the networks of small."""
UNMEASURED_CPU_SECONDS_A_FRAME = 60.0
SLOWER = 3.0
"""Another CPU, or one that is shared, may be so much slower than the one that was measured."""


@dataclass(frozen=True)
class Pilot:
    """A few clips: how large they are, and how long they took."""

    clips: int
    frames: int
    pixels: float
    """Annotated frames times working pixels, as costs in a plan."""
    stage_s: Mapping[str, float]
    seconds_a_pixel: ConfidenceInterval
    """Device seconds a pixel, over clips."""
    decode_s: float
    """Core-seconds for `decode_pixels`."""
    decode_pixels: float
    table_bytes: Mapping[str, int]
    bytes_a_frame: Mapping[str, ConfidenceInterval]
    """Of each table, over the pilot's shards."""


@dataclass(frozen=True)
class Estimate:
    """What the whole plan will take, in proportion to its pilot. Intervals are 90 % ones."""

    device: str
    pilot: Pilot
    device_hours: ConfidenceInterval
    decode_core_hours: float
    cores_a_worker: float
    """Decoding cores that keep one worker busy."""
    cores_here: float
    """Cores of this machine for each of its workers."""
    table_bytes: Mapping[str, ConfidenceInterval]
    n_shards: int
    hours: Mapping[int, float] = field(default_factory=dict)
    """By number of workers, if decoding keeps up: the last shard ends when it ends."""

    @property
    def bottleneck(self) -> str:
        if self.cores_a_worker > self.cores_here:
            return (
                f"decoding: a worker needs {self.cores_a_worker:.1f} cores, this machine has "
                f"{self.cores_here:.1f} for each"
            )
        stage, seconds = Counter(self.pilot.stage_s).most_common(1)[0]
        return f"{stage}: {seconds / sum(self.pilot.stage_s.values()):.0%} of the models' time"


def of_folder(
    folder: Path,
    plan: FinishedPlan,
    *,
    device: str,
    pilot_clips: int = PILOT,
    progress: Progress,
) -> Estimate:
    """What the finished plan in `folder` will take, measured here on `device`.

    Raises NothingToRun when no clip could be annotated, KeyboardInterrupt when asked to stop: too
    few clips would make a wrong estimate.
    """
    device = local.devices(device, 1)[0]
    spec = RunSpec.from_json(read_record(folder).spec)
    require(needed_weights(spec))
    pilot = measure(folder, spec, device=device, pilot_clips=pilot_clips, progress=progress)
    cores = (os.cpu_count() or 1) / max(1, len(torch_state().cuda_devices))
    return in_proportion(pilot, plan.counts, shard_table(folder), device=device, cores=cores)


def in_proportion(
    pilot: Pilot,
    counts: Mapping[str, Any],
    shards: Sequence[PlannedShard],
    *,
    device: str,
    cores: float,
) -> Estimate:
    """The whole plan's estimate. `counts` are those of the finished plan."""
    model_s = sum(pilot.stage_s.values())
    device_hours = _times(pilot.seconds_a_pixel, counts["cost"] / 3600)
    decode_s = pilot.decode_s / pilot.decode_pixels * pilot.pixels
    return Estimate(
        device,
        pilot,
        device_hours,
        decode_s * counts["cost"] / pilot.pixels / 3600,
        decode_s / model_s,
        cores,
        {n: _times(bytes_, counts["expected_frames"]) for n, bytes_ in pilot.bytes_a_frame.items()},
        len(shards),
        {n: _makespan(shards, n) * device_hours.value for n in WORKERS},
    )


def _times(interval: ConfidenceInterval, factor: float) -> ConfidenceInterval:
    return replace(
        interval,
        value=interval.value * factor,
        low=interval.low * factor,
        high=interval.high * factor,
    )


def _makespan(shards: Sequence[PlannedShard], workers: int) -> float:
    """Share of the plan's cost that the busiest of `workers` has: shards are dealt as the driver
    deals them, the dearest first, each to the worker that is free first."""
    total = sum(shard.cost for shard in shards) or 1.0
    busy = [0.0] * min(workers, max(1, len(shards)))
    for cost in sorted((shard.cost for shard in shards), reverse=True):
        heapq.heapreplace(busy, busy[0] + cost)
    return max(busy) / total


def measure(
    folder: Path, spec: RunSpec, *, device: str, pilot_clips: int, progress: Progress
) -> Pilot:
    """Annotate and decode a few of the plan's clips. Raises what `of_folder` raises."""
    videos = _first_clips(folder, spec.sampling, pilot_clips)
    clips: list[ClipDone] = []

    def report(event: Event) -> None:
        if isinstance(event, ClipDone):
            clips.append(event)
        progress(event)

    with tempfile.TemporaryDirectory(prefix="massannot-estimate-") as scratch:
        layout = Layout(Path(scratch) / "out")
        record = run_record.begin(layout, record_of(spec))
        total = sum(video.cost for video in videos)
        plans.add(
            layout,
            deal(PlannedVideos(videos), shard_cost=total / PILOT_SHARDS),
            first_number=0,
        )
        done = execution.run(
            layout,
            record,
            plans.shard_table(layout),
            spec.pipeline,
            settings=ExecutorSettings(
                workers=1, device=device, patience=patience_with(spec, Patience())
            ),
            progress=report,
        )
        if done.interrupted:
            raise KeyboardInterrupt
        if not clips:
            raise NothingToRun(
                f"{folder}: none of {counted(len(videos), 'clip')} could be annotated; look at "
                "some of its videos with `massannot annotate VIDEO`"
            )
        rows = open_dataset(layout.out).table("clips").to_pylist()
        sizes = _table_sizes(layout)
        frames = _frames_by_shard(layout)
    pixels = {(r["uri"], r["clip_index"]): _pixels_of(r) for r in rows}
    stage_s: Counter[str] = Counter()
    for clip in clips:
        for stage in clip.times:
            stage_s[stage.stage] += stage.seconds  # type: ignore[assignment]  # seconds
    known = [clip for clip in clips if (clip.uri, clip.clip_index) in pixels]
    annotated = {row["uri"] for row in rows}
    decode_s, decode_pixels = _decoded(
        [video for video in videos if video.uri in annotated][:DECODED], spec
    )
    return Pilot(
        len(rows),
        sum(row["n_frames"] for row in rows),
        sum(pixels.values()),
        dict(stage_s),
        ratio_over_clips(
            [sum(stage.seconds for stage in clip.times) for clip in known],
            [pixels[clip.uri, clip.clip_index] for clip in known],
            seed=0,
            level=LEVEL,
        ),
        decode_s,
        decode_pixels,
        {name: sum(by_shard.values()) for name, by_shard in sizes.items()},
        {
            name: ratio_over_clips(
                [by_shard.get(shard, 0) for shard in frames],
                list(frames.values()),
                seed=0,
                level=LEVEL,
            )
            for name, by_shard in sizes.items()
        },
    )


def _table_sizes(layout: Layout) -> dict[str, dict[str, int]]:
    """Bytes of each table by shard."""
    sizes: dict[str, dict[str, int]] = {}
    for path in sorted(layout.data.rglob("*.parquet")):
        sizes.setdefault(path.parent.name, {})[path.stem] = path.stat().st_size
    return sizes


def _frames_by_shard(layout: Layout) -> dict[str, int]:
    """Annotated frames of each shard with any."""
    frames = {}
    dataset = open_dataset(layout.out)
    for shard in dataset.shards:
        frames[shard] = int(np.sum(dataset.shard(shard)["clips"]["n_frames"].to_numpy()))
    return {shard: n for shard, n in frames.items() if n}


def as_text(estimate: Estimate) -> str:
    pilot, kind = estimate.pilot, {"cpu": "CPU"}.get(estimate.device, "GPU")
    hours = ", ".join(f"{_spoken_hours(h)} on {n}" for n, h in estimate.hours.items())
    total = sum(size.value for size in estimate.table_bytes.values())
    cores = _number(estimate.cores_a_worker)
    decode = f"{_number(estimate.decode_core_hours)} CPU-hours, {cores} cores for each worker"
    measured = f"{counted(pilot.clips, 'clip')}, {counted(pilot.frames, 'frame')}"
    lines = [
        f"pilot: {measured}, one worker on {estimate.device}",
        f"device: {_short(estimate.device_hours)} {kind}-hours, {LEVEL:.0%} interval over clips",
        f"{counted(estimate.n_shards, 'shard')}; workers: {hours}",
        f"decode: {decode}",
        f"tables: {_of_bytes(total)} in all",
    ]
    largest = sorted(estimate.table_bytes.items(), key=lambda item: -item[1].value)
    for name, size in largest:
        low_high = (
            "" if np.isnan(size.low) else f" ({_of_bytes(size.low)} to {_of_bytes(size.high)})"
        )
        lines.append(f"  {name:<14} {_of_bytes(size.value)}{low_high}")
    return "\n".join([*lines, f"narrowest: {estimate.bottleneck}"])


def as_json(estimate: Estimate) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {str(key): plain(item) for key, item in value.items()}
        if isinstance(value, float) and np.isnan(value):
            return None
        return value

    values: dict[str, Any] = plain(asdict(estimate))
    return {**values, "bottleneck": estimate.bottleneck}


def time_ahead(
    spec: RunSpec, n_videos: int, frames: int, clips: int, device: str, workers: int
) -> str:
    """'3 videos, about 600 frames, about 12 minutes' as far as it is known."""
    parts = [counted(n_videos, "video")]
    if not clips:
        return f"{parts[0]}, less what is there already"
    parts.append(f"about {counted(frames, 'frame')} in about {counted(clips, 'clip')}")
    costs = [CPU_SECONDS_A_FRAME.get(name) for name in spec.profiles or ("none",)]
    if device == "cpu" and None not in costs:
        seconds = frames * max(cost for cost in costs if cost is not None) / max(1, workers)
        parts.append(f"about {_spoken(seconds)}")
    return ", ".join(parts)


def patience_with(spec: RunSpec, patience: Patience) -> Patience:
    """`patience`, where the first clip gets as much time as the spec's models need on a CPU."""
    if patience.first_clip_s != Patience.first_clip_s:
        return patience  # the user's own
    seconds = max(
        CPU_SECONDS_A_FRAME.get(name, UNMEASURED_CPU_SECONDS_A_FRAME)
        for name in spec.profiles or ("none",)
    )
    return replace(patience, first_frame_on_cpu_s=SLOWER * seconds)


def _first_clips(folder: Path, sampling: Sampling, n_clips: int) -> list[PlannedVideo]:
    """A clip each of videos from all over the plan."""
    table = shard_table(folder)
    step = max(1, -(-len(table) // n_clips))
    videos = [video for shard in table[::step] for video in read_shard(shard).videos]
    step = max(1, -(-len(videos) // n_clips))
    return [replace(v, spans=(_first_clip(v, sampling),)) for v in videos[::step]]


def _first_clip(video: PlannedVideo, sampling: Sampling) -> Span:
    span = video.spans[0] if video.spans else Span()
    if span.end_s is not None:
        return span
    return replace(span, end_s=(span.start_s or 0.0) + sampling.clip_s)


def _decoded(videos: Sequence[PlannedVideo], spec: RunSpec) -> tuple[float, float]:
    """(seconds, pixels): one decoder at a time, so that its seconds are a core's."""
    seconds = pixels = 0.0
    for video in videos:
        began = time.perf_counter()
        try:
            for clip in read_clips(video, sampling=spec.sampling, folder=spec.folder):
                if isinstance(clip, Clip):
                    pixels += float(len(clip) * clip.frames.width * clip.frames.height)
                    release(clip)
        except ClipError:
            continue
        seconds += time.perf_counter() - began
    return seconds, pixels


def _pixels_of(row: Mapping[str, Any]) -> float:
    return float(row["n_frames"] * row["working_width"] * row["working_height"])


def _short(interval: ConfidenceInterval) -> str:
    if np.isnan(interval.low):
        return _number(interval.value)
    return f"{_number(interval.value)} ({_number(interval.low)} to {_number(interval.high)})"


def _number(number: float) -> str:
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
    return _spoken(hours * 3600)


def _spoken(seconds: float) -> str:
    if seconds < 90:
        return counted(max(1, round(seconds)), "second")
    if seconds < 90 * 60:
        return counted(round(seconds / 60), "minute")
    return f"{seconds / 3600:.1f} hours"
