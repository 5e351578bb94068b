"""What reading a video costs: CPU-ms a frame and frames a second of one core, by size and sampling.

    python -m tests.bench.bench_decoding [FILE...]

Without files, films of drifting texture are encoded first. `read` is everything the decoder process
does for a file: hash, demux, decode, and for annotated frames RGB and shared memory.
"""

from __future__ import annotations

import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from statistics import median

import numpy as np

from massannot.video.decoder_messages import DecodedClip, DecodeJob, Opened
from massannot.video.decoding import decode
from massannot.video.film_encoder import FilmWriter
from massannot.video.sampling import CutRules

SIZES = ((960, 540), (1280, 720), (1920, 1080))
N_FRAMES, FPS = 120, 30
RUNS = 3


class Sink:
    """decoding.Outbox that counts annotated frames and lets everything pass."""

    def __init__(self) -> None:
        self.n_annotated = 0

    def opened(self, opened: Opened) -> None:
        self.size = f"{opened.width}x{opened.height}"

    def reserve(self, nbytes: int) -> None: ...

    def unreserve(self, nbytes: int) -> None: ...

    def clip(self, clip: DecodedClip, descriptor: int) -> None:
        self.n_annotated += len(clip.pts)

    def beat(self) -> None: ...


def main(paths: list[str]) -> None:
    print("| file | size | sampling | annotated | CPU-ms a frame read | frames/s of one core |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for path in paths or [write(Path(folder), *size) for size in SIZES]:
            for fps in (None, Fraction(10)):
                report(path, fps)


def report(path: str, fps: Fraction | None) -> None:
    job = DecodeJob(path, ((None, None),), CutRules(fps, Fraction(20), 256), long_side=1280)
    times = []
    for _ in range(RUNS):
        sink = Sink()
        started = time.process_time()
        ending = decode(job, sink)
        assert ending.n_frames is not None
        times.append((time.process_time() - started) / ending.n_frames)
    ms = median(times) * 1000
    sampling = "all" if fps is None else f"{fps} fps"
    print(
        f"| {Path(path).name} | {sink.size} | {sampling} | {sink.n_annotated} of {ending.n_frames} "
        f"| {ms:.2f} | {1000 / ms:.0f} |",
        flush=True,
    )


def write(folder: Path, width: int, height: int) -> str:
    """A film of blurred noise that drifts two pixels a frame."""
    path = folder / f"{width}x{height}.mp4"
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (height // 8 + 1, (width + 2 * N_FRAMES) // 8 + 1, 3))
    texture = np.kron(coarse, np.ones((8, 8, 1))).astype(np.uint8)
    with FilmWriter(path, width=width, height=height, fps=Fraction(FPS), crf=23) as film:
        for i in range(N_FRAMES):
            film.write(np.ascontiguousarray(texture[:height, 2 * i : 2 * i + width]))
    return str(path)


if __name__ == "__main__":
    main(sys.argv[1:])
