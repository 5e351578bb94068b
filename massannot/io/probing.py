"""Probing: what the headers of many videos claim, read in parallel and none of them twice.

Answers are kept a few hundred at a time, under a name made of what was asked, so that an
interrupted plan goes on where it was and a file that changed is asked again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from massannot.errors import ClipError
from massannot.io.open_video import Header
from massannot.io.parquet import write_parquet
from massannot.io.plan import PlannedVideo
from massannot.io.video import probe
from massannot.tables.spec import FLOAT64, INT32, STRING, Column, TableSpec

AT_ONCE = 256
"""Videos whose answers are kept together: what an interruption costs at most."""
THREADS = 2 * (os.cpu_count() or 1)
"""Headers wait for the disk or the network more than for a core."""

SPEC = TableSpec(
    name="plan_probes",
    version=1,
    key=("place",),
    doc="What headers claim.",
    columns=(
        Column("place", INT32, "0.. among those asked together."),
        Column("duration_s", FLOAT64, "Length.", nullable=True),
        Column("frame_rate", FLOAT64, "Frames a second.", nullable=True),
        Column("width", INT32, "Pixels, unrotated.", nullable=True),
        Column("height", INT32, "Pixels, unrotated.", nullable=True),
        Column("problem", STRING, "Why it cannot be opened, as in failures.", nullable=True),
    ),
)


@dataclass(frozen=True, slots=True)
class Probed:
    """A header, or why there is none."""

    duration_s: float | None = None
    frame_rate: float | None = None
    width: int | None = None
    height: int | None = None
    problem: str | None = None


def probe_all(
    videos: Sequence[PlannedVideo],
    kept: Path,
    *,
    probe: Callable[[str], Header] = probe,
    each: Callable[[int], None] = lambda n_probed: None,
) -> Iterator[Probed]:
    """The answer for each video, in order. `kept` is a folder for answers; `each` hears how many
    are there."""
    with ThreadPoolExecutor(THREADS, thread_name_prefix="probe") as pool:
        for start in range(0, len(videos), AT_ONCE):
            asked = videos[start : start + AT_ONCE]
            path = kept / f"{_name_of(asked)}.parquet"
            if not path.exists():
                answers = list(pool.map(lambda video: _probed(video.uri, probe), asked))
                columns = {name: [getattr(a, name) for a in answers] for name in SPEC.names[1:]}
                table = SPEC.from_columns({"place": list(range(len(answers))), **columns})
                write_parquet(path, [table], spec=SPEC)
            for row in pq.read_table(path, partitioning=None).drop_columns(["place"]).to_pylist():
                yield Probed(**row)
            each(start + len(asked))


def _probed(uri: str, probe: Callable[[str], Header]) -> Probed:
    try:
        header = probe(uri)
    except ClipError as error:
        return Probed(problem=error.reason)
    rate = None if header.frame_rate is None else float(header.frame_rate)
    return Probed(header.duration_s, rate, header.width, header.height)


def _name_of(videos: Sequence[PlannedVideo]) -> str:
    states = [(video.uri, video.size_bytes, video.mtime_ns, video.etag) for video in videos]
    return hashlib.blake2b(json.dumps(states).encode(), digest_size=16).hexdigest()
