"""The overlay film of a clip, a still of its first, middle and last frame, and a plain film.

H.264 that browsers play, shown at the video's own times. The still stands in the report's list; the
page of a clip plays the plain film, which has nothing drawn into it, and draws by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from massannot.video.film_encoder import FilmWriter
from massannot.viewers.clip_drawing import FILM_WIDTH, ClipDrawing, GetTable, Things

STILL_WIDTH = 480
"""Width of each of a still's three pictures."""
PLAIN_LONG_SIDE = 640
PLAIN_CRF = 26
"""Of the plain film: about 1 MB for ten seconds, since pages carry it inside themselves."""


@dataclass(frozen=True)
class Rendered:
    film: Path
    still: Path
    plain: Path


def paths(folder: Path, table: GetTable) -> Rendered:
    """The paths of a clip's film and still: the user's own name, then the clip's id."""
    clip = table("clips").to_pylist()[0]
    own = clip["source_id"] or Path(clip["uri"]).stem
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", own)[:60].strip(".-") or "clip"
    stem = f"{safe}-{clip['clip_index']}-{clip['clip_id'][:8]}"
    return Rendered(
        folder / f"{stem}.mp4", folder / f"{stem}.jpg", folder / "plain" / f"{stem}.mp4"
    )


def render(
    table: GetTable,
    pictures: Iterable[npt.NDArray[np.uint8]],
    folder: Path,
    *,
    crf: int = 20,
    width: int = FILM_WIDTH,
    things: Things | None = None,
) -> Rendered:
    """Write the film, the still and the plain film of one clip.

    `table` gives the clip's rows of a table by name; `pictures` are its annotated frames in
    order, uint8 (H, W, 3) of any one size. `things`: as all clips of the video number and name
    them; None: as this clip does. Raises ValueError when their number is not the clip's.
    """
    drawing = ClipDrawing(table, film_width=width, things=things)
    made = paths(folder, table)
    made.plain.parent.mkdir(parents=True, exist_ok=True)
    pts = table("frames")["pts"].to_numpy()
    still_frames = sorted({0, drawing.n_frames // 2, drawing.n_frames - 1})
    stills: list[Image.Image] = []
    n_drawn = 0
    plain_size = _plain_size(drawing.source_size)
    with (
        _writer(made.film, table, drawing.size, crf) as film,
        _writer(made.plain, table, plain_size, PLAIN_CRF) as plain,
    ):
        for frame, picture in enumerate(pictures):
            shown_at = int(pts[frame] - pts[0])
            film.write(drawing.frame(frame, picture), pts=shown_at)
            plain.write(_resized(picture, plain_size), pts=shown_at)
            if frame in still_frames:
                stills.append(drawing.overlay(frame, picture))
            n_drawn += 1
    if n_drawn != drawing.n_frames:
        raise ValueError(
            f"film of clip {drawing.clip_id}: {n_drawn} pictures, expected {drawing.n_frames}"
        )
    side_by_side(stills).save(made.still, quality=80, optimize=True)
    return made


def write_plain(path: Path, table: GetTable, pictures: Iterable[npt.NDArray[np.uint8]]) -> Path:
    """Write the plain film alone; returns its path. See `render`."""
    clip, pts = table("clips").to_pylist()[0], table("frames")["pts"].to_numpy()
    size = _plain_size((clip["source_width"], clip["source_height"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    with _writer(path, table, size, PLAIN_CRF) as film:
        for at, picture in zip(pts, pictures, strict=True):
            film.write(_resized(picture, size), pts=int(at - pts[0]))
    return path


def _writer(path: Path, table: GetTable, size: tuple[int, int], crf: int) -> FilmWriter:
    """A film with the clip's own times."""
    clip = table("clips").to_pylist()[0]
    time_base = Fraction(clip["time_base_num"], clip["time_base_den"])
    fps = _rate(table("frames")["pts"].to_numpy(), time_base)
    width, height = size
    return FilmWriter(path, width=width, height=height, fps=fps, crf=crf, time_base=time_base)


def _plain_size(source_size: tuple[int, int]) -> tuple[int, int]:
    """Even numbers, the longer side PLAIN_LONG_SIDE at most."""
    scale = min(1.0, PLAIN_LONG_SIDE / max(source_size))
    width, height = (max(2, round(side * scale / 2) * 2) for side in source_size)
    return width, height


def _resized(picture: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def side_by_side(images: list[Image.Image]) -> Image.Image:
    """The pictures in a row, each STILL_WIDTH wide."""
    height = max(1, round(images[0].height * STILL_WIDTH / images[0].width))
    row = Image.new("RGB", (STILL_WIDTH * len(images), height))
    for k, image in enumerate(images):
        shown = image.resize((STILL_WIDTH, height), Image.Resampling.LANCZOS)
        row.paste(shown, (k * STILL_WIDTH, 0))
    return row


def _rate(pts: npt.NDArray[np.int64], time_base: Fraction) -> Fraction:
    """Nominal frames a second, for the file's header; the exact times are the pts."""
    if len(pts) < 2:
        return Fraction(10)
    step = Fraction(int(np.median(np.diff(pts)))) * time_base
    return (1 / step).limit_denominator(1001) if step > 0 else Fraction(10)
