"""A clip in the making: its pictures in anonymous shared memory, and what is known of each."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from massannot.geometry.active_area import Area, active_area
from massannot.video.sampling import Cut

AREA_FRAMES = 9
"""Of a clip, in which black bars are looked for."""


@dataclass(frozen=True, eq=False)
class Shown:
    """A frame that was decoded, until its shot is known."""

    pts: int
    number: int
    """0.. of those that the video shows."""
    keyframe: bool
    suspect: bool
    damaged: bool
    """The video, up to this frame."""
    other_size: bool
    size: tuple[int, int]
    picture: npt.NDArray[np.uint8] | None
    """None where no span samples the frame."""
    reserved: int


@dataclass
class Making:
    """A clip in the making: the memory of its pictures, and a row of facts for each."""

    cut: Cut
    descriptor: int
    source_size: tuple[int, int]
    working_size: tuple[int, int]
    reserved: int
    pts: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    keyframes: list[bool] = field(default_factory=list)
    damaged: list[bool] = field(default_factory=list)

    MORE_FRAMES = 16
    """Reserved at a time once a clip has outgrown its estimate."""

    @property
    def frame_bytes(self) -> int:
        return self.working_size[0] * self.working_size[1] * 3

    @property
    def used(self) -> int:
        return len(self.pts) * self.frame_bytes

    def add(self, frame: Shown, *, reserve: Callable[[int], None]) -> None:
        """Take one more frame with its picture; `reserve` waits for so many bytes more."""
        assert frame.picture is not None
        if self.used + self.frame_bytes > self.reserved:
            reserve(self.MORE_FRAMES * self.frame_bytes)
            self.reserved += self.MORE_FRAMES * self.frame_bytes
        _write(self.descriptor, frame.picture, at=self.used)
        self.pts.append(frame.pts)
        self.numbers.append(frame.number)
        self.keyframes.append(frame.keyframe)
        self.damaged.append(frame.suspect)

    def picture(self, frame: int) -> npt.NDArray[np.uint8]:
        """(H, W, 3) of one of its frames, read back from its memory."""
        width, height = self.working_size
        content = os.pread(self.descriptor, self.frame_bytes, frame * self.frame_bytes)
        return np.frombuffer(content, np.uint8).reshape(height, width, 3)

    def active_xyxy(self) -> Area:
        """The part of the source picture between black bars, of a few frames from all over it."""
        looked_at = np.unique(np.linspace(0, len(self.pts) - 1, AREA_FRAMES).round().astype(int))
        found = active_area(self.picture(int(frame)) for frame in looked_at)
        if found is None:
            return Area(0, 0, *self.source_size)
        return found.resized(np.divide(self.source_size, self.working_size))

    def last(self) -> Shown:
        """Its last frame."""
        return Shown(
            pts=self.pts[-1],
            number=self.numbers[-1],
            keyframe=self.keyframes[-1],
            suspect=self.damaged[-1],
            damaged=False,
            other_size=False,
            size=self.source_size,
            picture=self.picture(len(self.pts) - 1),
            reserved=0,
        )


def _write(descriptor: int, picture: npt.NDArray[np.uint8], *, at: int) -> None:
    """All bytes of `picture` at offset `at`; the memory grows as needed."""
    rest = memoryview(picture.data).cast("B")
    while rest:
        written = os.pwrite(descriptor, rest, at)
        rest, at = rest[written:], at + written
