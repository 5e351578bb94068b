"""The overlay film of a clip, and a still of its first, middle and last frame beside it.

H.264 that browsers play, shown at the video's own times. The still is what the report shows.
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
from massannot.viewers.clip_drawing import ClipDrawing, GetTable, Things

STILL_WIDTH = 480
"""Width of each of a still's three pictures."""


@dataclass(frozen=True)
class Rendered:
    film: Path
    still: Path


def paths(folder: Path, table: GetTable) -> Rendered:
    """The paths of a clip's film and still: the user's own name, then the clip's id."""
    clip = table("clips").to_pylist()[0]
    own = clip["source_id"] or Path(clip["uri"]).stem
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", own)[:60].strip(".-") or "clip"
    stem = f"{safe}-{clip['clip_index']}-{clip['clip_id'][:8]}"
    return Rendered(folder / f"{stem}.mp4", folder / f"{stem}.jpg")


def render(
    table: GetTable,
    pictures: Iterable[npt.NDArray[np.uint8]],
    folder: Path,
    *,
    things: Things | None = None,
    crf: int = 20,
) -> Rendered:
    """Write the film and the still of one clip.

    `table` gives the clip's rows of a table by name; `pictures` are its annotated frames in
    order, uint8 (H, W, 3) of any one size. `things`: as all clips of the video number and name
    them; None: as this clip does. Raises ValueError when their number is not the clip's.
    """
    drawing = ClipDrawing(table, things=things)
    made = paths(folder, table)
    folder.mkdir(parents=True, exist_ok=True)
    clip = table("clips").to_pylist()[0]
    pts = table("frames")["pts"].to_numpy()
    time_base = Fraction(clip["time_base_num"], clip["time_base_den"])
    still_frames = sorted({0, drawing.n_frames // 2, drawing.n_frames - 1})
    stills: list[Image.Image] = []
    n_drawn = 0
    with FilmWriter(
        made.film,
        width=drawing.size[0],
        height=drawing.size[1],
        fps=_rate(pts, time_base),
        crf=crf,
        time_base=time_base,
    ) as film:
        for frame, picture in enumerate(pictures):
            film.write(drawing.frame(frame, picture), pts=int(pts[frame] - pts[0]))
            if frame in still_frames:
                stills.append(drawing.overlay(frame, picture))
            n_drawn += 1
    if n_drawn != drawing.n_frames:
        raise ValueError(
            f"film of clip {drawing.clip_id}: {n_drawn} pictures, expected {drawing.n_frames}"
        )
    side_by_side(stills).save(made.still, quality=80, optimize=True)
    return made


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
