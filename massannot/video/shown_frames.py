"""ShownFrames: the frames a player would show, in order, each with a time that advances.

Damage is judged per frame:
* where a packet is corrupt, cannot be decoded, or gives a frame that the decoder marks, frames are
  left out until the next sound key frame, because they refer to what was lost;
* where the decoder only complains (of a missing reference, say), frames are kept and carry
  `suspect` until the next key frame;
* frames whose time does not advance are left out; containers that count frames instead of storing
  times (AVI, raw streams) give wrong times after a loss, so reading stops there.
No codec but FFV1 carries check sums: damage that still parses, as in VP9 and AV1 it mostly does, is
not noticed. One thread decodes, so that equal files give equal pictures, also damaged ones.

Packets are judged before they are decoded (JudgedPackets). The demuxer's own flags are not enough:
it complains in its log only, flags a transport stream's packets up to two before the gap, and says
nothing of a gap that hides its counters or of a file that ends early. So its log is read, its index
counted, and an even clock that jumps is noticed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from math import floor

import av
import av.logging

from massannot.counts import counted
from massannot.errors import BadVideo

Complaints = list[tuple[int, str, str]]
"""Lines of FFmpeg's log at error level: level, component, text."""

# Times in these are stored, not counted, so they are right again after a loss.
_STORED_TIMES = ("mov", "matroska", "mpegts", "mpeg", "flv", "asf", "ogg", "nut", "mxf", "rm")
_DEFAULT_RATE = Fraction(25)
"""Frames a second of a raw stream that neither stores times nor says its rate."""
_NEVER = -(1 << 63)


@dataclass
class _Trouble:
    """Frames shown from `since` on are touched, until a key frame shown after `at`."""

    since: int
    at: int

    def widened(self, since: int, at: int) -> _Trouble:
        return _Trouble(min(self.since, since), max(self.at, at))


class ShownFrames:
    """Iterate once. Public fields are up to date with the frame last yielded."""

    def __init__(
        self,
        container: av.container.InputContainer,
        stream: av.video.stream.VideoStream,
        *,
        beat: Callable[[], None],
    ) -> None:
        self.n_frames = 0
        self.first_pts = 0
        self.last_pts = 0
        self._damaged = False
        self.suspect = False
        """The decoder complained since the last key frame: the picture may be wrong."""
        self._container = container
        self._stream = stream
        self._beat = beat
        formats = container.format.name.split(",")
        self._stored_times = any(name in _STORED_TIMES for name in formats)
        self._counted = False
        self._key_packets: deque[int] = deque(maxlen=64)
        self._loss: _Trouble | None = None
        self._doubt: _Trouble | None = None
        self._are_missing: bool | None = None
        self._last_duration = 0
        self._last_step = 0
        self._shortest: int | None = None
        self._longest = 0
        self._last_error = ""
        self._complaints: Complaints = []
        self._packets: JudgedPackets
        stream.thread_count = 1
        stream.thread_type = "NONE"

    @property
    def damaged(self) -> bool:
        """Something was left out or is doubtful so far."""
        return self._damaged or self._packets.damaged

    @property
    def variable_rate(self) -> bool | None:
        """Steps between frames differ by more than one pts unit; None: there is no step."""
        return None if self._shortest is None else self._longest - self._shortest > 1

    @property
    def why_nothing(self) -> str:
        """For the message of a video without frames."""
        if self._packets.n_packets == 0:
            return "found no packet of the video stream"
        error = self._last_error or self._packets.last_error
        last = f" ({error})" if error else ""
        return f"found {self._packets.n_packets} packets, none of which could be shown{last}"

    def end_pts(self, frame_rate: Fraction | None) -> int:
        """When the last frame stops being shown: its stored duration, else the last step, else
        one over the frame rate, else one unit."""
        length = self._last_duration or self._last_step
        if not length and frame_rate:
            length = round(1 / (frame_rate * self._stream.time_base))
        return self.last_pts + max(1, length)

    def __iter__(self) -> Iterator[av.VideoFrame]:
        av.logging.set_skip_repeated(False)
        av.logging.set_level(av.logging.ERROR)
        try:
            with av.logging.Capture(local=False) as self._complaints:
                self._packets = JudgedPackets(
                    self._container, self._stream, complaints=self._complaints, beat=self._beat
                )
                yield from self._advancing()
        finally:
            av.logging.set_level(None)

    def _advancing(self) -> Iterator[av.VideoFrame]:
        for frame in self._decoded():
            self._beat()
            if not self._timed(frame):
                self._damaged = True
                continue
            self._judge(frame)
            if self._loss is not None and frame.pts >= self._loss.since:
                if not self._stored_times:
                    return
                continue
            if self.n_frames and frame.pts <= self.last_pts:
                self._damaged = True
                continue
            self._note(frame)
            yield frame

    def _timed(self, frame: av.VideoFrame) -> bool:
        """Whether the frame has a time. A stream without any is counted at its nominal rate."""
        if frame.pts is not None and not self._counted:
            return True
        if self.n_frames and not self._counted:
            return False
        self._counted, self._stored_times = True, False
        rate = self._stream.average_rate or self._stream.guessed_rate or _DEFAULT_RATE
        frame.pts = floor(self.n_frames / (rate * self._stream.time_base))
        return True

    def _judge(self, frame: av.VideoFrame) -> None:
        """Bring loss and doubt up to this frame."""
        pts: int = frame.pts
        if frame.is_corrupt:
            self._lose(since=pts, at=pts, why="the decoder marked a frame as corrupt")
        elif frame.key_frame and (pts in self._key_packets or not self._key_packets):
            if self._loss is not None and pts > self._loss.at and self._stored_times:
                self._loss = None
            if self._doubt is not None and pts > self._doubt.at:
                self._doubt = None
        elif self.n_frames == 0 and all(key > pts for key in self._key_packets):
            self._doubt_from(pts, pts)  # begins in the middle of a group of pictures
        self.suspect = self._doubt is not None and pts >= self._doubt.since
        if self.suspect:
            self._damaged = True

    def _note(self, frame: av.VideoFrame) -> None:
        if self.n_frames == 0:
            self.first_pts = frame.pts
        else:
            step = frame.pts - self.last_pts
            self._shortest = step if self._shortest is None else min(step, self._shortest)
            self._longest = max(step, self._longest)
            self._last_step = step
        self.n_frames += 1
        self.last_pts = frame.pts
        self._last_duration = getattr(frame, "duration", 0) or 0

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """Frames as the decoder gives them, with losses and doubts noted on the way."""
        for packet, verdict in self._packets:
            since = _first_known(packet.dts, packet.pts)
            at = _first_known(packet.pts, packet.dts)
            if packet.is_keyframe and packet.pts is not None:
                self._key_packets.append(packet.pts)
            if verdict is Verdict.BROKEN:
                self._lose(since=since, at=at, why="a packet is incomplete")
            elif verdict is Verdict.DOUBTFUL:
                self._doubt_from(since, at)
            yield from self._decode(packet, since=since, at=at)
        yield from self._decode(None, since=_NEVER, at=_NEVER)

    def _decode(self, packet: av.Packet | None, *, since: int, at: int) -> list[av.VideoFrame]:
        """Frames that the decoder returns for `packet`; None: those it still holds."""
        self._complaints.clear()
        frames: list[av.VideoFrame] = []
        try:
            frames = self._stream.codec_context.decode(packet)
        except av.error.EOFError:
            pass
        except av.error.FFmpegError as error:
            self._lose(since=since, at=at, why=str(error.strerror))
        if self._complaints:
            self._last_error = self._complaints[0][2].strip()
            self._complaints.clear()
            self._doubt_from(since, at)
        return frames

    def _lose(self, *, since: int, at: int, why: str) -> None:
        self._damaged = True
        self._last_error = why
        self._loss = self._loss.widened(since, at) if self._loss else _Trouble(since, at)

    def _doubt_from(self, since: int, at: int) -> None:
        self._damaged = True
        self._doubt = self._doubt.widened(since, at) if self._doubt else _Trouble(since, at)
        if not self._stored_times and self._packets_missing():
            self._lose(since=since, at=at, why="frames are missing, so later times are unknown")

    def _packets_missing(self) -> bool:
        if self._are_missing is None:
            self._are_missing = packets_are_missing(self._container, self._stream.index)
        return self._are_missing


def _first_known(*times: int | None) -> int:
    """The first time that is known; none: before everything."""
    return next((time for time in times if time is not None), _NEVER)


_LOSE_PACKETS = ("mpegts", "mpeg")
"""Containers made for lines that lose packets."""
_FLAG_LAG = 2
"""Packets after a flagged one that may be the broken ones, in _LOSE_PACKETS."""
_EVEN_STEPS = 16
"""Equal steps of the clock after which a longer one counts as a loss, in _LOSE_PACKETS."""
_MAX_ERRORS = 256
"""Packets in a row that cannot be read before the rest is given up."""
_EIO = 5


class Verdict(Enum):
    """How sound a packet is."""

    SOUND = 0
    DOUBTFUL = 1
    BROKEN = 2


class JudgedPackets:
    """Iterate once; none is empty. `damaged` and `last_error` are complete at the end."""

    def __init__(
        self,
        container: av.container.InputContainer,
        stream: av.video.stream.VideoStream,
        *,
        complaints: Complaints,
        beat: Callable[[], None],
    ) -> None:
        self.n_packets = 0
        self.damaged = False
        self.last_error = ""
        self._container = container
        self._stream = stream
        self._complaints = complaints
        self._beat = beat
        self._format: str = container.format.name
        self._loses_packets = self._format in _LOSE_PACKETS
        self._broken_for = 0
        self._last_dts: int | None = None
        self._step: int | None = None
        self._n_even = 0

    def __iter__(self) -> Iterator[tuple[av.Packet, Verdict]]:
        """Packets with their verdicts. A complaint of the demuxer while it reads a packet also
        concerns the one before, which may have run into the damage: so each packet is held until
        the next is read."""
        held: av.Packet | None = None
        verdict = Verdict.SOUND
        for packet, complained in self._read():
            if verdict is Verdict.SOUND and (packet is None or self._demuxer_complained()):
                verdict = Verdict.DOUBTFUL
            if packet is not None:
                if held is not None:
                    yield held, verdict
                held, verdict = packet, self._judge(packet, complained)
        if held is not None:
            ended_badly = verdict is Verdict.SOUND and self._demuxer_complained()
            yield held, Verdict.DOUBTFUL if ended_badly else verdict
        self._compare_with_index()

    def _read(self) -> Iterator[tuple[av.Packet | None, bool]]:
        """Packets, and whether the demuxer or decoder complained meanwhile; None: an error."""
        n_errors = 0
        while n_errors <= _MAX_ERRORS:
            self._complaints.clear()
            try:
                for packet in self._container.demux(self._stream):
                    n_errors = 0
                    self.n_packets += packet.dts is not None or packet.size > 0
                    self._beat()
                    if packet.size:  # an empty one would tell the decoder that this is the end
                        yield packet, bool(self._complaints)
                        self._complaints.clear()
                return
            except IndexError:  # PyAV at the end of a file in which streams appeared on the way
                return
            except av.error.FFmpegError as error:
                if getattr(error, "errno", None) == _EIO:  # a broken disk, not a damaged video
                    name = self._container.name.removeprefix("file:")
                    raise BadVideo(f"{name}: reading failed: {error.strerror}") from error
                n_errors += 1
                self.damaged = True
                self.last_error = str(error.strerror)
                yield None, True

    def _judge(self, packet: av.Packet, complained: bool) -> Verdict:
        jumped = self._clock_jumped(packet.dts)
        if packet.is_corrupt:
            self._broken_for = 1 + (_FLAG_LAG if self._loses_packets else 0)
        if self._broken_for:
            self._broken_for -= 1
            return Verdict.BROKEN
        return Verdict.DOUBTFUL if complained or jumped else Verdict.SOUND

    def _demuxer_complained(self) -> bool:
        return any(who == self._format for _, who, _ in self._complaints)

    def _clock_jumped(self, dts: int | None) -> bool:
        """Whether a clock that ticked evenly so far left something out."""
        if not self._loses_packets or dts is None:
            return False
        step = None if self._last_dts is None else dts - self._last_dts
        self._last_dts = dts
        if step is None:
            return False
        if self._step is None or abs(step - self._step) <= 1:
            self._step, self._n_even = step, self._n_even + 1
            return False
        if self._n_even < _EVEN_STEPS:  # this clock is not even
            self._n_even = -(1 << 62)
        return self._n_even > 0 and step > self._step

    def _compare_with_index(self) -> None:
        """Mark the stream as damaged where it has fewer packets than the index of mp4, mov or AVI:
        the file ends between two packets, or has a hole."""
        n_indexed = self._n_indexed()
        if self.n_packets < n_indexed:
            self.damaged = True
            self.last_error = f"{counted(n_indexed, 'frame')} in the index, {self.n_packets} found"

    def _n_indexed(self) -> int:
        if "mov" in self._format:
            return len(getattr(self._stream, "index_entries", ()))
        return self._stream.frames if self._format == "avi" else 0


def packets_are_missing(container: av.container.InputContainer, stream_index: int) -> bool:
    """Whether the file holds fewer packets than its header claims; reads it once more."""
    with av.open(container.name, "r", options={"protocol_whitelist": "file"}) as again:
        stream = again.streams[stream_index]
        try:
            n_packets = sum(packet.dts is not None for packet in again.demux(stream))
        except av.error.FFmpegError:
            return True
        return n_packets < stream.frames
