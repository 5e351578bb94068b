"""Videos made on the spot, odd and damaged ones included; every frame carries its own number.

The number is drawn as four rows of eight squares over the whole picture: sixteen bits, and below
them the same bits inverted, so that a picture damaged anywhere in its squares reads as None. It
survives compression, scaling, turning back and any colour matrix.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

Picture = npt.NDArray[np.uint8]

HEIGHT, WIDTH = 96, 192
DARK, LIGHT = 40, 210


def picture(number: int, *, height: int = HEIGHT, width: int = WIDTH, noise: int = 0) -> Picture:
    """(height, width, 3) uint8 showing `number` (0..65535); noise: amplitude in levels."""
    bits = np.array([(number >> i) & 1 for i in range(16)]).reshape(2, 8)
    squares = np.concatenate([bits, 1 - bits])
    grey = np.where(squares, LIGHT, DARK)[np.arange(height) * 4 // height]
    drawn = np.repeat(grey[:, np.arange(width) * 8 // width, None], 3, axis=2)
    if noise:
        drawn = drawn + np.random.default_rng(number).integers(-noise, noise + 1, drawn.shape)
    return np.clip(drawn, 0, 255).astype(np.uint8)


def read_number(rgb: Picture) -> int | None:
    """The number drawn in (H, W, 3), or None where the picture is not sound."""
    height, width = rgb.shape[:2]
    grey = rgb.mean(axis=2)
    means = np.array(
        [
            [
                grey[
                    _middle(row, height / 4),
                    _middle(column, width / 8),
                ].mean()
                for column in range(8)
            ]
            for row in range(4)
        ]
    )
    clear = np.abs(means - (DARK + LIGHT) / 2) > 40
    bits = means > (DARK + LIGHT) / 2
    if not clear.all() or (bits[:2] == bits[2:]).any():
        return None
    return int(sum(1 << i for i, bit in enumerate(bits[:2].ravel()) if bit))


def _middle(index: int, side: float) -> slice:
    first = int((index + 0.3) * side)
    return slice(first, max(first + 1, int((index + 0.7) * side)))


@dataclass(frozen=True)
class Film:
    """How to encode. `pts` are in `time_base`; None: one step of 1 / rate per frame."""

    n: int = 60
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    rate: Fraction = Fraction(25)
    height: int = HEIGHT
    width: int = WIDTH
    noise: int = 0
    container: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    muxer: dict[str, str] = field(default_factory=dict)
    time_base: Fraction | None = None
    pts: tuple[int, ...] | None = None
    first_number: int = 0
    sample_aspect: Fraction | None = None
    setup: Callable[[Any], None] | None = None
    """Called with the stream before anything is written."""
    draw: Callable[[Picture], Picture] | None = None
    """Changes a picture before it is encoded."""
    audio: bool = False

    def write(self, path: Path) -> Path:
        """Encode to `path`; skips the test by name where this build lacks the encoder."""
        need_encoder(self.codec)
        with av.open(str(path), "w", format=self.container, options=self.muxer) as container:
            stream = self._stream(container)
            sound = container.add_stream("aac", rate=16000) if self.audio else None
            for packet in self.packets(stream):
                container.mux(packet)
            if sound is not None:
                _write_sound(container, sound, seconds=float(self.n / self.rate))
        return path

    def packets(self, stream: Any) -> Iterator[av.Packet]:
        unit = self.time_base or 1 / self.rate
        for i in range(self.n):
            drawn = picture(
                self.first_number + i, height=self.height, width=self.width, noise=self.noise
            )
            if self.draw is not None:
                drawn = np.ascontiguousarray(self.draw(drawn))
            frame = av.VideoFrame.from_ndarray(drawn, format="rgb24")
            frame = frame.reformat(format=self.pixel_format, threads=1)
            frame.pts = i if self.pts is None else self.pts[i]
            frame.time_base = unit
            yield from stream.encode(frame)
        yield from stream.encode(None)

    def _stream(self, container: Any) -> Any:
        options = {**_QUIET.get(self.codec, {}), "threads": "1", **self.options}
        stream = container.add_stream(self.codec, rate=self.rate, options=options)
        height, width = self.height, self.width
        if self.draw is not None:
            height, width = self.draw(np.zeros((height, width, 3), np.uint8)).shape[:2]
        stream.width, stream.height, stream.pix_fmt = width, height, self.pixel_format
        stream.codec_context.thread_count = 1
        if self.time_base is not None:
            stream.codec_context.time_base = self.time_base
        if self.sample_aspect is not None:
            stream.codec_context.sample_aspect_ratio = self.sample_aspect
        if self.setup is not None:
            self.setup(stream)
        return stream


_QUIET = {
    "libx265": {"x265-params": "log-level=none:pools=none:frame-threads=1", "preset": "ultrafast"},
    "libsvtav1": {"preset": "12", "svtav1-params": "lp=1"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8"},
    "libx264": {"preset": "veryfast"},
}


def need_encoder(codec: str) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no encoder {codec}")
    try:
        av.CodecContext.create(codec, "w")
    except (ValueError, av.error.FFmpegError):
        pytest.skip(f"this PyAV cannot encode {codec}")


def turn_for_display(stream: Any, degrees: float, **flips: bool) -> None:
    """Write a display matrix: `degrees` counter-clockwise, and then `hflip` or `vflip`."""
    if not hasattr(av.video.stream.VideoStream, "set_display_rotation"):
        pytest.skip("this PyAV cannot write a display matrix (18 can)")
    stream.set_display_rotation(degrees, **flips)


def _write_sound(container: Any, stream: Any, *, seconds: float) -> None:
    for i in range(int(seconds * 16000 / 1024)):
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts = 16000, i * 1024
        for packet in stream.encode(frame):
            container.mux(packet)
    for packet in stream.encode(None):
        container.mux(packet)


def sound_only(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        _write_sound(container, container.add_stream("aac", rate=16000), seconds=1)
    return path


def sound_with_cover(path: Path) -> Path:
    """An audio file whose only 'video' is a picture for the player's window."""
    need_encoder("png")
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=16000)
        cover = container.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = WIDTH, HEIGHT, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic.value
        frame = av.VideoFrame.from_ndarray(picture(0), format="rgb24")
        frame.pts = 0
        for packet in [*cover.encode(frame), *cover.encode(None)]:
            container.mux(packet)
        _write_sound(container, sound, seconds=1)
    return path


@contextmanager
def remuxing(source: Path, target: Path, **open_options: Any) -> Iterator[tuple[Any, Any, Any]]:
    """(packets of the source, target container, target stream): to copy without re-encoding."""
    with av.open(str(source)) as given, av.open(str(target), "w", **open_options) as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        packets = [p for p in given.demux(video=0) if p.dts is not None]
        yield packets, made, stream


def without_packets(source: Path, target: Path, gone: Iterable[int]) -> Path:
    """A copy in which the packets numbered `gone` are missing."""
    missing = set(gone)
    with remuxing(source, target) as (packets, made, stream):
        for i, packet in enumerate(packets):
            if i not in missing:
                packet.stream = stream
                made.mux(packet)
    return target


def shifted(source: Path, target: Path, *, by_s: Fraction, from_packet: int = 0) -> Path:
    """A copy from packet `from_packet` on, all times moved; times below zero make an edit list."""
    with remuxing(source, target) as (packets, made, stream):
        for packet in packets[from_packet:]:
            move = int(by_s / packet.time_base)
            packet.pts, packet.dts = packet.pts + move, packet.dts + move
            packet.stream = stream
            made.mux(packet)
    return target


def packet_places(path: Path) -> list[tuple[int, int]]:
    """(first byte, size) of every video packet in the file."""
    with av.open(str(path)) as container:
        return [(p.pos, p.size) for p in container.demux(video=0) if p.dts is not None]


def overwritten(source: Path, target: Path, packets: Sequence[int], *, skip: int = 4) -> Path:
    """A copy in which the named packets are random bytes after their first `skip` bytes."""
    content = bytearray(source.read_bytes())
    rng = np.random.default_rng(0)
    places = packet_places(source)
    for i in packets:
        start, size = places[i]
        content[start + skip : start + size] = rng.bytes(size - skip)
    target.write_bytes(content)
    return target


def cut_off(source: Path, target: Path, *, before_packet: int, extra: int = 0) -> Path:
    """The bytes up to a packet, and `extra` bytes of it."""
    start, _ = packet_places(source)[before_packet]
    target.write_bytes(source.read_bytes()[: start + extra])
    return target


def cut_out(source: Path, target: Path, *, packets: range) -> Path:
    """A copy without the bytes of these packets, in a file that knows nothing of it."""
    places = packet_places(source)
    first, end = places[packets.start][0], places[packets.stop][0]
    content = source.read_bytes()
    target.write_bytes(content[:first] + content[end:])
    return target


def patched(source: Path, target: Path, *, old: bytes, new: bytes) -> Path:
    content = source.read_bytes()
    assert old in content
    target.write_bytes(content.replace(old, new))
    return target


def cropped_by_container(source: Path, target: Path, *, width: int, height: int) -> Path:
    """An MP4 of which a clean aperture in the middle is shown; moov comes after the pictures."""
    content = source.read_bytes()
    clap = struct.pack(">I4s8i", 40, b"clap", width, 1, height, 1, 0, 1, 0, 1)
    own_fields = {b"stsd": 8, b"avc1": 78}
    start, holders = 0, []
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"):
        while content[start + 4 : start + 8] != kind:
            start += int.from_bytes(content[start : start + 4])
        holders.append(start)
        end = start + int.from_bytes(content[start : start + 4])
        start += 8 + own_fields.get(kind, 0)
    longer = bytearray(content[:end] + clap + content[end:])
    for place in holders:
        size = int.from_bytes(content[place : place + 4]) + len(clap)
        longer[place : place + 4] = size.to_bytes(4)
    target.write_bytes(longer)
    return target


def joined(target: Path, *parts: Path) -> Path:
    """Files one after the other, as `cat` would."""
    target.write_bytes(b"".join(part.read_bytes() for part in parts))
    return target
