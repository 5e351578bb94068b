"""The decoder process itself: `serve` answers a reader's jobs, one after the other, until it goes.

The process ignores Ctrl-C and SIGTERM (its parent finishes the clip in hand) and ends with its
parent.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
import traceback

from massannot.errors import ClipError, DecoderCrashed
from massannot.video.decoder_messages import (
    Beat,
    DecodedClip,
    DecodeJob,
    Grant,
    Hello,
    JobFailed,
    Need,
    Opened,
    ProbeJob,
    receive,
    send,
)
from massannot.video.decoding import decode
from massannot.video.header import probe

_BEAT_S = 0.5


def serve(descriptor: int, *, parent: int) -> None:
    """The process's own loop: one job after another until the parent goes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with (
        socket.socket(fileno=descriptor) as wire,
        contextlib.suppress(EOFError, BrokenPipeError),
    ):
        send(wire, Hello())
        while True:
            job, _ = receive(wire)
            if isinstance(job, Grant):  # for a job that has ended meanwhile
                continue
            send(wire, _answer(job, _Wire(wire, parent)))


def _answer(job: DecodeJob | ProbeJob, outbox: _Wire) -> object:
    try:
        return probe(job.path) if isinstance(job, ProbeJob) else decode(job, outbox)
    except ClipError as error:
        return JobFailed(type(error)(str(error)))
    except (EOFError, BrokenPipeError):
        raise
    except Exception as error:  # a codec's binding may raise anything
        where = traceback.extract_tb(error.__traceback__)[-1]
        return JobFailed(
            DecoderCrashed(
                f"{job.path}: found {type(error).__name__}: {error} (in {where.name}, "
                f"{os.path.basename(where.filename)}:{where.lineno}), expected frames or the "
                "reason why there are none"
            )
        )


class _Wire:
    """decoding.Outbox over the socket."""

    def __init__(self, wire: socket.socket, parent: int) -> None:
        self._wire = wire
        self._parent = parent
        self._credit = 0
        self._last = time.monotonic()

    def opened(self, opened: Opened) -> None:
        send(self._wire, opened)

    def reserve(self, nbytes: int) -> None:
        if self._credit < nbytes:
            self._take_grants(block=False)
        if self._credit < nbytes:
            send(self._wire, Need(nbytes - self._credit))
        while self._credit < nbytes:
            self._take_grants(block=True)
        self._credit -= nbytes

    def unreserve(self, nbytes: int) -> None:
        self._credit += nbytes

    def clip(self, clip: DecodedClip, descriptor: int) -> None:
        send(self._wire, clip, descriptor)

    def beat(self) -> None:
        now = time.monotonic()
        if now - self._last >= _BEAT_S:
            self._last = now
            if os.getppid() != self._parent:  # a forked sibling may hold the socket open
                raise EOFError
            send(self._wire, Beat())

    def _take_grants(self, *, block: bool) -> None:
        self._wire.setblocking(block)
        with contextlib.suppress(BlockingIOError):
            grant, _ = receive(self._wire)
            self._credit += grant.nbytes
        self._wire.setblocking(True)
