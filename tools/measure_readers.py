"""How other readers of video number and time the pictures that we annotate: docs/readers.md.

    python -m venv readers && readers/bin/pip install -r tools/readers.txt
    PYTHONPATH=$PWD readers/bin/python -m tools.measure_readers

In an environment of its own: some of these readers cannot be installed beside one another's
favourites, and none but PyAV and OpenCV is ours. torchcodec needs FFmpeg's shared libraries.

A row is a kind of film, a column a reader. Compared with our `frame` and `t_s`: how many pictures
there are, what picture number k is when all are read in order and when few are asked for, and what
time it is said to have. A reader that is not installed has a column of dashes.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from massannot.clip import Clip
from massannot.video.reader import read_clips, release
from massannot.video.sampling import Sampling
from tests.unit.make_videos import Picture, read_number
from tests.unit.reader_films import Kind, exported, kinds

SPARSE = (3, 10, 17, 26)
"""Numbers of the pictures that are asked for alone."""
SAME_S = 0.0015
"""Times that differ by no more are the same: Matroska counts milliseconds."""


@dataclass(frozen=True)
class Reading:
    """What a reader gave: for each number by which it calls a picture, the picture's own number
    (None: it shows none) and the time it is said to have, where it says one."""

    numbers: tuple[int, ...]
    pictures: tuple[int | None, ...]
    times_s: tuple[float, ...] | None = None
    turned: bool = True
    n_claimed: int | None = None
    """How many pictures it says that there are."""


Read = Callable[[str, Sequence[int] | None], Reading]
"""Of a film all pictures, or those of these numbers."""


def ours(path: str) -> Reading:
    """All frames, by `frame` over the clips, with `t_s`."""
    pictures: list[int | None] = []
    times: list[float] = []
    for clip in read_clips(path, sampling=Sampling(fps=None, shots=None)):
        if isinstance(clip, Clip):
            pictures += map(read_number, clip.frames.pixels_THWC)
            times += clip.frames.t_s.tolist()
            release(clip)
    return Reading(tuple(range(len(pictures))), tuple(pictures), tuple(times))


def _reading(
    numbers: Sequence[int],
    rgb: Sequence[Any],
    times_s: Sequence[float] | None = None,
    n_claimed: int | None = None,
) -> Reading:
    upright = [_upright(np.asarray(picture)) for picture in rgb]
    return Reading(
        tuple(map(int, numbers)),
        tuple(number for number, _ in upright),
        None if times_s is None else tuple(map(float, times_s)),
        all(turned for _, turned in upright),
        n_claimed,
    )


def _upright(rgb: Picture) -> tuple[int | None, bool]:
    """The number, and whether the picture stood upright."""
    if rgb.shape[0] <= rgb.shape[1]:
        return read_number(rgb), True
    return read_number(np.rot90(rgb, -1)), False


def pyav(path: str, wanted: Sequence[int] | None) -> Reading:
    """Decoding forward; or seeking to the time of our frame and decoding until it is reached."""
    with av.open(path) as film:
        stream = film.streams.video[0]
        if wanted is None:
            frames = list(film.decode(stream))
            times = [float(frame.pts * stream.time_base) for frame in frames]
            rgb = [frame.to_ndarray(format="rgb24") for frame in frames]
            return _reading(range(len(rgb)), rgb, times, stream.frames)
    found, times = [], []
    mine = ours(path)
    assert mine.times_s is not None
    for number in wanted:
        with av.open(path) as film:
            stream = film.streams.video[0]
            start = stream.start_time or 0
            pts = start + round(mine.times_s[number] / stream.time_base)
            film.seek(pts, stream=stream)
            frame = next(f for f in film.decode(stream) if f.pts is not None and f.pts >= pts)
            found.append(frame.to_ndarray(format="rgb24"))
            times.append(float(frame.pts * stream.time_base))
    return _reading(wanted, found, times)


def opencv(path: str, wanted: Sequence[int] | None) -> Reading:
    """Reading forward; or CAP_PROP_POS_FRAMES."""
    import cv2

    film = cv2.VideoCapture(path)
    claimed = int(film.get(cv2.CAP_PROP_FRAME_COUNT))
    found, times = [], []
    with contextlib.ExitStack() as stack:
        stack.callback(film.release)
        for number in range(100_000) if wanted is None else wanted:
            if wanted is not None:
                film.set(cv2.CAP_PROP_POS_FRAMES, number)
            there, bgr = film.read()
            if not there:
                break
            found.append(bgr[..., ::-1])
            times.append(film.get(cv2.CAP_PROP_POS_MSEC) / 1000)
    numbers = range(len(found)) if wanted is None else wanted[: len(found)]
    return _reading(numbers, found, times, claimed)


def decord(path: str, wanted: Sequence[int] | None) -> Reading:
    import decord as library

    film = library.VideoReader(path, num_threads=1)
    numbers = list(range(len(film))) if wanted is None else list(wanted)
    rgb = film.get_batch(numbers).asnumpy()
    return _reading(numbers, rgb, film.get_frame_timestamp(numbers)[:, 0], len(film))


def torchcodec(mode: str) -> Read:
    def read(path: str, wanted: Sequence[int] | None) -> Reading:
        from torchcodec.decoders import VideoDecoder

        film = VideoDecoder(path, seek_mode=mode, dimension_order="NHWC")
        numbers = list(range(len(film))) if wanted is None else list(wanted)
        found = []
        with contextlib.suppress(RuntimeError):  # it counts pictures that it cannot give
            for number in numbers:
                found.append(film.get_frame_at(number))
        rgb = [frame.data.numpy() for frame in found]
        times = [frame.pts_seconds for frame in found]
        return _reading(numbers[: len(found)], rgb, times, len(film))

    return read


def transformers(backend: str) -> Read:
    """load_video; a time is the picture's number over the rate, as processors compute it."""

    def read(path: str, wanted: Sequence[int] | None) -> Reading:
        from transformers.video_utils import load_video

        video, metadata = load_video(
            path,
            backend=backend,
            sample_indices_fn=lambda metadata, **_: np.array(
                range(metadata.total_num_frames) if wanted is None else wanted
            ),
        )
        rgb = np.asarray(video)
        rgb = rgb if rgb.shape[-1] == 3 else np.moveaxis(rgb, 1, -1)
        numbers = list(metadata.frames_indices)[: len(rgb)]
        times = [number / metadata.fps for number in numbers]
        return _reading(numbers, rgb, times, metadata.total_num_frames)

    return read


def qwen(backend: str) -> Read:
    """fetch_video with nframes; a time is the picture's number over the rate."""

    def read(path: str, wanted: Sequence[int] | None) -> Reading:
        import qwen_vl_utils.vision_process as library

        library.get_video_reader_backend = lambda: backend
        n_wanted = 8 if wanted is not None else 2 * (len(ours(path).pictures) // 2)
        video, metadata = library.fetch_video(
            {"video": path, "nframes": n_wanted}, return_video_metadata=True
        )
        rgb = np.moveaxis(video.numpy(), 1, -1).clip(0, 255).astype(np.uint8)
        numbers = metadata["frames_indices"]
        times = [number / metadata["fps"] for number in numbers]
        return _reading(numbers, rgb, times, metadata["total_num_frames"])

    return read


READERS: dict[str, tuple[str, Read]] = {
    "PyAV": ("av", pyav),
    "OpenCV": ("opencv-python-headless", opencv),
    "decord2": ("decord2", decord),
    "torchcodec": ("torchcodec", torchcodec("exact")),
    "torchcodec, approximate": ("torchcodec", torchcodec("approximate")),
    "transformers, PyAV": ("transformers", transformers("pyav")),
    "transformers, OpenCV": ("transformers", transformers("opencv")),
    "transformers, decord2": ("transformers", transformers("decord")),
    "transformers, torchcodec": ("transformers", transformers("torchcodec")),
    "qwen-vl-utils, decord2": ("qwen-vl-utils", qwen("decord")),
    "qwen-vl-utils, torchcodec": ("qwen-vl-utils", qwen("torchcodec")),
}


def cell(path: str, read: Read) -> str:
    """How a reader differs from us on one film, in a few words; 'same' where it does not."""
    mine = ours(path)
    try:
        whole = read(path, None)
    except Exception as error:  # whatever another library raises
        return f"fails: {_first_words(error)}"
    said = list(_of_whole(mine, whole))
    try:
        said += _of_sparse(mine, read(path, SPARSE))
    except Exception as error:
        said.append(f"alone: fails: {_first_words(error)}")
    return "; ".join(said) or "same"


def _of_whole(mine: Reading, whole: Reading) -> Iterator[str]:
    if not whole.turned:
        yield "not turned"
    n_mine = len(mine.pictures)
    claimed = whole.n_claimed
    if len(whole.pictures) != n_mine and whole.numbers[-1] + 1 != n_mine:
        yield f"{len(whole.pictures)} pictures, ours {n_mine}"
    if claimed is not None and claimed != n_mine:
        yield f"says {claimed or 'nothing'}"
    if wrong := _other_pictures(mine, whole):
        yield wrong
    yield from _of_times(mine, whole)


def _of_sparse(mine: Reading, sparse: Reading) -> Iterator[str]:
    if wrong := _other_pictures(mine, sparse):
        yield f"alone: {wrong}"
    elif len(sparse.pictures) < len(SPARSE):
        yield f"alone: {len(sparse.pictures)} of {len(SPARSE)}"


def _other_pictures(mine: Reading, found: Reading) -> str:
    """The first picture that is another than ours of its number; empty: none."""
    for number, picture in zip(found.numbers, found.pictures, strict=False):
        if number >= len(mine.pictures):
            return f"{number} is {_spoken(picture)}, past our end"
        if picture != mine.pictures[number]:
            shown = mine.pictures.index(picture) if picture in mine.pictures else None
            return f"{number} is {'no frame of ours' if shown is None else f'our {shown}'}"
    return ""


def _of_times(mine: Reading, whole: Reading) -> Iterator[str]:
    """Differences of time for the same picture, of those that both have."""
    assert mine.times_s is not None
    if whole.times_s is None:
        return
    at = dict(zip(mine.pictures, mine.times_s, strict=True))
    pairs = zip(whole.pictures, whole.times_s, strict=True)
    gaps = [time_s - at[picture] for picture, time_s in pairs if picture in at]
    if not gaps or max(map(abs, gaps)) <= SAME_S:
        return
    low, high = min(gaps), max(gaps)
    if high - low <= SAME_S:
        yield f"t {low:+.3f} s"
    else:
        yield f"t {low:+.3f} to {high:+.3f} s"


def _spoken(picture: int | None) -> str:
    return "a damaged picture" if picture is None else f"picture {picture}"


def _first_words(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:60]


def table(films: Sequence[Kind], readers: dict[str, tuple[str, Read]]) -> str:
    """Markdown: a part for each reader, since eleven columns do not fit."""
    lines = []
    with tempfile.TemporaryDirectory() as name:
        paths = []
        for n, kind in enumerate(films):
            folder = Path(name) / str(n)
            folder.mkdir()
            paths.append(str(kind.write(folder)))
        heads = [f"{reader} {_version(package)}" for reader, (package, _) in readers.items()]
        lines += [f"| film | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
        for kind, path in zip(films, paths, strict=True):
            cells = [
                "-" if not _version(package) else cell(path, read).replace("|", "/")
                for package, read in readers.values()
            ]
            lines.append(f"| {kind.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def main() -> None:
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    films = (*kinds(), exported())
    groups = (
        ("PyAV", "OpenCV", "decord2", "torchcodec", "torchcodec, approximate"),
        tuple(name for name in READERS if name.startswith(("transformers", "qwen"))),
    )
    for group in groups:
        print(table(films, {name: READERS[name] for name in group}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
