"""Recordings of Rerun read in a process of their own: on some damaged files its library aborts, and
takes the process that reads them with it.

One process reads many files, each as it is asked for: a line with its path goes in; out come one
byte (whether it could be read), eight of a length, and so many bytes: an error's text, or of each
recording in the file the number of its chunks and each chunk as an Arrow stream.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from massannot.errors import UsageError

_PROGRAM = "from massannot.models.recorded.rrd_process import serve; serve()"
_READ, _REFUSED = b"\1", b"\0"
_SIZE = 8
"""Bytes of a length or a number."""


def chunks_of(paths: Iterable[Path]) -> Iterator[tuple[Path, list[list[pa.RecordBatch]]]]:
    """Each file with the chunks of each of its recordings. Raises UsageError for one that Rerun's
    library cannot read, or that ends it."""
    with tempfile.TemporaryFile() as said, _reader(said) as process:
        for path in paths:
            answer = _asked(process, path)
            if answer is None:
                said.seek(0)
                last = said.read().decode(errors="replace").strip().splitlines()[-1:]
                raise UsageError(
                    f"{path}: not a recording of Rerun: its library ended with exit code "
                    f"{process.wait()} while it read this file{''.join(f' ({x})' for x in last)}"
                )
            could_read, content = answer
            if not could_read:
                raise UsageError(f"{path}: not a recording of Rerun: {content.decode()}")
            yield path, list(_recordings(pa.BufferReader(content)))


@contextlib.contextmanager
def _reader(said: BinaryIO) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
    )
    try:
        with process:  # closes its input, which ends it
            yield process
    finally:
        process.kill()


def _asked(process: subprocess.Popen[bytes], path: Path) -> tuple[bool, bytes] | None:
    """Whether a file could be read, and what the process says of it; None: it is gone."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(os.fspath(path.absolute())).encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        return None
    head = process.stdout.read(1 + _SIZE)
    if len(head) < 1 + _SIZE:
        return None
    size = int.from_bytes(head[1:], "little")
    content = process.stdout.read(size)
    return (head[:1] == _READ, content) if len(content) == size else None


def _recordings(content: pa.BufferReader) -> Iterator[list[pa.RecordBatch]]:
    while content.tell() < content.size():
        count = int.from_bytes(content.read(_SIZE), "little")
        yield [_chunk(content) for _ in range(count)]


def _chunk(content: pa.BufferReader) -> pa.RecordBatch:
    with pa.ipc.open_stream(content) as stream:
        (batch,) = stream
    return batch


def serve() -> None:
    """The process's side, until its input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a library that prints breaks no answer
    for line in sys.stdin.buffer:
        try:
            kind, content = _READ, _content(json.loads(line))
        except (RuntimeError, ValueError, OSError, pa.ArrowException) as error:
            kind, content = _REFUSED, str(error).encode()
        answers.write(kind + len(content).to_bytes(_SIZE, "little") + content)
        answers.flush()


def _content(path: str) -> bytes:
    import rerun.chunk

    sink = pa.BufferOutputStream()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a file without a footer, which is read all the same
        reader = rerun.chunk.RrdReader(path)
        for store in reader.recordings():
            batches = [chunk.to_record_batch() for chunk in reader.stream(store=store)]
            sink.write(len(batches).to_bytes(_SIZE, "little"))
            for batch in batches:
                with pa.ipc.new_stream(sink, batch.schema) as stream:
                    stream.write_batch(batch)
    return bytes(sink.getvalue())
