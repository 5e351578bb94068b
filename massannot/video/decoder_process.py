"""The decoder process and its protocol: pictures as descriptors, the rest as small messages.

A crash or a hang in a codec costs one video, not the models in the parent's memory. Messages are
pickled plain values between two processes of one program, over a socket pair; a clip's descriptor
of anonymous memory rides on its message, so nothing has a name that could be left behind. The
process ignores Ctrl-C and SIGTERM (its parent finishes the clip in hand) and ends with its parent.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import subprocess
import tempfile
import time
import traceback
from dataclasses import dataclass
from typing import Any, BinaryIO

from massannot.clip import SharedPixels
from massannot.errors import ClipError, DecoderCrashed, NothingToRun
from massannot.video.child_process import start_child
from massannot.video.decoding import DecodedClip, DecodeJob, Opened, decode
from massannot.video.header import probe

_HEADER = 8
_BEAT_S = 0.5
_START_S = 60.0
"""A process may need so long to start on a busy machine, until its first message."""
_PROGRAM = """
import sys
from massannot.video.decoder_process import serve
serve(int(sys.argv[1]), parent=int(sys.argv[2]))
"""


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


class DecoderProcess:
    """The parent's side: one process, one job at a time, reusable after a job has ended."""

    def __init__(self) -> None:
        self._log: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as we do
        self._socket, self._process = start_child(
            lambda descriptor: ["-P", "-c", _PROGRAM, str(descriptor), str(os.getpid())],
            stdout=subprocess.DEVNULL,
            stderr=self._log,
            variables={"OPENBLAS_NUM_THREADS": "1"},  # numpy would start one per core, for nothing
        )
        self.n_jobs = 0
        self._greeted = False

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self, job: DecodeJob | ProbeJob) -> None:
        """Begin a job. Raises DecoderCrashed if the process is gone."""
        self.n_jobs += 1
        self._path = job.path
        self._send(job)

    def grant(self, nbytes: int) -> None:
        self._send(Grant(nbytes))

    def receive(self, *, silence_s: float) -> tuple[Any, SharedPixels | None]:
        """The next message but beats, with pictures if it is a DecodedClip.

        Raises DecoderCrashed if the process died or said nothing for `silence_s`, NothingToRun if
        it never started.
        """
        while True:
            patience_s = silence_s if self._greeted else max(silence_s, _START_S)
            self._socket.settimeout(patience_s)
            try:
                message, descriptor = _receive(self._socket)
            except TimeoutError:
                self.kill()
                raise DecoderCrashed(
                    f"{self._path}: the decoder process gave no sign of life for {patience_s:g} s, "
                    "expected one every half second; it was ended"
                ) from None
            except (EOFError, OSError) as error:
                raise self._died() from error
            if isinstance(message, Hello):
                self._greeted = True
            elif isinstance(message, DecodedClip):
                assert descriptor is not None
                return message, SharedPixels.attach(descriptor, message.shape)
            elif not isinstance(message, Beat):
                return message, None

    def kill(self) -> None:
        """End the process at once; harmless if it has ended."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # stuck in a dead file system
            self._process.wait(timeout=5)
        self._socket.close()
        self._log.close()

    def _send(self, message: object) -> None:
        self._socket.settimeout(_START_S)
        try:
            _send(self._socket, message)
        except OSError as error:
            raise self._died() from error

    def _died(self) -> ClipError | NothingToRun:
        """The exception for a socket that was closed from the other side."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        code = self._process.poll()
        self._log.seek(max(0, os.fstat(self._log.fileno()).st_size - 2000))
        log_line = self._log.read().decode(errors="replace").strip().rpartition("\n")[2]
        self.kill()
        if not self._greeted:
            return NothingToRun(
                f"the decoder process could not start (exit code {code}): "
                f"{log_line or 'no message'}; run massannot doctor"
            )
        how = f"signal {signal.Signals(-code).name}" if code and code < 0 else f"exit code {code}"
        return DecoderCrashed(
            f"{self._path}: the decoder process died ({'; '.join(filter(None, (how, log_line)))}), "
            "expected it to finish the video"
        )


def serve(descriptor: int, *, parent: int) -> None:
    """The process's own loop: one job after another until the parent goes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with (
        socket.socket(fileno=descriptor) as wire,
        contextlib.suppress(EOFError, BrokenPipeError),
    ):
        _send(wire, Hello())
        while True:
            job, _ = _receive(wire)
            if isinstance(job, Grant):  # for a job that has ended meanwhile
                continue
            _send(wire, _answer(job, _Wire(wire, parent)))


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
        _send(self._wire, opened)

    def reserve(self, nbytes: int) -> None:
        if self._credit < nbytes:
            self._take_grants(block=False)
        if self._credit < nbytes:
            _send(self._wire, Need(nbytes - self._credit))
        while self._credit < nbytes:
            self._take_grants(block=True)
        self._credit -= nbytes

    def unreserve(self, nbytes: int) -> None:
        self._credit += nbytes

    def clip(self, clip: DecodedClip, descriptor: int) -> None:
        _send(self._wire, clip, descriptor)

    def beat(self) -> None:
        now = time.monotonic()
        if now - self._last >= _BEAT_S:
            self._last = now
            if os.getppid() != self._parent:  # a forked sibling may hold the socket open
                raise EOFError
            _send(self._wire, Beat())

    def _take_grants(self, *, block: bool) -> None:
        self._wire.setblocking(block)
        with contextlib.suppress(BlockingIOError):
            grant, _ = _receive(self._wire)
            self._credit += grant.nbytes
        self._wire.setblocking(True)


def _send(wire: socket.socket, message: object, descriptor: int | None = None) -> None:
    payload = pickle.dumps(message)
    header = len(payload).to_bytes(_HEADER, "little")
    if descriptor is None:
        wire.sendall(header + payload)
    else:
        socket.send_fds(wire, [header], [descriptor])
        wire.sendall(payload)


def _receive(wire: socket.socket) -> tuple[Any, int | None]:
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
