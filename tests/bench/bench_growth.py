"""How cost and memory grow with frames, things and points; exact models answer, so that what is
measured is all but networks and the decoder's process.

    python -m tests.bench.bench_growth [frames|things|points] [LARGEST]

A row is a process of its own: a film of 320x192 in which squares drift, cut into clips of at most
256 frames, each taken through the stages of `--profile none` and its tables written. Masks stand in
a file, points and depth are calculated. How planning and going on grow with clips: bench_planning
and bench_plan.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from massannot import tables
from massannot.clip import Clip, Frames, Phrase
from massannot.geometry import rle
from massannot.inputs.span import Span, VideoSource
from massannot.models.protocols import F64, DepthMaps, ModelCard, PointTracks
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.storage.parquet import write_parquet
from massannot.video.film_encoder import FilmWriter
from massannot.video.reader import read_clips, release
from massannot.video.sampling import Sampling
from tests.bench.bench_plan import largest_mib

WIDTH, HEIGHT, CELL, FPS = 320, 192, 19, 25
SIDE, LARGE = 12, 120
"""Of a square, in pixels; of the one that has many points."""
N_FRAMES, N_THINGS, N_POINTS = 48, 1, 16
AXES = {
    "frames": (250, 1_000, 5_000, 20_000),
    "things": (1, 10, 50, 100),
    "points": (16, 256, 1_024, 4_096),
}
SHOWN = 3
"""Stages that cost most, named in a row."""


def main(axes: list[str], largest: int) -> None:
    print("| | | CPU-s | CPU-ms a unit | largest size, MiB | of it |")
    print("|---|---|---|---|---|---|")
    for axis in axes:
        for n in (n for n in AXES[axis] if n <= largest):
            command = [sys.executable, "-m", "tests.bench.bench_growth", "one", axis, str(n)]
            print(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout,
                  end="", flush=True)  # fmt: skip


def corners(frames: np.ndarray[Any, Any]) -> F64:
    """(T, 100, 2) the squares' upper left corners, each drifting within a cell of its own."""
    cells = np.stack(np.meshgrid(np.arange(10) * CELL, np.arange(10) * CELL), -1).reshape(-1, 2)
    drift = np.abs((frames[:, None] / 8 + np.arange(100)) % 8 - 4)
    moved = np.stack([drift, np.zeros_like(drift)], -1)
    return np.asarray(np.round(cells + 1 + moved), np.float64)


@dataclass
class Drift:
    """A point of a square moves with it; one beside them stands still. Depth is one plane."""

    n_things: int
    side: int

    def setup(self, *, device: str) -> None: ...
    def destroy(self) -> None: ...
    def card(self) -> ModelCard:
        return ModelCard("drift")

    def estimate_depth(self, frames: Frames, *, focal_px: float | None = None) -> DepthMaps:
        return DepthMaps(np.full((len(frames), 48, 80), 4.0, np.float32), "metric")

    def track(self, frames: Frames, *, queries_txy: F64) -> PointTracks:
        where = corners(np.round(np.asarray(frames.t_s) * FPS))[:, : self.n_things]
        xy = np.repeat(queries_txy[None, :, 1:], len(frames), axis=0)
        for n, (t, x, y) in enumerate(queries_txy):
            offset = np.array([x, y]) - where[int(t)]
            for thing in np.flatnonzero(((offset >= 0) & (offset < self.side)).all(axis=1))[:1]:
                xy[:, n] = where[:, thing] + offset[thing]
        ones = np.ones(xy.shape[:2], np.float32)
        return PointTracks(
            xy.astype(np.float32), ones > 0, ones, ones, np.zeros_like(ones), given=True
        )


def write_film(folder: Path, n_frames: int, n_things: int, side: int) -> None:
    rng = np.random.default_rng(0)
    ground = np.kron(rng.integers(60, 190, (24, 40, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    objects: list[dict[str, list[Any]]] = [
        {"segmentations": [], "bboxes": []} for _ in range(n_things)
    ]
    colours = rng.integers(0, 256, (n_things, 3))
    with FilmWriter(
        folder / "drift.mp4", width=WIDTH, height=HEIGHT, fps=Fraction(FPS), crf=28
    ) as film:
        for frame in range(n_frames):
            picture = ground.copy()
            for n, (x, y) in enumerate(corners(np.array([frame]))[0, :n_things].astype(int)):
                mask = np.zeros((HEIGHT, WIDTH), bool)
                mask[y : y + side, x : x + side] = True
                picture[mask] = colours[n]
                objects[n]["segmentations"].append(
                    {"size": [HEIGHT, WIDTH], "counts": rle.encode(mask)}
                )
                objects[n]["bboxes"].append([int(x), int(y), side, side])
            film.write(picture)
    names = [f"drift/{n:05d}.jpg" for n in range(n_frames)]
    video = {
        "id": 1,
        "width": WIDTH,
        "height": HEIGHT,
        "length": n_frames,
        "fps": FPS,
        "file_names": names,
    }
    things = [
        {"id": n, "video_id": 1, "category_id": n, "score": 0.9, **objects[n]}
        for n in range(n_things)
    ]
    kinds = [{"id": n, "name": f"square {n}"} for n in range(n_things)]
    (folder / "drift.json").write_text(
        json.dumps({"videos": [video], "annotations": things, "categories": kinds})
    )


def one(folder: Path, axis: str, n: int) -> str:
    """A row: what annotating costs with so many."""
    sizes = {"frames": N_FRAMES, "things": N_THINGS, "points": N_POINTS, axis: n}
    n_frames, n_things, n_points = sizes.values()
    side = LARGE if axis == "points" else SIDE
    command = [sys.executable, "-m", "tests.bench.bench_growth", "film", str(folder)]
    subprocess.run(
        [*command, *map(str, (n_frames, n_things, side))], check=True
    )  # its memory is not ours
    files = {"masks": str(folder / "drift.json"), "depth": "d.npz", "tracks": "t.npz"}
    pipeline = run_spec(flags=ModelFlags(profile="none", files=files)).pipeline()
    model = Drift(n_things, side)
    own: dict[str, dict[str, Any]] = {
        "track_points": {
            "tracker": model,
            "max_per_entity": n_points,
            "max_per_clip": n_points * n_things,
        },
        "estimate_depth": {"model": model},
        "propagate_masks": {"max_entities": n_things},
    }
    stages = tuple(replace(s, **own.get(s.name, {})) for s in pipeline.stages)  # type: ignore[type-var]
    pipeline = replace(pipeline, stages=stages)
    pipeline.setup(device="cpu")
    phrases = tuple(Phrase(f"square {n}") for n in range(n_things))
    source = VideoSource(str(folder / "drift.mp4"), (Span(phrases=phrases),))
    cpu_s: dict[str, float] = defaultdict(float)
    done = 0
    for clip in read_clips(source, sampling=Sampling(fps=None, clip_s=1e6)):
        if not isinstance(clip, Clip):
            assert not getattr(clip, "failures", True), clip
            continue
        held = clip
        for stage in pipeline.stages:
            before = time.process_time()
            clip = stage.process(clip)
            cpu_s[stage.name] += time.process_time() - before
        before = time.process_time()
        for name, table in clip.tables.items():
            write_parquet(folder / f"{name}.parquet", [table], spec=tables.spec(name))
        cpu_s["writing"] += time.process_time() - before
        assert clip.table("entities").num_rows == n_things
        assert clip.table("tracks_xy").num_rows >= 0.9 * n_things * n_points
        done += len(held.frames)
        release(held)
    assert done == n_frames
    total = sum(cpu_s.values())
    dearest = sorted(cpu_s.items(), key=lambda item: -item[1])[:SHOWN]
    shares = ", ".join(f"{name} {seconds / total:.0%}" for name, seconds in dearest)
    return (
        f"| {n:,} | {axis} | {total:.1f} | {1e3 * total / n:.2f} | {largest_mib():.0f} | {shares} |"
    )


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["film", folder, *sizes]:
            write_film(Path(folder), *map(int, sizes))
        case ["one", axis, n]:
            os.environ.setdefault("OMP_NUM_THREADS", "1")
            with tempfile.TemporaryDirectory() as name:
                print(one(Path(name), axis, int(n)))
        case chosen:
            named = [axis for axis in chosen if axis in AXES]
            numbers = [int(text) for text in chosen if text.isdigit()]
            main(named or list(AXES), *(numbers or [10**9]))
