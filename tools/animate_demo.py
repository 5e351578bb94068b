"""The moving picture at the top of README, from what `massannot demo` left.

    massannot demo
    python tools/animate_demo.py demo-out/annotated docs/demo.webp

At left the clip with outlines, names and trails, at right the same paths in the world, seen from
above. Drawn by the viewers that draw the films; at half speed, since the clip lasts two seconds.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent.parent))

import av
import numpy as np
from PIL import Image

from massannot.dataset.reading import open_dataset
from massannot.viewers.clip_drawing import ClipDrawing, GetTable
from massannot.viewers.overlay import PAPER
from massannot.viewers.top_view import TopView

PICTURE_WIDTH = 560
VIEW_WIDTH = 400
FRAME_MS = 83
HELD_MS = 1500
"""How long the last frame stands: long enough to read the paths."""
MOST_BYTES = 3_000_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", type=Path, help="an annotated clip, every frame of it")
    parser.add_argument("picture", type=Path, help="the .webp to write")
    parser.add_argument("--quality", type=int, default=72)
    parser.add_argument("--frames", type=Path, help="folder for every frame as PNG, to look at")
    args = parser.parse_args()
    (clip,) = open_dataset(args.dataset).clips()
    frames = list(drawn(clip.table))
    if args.frames:
        args.frames.mkdir(parents=True, exist_ok=True)
        for number, frame in enumerate(frames):
            frame.save(args.frames / f"{number:03}.png")
    times = [FRAME_MS] * (len(frames) - 1) + [HELD_MS]
    frames[0].save(
        args.picture, save_all=True, append_images=frames[1:], duration=times, loop=0,
        quality=args.quality, method=6,
    )  # fmt: skip
    n_bytes = args.picture.stat().st_size
    if n_bytes > MOST_BYTES:
        sys.exit(f"{args.picture}: {n_bytes} bytes, expected at most {MOST_BYTES}")
    print(f"{args.picture}: {len(frames)} frames of {frames[0].size}, {n_bytes / 1e6:.2f} MB")


def drawn(table: GetTable) -> Iterator[Image.Image]:
    """Each frame of a clip, left and right part side by side."""
    drawing = ClipDrawing(table)
    height = round(PICTURE_WIDTH * drawing.main_size[1] / drawing.main_size[0])
    view = from_above(table, drawing.n_frames, drawing.unit, (VIEW_WIDTH, height))
    with av.open(table("clips")["uri"][0].as_py()) as film:
        for frame, picture in enumerate(film.decode(video=0)):
            left = drawing.overlay(frame, picture.to_ndarray(format="rgb24"))
            both = Image.new("RGB", (PICTURE_WIDTH + VIEW_WIDTH, height), PAPER)
            both.paste(left.resize((PICTURE_WIDTH, height), Image.Resampling.LANCZOS), (0, 0))
            both.paste(view.draw(frame), (PICTURE_WIDTH, 0))
            yield both


def from_above(table: GetTable, n_frames: int, unit: str, size: tuple[int, int]) -> TopView:
    """The world positions of `positions`."""
    paths: dict[int, np.ndarray] = {}
    measured: dict[int, np.ndarray] = {}
    for row in table("positions").to_pylist():
        path = paths.setdefault(row["entity"], np.full((n_frames, 3), np.nan, np.float32))
        solid = measured.setdefault(row["entity"], np.zeros(n_frames, bool))
        if row["x_world"] is not None:
            path[row["frame"]] = row["x_world"], row["y_world"], row["z_world"]
            solid[row["frame"]] = row["state"] == "measured"
    return TopView(paths, measured, unit, size)


if __name__ == "__main__":
    main()
