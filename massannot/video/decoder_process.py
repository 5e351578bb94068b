"""DecoderProcess: the process that decodes, seen from the reader that started it.

A crash or a hang in a codec costs one video, not the models in the parent's memory.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from typing import Any, BinaryIO

from massannot.clip import SharedPixels
from massannot.errors import ClipError, DecoderCrashed, NothingToRun
from massannot.video.child_process import start_child
from massannot.video.decoder_messages import (
    Beat,
    DecodedClip,
    DecodeJob,
    Grant,
    Hello,
    ProbeJob,
    receive,
    send,
)

_START_S = 60.0
"""A process may need so long to start on a busy machine, until its first message."""
_PROGRAM = """
import sys
from massannot.video.decoder_service import serve
serve(int(sys.argv[1]), parent=int(sys.argv[2]))
"""


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
                message, descriptor = receive(self._socket)
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
            send(self._socket, message)
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
