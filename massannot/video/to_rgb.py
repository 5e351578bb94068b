"""ToRGB: a decoded frame as uint8 RGB, display-rotated, at working size.

Matrix and range are the frame's own. Where a frame has none: BT.709 from 720 stored lines up,
otherwise BT.601; limited range, but full for grey and for JPEG's formats. Chroma is interpolated
and everything rounded exactly, so without scaling the values are within half a level of the
formula. Transfer curves stay as stored (PQ and HLG are not tone-mapped); alpha is dropped.
Downscaling averages areas (no aliasing, no ringing); nothing is ever enlarged.
"""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, VideoReformatter

from massannot.errors import UnsupportedCodec

HD_LINES = 720
# swscale's area | accurate_rnd | full_chroma_int | bitexact; PyAV names them from 18 on
_FLAGS = 0x20 | 0x40000 | 0x2000 | 0x80000
_FULL_RANGE = 2  # AVCOL_RANGE_JPEG
_RGB_MATRIX = 0  # AVCOL_SPC_RGB
# AVColorSpace number: name in the tables, swscale's number of it. 2 and 3 mean unspecified.
_MATRICES = {
    1: ("bt709", 1),
    4: ("fcc", 4),
    5: ("bt470bg", 5),
    6: ("smpte170m", 5),
    7: ("smpte240m", 7),
    9: ("bt2020nc", 9),
}
_UNTAGGED = (2, 3)
_EXPANDED = np.clip((np.arange(256) - 16) * 255 / 219, 0, 255).round().astype(np.uint8)
"""Limited-range grey to full range."""


@dataclass(frozen=True)
class Look:
    """How a frame's stored values become a displayed picture."""

    matrix: str
    """Name of the matrix, or rgb."""
    full_range: bool
    quarter_turns: int
    """Counter-clockwise quarter turns for display."""
    mirrored: bool
    """Left and right are swapped, before turning."""
    grey: bool = False

    @property
    def rotation(self) -> int:
        """Clockwise degrees for display: 0, 90, 180, 270."""
        return (-90 * self.quarter_turns) % 360


def look_of(frame: av.VideoFrame) -> Look:
    """Matrix, range and orientation of a frame. Raises UnsupportedCodec for other matrices."""
    turns, mirrored = _orientation(frame)
    name = frame.format.name
    if frame.format.is_rgb or name.startswith(("pal8", "mono")):
        return Look("rgb", True, turns, mirrored)
    grey = len(frame.format.components) <= 2
    matrix = int(frame.colorspace)
    if matrix in _UNTAGGED or (grey and matrix == _RGB_MATRIX):
        matrix = 1 if frame.height >= HD_LINES else 6
    if matrix not in _MATRICES:
        raise UnsupportedCodec(
            f"found colour matrix number {matrix} (ITU-T H.273), expected one of "
            f"{[name for name, _ in _MATRICES.values()]} or rgb"
        )
    tag = int(frame.color_range)
    full = tag == _FULL_RANGE or (tag == 0 and (grey or name.startswith("yuvj")))
    return Look(_MATRICES[matrix][0], full, turns, mirrored, grey)


def working_size(width: int, height: int, *, long_side: int) -> tuple[int, int]:
    """Width and height with the longer side at most `long_side`, never enlarged."""
    longer = max(width, height)
    if longer <= long_side:
        return width, height

    def shrunk(side: int) -> int:
        return max(1, (2 * side * long_side + longer) // (2 * longer))  # rounded to the nearest

    return shrunk(width), shrunk(height)


class ToRGB:
    """Converter of one video's frames; keeps swscale's tables between calls."""

    def __init__(self, *, long_side: int) -> None:
        self.long_side = long_side
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> npt.NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB, contiguous. Raises UnsupportedCodec."""
        look = look_of(frame)
        width, height = working_size(frame.width, frame.height, long_side=self.long_side)
        matrix = next((m for name, m in _MATRICES.values() if name == look.matrix), None)
        try:
            rgb = self._reformatter.reformat(
                frame,
                width=width,
                height=height,
                format="rgb24",
                src_colorspace=matrix,
                src_color_range=ColorRange.JPEG if look.full_range else ColorRange.MPEG,
                dst_color_range=ColorRange.JPEG,
                interpolation=_FLAGS,
                threads=1,
            )
        except (av.error.FFmpegError, ValueError) as error:
            raise UnsupportedCodec(
                f"found pixel format {frame.format.name}, which cannot become RGB: {error}"
            ) from error
        lines = np.frombuffer(rgb.planes[0], np.uint8)  # type: ignore[call-overload]
        lines = lines.reshape(height, -1)
        picture = lines[:, : 3 * width].reshape(height, width, 3)  # a copy only if lines are padded
        if look.grey and not look.full_range:  # swscale takes every grey for full range
            picture = _EXPANDED[picture]
        if look.mirrored:
            picture = picture[:, ::-1]
        return np.ascontiguousarray(np.rot90(picture, look.quarter_turns))


def display_size(frame: av.VideoFrame, look: Look) -> tuple[int, int]:
    """Width and height of the display-rotated frame, in stored pixels."""
    if look.quarter_turns % 2:
        return frame.height, frame.width
    return frame.width, frame.height


def _orientation(frame: av.VideoFrame) -> tuple[int, bool]:
    """Counter-clockwise quarter turns and mirroring of the frame's display matrix.

    The matrix is nine little-endian int32, 16.16 fixed point: (a b u; c d v; x y w) maps
    (x, y) to (a x + c y, b x + d y), y down. Matrices between two quarter turns go to the nearer.
    """
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return 0, False
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].astype(np.float64)
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    turns = round(np.degrees(np.arctan2(-b, a)) / 90) if (a or b) else 0
    return int(turns) % 4, bool(mirrored)
