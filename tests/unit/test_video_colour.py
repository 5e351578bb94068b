"""Pictures: colours by matrix and range, orientation, working size."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from massannot.clip import Clip
from massannot.video.reader import VideoEnd, read_clips
from massannot.video.sampling import Sampling
from massannot.video.to_rgb import ToRGB, working_size
from tests.unit.make_videos import Film, picture, read_number, turn_for_display

COLOURS = np.array(
    [
        (255, 0, 0),
        (0, 255, 0),
        (0, 0, 255),
        (128, 128, 128),
        (30, 200, 90),
        (255, 255, 255),
        (0, 0, 0),
        (200, 60, 220),
    ],
    float,
)
# kr and kb of ITU-T H.273, and its number for the matrix; 2: the file does not say
BT601, BT709, BT2020 = (0.299, 0.114), (0.2126, 0.0722), (0.2627, 0.0593)
UNSAID = 2


@dataclass(frozen=True)
class Row:
    words: str
    weights: tuple[float, float]
    number: int
    full: bool
    range_number: int
    name: str
    pixel_format: str = "yuv420p"
    height: int = 96
    codec: str = "ffv1"


ROWS = [
    Row("BT.601 limited", BT601, 6, False, 1, "smpte170m"),
    Row("BT.601 full", BT601, 6, True, 2, "smpte170m"),
    Row("BT.601 of 625 lines", BT601, 5, False, 1, "bt470bg"),
    Row("BT.709 limited", BT709, 1, False, 1, "bt709"),
    Row("BT.709 full", BT709, 1, True, 2, "bt709"),
    Row("BT.709 limited 4:4:4", BT709, 1, False, 1, "bt709", "yuv444p"),
    Row("BT.709 limited 10 bit", BT709, 1, False, 1, "bt709", "yuv420p10le"),
    Row("BT.709 full 10 bit 4:2:2", BT709, 1, True, 2, "bt709", "yuv422p10le"),
    Row("BT.2020 limited 10 bit", BT2020, 9, False, 1, "bt2020nc", "yuv420p10le"),
    Row("BT.2020 full", BT2020, 9, True, 2, "bt2020nc"),
    Row("unsaid, 718 lines", BT601, UNSAID, False, 0, "smpte170m", height=718),
    Row("unsaid, 720 lines", BT709, UNSAID, False, 0, "bt709", height=720),
    Row("unsaid, JPEG", BT601, UNSAID, True, 0, "bt470bg", "yuvj420p", codec="mjpeg"),
    Row("with alpha", BT601, 6, False, 1, "smpte170m", "yuva420p"),
    Row("grey full", BT601, UNSAID, True, 2, "smpte170m", "gray"),
    Row("grey limited", BT601, UNSAID, False, 1, "smpte170m", "gray"),
    Row("grey unsaid is full", BT601, UNSAID, True, 0, "smpte170m", "gray"),
    Row("grey 10 bit", BT601, UNSAID, True, 2, "smpte170m", "gray10le"),
]


def stored(row: Row) -> npt.NDArray[np.float64]:
    """(8, 3) Y'CbCr codes of COLOURS by the formula of ITU-T H.273, at 8 or 10 bits."""
    kr, kb = row.weights
    red, green, blue = (COLOURS / 255).T
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    cb, cr = (blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))
    scale = 4 if "10" in row.pixel_format else 1
    if row.full:
        top = 256 * scale - 1
        codes = np.stack([luma * top, cb * top + 128 * scale, cr * top + 128 * scale], 1)
        return np.clip(np.round(codes), 0, top)
    return np.round(np.stack([219 * luma + 16, 224 * cb + 128, 224 * cr + 128], 1) * scale)


def write(row: Row, path: Path) -> None:
    """Eight bars of COLOURS, stored as the row says, without loss (JPEG: nearly)."""
    width, codes = 128, stored(row)
    dtype = np.uint16 if "10" in row.pixel_format else np.uint8
    with av.open(str(path), "w") as container:
        stream = container.add_stream(row.codec, rate=10, options={"threads": "1"})
        stream.width, stream.height, stream.pix_fmt = width, row.height, row.pixel_format
        stream.codec_context.colorspace = row.number
        stream.codec_context.color_range = row.range_number
        frame = av.VideoFrame(width, row.height, row.pixel_format)
        frame.colorspace, frame.color_range = row.number, row.range_number
        for plane, values in zip(frame.planes, codes.T, strict=False):
            lines = np.zeros((plane.height, plane.line_size // dtype().itemsize), dtype)
            lines[:, : plane.width] = np.repeat(values, plane.width // 8)
            plane.update(lines.tobytes())
        frame.pts, frame.time_base = 0, Fraction(1, 10)
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


def read(path: Path, *, long_side: int = 1280) -> tuple[Clip, VideoEnd]:
    clip, end = read_clips(str(path), sampling=Sampling(fps=None, long_side=long_side))
    assert isinstance(clip, Clip)
    assert isinstance(end, VideoEnd)
    return clip, end


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.words)
def test_known_colours_come_back_within_two_levels(row: Row, tmp_path: Path) -> None:
    write(row, tmp_path / "a.mkv")
    clip, end = read(tmp_path / "a.mkv")
    expected = COLOURS
    if row.pixel_format.startswith("gray"):
        luma = COLOURS @ (0.299, 0.587, 0.114)
        expected = np.repeat(luma[:, None], 3, axis=1)
    found = clip.frames.pixels_THWC[0, row.height // 2, 8::16].astype(float)
    assert np.abs(found - expected).max() <= 2
    assert end.video.color_space == row.name
    assert end.video.color_range == ("full" if row.full else "limited")


def test_without_scaling_rgb_is_exactly_what_was_stored(tmp_path: Path) -> None:
    Film(n=1, codec="png", pixel_format="rgb24", noise=40).write(tmp_path / "a.mov")
    clip, end = read(tmp_path / "a.mov")
    assert np.array_equal(clip.frames.pixels_THWC[0], picture(0, noise=40))
    assert end.video.color_space == "rgb"


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_pictures_are_turned_and_mirrored_for_display(
    degrees: int, mirrored: bool, tmp_path: Path
) -> None:
    """FFmpeg's matrix turns and then mirrors; the row tells the turn after mirroring."""
    shown = picture(5)

    def store(drawn: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        return np.rot90(drawn[:, ::-1] if mirrored else drawn, degrees // 90)

    Film(
        n=1,
        first_number=5,
        codec="png",
        pixel_format="rgb24",
        draw=store,
        sample_aspect=Fraction(4, 3),
        setup=lambda stream: turn_for_display(stream, -degrees, hflip=mirrored),
    ).write(tmp_path / "a.mov")
    clip, end = read(tmp_path / "a.mov")
    assert np.array_equal(clip.frames.pixels_THWC[0], shown)
    assert (end.video.width, end.video.height) == (192, 96)
    assert end.video.rotation == (-degrees % 360 if mirrored else degrees)
    aspect = Fraction(3, 4) if degrees in (90, 270) else Fraction(4, 3)
    assert end.video.sample_aspect == clip.frames.sample_aspect == aspect


SIZES = [
    ("as it is", (1280, 720), (1280, 720)),
    ("wide", (1920, 1080), (1280, 720)),
    ("tall", (1080, 1920), (720, 1280)),
    ("rounded to the nearest", (1919, 1078), (1280, 719)),
    ("never enlarged", (16, 9), (16, 9)),
    ("a line", (100_000, 1), (1280, 1)),
]


@pytest.mark.parametrize(("words", "size", "expected"), SIZES, ids=[row[0] for row in SIZES])
def test_the_longer_side_is_at_most_the_working_size(
    words: str, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert working_size(*size, long_side=1280) == expected


@pytest.mark.parametrize("side", [640, 427, 333])
def test_shrinking_averages_areas_exactly_and_shifts_nothing(side: int) -> None:
    height, width = 360, 640
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (height // 8, width // 8, 3))
    stored_picture = np.kron(blocks, np.ones((8, 8, 1))).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(stored_picture, format="rgb24")
    found = ToRGB(long_side=side)(frame).astype(float)
    rows, columns = _areas(height, found.shape[0]), _areas(width, found.shape[1])
    expected = np.tensordot(rows, stored_picture.astype(float), axes=(1, 0))
    expected = np.tensordot(expected, columns, axes=(1, 1)).transpose(0, 2, 1)
    assert np.abs(found - expected).max() <= 2


def _areas(n: int, m: int) -> npt.NDArray[np.float64]:
    """(m, n) share of each of n pixels in each of m equal parts."""
    edges = np.arange(m + 1) * n / m
    covered = np.minimum(edges[1:, None], np.arange(n) + 1) - np.maximum(
        edges[:-1, None], np.arange(n)
    )
    return np.maximum(covered, 0) * m / n


def test_a_shrunken_film_is_read_at_working_size_and_keeps_its_source_size(tmp_path: Path) -> None:
    Film(n=3, height=192, width=384).write(tmp_path / "a.mp4")
    clip, _ = read(tmp_path / "a.mp4", long_side=100)
    assert clip.frames.pixels_THWC.shape == (3, 50, 100, 3)
    assert (clip.frames.source_width, clip.frames.source_height) == (384, 192)
    assert [read_number(shown) for shown in clip.frames.pixels_THWC] == [0, 1, 2]
