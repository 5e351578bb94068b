"""A film of the same points followed twice, side by side: Lucas-Kanade and CoTracker3.

    python tools/compare_trackers.py clip.mp4 films/                      # random weights: says so
    python tools/compare_trackers.py clip.mp4 films/ --weights facebook/cotracker3

The points stand on a grid in the first frame. `--weights`: a hub id, folder or checkpoint; without
it CoTracker3 has random weights at the official sizes, and the film says that it knows nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from PIL import Image, ImageDraw

from massannot.clip import Clip, Frames
from massannot.inputs.span import Span, VideoSource
from massannot.models.cotracker3.tracker import CoTracker3Tracker
from massannot.models.lucas_kanade import LucasKanade
from massannot.models.protocols import F64, PointTracker, PointTracks
from massannot.models.weights import Weights
from massannot.video.film_encoder import FilmWriter
from massannot.video.reader import read_clips
from massannot.video.sampling import Sampling
from massannot.viewers.overlay import TRAIL_FRAMES, DrawnEntity, draw, font
from tests.random_weights import COTRACKER3, write_repository

RANDOM = "RANDOM weights: it knows nothing, and these are no tracks"
OFFICIAL_FILE = "scaled_offline.pth"
WIDTH = 640
BAR_PX = 26


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video", type=Path)
    parser.add_argument("folder", type=Path, help="where the film goes")
    parser.add_argument("--weights", help="CoTracker3's; default random ones")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--side", type=int, default=8, help="points, side by side")
    args = parser.parse_args()
    frames = first_seconds(args.video, args.seconds)
    queries = grid(args.side, frames)
    with tempfile.TemporaryDirectory() as folder:
        trackers = [("Lucas-Kanade", LucasKanade()), cotracker3(args.weights, Path(folder))]
        tracks = [(name, tracked(tracker, frames, queries)) for name, tracker in trackers]
    args.folder.mkdir(parents=True, exist_ok=True)
    film = args.folder / f"{args.video.stem}-trackers.mp4"
    write_film(film, frames, tracks)
    print(film)


def first_seconds(video: Path, seconds: float) -> Frames:
    source = VideoSource(str(video), (Span(0, seconds),))
    clips = read_clips(source, sampling=Sampling(long_side=WIDTH))
    return next(read.frames for read in clips if isinstance(read, Clip))


def grid(side: int, frames: Frames) -> F64:
    """(side ** 2, 3) points (frame, x, y) spread over the first frame."""
    share = (np.arange(side) + 0.5) / side
    x, y = np.meshgrid(share * frames.width, share * frames.height)
    return np.stack([np.zeros(side * side), x.ravel(), y.ravel()], axis=1)


def cotracker3(weights: str | None, folder: Path) -> tuple[str, CoTracker3Tracker]:
    """The tracker, and what the film calls it."""
    if weights is None:
        write_repository(COTRACKER3, folder)
        file = str(folder / OFFICIAL_FILE)
        return f"CoTracker3, {RANDOM}", CoTracker3Tracker(Weights(file))
    wanted = Weights.named(weights)
    if wanted.on_hub:
        wanted = Weights(wanted.source, wanted.revision, OFFICIAL_FILE)
    return f"CoTracker3, {wanted}", CoTracker3Tracker(wanted)


def tracked(tracker: PointTracker, frames: Frames, queries: F64) -> PointTracks:
    tracker.setup(device="cpu")
    return tracker.track(frames, queries_txy=queries)


def write_film(film: Path, frames: Frames, tracks: list[tuple[str, PointTracks]]) -> None:
    height, width = frames.height + BAR_PX, len(tracks) * frames.width
    with FilmWriter(film, width=width, height=height, fps=Fraction(10)) as writer:
        for frame in range(len(frames)):
            picture = np.zeros((height, width, 3), np.uint8)
            for column, (name, points) in enumerate(tracks):
                left = column * frames.width
                part = picture[:, left : left + frames.width]
                part[:BAR_PX] = bar(name, frames.width)
                part[BAR_PX:] = drawn(frames.pixels(frame, frame + 1)[0], points, frame)
            writer.write(picture)


def drawn(picture: np.ndarray, points: PointTracks, frame: int) -> np.ndarray:
    first = max(0, frame + 1 - TRAIL_FRAMES)
    trails, visible = points.xy[first : frame + 1], points.visible[first : frame + 1]
    return np.asarray(draw(picture, [DrawnEntity(0, "", None, None, trails, visible)]))


def bar(text: str, width: int) -> np.ndarray:
    image = Image.new("RGB", (width, BAR_PX))
    ImageDraw.Draw(image).text((8, 5), text, font=font(13), fill=(255, 255, 255))
    return np.asarray(image)


if __name__ == "__main__":
    main()
