"""JudgedPackets: the packets of a stream, each with what is known against it before it is decoded.

The demuxer's own flags are not enough: it complains in its log only, flags a transport stream's
packets up to two before the gap, and says nothing of a gap that hides its counters or of a file
that ends early. Its log is read, its index counted, and an even clock that jumps is noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum

import av

from massannot.errors import BadVideo

Complaints = list[tuple[int, str, str]]
"""What FFmpeg logged at error level: level, who, words."""

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
    """What is known against a packet."""

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
        """What the demuxer says while it reads a packet also concerns the one before, which may
        have run into the damage: so each is held until the next is read."""
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
        """Packets and whether anybody complained while reading; None: there was an error."""
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
        """mp4, mov and AVI say how many packets there are: a file that ends between two, or one
        with a hole, is found out."""
        promised = self._n_promised()
        if self.n_packets < promised:
            self.damaged = True
            self.last_error = f"{promised} frames in the index, {self.n_packets} found"

    def _n_promised(self) -> int:
        if "mov" in self._format:
            return len(getattr(self._stream, "index_entries", ()))
        return self._stream.frames if self._format == "avi" else 0


def packets_are_missing(container: av.container.InputContainer, stream_index: int) -> bool:
    """Whether the file holds fewer packets than its header says; reads it once more."""
    with av.open(container.name, "r", options={"protocol_whitelist": "file"}) as again:
        stream = again.streams[stream_index]
        try:
            n_found = sum(packet.dts is not None for packet in again.demux(stream))
        except av.error.FFmpegError:
            return True
        return n_found < stream.frames
