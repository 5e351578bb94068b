"""What finding shots costs: CPU-ms a frame beside decoding it, by size and rate of the film.

    python -m tests.bench.bench_shots [FILE...]

Without files, the films of bench_decoding. `small`: scaling down; `find`: all the rest, which
looks at ten frames a second.
"""

from __future__ import annotations

import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from statistics import median

import av

from massannot.video.shot_rule import ShotRule
from massannot.video.shots import Small, SmallPictures
from massannot.video.shots_in_time import ShotsInTime
from tests.bench.bench_decoding import SIZES, write

RUNS, N_FRAMES = 3, 120


def main(paths: list[str]) -> None:
    print("| file | size | film's rate | small, CPU-ms a frame | find | both |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for path in paths or [write(Path(folder), *size) for size in SIZES]:
            report(path)


def report(path: str) -> None:
    with av.open(path) as container:
        stream = container.streams.video[0]
        frames = [frame for frame, _ in zip(container.decode(stream), range(N_FRAMES))]
        own_rate = float(stream.average_rate or 25)
    small_ms, pictures = [], []
    for _ in range(RUNS):
        small = SmallPictures()
        started = time.process_time()
        pictures = [small(frame) for frame in frames]
        small_ms.append(1000 * (time.process_time() - started) / len(frames))
    for rate in (own_rate, 10.0):
        find_ms = median(_find_ms(pictures, rate) for _ in range(RUNS))
        both = median(small_ms) + find_ms
        print(
            f"| {Path(path).name} | {frames[0].width}x{frames[0].height} | {rate:g} "
            f"| {median(small_ms):.2f} | {find_ms:.2f} | {both:.2f} |",
            flush=True,
        )


def _find_ms(pictures: list[Small], rate: float) -> float:
    in_time: ShotsInTime[int] = ShotsInTime(ShotRule(), time_base=Fraction(1, 1000))
    started = time.process_time()
    found = [
        each
        for number, picture in enumerate(pictures)
        for each in in_time.add(number, pts=round(1000 * number / rate), small=picture)
    ]
    found += in_time.finish()
    assert len(found) == len(pictures)
    return 1000 * (time.process_time() - started) / len(pictures)


if __name__ == "__main__":
    main(sys.argv[1:])
