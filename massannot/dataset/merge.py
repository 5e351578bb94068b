"""Merging: the parts of a finished shard become one file a table, with equal bytes whatever the
attempts and the order in which they were made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa

from massannot import tables
from massannot.dataset.commits import Commit, CommittedFile, FailureCount
from massannot.dataset.journal import (
    WHOLE_VIDEO,
    ClipKey,
    Finished,
    Part,
    Past,
    read_part,
)
from massannot.dataset.layout import Layout
from massannot.plan.join_questions import counts_of
from massannot.plan.planned_videos import PlannedVideo, Shard
from massannot.storage.parquet import upgraded, write_parquet
from massannot.tables import upgrades_of

Link = Callable[[Iterable[Callable[[str], pa.Table]]], pa.Table]
"""Makes `identities` of the finished clips, each a function from a table's name to its rows."""

OF_SHARD = tuple(
    name for name in tables.names() if tables.spec(name).of_runs and not tables.spec(name).of_clips
)
"""Tables that are not made clip by clip; every shard has them."""


def merge_parts(
    layout: Layout,
    shard: Shard,
    attempt: int,
    past: Past,
    *,
    table_names: Collection[str],
    link: Link,
) -> Commit:
    """Write the shard's tables into the attempt's folder; returns the commit that names them.
    `link` says who is who over the clips of each video.

    Raises FileNotFoundError when a part has gone, which means that another attempt was first.
    """
    folder = layout.attempt(shard.edition, attempt)
    clips = sorted(past.finished.values(), key=lambda clip: clip.clip_id)
    paths = [past.path_of(clip.part) for clip in clips]
    questions = _questions(shard, past)
    files = []
    for name in sorted({*table_names, *OF_SHARD}):
        if name == "videos":
            pieces = iter([_videos(shard, past)])
        elif name == "failures":
            pieces = iter([_failures(shard, past)])
        elif name == "questions":
            pieces = iter([questions])
        elif name == "identities":
            pieces = iter([link(_readers(paths, table_names))])
        else:
            pieces = _of_clips(paths, name)
        written = write_parquet(folder / f"{name}.parquet", pieces, spec=tables.spec(name))
        files.append(CommittedFile(name, written.rows, written.size_bytes, written.sha256))
    return Commit(
        shard.id,
        attempt,
        len(clips),
        failure_counts(shard, past),
        tuple(files),
        counts_of(shard, questions),
        len(shard.copies),
        shard.generation,
    )


def failure_counts(shard: Shard, past: Past) -> tuple[FailureCount, ...]:
    """How many clips failed, by class. A video that failed as a whole counts for each of its
    expected clips that nothing else settled, and at least for one."""
    counts: Counter[tuple[str, str]] = Counter()
    videos = {video.uri: video for video in shard.videos}
    for clip, failed in past.failed.items():
        lost = 1
        if clip.clip_index == WHOLE_VIDEO and clip.uri in videos:
            lost = max(1, clips_left(videos[clip.uri], past))
        counts[failed.reason, failed.status] += lost
    return tuple(FailureCount(*key, n) for key, n in sorted(counts.items()))


def clips_left(video: PlannedVideo, past: Past) -> int:
    """Clips that are expected of a video besides those that are settled; where its header was not
    read there may always be one more."""
    left = video.expected_clips - len(settled_clips(past, video.uri))
    return max(left, 0 if video.n_clips else 1)


def settled_clips(past: Past, uri: str) -> set[ClipKey]:
    """The video's clips that are done or have failed, each by itself."""
    return {
        clip
        for clip in (*past.finished, *past.failed)
        if clip.uri == uri and clip.clip_index != WHOLE_VIDEO
    }


def _readers(
    paths: Sequence[Path], table_names: Collection[str]
) -> Iterator[Callable[[str], pa.Table]]:
    """For each part, its rows of a table by name; none of one that the recipe does not write."""
    for path in paths:
        yield partial(_rows_if_written, path, table_names)


def _rows_if_written(path: Path, table_names: Collection[str], name: str) -> pa.Table:
    return _rows_of(path, name) if name in table_names else tables.spec(name).empty()


def _rows_of(path: Path, name: str) -> pa.Table:
    """A part's rows in the present version of the table; none of a table that there was not when
    an older massannot made the part. (A clip that lacks one of today's tables is never a part.)"""
    try:
        table = read_part(path, name)
    except KeyError:
        return tables.spec(name).empty()
    spec = tables.spec(name, schema=table.schema)
    return upgraded(table, spec=spec, upgrades=upgrades_of(name))


def _of_clips(paths: Sequence[Path], name: str) -> Iterator[pa.Table]:
    return (_rows_of(path, name) for path in paths)


def _videos(shard: Shard, past: Past) -> pa.Table:
    """One row a video that was opened: as it was known at its end, or else at its last clip. A byte
    copy has the other's row, under its own name and with what the user says of it."""
    rows = [tables.spec("videos").empty()]
    for video in shard.videos:
        read = past.videos.get(video.uri)
        clips = [clip for clip in past.finished.values() if clip.clip.uri == video.uri]
        part = read.part if read and read.part else _last(clips)
        if part is not None:
            rows.append(read_part(past.path_of(part), "videos"))
    read_videos = pa.concat_tables(rows)
    row_of = {row["uri"]: row for row in read_videos.to_pylist()} if shard.copies else {}
    own = ("uri", "source_id", "license", "source_kind", "generator")
    copied = [
        row_of[copy.same_as]
        | {name: getattr(copy.video, name) for name in own}
        | {"same_as": copy.same_as}
        for copy in shard.copies
        if copy.same_as in row_of
    ]
    return tables.spec("videos").checked(
        pa.concat_tables([read_videos, tables.spec("videos").from_rows(copied)])
    )


def _last(clips: Sequence[Finished]) -> Part | None:
    return max(clips, key=lambda clip: clip.clip.clip_index).part if clips else None


def _questions(shard: Shard, past: Past) -> pa.Table:
    """Every question about the shard's videos, with the clips that answer it."""
    asked = {
        video.uri: [question for span in video.spans for question in span.questions]
        for video in shard.videos
    }
    clips_of: dict[str, list[str]] = {}
    for clip in sorted(past.finished.values(), key=lambda clip: clip.clip.clip_index):
        if any(question.problem is None for question in asked.get(clip.clip.uri, ())):
            for question_id in _asked_of(past.path_of(clip.part)):
                clips_of.setdefault(question_id, []).append(clip.clip_id)
    rows = [
        question.row(clip_ids=tuple(clips_of.get(question.question_id, ())))
        for questions in asked.values()
        for question in questions
    ]
    return tables.spec("questions").from_rows(rows)


def _asked_of(path: Path) -> list[str]:
    """Ids of the questions about a clip; a span that nobody asked about has none."""
    try:
        ids: list[str] = read_part(path, "questions")["question_id"].to_pylist()
    except KeyError:
        return []
    return ids


def _failures(shard: Shard, past: Past) -> pa.Table:
    """Clips and videos that failed, and questions that could not be asked."""
    bad = [
        {
            "uri": question.uri,
            "clip_index": WHOLE_VIDEO,
            "stage": f"question {question.question_id}",
            "class": question.problem.reason,
            "message": question.problem.message,
            "status": "failed",
        }
        for video in shard.videos
        for span in video.spans
        for question in span.questions
        if question.problem is not None
    ]
    return tables.spec("failures").from_rows(
        bad
        + [
            {
                "uri": failed.clip.uri,
                "clip_index": failed.clip.clip_index,
                "stage": failed.stage,
                "class": failed.reason,
                "message": failed.message,
                "status": failed.status,
            }
            for failed in past.failed.values()
        ]
    )
