"""Probing: what the headers of many videos claim, read in parallel and none of them twice.

Answers are kept two thousand at a time, under a name made of what was asked, so that an
interrupted plan goes on where it was and a file that changed is asked again. Nobody waits for the
disk: answers that a power cut damaged are asked again.

What a planned video will ask for: clips, annotated frames, and their pixels, which is its cost.

From the header's claims and the rules of sampling; a header may be wrong and knows of no shots, so
that nothing but the order of work and what a person is told depends on it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from massannot.errors import ClipError
from massannot.inputs.span import Span
from massannot.plan.planned_videos import PlannedVideo, PlannedVideos
from massannot.storage import durable
from massannot.video.decoder_messages import Header
from massannot.video.reader import probe
from massannot.video.sampling import Sampling

USUAL_RATE = 30.0
"""Frames a second where a header does not tell."""
LONGEST_S = 30 * 86400.0
"""A header that promises more than a month is wrong, and would outweigh all other videos."""


@dataclass(frozen=True, slots=True)
class Expected:
    clips: int
    frames: int
    pixels: float
    """Annotated frames times working pixels: what models see."""


def expected(spans: Sequence[Span], probed: Probed, sampling: Sampling) -> Expected | None:
    """Of one video. None where the header does not say how long it is, or lies, or there is
    none."""
    if probed.duration_s is None or not probed.width or not probed.height:
        return None
    if not probed.duration_s <= LONGEST_S:
        return None
    rate = probed.frame_rate or USUAL_RATE
    rate = rate if sampling.fps is None else min(rate, sampling.fps)
    clips = frames = 0
    for span in spans or (Span(),):
        start_s = span.start_s or 0.0
        end_s = probed.duration_s if span.end_s is None else min(span.end_s, probed.duration_s)
        n_frames = max(1, round(max(0.0, end_s - start_s) * rate))
        cuts = 1 if span.end_s is not None else max(1, ceil((end_s - start_s) / sampling.clip_s))
        frames += n_frames
        n_shared = int(sampling.shared_frames)
        n_own = sampling.max_frames - n_shared
        clips += max(cuts, ceil(max(1, n_frames - n_shared) / n_own))
    shrunk = min(1.0, sampling.long_side / max(probed.width, probed.height))
    return Expected(clips, frames, frames * probed.width * probed.height * shrunk**2)


def with_expected(videos: PlannedVideos, work: Iterable[Expected | None]) -> PlannedVideos:
    """The videos with their expected clips, and with their expected pixels as cost. Of whom nothing
    is known, the cost is that of as many bytes elsewhere."""
    pixels, n_clips = np.zeros(len(videos)), np.zeros(len(videos), np.int32)
    for n, each in enumerate(work):
        if each is not None:
            pixels[n], n_clips[n] = each.pixels, each.clips
    unknown = n_clips == 0
    if unknown.any():
        sizes = videos.sizes
        known = ~unknown & (sizes > 0)
        a_byte = float(np.median(pixels[known] / sizes[known])) if known.any() else 1.0
        pixels[unknown] = sizes[unknown] * a_byte
    return videos.expecting(pixels, n_clips)


AT_ONCE = 2048
"""Videos whose answers are kept together: what an interruption costs at most."""
THREADS = 2 * (os.cpu_count() or 1)
"""Headers wait for the disk or the network more than for a core."""


class Probed(NamedTuple):
    """A header, or why there is none."""

    duration_s: float | None = None
    frame_rate: float | None = None
    width: int | None = None
    """Pixels, unrotated."""
    height: int | None = None
    problem: str | None = None
    """Why it cannot be opened, as in failures."""


_SCHEMA = pa.schema(
    {
        "duration_s": pa.float64(),
        "frame_rate": pa.float64(),
        "width": pa.int32(),
        "height": pa.int32(),
        "problem": pa.string(),
    }
)
assert tuple(_SCHEMA.names) == Probed._fields


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
            answers = _kept(path, len(asked))
            if answers is None:
                answers = _asked(asked, probe, pool)
                _keep(path, answers)
            yield from answers
            each(start + len(asked))


def _asked(
    videos: Sequence[PlannedVideo], probe: Callable[[str], Header], pool: ThreadPoolExecutor
) -> list[Probed]:
    """Each thread takes the next video when it is done with one: a task a video would cost more
    than the header of a local file."""
    answers = [Probed()] * len(videos)
    rest = iter(range(len(videos)))

    def work() -> None:
        for n in rest:  # threads share it: one step of a range's iterator is atomic
            answers[n] = _probed(videos[n].uri, probe)

    tasks = [pool.submit(work) for _ in range(THREADS)]
    try:
        for task in tasks:
            task.result()
    finally:
        for _ in rest:  # after an interruption nobody takes another one
            pass
    return answers


def _kept(path: Path, count: int) -> list[Probed] | None:
    """None: nothing is there, or nothing that can be read."""
    try:
        table = pq.ParquetFile(path).read().cast(_SCHEMA)  # read_table imports all of datasets
    except (OSError, ValueError):
        return None
    columns = [column.to_pylist() for column in table.columns]
    return list(map(Probed, *columns)) if table.num_rows == count else None


def _keep(path: Path, answers: Sequence[Probed]) -> None:
    columns = zip(*answers, strict=True)
    arrays = [pa.array(c, kind) for c, kind in zip(columns, _SCHEMA.types, strict=True)]
    # A start that has planned the same meanwhile removes the folder.
    with contextlib.suppress(FileNotFoundError), durable.private_file(path) as written:
        pq.write_table(pa.table(arrays, schema=_SCHEMA), written)
        os.replace(written, path)


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
