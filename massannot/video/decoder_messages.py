"""Messages of a reader and its decoder process: plain values, pickled over a socket pair between
two processes of one program; a clip's descriptor of anonymous memory rides on its message, so
nothing has a name that could be left behind.

Unusual: PyAV is not imported here, so that a worker, which decodes nothing itself, goes without it.
"""

from __future__ import annotations

import os
import pickle
import socket
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from massannot.errors import ClipError
from massannot.geometry.active_area import Area
from massannot.video.sampling import CutRules
from massannot.video.shot_rule import ShotRule

_HEADER = 8


@dataclass(frozen=True)
class Header:
    """Claims of the container, before any frame is decoded. Sizes are as stored, unrotated."""

    size_bytes: int
    mtime_ns: int
    container: str
    codec: str
    pixel_format: str | None
    width: int
    height: int
    sample_aspect: Fraction
    time_base: Fraction
    frame_rate: Fraction | None
    duration_s: float | None
    n_frames: int | None


@dataclass(frozen=True)
class DecodeJob:
    """A file and how to cut it; plain values, sent to the decoder process."""

    path: str
    spans: tuple[tuple[Fraction | None, Fraction | None], ...]
    rules: CutRules
    long_side: int
    shots: ShotRule | None = None
    expected_size: int | None = None
    expected_mtime_ns: int | None = None


@dataclass(frozen=True)
class Opened:
    """Facts about a video that its first shown frame settles."""

    header: Header
    video_id: str
    width: int
    height: int
    rotation: int
    sample_aspect: Fraction
    color_space: str
    color_range: str
    first_pts: int


@dataclass(frozen=True)
class DecodedClip:
    """A finished clip; its pictures travel as a descriptor of (n, height, width, 3) uint8."""

    clip_index: int
    spans: tuple[int, ...]
    """More than one where several spans hold the very same frames."""
    first_pts: int
    end_pts: int
    pts: tuple[int, ...]
    numbers: tuple[int, ...]
    """0.. of all frames that the video shows."""
    keyframes: tuple[bool, ...]
    damaged_frames: tuple[bool, ...]
    source_width: int
    source_height: int
    width: int
    height: int
    damaged_so_far: bool
    shot: int | None
    """Of the video's shots; None: they were not looked for."""
    active_xyxy: Area
    """The part of the source picture between black bars."""
    shared_frames: tuple[bool | None, ...] = ()
    """Whether a later clip begins with the frame; None: clips share none."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return len(self.pts), self.height, self.width, 3


@dataclass(frozen=True)
class Ending:
    """Facts about a video when reading stopped. Counts are None where it stopped early."""

    n_frames: int | None
    duration_s: float | None
    variable_rate: bool | None
    damaged: bool
    failures: tuple[tuple[int, ClipError], ...]


@dataclass(frozen=True)
class ProbeJob:
    """Only look at the header."""

    path: str


@dataclass(frozen=True)
class Hello:
    """The process has started, and its imports are done."""


@dataclass(frozen=True)
class Beat:
    """Still at work."""


@dataclass(frozen=True)
class Need:
    """The process waits until it may hold so many bytes of pictures more."""

    nbytes: int


@dataclass(frozen=True)
class Grant:
    """The process may hold so many bytes of pictures more."""

    nbytes: int


@dataclass(frozen=True)
class JobFailed:
    """The job ended with this error."""

    error: ClipError


def send(wire: socket.socket, message: object, descriptor: int | None = None) -> None:
    """Say `message`; with it goes an open descriptor."""
    payload = pickle.dumps(message)
    header = len(payload).to_bytes(_HEADER, "little")
    if descriptor is None:
        wire.sendall(header + payload)
    else:
        socket.send_fds(wire, [header], [descriptor])
        wire.sendall(payload)


def receive(wire: socket.socket) -> tuple[Any, int | None]:
    """One message and the descriptor that came with it. Raises EOFError at the end."""
    header, descriptors, _, _ = socket.recv_fds(wire, _HEADER, 1)
    if not header:
        raise EOFError
    try:
        wire.settimeout(wire.gettimeout() or None)
        header += _exactly(wire, _HEADER - len(header))
        message = pickle.loads(_exactly(wire, int.from_bytes(header, "little")))
    except BaseException:
        for descriptor in descriptors:
            os.close(descriptor)
        raise
    return message, descriptors[0] if descriptors else None


def _exactly(wire: socket.socket, n: int) -> bytes:
    parts = bytearray()
    while len(parts) < n:
        part = wire.recv(n - len(parts))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)
