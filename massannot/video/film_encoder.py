"""FilmWriter: pictures into an H.264 mp4, the same bytes every time.

One encoder thread and exact swscale arithmetic make the bytes a function of the pictures and
options. The file appears under its name only when it is complete. H.264 4:2:0 needs even sizes:
an odd width or height gains one column or row, a copy of its neighbour.

x264's macroblock tree is left out: with AVX-512 its floats come out otherwise than with AVX2, and
otherwise in other processes.

Unusual: chroma lies in the middle of its four pixels and the film says so. That is how swscale
averages it and how readers that know no tags take it; untagged H.264 means the left pixels' column,
and colours would be read a quarter of a chroma sample to the left.
"""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

_EXACT = 0x4 | 0x40000 | 0x80000  # swscale's bicubic | accurate_rnd | bitexact
_SAME_EVERYWHERE = {
    "threads": "1",
    "mbtree": "0",
    "chroma_sample_location": "center",
}
_AVCOL_BT709, _AVCOL_SMPTE170M, _AVCOL_LIMITED = 1, 6, 1


class FilmWriter:
    """Writes uint8 RGB (height, width, 3) pictures to `path`; use it in a `with` block.

    fps: frames a second; frame k is shown at k / fps. With `time_base` every `write` takes its own
    pts in that unit instead. crf: 0 is lossless, 18 looks it, 23 is x264's default.
    The matrix is BT.709 from 720 lines up, otherwise BT.601, limited range, and tagged so.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        width: int,
        height: int,
        fps: Fraction,
        crf: int = 20,
        time_base: Fraction | None = None,
        preset: str = "veryfast",
    ) -> None:
        if width < 1 or height < 1 or fps <= 0:
            raise ValueError(f"film {path}: found {width}x{height} at {fps} fps, expected positive")
        self.path = Path(path)
        self.width, self.height = width, height
        self._n_written = 0
        self._explicit_pts = time_base is not None
        self._time_base = time_base if time_base is not None else 1 / Fraction(fps)
        self._part = self.path.with_name(f".{self.path.name}.part")
        self._reformatter = VideoReformatter()
        self._hd = height >= 720
        self._container = av.open(
            str(self._part), "w", format="mp4", options={"movflags": "+faststart"}
        )
        options = {"crf": str(crf), "preset": preset, **_SAME_EVERYWHERE}
        stream = self._container.add_stream("libx264", rate=Fraction(fps), options=options)
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = self._time_base
        context.thread_count = 1
        context.colorspace = _AVCOL_BT709 if self._hd else _AVCOL_SMPTE170M
        context.color_range = _AVCOL_LIMITED
        self._stream = stream

    def write(self, rgb: npt.NDArray[np.uint8], *, pts: int | None = None) -> None:
        """One picture (height, width, 3) uint8. `pts` only, and always, with `time_base`.

        Raises ValueError for another shape or type.
        """
        if rgb.shape != (self.height, self.width, 3) or rgb.dtype != np.uint8:
            raise ValueError(
                f"film {self.path}: found {rgb.dtype} {rgb.shape}, "
                f"expected uint8 ({self.height}, {self.width}, 3)"
            )
        if (pts is not None) != self._explicit_pts:
            raise ValueError(f"film {self.path}: pts goes with time_base, found pts={pts}")
        if self.height % 2 or self.width % 2:
            rgb = np.pad(rgb, ((0, self.height % 2), (0, self.width % 2), (0, 0)), mode="edge")
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        frame = self._reformatter.reformat(
            picture,
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709 if self._hd else Colorspace.ITU601,
            dst_color_range=ColorRange.MPEG,
            interpolation=_EXACT,
            threads=1,
        )
        frame.pts = self._n_written if pts is None else pts
        frame.time_base = self._time_base
        self._n_written += 1
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def close(self) -> None:
        """Finish the file and give it its name. Raises ValueError if no picture was written."""
        if self._n_written == 0:
            self.discard()
            raise ValueError(f"film {self.path}: no picture was written")
        for packet in self._stream.encode(None):
            self._container.mux(packet)
        self._container.close()
        os.replace(self._part, self.path)

    def discard(self) -> None:
        """Give up: no file is left behind."""
        self._container.close()
        self._part.unlink(missing_ok=True)

    def __enter__(self) -> FilmWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()
