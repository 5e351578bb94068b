"""Plan: which videos, which spans of them, what to look for, and how they are dealt into shards.

A shard is the unit of scheduling and of commit; all spans of a video lie in one. Planning asks the
file system for size and time of change and reads no picture: a file that changes afterwards is a
failure. A folder keeps its plan, so that the same command, later or with more videos, continues.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from massannot.clip import Phrase
from massannot.errors import OtherRecipe
from massannot.io import durable
from massannot.io.layout import Layout
from massannot.io.parquet import write_parquet
from massannot.io.question import Question
from massannot.io.read_parquet import upgraded
from massannot.io.video import Span
from massannot.tables.spec import FLOAT64, INT32, INT64, STRING, Column, TableSpec, list_of

VIDEOS_PER_SHARD = 16
"""Few enough that a worker is never long alone at the end, many enough that files stay few."""
SHARDS_WANTED = 16
"""Small plans have smaller shards, until there are so many: enough for a machine full of GPUs."""

SPEC = TableSpec(
    name="plan",
    version=1,
    key=("shard", "video", "span"),
    doc="One row per planned span.",
    columns=(
        Column("shard", STRING, "The shard's name."),
        Column("video", INT32, "0.. within the shard."),
        Column("span", INT32, "0.. within the video; -1: the whole video, without phrases."),
        Column("uri", STRING, "Where the file lies."),
        Column("source_id", STRING, "The user's own id of the video.", nullable=True),
        Column("size_bytes", INT64, "Size when it was planned.", nullable=True),
        Column("mtime_ns", INT64, "Time of change when it was planned.", nullable=True),
        Column("license", STRING, "Licence of the video.", nullable=True),
        Column("cost", FLOAT64, "How long it may take, compared with others."),
        Column("start_s", FLOAT64, "Start of the span; null: from the start.", nullable=True),
        Column("end_s", FLOAT64, "End of the span; null: to the end.", nullable=True),
        Column("span_source_id", STRING, "The user's own id of the span.", nullable=True),
        Column("text", list_of(STRING), "Phrases: what to look for."),
        Column("origin", list_of(STRING), "Where each came from."),
        Column("question_id", list_of(STRING), "The question it was taken from."),
        Column("char_start", list_of(INT32), "First character in that text."),
        Column("char_end", list_of(INT32), "End in that text, exclusive."),
        Column("question", list_of(STRING), "Questions about the span, as JSON.", nullable=True),
    ),
)


@dataclass(frozen=True)
class PlannedVideo:
    """A video as the plan knows it. No `spans`: the whole video, nothing to look for."""

    uri: str
    spans: tuple[Span, ...] = ()
    source_id: str | None = None
    size_bytes: int | None = None
    """None: it was not there; then reading it fails, and says so in `failures`."""
    mtime_ns: int | None = None
    license: str | None = None

    @property
    def cost(self) -> float:
        """How long it may take, compared with others: the file's size, which is all that is known
        without opening it."""
        return float(self.size_bytes or 0)


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


def seen_now(uri: str, **known: Any) -> PlannedVideo:
    """A PlannedVideo with the file's present size and time of change."""
    try:
        found = os.stat(uri)
    except OSError:
        return PlannedVideo(uri, **known)
    return PlannedVideo(uri, size_bytes=found.st_size, mtime_ns=found.st_mtime_ns, **known)


def deal(
    videos: Iterable[PlannedVideo],
    *,
    per_shard: int | None = None,
    first_number: int = 0,
) -> Plan:
    """A plan with the videos in the given order, but files of one size beside each other: if they
    are copies, the worker that has both notices. A video named several times gets all its spans,
    and a span named several times all its phrases."""
    merged = _merged(videos)
    if per_shard is None:  # a function of the plan alone: shards decide the files
        per_shard = min(VIDEOS_PER_SHARD, -(-len(merged) // SHARDS_WANTED))
    shards: list[list[PlannedVideo]] = []
    for together in _of_one_size(merged):
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


def adopt(layout: Layout, asked: Plan) -> Plan:
    """The folder's own shards of the videos asked for; new videos get shards of their own.

    Raises OtherRecipe when the folder holds a video with other spans or phrases.
    """
    while True:
        kept = stored(layout)
        known = {video.uri: video for video in kept.videos}
        new = [video for video in asked.videos if video.uri not in known]
        _refuse_changed(layout, asked, known)
        if not new:
            wanted = {video.uri for video in asked.videos}
            return Plan(
                tuple(s for s in kept.shards if any(video.uri in wanted for video in s.videos))
            )
        per_shard = max(len(shard.videos) for shard in asked.shards)
        more = deal(new, per_shard=per_shard, first_number=len(kept.shards))
        # Another driver may have been first: then its plan is read and this one tried again.
        _put(layout.plans / f"{len(kept.shards):06d}.parquet", more)


def stored(layout: Layout) -> Plan:
    """The folder's plan; no shards when it has none yet."""
    parts = [read_plan(path) for path in sorted(layout.plans.glob("*.parquet"))]
    return Plan(tuple(shard for part in parts for shard in part.shards))


def write_plan(path: Path, plan: Plan) -> None:
    """Write a plan as one Parquet file."""
    rows = [row for shard in plan.shards for row in _rows(shard)]
    write_parquet(path, [SPEC.from_rows(rows)] if rows else [], spec=SPEC)


def read_plan(path: Path, *, shard: str | None = None) -> Plan:
    """A plan from its file, or one shard of it."""
    wanted = None if shard is None else [("shard", "==", shard)]
    rows = upgraded(pq.read_table(path, filters=wanted), spec=SPEC, upgrades={}).to_pylist()
    shards: dict[str, dict[int, PlannedVideo]] = {}
    for row in rows:
        videos = shards.setdefault(row["shard"], {})
        videos[row["video"]] = _with_span(videos.get(row["video"]), row)
    return Plan(tuple(Shard(name, tuple(videos.values())) for name, videos in shards.items()))


def _of_one_size(videos: Sequence[PlannedVideo]) -> list[list[PlannedVideo]]:
    groups: dict[int | str, list[PlannedVideo]] = {}
    for video in videos:
        groups.setdefault(video.size_bytes or video.uri, []).append(video)
    return list(groups.values())


def _merged(videos: Iterable[PlannedVideo]) -> list[PlannedVideo]:
    merged: dict[str, PlannedVideo] = {}
    for video in videos:
        known = merged.get(video.uri)
        spans = video.spans if known is None else known.spans + video.spans
        merged[video.uri] = dataclasses.replace(known or video, spans=_merged_spans(spans))
    return list(merged.values())


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


def _refuse_changed(layout: Layout, asked: Plan, known: Mapping[str, PlannedVideo]) -> None:
    for video in asked.videos:
        there = known.get(video.uri)
        if there is not None and there.spans != video.spans:
            raise OtherRecipe(
                f"{layout.out} holds {video.uri} with {_spoken(there.spans)}, asked for is "
                f"{_spoken(video.spans)}; choose another output folder"
            )


def _spoken(spans: Sequence[Span]) -> str:
    def one(span: Span) -> str:
        start, end = span.start_s or 0, "the end" if span.end_s is None else f"{span.end_s:g} s"
        asked = f" and {len(span.questions)} questions" if span.questions else ""
        return f"{start:g} s to {end} {[phrase.text for phrase in span.phrases]}{asked}"

    return "; ".join(map(one, spans[:3])) + ("; ..." if len(spans) > 3 else "") or "no spans"


def _put(path: Path, plan: Plan) -> bool:
    written = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write_plan(written, plan)
        return durable.link_once(written, path)
    finally:
        written.unlink(missing_ok=True)


def _rows(shard: Shard) -> Iterator[Mapping[str, Any]]:
    for number, video in enumerate(shard.videos):
        of_video = {
            "shard": shard.id,
            "video": number,
            "uri": video.uri,
            "source_id": video.source_id,
            "size_bytes": video.size_bytes,
            "mtime_ns": video.mtime_ns,
            "license": video.license,
            "cost": video.cost,
        }
        if not video.spans:
            yield {**of_video, "span": -1, **_of_span(None)}
        for index, span in enumerate(video.spans):
            yield {**of_video, "span": index, **_of_span(span)}


def _of_span(span: Span | None) -> Mapping[str, Any]:
    phrases = span.phrases if span else ()
    return {
        "start_s": span.start_s if span else None,
        "end_s": span.end_s if span else None,
        "span_source_id": span.source_id if span else None,
        "text": [phrase.text for phrase in phrases],
        "origin": [phrase.origin for phrase in phrases],
        "question_id": [phrase.question_id for phrase in phrases],
        "char_start": [phrase.char_start for phrase in phrases],
        "char_end": [phrase.char_end for phrase in phrases],
        "question": [question.to_json() for question in span.questions] if span else None,
    }


def _with_span(video: PlannedVideo | None, row: Mapping[str, Any]) -> PlannedVideo:
    if video is None:
        names = ("uri", "source_id", "size_bytes", "mtime_ns", "license")
        video = PlannedVideo(**{name: row[name] for name in names})
    if row["span"] < 0:
        return video
    lists = ("text", "origin", "question_id", "char_start", "char_end")
    phrases = tuple(Phrase(*values) for values in zip(*(row[n] for n in lists), strict=True))
    questions = tuple(Question.from_json(text) for text in row["question"] or ())
    span = Span(row["start_s"], row["end_s"], phrases, row["span_source_id"], questions)
    return dataclasses.replace(video, spans=(*video.spans, span))
