"""Copies: files of one shard with the very same bytes become one video, read once.

The lowest uri is the video's; it is annotated for the spans, phrases and questions of all, and the
others are named in `videos.same_as`. Bytes are compared by `video_id`, of files of equal size
alone, as long as they are in their planned state.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from massannot.errors import ClipError, UsageError
from massannot.inputs.span import Span, in_order
from massannot.plan.planned_videos import Copy, PlannedVideo, Shard
from massannot.storage.fetch import fetched
from massannot.storage.path import resolved
from massannot.storage.store import is_remote
from massannot.video.video_id import video_id


def with_copies_found(
    shard: Shard, *, folder: str | None, before: Mapping[str, str], failed: Collection[str] = ()
) -> Shard:
    """The shard with byte copies taken out of `videos` and named in `copies`.

    `before`: what earlier attempts found, uri to same_as: it still holds where a file cannot be
    read any more. `failed`: videos that are settled and have no clips. `folder`: where relative
    names start.
    """
    candidates = [video for video in shard.videos if video.uri not in failed]
    ids = _video_ids(candidates, folder, before)
    groups: dict[str, list[PlannedVideo]] = defaultdict(list)
    for video in candidates:
        groups[ids.get(video.uri, video.uri)].append(video)
    group_of = {video.uri: group for group in groups.values() for video in group}
    videos, copies = [], []
    for video in shard.videos:
        group = group_of.get(video.uri, [video])
        first = min(other.uri for other in group)
        if video.uri == first:
            videos.append(united_video(group))
        else:
            copies.append(Copy(video, first))
    return replace(shard, videos=tuple(videos), copies=tuple(copies))


def _video_ids(
    videos: Sequence[PlannedVideo], folder: str | None, before: Mapping[str, str]
) -> dict[str, str]:
    """By uri, of videos that share their size with another, or that are known to be copies."""
    sizes = Counter(video.size_bytes or 0 for video in videos)
    found = {
        v.uri: _video_id(v, folder) for v in videos if v.size_bytes and sizes[v.size_bytes] > 1
    }
    ids = {uri: video_id for uri, video_id in found.items() if video_id is not None}
    for copy, first in before.items():
        ids[copy] = ids[first] = ids.get(first) or ids.get(copy) or first
    return ids


def _video_id(video: PlannedVideo, folder: str | None) -> str | None:
    """None where the file is not there as planned: whoever reads it says why."""
    address = video.uri if folder is None else resolved(video.uri, folder=folder)
    try:
        if is_remote(address):
            with fetched(address, size_bytes=video.size_bytes, etag=video.etag) as path:
                return _id_of_file(path)
        state = os.stat(address)
        if state.st_size != video.size_bytes or video.mtime_ns not in (None, state.st_mtime_ns):
            return None
        return _id_of_file(address)
    except (OSError, ValueError, ClipError, UsageError):  # ValueError: a name no disk takes
        return None


def _id_of_file(path: str) -> str:
    with open(path, "rb") as file:
        return video_id(file)


def united_video(videos: Sequence[PlannedVideo]) -> PlannedVideo:
    """The copy of the lowest uri with the spans of all: those of equal times are one span. A whole
    video without spans is one span of it."""
    if len(videos) == 1:
        return videos[0]
    videos = sorted(videos, key=lambda video: video.uri)
    spans: dict[tuple[float | None, float | None], Span] = {}
    for video in videos:
        for span in video.spans or (Span(),):
            ends = (span.start_s, span.end_s)
            spans[ends] = span if ends not in spans else _both(spans[ends], span)
    in_time = sorted(
        spans.values(), key=lambda s: (s.start_s or 0.0, s.end_s is None, s.end_s or 0.0)
    )
    return replace(videos[0], spans=tuple(in_time))


def _both(span: Span, other: Span) -> Span:
    """One span for what both ask; the user's id is that of the first."""
    questions = {q.question_id: q for q in (*span.questions, *other.questions)}
    return replace(
        span,
        phrases=in_order((*span.phrases, *other.phrases)),
        questions=tuple(questions[question_id] for question_id in sorted(questions)),
    )
