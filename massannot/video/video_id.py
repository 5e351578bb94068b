"""Identity of videos and clips: digests of content, equal for copies under any name.

Also the row of `videos` in which a video is stored under its id.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import BinaryIO

import pyarrow as pa

from massannot import tables
from massannot.clip import Video

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
    """Offsets of the 64 blocks of a large file: evenly spaced from 0 to size - 1 MiB."""
    for i in range(N_BLOCKS):
        yield (size - BLOCK) * i // (N_BLOCKS - 1)


def clip_id(
    video_id: str, *, first_pts: int, end_pts: int, time_base: Fraction, sampling: str
) -> str:
    """blake2b-128 (hex) of the video, span and sampling that decide a clip's frames.

    `first_pts` is the first annotated frame's, `end_pts` the exclusive end of the span.
    """
    text = f"{video_id}\n{first_pts}\n{end_pts}\n{time_base.numerator}/{time_base.denominator}\n"
    return hashlib.blake2b((text + sampling).encode(), digest_size=16).hexdigest()


def video_row(video: Video) -> pa.Table:
    """The table `videos` with one row."""
    values = {
        field.name: getattr(video, field.name)
        for field in dataclasses.fields(video)
        if field.name not in ("sample_aspect", "time_base")
    }
    fractions = {
        "sample_aspect_num": video.sample_aspect.numerator,
        "sample_aspect_den": video.sample_aspect.denominator,
        "time_base_num": video.time_base.numerator,
        "time_base_den": video.time_base.denominator,
    }
    return tables.spec("videos").from_rows([{**values, **fractions}])
