"""A tiny pipeline of real stages over tiny real videos, with faults to order.

The faults are fields that do not belong to the recipe, so that a run with and one without them may
follow one another in the same folder. Each processed clip leaves a line in `tally`, a file outside
the run: what was really done, and how often.
"""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from massannot import tables
from massannot.clip import Clip, Phrase
from massannot.dataset import plans
from massannot.dataset import record as run_record
from massannot.dataset.layout import Layout
from massannot.engine import execution
from massannot.engine.progress import Progress, silent
from massannot.engine.settings import ExecutorSettings
from massannot.engine.tally import RunSummary
from massannot.engine.worker import Reader
from massannot.errors import ModelFailed
from massannot.inputs.span import Span
from massannot.models.runtime import micro_batch
from massannot.plan.planned_videos import PlannedVideo, PlannedVideos, Shard, with_file_state
from massannot.stages._stage import Pipeline, Stage
from massannot.video.film_encoder import FilmWriter
from massannot.video.sampling import Sampling

SIDE, SECONDS, FPS = 32, 1, 8
SAMPLING = Sampling(fps=None, clip_s=0.5)
CLIPS_PER_VIDEO = 2


def write_videos(folder: Path, count: int) -> list[str]:
    """Films of a square that moves and changes colour, no two alike."""
    folder.mkdir(parents=True, exist_ok=True)
    uris = []
    for number in range(count):
        path = folder / f"v{number:03d}.mp4"
        with FilmWriter(path, width=SIDE, height=SIDE, fps=Fraction(FPS)) as film:
            for frame in range(SECONDS * FPS):
                picture = np.full((SIDE, SIDE, 3), 30 + number % 97, np.uint8)
                square = np.s_[2 * frame : 2 * frame + 8, number % 20 : number % 20 + 8]
                picture[square] = 255 - 5 * (number % 40)
                film.write(picture)
        uris.append(str(path))
    return uris


def plan_of(uris: list[str], *, per_shard: int = 3, prompt: str = "square") -> tuple[Shard, ...]:
    """Shards of so many videos each, in the given order."""
    spans = (Span(phrases=(Phrase(prompt),)),)
    return sharded([with_file_state(PlannedVideo(uri, spans)) for uri in uris], per_shard)


def sharded(
    videos: Sequence[PlannedVideo], per_shard: int, *, first_number: int = 0
) -> tuple[Shard, ...]:
    starts = range(0, len(videos), per_shard)
    return tuple(
        Shard(f"{number:06d}", tuple(videos[start : start + per_shard]))
        for number, start in enumerate(starts, start=first_number)
    )


def run(
    shards: Sequence[Shard],
    build: Callable[[], Pipeline],
    *,
    out: Path | str,
    sampling: Sampling = SAMPLING,
    retry: tuple[str, ...] = (),
    progress: Progress = silent,
    license: str | None = None,
    reader: Reader | None = None,
    **settings: Any,
) -> RunSummary:
    """As `massannot annotate` runs: the folder's own record and plan, then the engine.

    `settings` are those of ExecutorSettings, on the CPU unless they say otherwise.
    """
    layout = Layout(out)  # type: ignore[arg-type]  # an address too
    record = run_record.begin(layout, record_of(shards, build(), sampling))
    planned = plans.retried(layout, retry) if retry else _planned(layout, shards)
    return execution.run(
        layout,
        record,
        planned,
        build,
        settings=ExecutorSettings(**{"device": "cpu", **settings}),
        progress=progress,
        license=license,
        reader=reader,
    )


def record_of(
    shards: Sequence[Shard], pipeline: Pipeline, sampling: Sampling
) -> run_record.RunRecord:
    spans = (span for shard in shards for video in shard.videos for span in video.spans)
    phrases = dict.fromkeys(phrase.text for span in spans for phrase in span.phrases)
    described = pipeline.describe()
    return run_record.RunRecord(
        spec={
            "phrases": list(phrases),
            "sampling": sampling.to_json(),
            "stages": described["stages"],
        },
        recipe=described,
        digest=pipeline.digest,
    )


def _planned(layout: Layout, shards: Sequence[Shard]) -> tuple[plans.PlannedShard, ...]:
    videos = PlannedVideos([video for shard in shards for video in shard.videos])
    per_shard = max(len(shard.videos) for shard in shards)

    def numbered(new: PlannedVideos, first_number: int) -> Sequence[Shard]:
        return sharded(list(new), per_shard, first_number=first_number) if first_number else shards

    plans.add_new(layout, videos, numbered)
    return plans.shards_of(layout, videos)


@dataclass(frozen=True)
class MeasureBrightness(Stage):
    """Writes tracks_xy from the pictures: lists whose numbers depend on every pixel."""

    points: int = 3
    reads: ClassVar[tuple[str, ...]] = ("frames",)
    writes: ClassVar[tuple[str, ...]] = ("tracks_xy",)

    def process(self, clip: Clip) -> Clip:
        means = clip.frames.pixels_THWC.astype(np.float64).mean(axis=(1, 2))  # (T, 3)
        n = range(self.points)
        table = tables.spec("tracks_xy").from_columns(
            {
                "clip_id": [clip.clip_id] * self.points,
                "entity": [-1] * self.points,
                "point": list(n),
                "query_frame": [0] * self.points,
                "x": [(means[:, p % 3] / 7).tolist() for p in n],
                "y": [(means[:, p % 3] / 11).tolist() for p in n],
                "visible": [(means[:, p % 3] > 40).tolist() for p in n],
                "visibility": [[0.5] * len(clip) for _ in n],
                "confidence": [[0.25] * len(clip) for _ in n],
                "fb_error_px": [[None] * len(clip) for _ in n],
            }
        )
        return clip.with_table("tracks_xy", table)


@dataclass(frozen=True)
class DescribeClip(Stage):
    """Writes the clip's row, and an `events` table that stays empty."""

    reads: ClassVar[tuple[str, ...]] = ("frames", "tracks_xy")
    writes: ClassVar[tuple[str, ...]] = ("clips", "events")

    def process(self, clip: Clip) -> Clip:
        row = {
            "clip_id": clip.clip_id,
            "video_id": clip.video.video_id,
            "uri": clip.video.uri,
            "clip_index": clip.clip_index,
            "first_pts": clip.first_pts,
            "end_pts": clip.end_pts,
            "time_base_num": clip.video.time_base.numerator,
            "time_base_den": clip.video.time_base.denominator,
            "t0_s": float(clip.frames.t_s[0]),
            "t1_s": float(clip.frames.t_s[-1]),
            "sampling": clip.sampling,
            "n_frames": len(clip),
            "source_width": clip.frames.source_width,
            "source_height": clip.frames.source_height,
            "working_width": clip.frames.width,
            "working_height": clip.frames.height,
            "micro_batch": clip.micro_batch,
            "damaged": clip.video.damaged,
        }
        clip = clip.with_table("clips", tables.spec("clips").from_rows([row]))
        return clip.with_table("events", tables.spec("events").empty())


@dataclass(frozen=True)
class Misbehave(Stage):
    """Does to chosen clips, named `video-stem/clip_index`, what one hopes never to see."""

    _raises: frozenset[str] = frozenset()
    _kills: frozenset[str] = frozenset()
    _breaks: frozenset[str] = frozenset()
    _kills_once: Path | None = None
    """The first worker that sees this file missing makes it and dies."""
    _hangs: frozenset[str] = frozenset()
    _needs: Mapping[str, int] = field(default_factory=dict)
    """Clips that fit on the device with at most so many frames at a time; usual are 8."""
    _seconds: float = 0.0
    _tally: Path | None = None
    reads: ClassVar[tuple[str, ...]] = ("clips",)
    writes: ClassVar[tuple[str, ...]] = ()

    def process(self, clip: Clip) -> Clip:
        name = f"{Path(clip.video.uri).stem}/{clip.clip_index}"
        if name in self._raises:
            raise ModelFailed(f"{clip.video.uri}: a model had enough of {name}")
        if name in self._breaks:
            raise KeyError(f"a bug met {name}")
        if name in self._kills or self._first_to_come():
            os.kill(os.getpid(), signal.SIGKILL)
        if micro_batch(8) > self._needs.get(name, 8):
            import torch  # takes seconds: for this fault alone

            raise torch.cuda.OutOfMemoryError(f"CUDA out of memory with {name}")
        time.sleep(3600 if name in self._hangs else self._seconds)
        if self._tally is not None:
            with open(self._tally, "a") as tally:
                tally.write(f"{name}\n")
        return clip

    def _first_to_come(self) -> bool:
        if self._kills_once is None:
            return False
        try:
            self._kills_once.touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


@dataclass(frozen=True)
class Tiny:
    """Builds the pipeline; picklable, as worker processes need it."""

    raises: frozenset[str] = frozenset()
    kills: frozenset[str] = frozenset()
    breaks: frozenset[str] = frozenset()
    hangs: frozenset[str] = frozenset()
    needs: Mapping[str, int] = field(default_factory=dict)
    kills_once: Path | None = None
    seconds: float = 0.0
    tally: Path | None = None
    points: int = 3
    more: tuple[Stage, ...] = field(default=())

    def __call__(self) -> Pipeline:
        misbehave = Misbehave(
            _raises=self.raises,
            _kills=self.kills,
            _breaks=self.breaks,
            _hangs=self.hangs,
            _needs=self.needs,
            _kills_once=self.kills_once,
            _seconds=self.seconds,
            _tally=self.tally,
        )
        measure = MeasureBrightness(points=self.points)
        return Pipeline("tiny", (measure, DescribeClip(), misbehave, *self.more))


def done(tally: Path) -> Counter[str]:
    """How often each clip was processed to the end."""
    return Counter(tally.read_text().split()) if tally.exists() else Counter()


def data_files(out: Path) -> dict[str, bytes]:
    """Every file below `data/`, with its bytes; failures, which promise no bytes, left out."""
    return {
        str(path.relative_to(out / "data")): path.read_bytes()
        for path in sorted((out / "data").rglob("*"))
        if path.is_file() and path.parent.name != "failures"
    }
