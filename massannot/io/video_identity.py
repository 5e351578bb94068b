"""Identity of videos and clips: digests of content, the same wherever the file lies."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import BinaryIO

WHOLE_UP_TO = 64 << 20
N_BLOCKS = 64
BLOCK = 1 << 20
_READ = 4 << 20


def video_id(file: BinaryIO, *, progress: Callable[[], None] = lambda: None) -> str:
    """blake2b-128 (hex) of an open file's bytes.

    Above 64 MiB: of the size (8 bytes, little endian) and 64 evenly spaced 1 MiB blocks, the first
    and the last included. `progress` is called between blocks. Raises OSError.
    """
    size = os.fstat(file.fileno()).st_size
    digest = hashlib.blake2b(digest_size=16)
    if size <= WHOLE_UP_TO:
        file.seek(0)
        while block := file.read(_READ):
            digest.update(block)
            progress()
        return digest.hexdigest()
    digest.update(size.to_bytes(8, "little"))
    for start in block_starts(size):
        file.seek(start)
        digest.update(file.read(BLOCK))
        progress()
    return digest.hexdigest()


def block_starts(size: int) -> Iterator[int]:
    """Where the 64 blocks of a large file begin: evenly spaced from 0 to size - 1 MiB."""
    for i in range(N_BLOCKS):
        yield (size - BLOCK) * i // (N_BLOCKS - 1)


def clip_id(
    video_id: str, *, first_pts: int, end_pts: int, time_base: Fraction, sampling: str
) -> str:
    """blake2b-128 (hex) of what decides a clip's frames.

    `first_pts` is the first annotated frame's, `end_pts` the exclusive end of the span.
    """
    text = f"{video_id}\n{first_pts}\n{end_pts}\n{time_base.numerator}/{time_base.denominator}\n"
    return hashlib.blake2b((text + sampling).encode(), digest_size=16).hexdigest()
