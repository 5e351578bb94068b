"""What everything but models and decoding costs: CPU-ms a frame at 1280x720, 5 entities of 64
points, with boxes, masks, depth and tracks from files.

    python -m tests.bench.bench_recorded
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import defaultdict
from fractions import Fraction
from pathlib import Path
from statistics import median

import numpy as np

from massannot import tables
from massannot.clip import Clip, Phrase
from massannot.geometry import rle
from massannot.inputs.span import Span, VideoSource
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.recipes.spec import RunSpec
from massannot.storage.parquet import write_parquet
from massannot.video.film_encoder import FilmWriter
from massannot.video.reader import read_clips, release
from massannot.video.sampling import Sampling

WIDTH, HEIGHT, N_FRAMES, FPS = 1280, 720, 96, 24
NAMES = ("red disc", "green disc", "blue disc", "white disc", "black disc")
COLOURS = ((220, 40, 40), (40, 200, 60), (40, 60, 220), (240, 240, 240), (20, 20, 20))
RADIUS_PX = 90
RUNS = 3


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        spec = write_inputs(Path(folder))
        runs = [run(Path(folder), spec) for _ in range(RUNS)]
    stages = {name: median(r[name] for r in runs) for name in runs[0]}
    print("| stage | CPU-ms a frame |")
    print("|---|---|")
    for name, ms in stages.items():
        print(f"| {name} | {ms:.2f} |")
    total = median(sum(r.values()) for r in runs)
    print(f"| **all** (bound: 25, goal: 10) | **{total:.2f}** |")


def run(folder: Path, spec: RunSpec) -> dict[str, float]:
    """CPU-ms a frame of each stage, and of writing the tables."""
    pipeline = spec.pipeline()
    pipeline.setup(device="cpu")
    span = Span(phrases=tuple(Phrase(name) for name in NAMES))
    times: dict[str, float] = defaultdict(float)
    sampling = Sampling(fps=None, max_frames=N_FRAMES)
    for clip in read_clips(VideoSource(str(folder / "discs.mp4"), (span,)), sampling=sampling):
        if not isinstance(clip, Clip):
            continue
        held = clip
        for stage in pipeline.stages:
            started = time.process_time()
            clip = stage.process(clip)
            times[stage.name] += time.process_time() - started
        started = time.process_time()
        for name, table in clip.tables.items():
            write_parquet(folder / f"{name}.parquet", [table], spec=tables.spec(name))
        times["write Parquet"] += time.process_time() - started
        assert clip.table("entities").num_rows == len(NAMES)
        release(held)
    pipeline.destroy()
    return {name: 1000 * seconds / N_FRAMES for name, seconds in times.items()}


def write_inputs(folder: Path) -> RunSpec:
    """The film, and the answers that models would have given."""
    rng = np.random.default_rng(0)
    ground = np.kron(rng.integers(60, 190, (45, 80, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    centres = np.array([centre(k, frame) for frame in range(N_FRAMES) for k in range(5)])
    centres = centres.reshape(N_FRAMES, 5, 2)
    objects: list[dict[str, list[object]]] = [{"segmentations": [], "bboxes": []} for _ in NAMES]
    with FilmWriter(
        folder / "discs.mp4", width=WIDTH, height=HEIGHT, fps=Fraction(FPS), crf=28
    ) as film:
        for frame in range(N_FRAMES):
            picture = ground.copy()
            for k, (x, y) in enumerate(centres[frame]):
                mask = (columns - x) ** 2 + (rows - y) ** 2 < RADIUS_PX**2
                picture[mask] = COLOURS[k]
                x0, y0, x1, y1 = rle.box_xyxy(rle.encode(mask), height=HEIGHT, width=WIDTH) or ()
                counts = {"size": [HEIGHT, WIDTH], "counts": rle.encode(mask)}
                objects[k]["segmentations"].append(counts)
                objects[k]["bboxes"].append([x0, y0, x1 - x0, y1 - y0])
            film.write(picture)
    video = {"id": 1, "width": WIDTH, "height": HEIGHT, "length": N_FRAMES,
             "file_names": [f"discs/{k:05d}.jpg" for k in range(N_FRAMES)]}  # fmt: skip
    annotations = [
        {"id": k, "video_id": 1, "category_id": k, "score": 0.9, **objects[k]} for k in range(5)
    ]
    categories = [{"id": k, "name": name} for k, name in enumerate(NAMES)]
    (folder / "discs.json").write_text(
        json.dumps({"videos": [video], "annotations": annotations, "categories": categories})
    )
    depth = np.linspace(4, 6, 126 * 224, dtype=np.float32).reshape(1, 126, 224)
    np.savez(folder / "depth.npz", depth=np.repeat(depth, N_FRAMES, axis=0), kind="metric")
    files = {
        "masks": str(folder / "discs.json"),
        "depth": str(folder / "depth.npz"),
        "tracks": str(write_tracks(folder, centres)),
    }
    return run_spec(flags=ModelFlags(profile="none", files=files))


def write_tracks(folder: Path, centres: np.ndarray) -> Path:
    """Dense tracks on every disc and on the ground, so that each query has one near."""
    grid = np.stack(np.meshgrid(np.arange(-80, 81, 8), np.arange(-80, 81, 8)), -1).reshape(-1, 2)
    on_disc = grid[np.hypot(*grid.T) < RADIUS_PX - 4]
    discs = (centres[:, :, None] + on_disc[None, None]).reshape(N_FRAMES, -1, 2)
    ground = np.stack(np.meshgrid(np.arange(8, WIDTH, 16), np.arange(8, HEIGHT, 16)), -1)
    still = np.broadcast_to(ground.reshape(1, -1, 2), (N_FRAMES, ground.size // 2, 2))
    tracks = np.concatenate([discs, still], axis=1).astype(np.float32)
    path = folder / "tracks.npz"
    np.savez(path, tracks=tracks, visible=np.ones(tracks.shape[:2], bool), origin="corner")
    return path


def centre(k: int, frame: int) -> tuple[float, float]:
    """Discs on rows of their own, drifting."""
    return 140.0 + 190 * k + 1.5 * frame, 130.0 + 110 * k + 0.5 * frame * (-1) ** k


if __name__ == "__main__":
    main()
