"""How much of two simulated GPUs the engine uses, and how many clips it can schedule.

    python -m tests.bench.bench_engine

A clip is 50 MB of pictures that take 100 ms to decode and 120 + 200 + 80 ms on a device. A device
is a lock that is held in sleeps of 20 ms: nobody computes, so that what is measured is the engine.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import ClassVar

import numpy as np

from massannot import tables
from massannot.clip import Clip, Frames, Video
from massannot.dataset import record as run_record
from massannot.dataset.layout import Layout
from massannot.dataset.leases import Leases
from massannot.dataset.record import RunRecord
from massannot.engine.driver import Driver, StopSignals
from massannot.engine.progress import ClipDone, WorkerReady
from massannot.engine.watchdog import Patience
from massannot.engine.worker import ReadPlanned
from massannot.engine.worker_config import WorkerConfig
from massannot.plan.folder import PlannedShard
from massannot.plan.planned_videos import PlannedVideo
from massannot.stages._stage import Pipeline, Stage
from massannot.video.byte_budget import ByteBudget
from massannot.video.reader import VideoEnd
from massannot.video.sampling import Sampling
from tests.bench.noop_worker import NoopProcesses
from tests.faults import tiny_run

RUNS = 5
N_CLIPS, PER_SHARD, N_GPUS = 40, 10, 2
SHAPE = (68, 512, 480, 3)
DECODE_S, QUANTUM_S = 0.1, 0.02
STAGES_S = (0.12, 0.2, 0.08)
SLOW = 17
"""The clip that takes ten times as long, in the runs that have one."""
AHEAD = threading.Semaphore(4)
"""Clips decoded and not yet finished by one worker: 200 MB."""


def main() -> None:
    print("| clips | devices busy, steady | whole run |")
    print("|---|---|---|")
    for name, factor in (("alike", 1), ("one ten times slower", 10)):
        runs = [utilisation(factor) for _ in range(RUNS)]
        steady, whole = (median(values) for values in zip(*runs, strict=True))
        print(f"| {name} | {steady:.3f} | {whole:.3f} |", flush=True)
    rate = median(scheduling_rate() for _ in range(RUNS))
    print(f"\nscheduling alone, shards of 100 clips: {rate:,.0f} clips/s (bound: 5,000)")


def utilisation(slow_factor: int) -> tuple[float, float]:
    """Share of the devices' time in which kernels ran: between 20 % and 80 % of the clips, and from
    the first kernel to the last."""
    with tempfile.TemporaryDirectory() as folder:
        ended: list[float] = []
        tiny_run.run(
            tiny_run.sharded([PlannedVideo(f"v{n:03d}") for n in range(N_CLIPS)], PER_SHARD),
            Simulated(folder, slow_factor),
            out=Path(folder) / "out",
            workers=N_GPUS,
            reader=Decode(Sampling()),
            progress=lambda e: ended.append(time.monotonic()) if isinstance(e, ClipDone) else None,
        )
        assert len(ended) == N_CLIPS
        kernels = np.loadtxt(Path(folder) / "kernels")
    first, last = ended[round(0.2 * N_CLIPS) - 1], ended[round(0.8 * N_CLIPS) - 1]
    steady = busy_share(kernels, first, last)
    return steady, busy_share(kernels, kernels[:, 0].min(), kernels[:, 1].max())


def busy_share(kernels: np.ndarray, first: float, last: float) -> float:
    """Share of the devices' time from `first` to `last` in which kernels ran."""
    within = np.minimum(kernels[:, 1], last) - np.maximum(kernels[:, 0], first)
    return float(within.clip(0).sum() / (N_GPUS * (last - first)))


def scheduling_rate() -> float:
    """Clips a second of a driver and two workers that do nothing."""
    with tempfile.TemporaryDirectory() as folder:
        shards = [PlannedShard(f"{n:06d}", 1.0, 100, 1, 100, folder) for n in range(200)]
        layout = Layout(Path(folder))
        record = run_record.begin(layout, RunRecord({"sampling": Sampling().to_json()}))
        config = WorkerConfig(layout.out, 0, "cpu", Simulated(folder, 1), Decode(Sampling()), 1)
        times: list[float] = []
        Driver(
            layout,
            record,
            shards,
            [config, config],
            StopSignals(),
            lambda e: (
                times.append(time.monotonic()) if isinstance(e, ClipDone | WorkerReady) else None
            ),
            workplace=NoopProcesses(),
            patience=Patience(),
            leases=Leases(layout),
        ).run()
    assert len(times) == 100 * len(shards)
    return len(times) / (times[-1] - times[0])


@dataclass(frozen=True)
class Decode(ReadPlanned):
    """One clip a video: sleeps, and touches every page of its pictures."""

    def __call__(
        self, video: PlannedVideo, *, memory: ByteBudget
    ) -> Generator[Clip | VideoEnd, None, None]:
        AHEAD.acquire()
        pixels = np.empty(SHAPE, np.uint8)
        time.sleep(DECODE_S)
        pixels.reshape(-1)[::4096] = 1
        name = hashlib.blake2b(video.uri.encode(), digest_size=16).hexdigest()
        opened = Video(
            uri=video.uri, video_id=name, source_id=None, size_bytes=1, container="mp4",
            codec="h264", pixel_format="yuv420p", width=SHAPE[2], height=SHAPE[1], rotation=0,
            sample_aspect=Fraction(1), color_space="bt709", color_range="limited",
            time_base=Fraction(1, 10), first_pts=0, duration_s=6.8, n_frames=SHAPE[0],
            variable_rate=False, damaged=False,
        )  # fmt: skip
        pts = np.arange(SHAPE[0])
        frames = Frames(pixels, name, video.uri, pts, pts / 10, Fraction(1, 10), SHAPE[2], SHAPE[1])
        rows = tables.spec("frames").from_columns(
            {
                "clip_id": [name] * SHAPE[0],
                "frame": pts,
                "pts": pts,
                "t_s": pts / 10,
                "keyframe": [False] * SHAPE[0],
                "damaged": [False] * SHAPE[0],
            }
        )
        clip = Clip(name, 0, opened, 0, SHAPE[0], "all", (), frames)
        yield clip.with_table("frames", rows)
        yield VideoEnd(opened, ())


@dataclass(frozen=True)
class Simulate(Stage):
    """A model: so long on the device."""

    seconds: float
    _folder: str
    _slow_factor: int
    reads: ClassVar[tuple[str, ...]] = ("frames",)

    def process(self, clip: Clip) -> Clip:
        slow = self._slow_factor if clip.video.uri == f"v{SLOW:03d}" else 1
        begun, device = time.monotonic(), gpu(self._folder)
        for _ in range(round(slow * self.seconds / QUANTUM_S)):
            fcntl.flock(device, fcntl.LOCK_EX)
            time.sleep(QUANTUM_S)
            fcntl.flock(device, fcntl.LOCK_UN)
        with open(Path(self._folder) / "kernels", "a") as log:
            log.write(f"{begun} {time.monotonic()}\n")
        return clip


@dataclass(frozen=True)
class Describe(Stage):
    """The clip's row; its pictures are not needed any more."""

    reads: ClassVar[tuple[str, ...]] = ("frames",)
    writes: ClassVar[tuple[str, ...]] = ("clips",)

    def process(self, clip: Clip) -> Clip:
        AHEAD.release()
        row = tables.spec("clips").from_rows([clip.read_columns()])
        return clip.with_table("clips", row)


@dataclass(frozen=True)
class Simulated:
    """Builds the pipeline; picklable."""

    folder: str
    slow_factor: int

    def __call__(self) -> Pipeline:
        stages = [Simulate(seconds, self.folder, self.slow_factor) for seconds in STAGES_S]
        return Pipeline("simulated", (*stages, Describe()))


def gpu(folder: str) -> int:
    """The device of this process: the first that no other process holds."""
    if not _DEVICE:
        for number in range(N_GPUS):
            claim = os.open(Path(folder) / f"claim{number}", os.O_CREAT | os.O_RDWR)
            try:
                fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until the process ends
            except BlockingIOError:
                continue
            _DEVICE.append(os.open(Path(folder) / f"gpu{number}", os.O_CREAT | os.O_RDWR))
            break
    return _DEVICE[0]


_DEVICE: list[int] = []

if __name__ == "__main__":
    from tests.bench import bench_engine  # under the name by which workers import it

    bench_engine.main()
