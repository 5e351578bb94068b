"""Where colour lies between the pixels of a 4:2:0 film: as it says itself, else as its codec means;
and in films of our own colour lies where it was drawn."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from massannot.video.film_encoder import FilmWriter
from massannot.video.to_rgb import ToRGB
from tests.unit.make_videos import need_encoder

F64 = npt.NDArray[np.float64]

SIDE = 96
LEFT, CENTRE, TOP_LEFT = (0.5, 1.0), (1.0, 1.0), (0.5, 0.5)
"""x, y of the first chroma sample, in pixels from the picture's corner (ITU-T H.273, figure 6)."""


@dataclass(frozen=True)
class Row:
    codec: str
    ending: str
    said: str | None
    """By the film; None: nothing."""
    meant: tuple[float, float]
    options: tuple[tuple[str, str], ...] = ()
    pixel_format: str = "yuv420p"


LOSSLESS = (("crf", "0"),)
ROWS = [
    Row("libx264", "mp4", "left", LEFT, LOSSLESS),
    Row("libx264", "mp4", "center", CENTRE, LOSSLESS),
    Row("libx264", "mp4", "topleft", TOP_LEFT, LOSSLESS),
    Row("libx264", "mkv", None, LEFT, LOSSLESS),  # H.264's default
    Row("mjpeg", "avi", None, CENTRE, (("qmin", "1"),), "yuvj420p"),  # JFIF's
    Row("ffv1", "mkv", "left", LEFT),
    Row("ffv1", "mkv", "center", CENTRE),
    Row("ffv1", "mkv", "topleft", TOP_LEFT),
]


def name_of(row: Row) -> str:
    return f"{row.codec} in {row.ending} that says {row.said or 'nothing'}"


@pytest.mark.parametrize("axis", [0, 1], ids=["down", "right"])
@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_colour_is_read_from_where_the_film_says_it_lies(
    row: Row, axis: int, tmp_path: Path
) -> None:
    """A slope of Cb, which any interpolation keeps, with its middle at 48."""
    need_encoder(row.codec)
    at = 2 * np.arange(SIDE // 2) + row.meant[1 - axis]
    slope = np.clip((at - 36) / 24, 0, 1)
    cb = np.expand_dims(np.round(70 + 120 * slope), 1 - axis).repeat(SIDE // 2, 1 - axis)
    path = tmp_path / f"a.{row.ending}"
    with av.open(str(path), "w") as container:
        options = {"threads": "1", **dict(row.options)}
        if row.said is not None:
            options["chroma_sample_location"] = row.said
        stream = container.add_stream(row.codec, rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = SIDE, SIDE, row.pixel_format
        frame = av.VideoFrame(SIDE, SIDE, row.pixel_format)
        for plane, values in zip(frame.planes, (128, cb, 128), strict=True):
            lines = np.zeros((plane.height, plane.line_size), np.uint8)
            lines[:, : plane.width] = values
            plane.update(lines.tobytes())
        frame.pts, frame.time_base = 0, Fraction(1, 10)
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    blue = read(path)[..., 2]
    assert abs(edge_at(line_along(blue, axis)) - 48) < 0.2  # JPEG has losses; wrong is 0.5


EDGES = [
    ("red to blue", (200, 60, 60), (60, 60, 200)),
    ("green to magenta", (60, 180, 60), (180, 60, 180)),
    ("yellow to blue", (230, 230, 40), (40, 90, 230)),
]


@pytest.mark.parametrize("place", [48, 49], ids=["even", "odd"])
@pytest.mark.parametrize("axis", [0, 1], ids=["down", "right"])
@pytest.mark.parametrize(("first", "second"), [e[1:] for e in EDGES], ids=[e[0] for e in EDGES])
def test_a_coloured_edge_of_our_own_film_stays_where_it_was_drawn(
    first: tuple[int, int, int],
    second: tuple[int, int, int],
    axis: int,
    place: int,
    tmp_path: Path,
) -> None:
    picture = np.empty((SIDE, SIDE, 3), np.uint8)
    picture[:] = first
    np.moveaxis(picture, axis, 0)[place:] = second
    path = tmp_path / "a.mp4"
    with FilmWriter(path, width=SIDE, height=SIDE, fps=Fraction(10), crf=0) as film:
        film.write(picture)
    red, green, blue = np.moveaxis(read(path), -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    for difference in (blue - luma, red - luma):
        assert abs(edge_at(line_along(difference, axis)) - place) < 0.05


def read(path: Path) -> F64:
    """(H, W, 3) of the first frame."""
    with av.open(str(path)) as container:
        return ToRGB(long_side=SIDE)(next(container.decode(video=0))).astype(np.float64)


def line_along(values: F64, axis: int) -> F64:
    """(SIDE,) down or across the middle."""
    return np.moveaxis(values, axis, 0)[:, SIDE // 2]


def edge_at(line: F64) -> float:
    """Where the step would be that has the line's ends and its sum."""
    before, after = line[:8].mean(), line[-8:].mean()
    return float(((after - line) / (after - before)).sum())
