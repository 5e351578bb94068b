"""Plan: which videos, which spans of them, what to look for, and how they are dealt into shards.

A shard is the unit of scheduling and of commit; all spans of a video lie in one. Planning asks the
file system for size and time of change and reads no picture: a file that changes afterwards is a
failure.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from massannot.inputs.span import Span, VideoSource
from massannot.storage.store import is_remote, store_of

VIDEOS_PER_SHARD = 16
"""Few enough that a worker is never long alone at the end, many enough that files stay few."""
ASKED_AT_ONCE = 32
SHARDS_WANTED = 16
"""Small plans have smaller shards, until there are so many: enough for a machine full of GPUs."""


@dataclass(frozen=True, slots=True)
class PlannedVideo(VideoSource):
    """A video as the plan knows it: with the state it must still be in when it is read.

    Without a `size_bytes` it was not there; then reading it fails, and says so in `failures`.
    """

    cost: float = 0.0
    """How long it may take, compared with others in the same plan."""
    n_clips: int | None = None
    """Clips it will have, if its header is right; None: nobody has looked, or it does not tell."""

    @property
    def expected_clips(self) -> int:
        """As long as nobody has read it: one for a span, or what its header says."""
        return max(1, len(self.spans), self.n_clips or 0)


@dataclass(frozen=True)
class Shard:
    """Videos that are committed together. Its name is the file's name in `data/<table>/`."""

    id: str
    videos: tuple[PlannedVideo, ...]

    @property
    def cost(self) -> float:
        return sum(video.cost for video in self.videos)


@dataclass(frozen=True)
class Plan:
    shards: tuple[Shard, ...]

    @property
    def videos(self) -> Iterator[PlannedVideo]:
        return (video for shard in self.shards for video in shard.videos)

    @property
    def prompts(self) -> tuple[str, ...]:
        """What every video is asked for, in the order in which it was first said."""
        phrases = (p for video in self.videos for span in video.spans for p in span.phrases)
        return tuple(dict.fromkeys(p.text for p in phrases if p.origin == "prompt"))


def seen_now(uri: str, **known: Any) -> PlannedVideo:
    """A PlannedVideo with the file's present size and time of change. Its cost is its size, which
    is all that is known without opening it."""
    return _seen(PlannedVideo(uri, **known))


def all_seen_now(videos: Iterable[PlannedVideo]) -> Iterator[PlannedVideo]:
    """The same for many; a store is asked about several at once."""
    rest = iter(videos)
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        while some := list(itertools.islice(rest, 32 * ASKED_AT_ONCE)):
            remote = any(is_remote(video.uri) for video in some)
            yield from (pool.map if remote else map)(_seen, some)


def _seen(video: PlannedVideo) -> PlannedVideo:
    try:
        if is_remote(video.uri):
            there = store_of(video.uri).head(video.uri)
            size, mtime_ns, etag = there.size_bytes, there.mtime_ns, there.etag
        else:
            found = os.stat(video.uri)
            size, mtime_ns, etag = found.st_size, found.st_mtime_ns, None
    except OSError:
        return video
    return dataclasses.replace(
        video, size_bytes=size, mtime_ns=mtime_ns, etag=etag, cost=float(size)
    )


def deal(
    videos: Iterable[PlannedVideo],
    *,
    per_shard: int | None = None,
    first_number: int = 0,
) -> Plan:
    """A plan with the videos in the given order, but files of one size beside each other: if they
    are copies, the worker that has both notices. A video named several times gets all its spans,
    and a span named several times all its phrases."""
    each_once = merged(videos)
    if per_shard is None:  # a function of the plan alone: shards decide the files
        per_shard = min(VIDEOS_PER_SHARD, -(-len(each_once) // SHARDS_WANTED))
    shards: list[list[PlannedVideo]] = []
    for together in of_one_size(each_once):
        for start in range(0, len(together), per_shard):
            more = together[start : start + per_shard]
            if not shards or len(shards[-1]) + len(more) > per_shard:
                shards.append([])
            shards[-1] += more
    return Plan(
        tuple(
            Shard(f"{number:06d}", tuple(shard))
            for number, shard in enumerate(shards, start=first_number)
        )
    )


def of_one_size(videos: Sequence[PlannedVideo]) -> list[list[PlannedVideo]]:
    """The videos, those of one size beside each other: they may be copies."""
    groups: dict[int | str, list[PlannedVideo]] = {}
    for video in videos:
        groups.setdefault(video.size_bytes or video.uri, []).append(video)
    return list(groups.values())


def merged(videos: Iterable[PlannedVideo]) -> list[PlannedVideo]:
    """Each video once, with all its spans, in the order in which they were first named."""
    known: dict[str, PlannedVideo] = {}
    for video in videos:
        before = known.get(video.uri)
        spans = video.spans if before is None else before.spans + video.spans
        known[video.uri] = dataclasses.replace(before or video, spans=_merged_spans(spans))
    return list(known.values())


def _merged_spans(spans: Sequence[Span]) -> tuple[Span, ...]:
    merged: dict[tuple[float | None, float | None], Span] = {}
    for span in spans:
        known = merged.setdefault((span.start_s, span.end_s), span)
        phrases = dict.fromkeys((*known.phrases, *span.phrases))
        questions = dict.fromkeys((*known.questions, *span.questions))
        merged[span.start_s, span.end_s] = dataclasses.replace(
            known, phrases=tuple(phrases), questions=tuple(questions)
        )
    return tuple(merged.values())
