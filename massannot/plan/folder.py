"""A plan on disk: a folder with the planned spans, and the small table of its shards.

`videos.parquet` holds every span in row groups of whole shards, `shards.parquet` a row a shard. The
driver holds the second alone; a worker reads the few rows of its shard from the first.

The folder that `massannot plan` makes also has `spec.json`, the record of what was planned (see
dataset/record.py), and, written last, `plan.json` with counts and digests: without it the plan is
not finished.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from massannot.clip import Phrase
from massannot.errors import BadTable, UsageError
from massannot.inputs.question import Question
from massannot.inputs.span import Span
from massannot.plan.planned_videos import PlannedVideo, Shard, edition
from massannot.storage import durable
from massannot.storage.json_text import our_own, parsed
from massannot.storage.parquet import upgraded, write_parquet
from massannot.tables._spec import FLOAT64, INT32, INT64, STRING, Column, TableSpec, list_of

PLAN = "plan.json"
PLAN_VERSION = 2
PLAN_ANEW = "plan anew into another folder"


@dataclass(frozen=True)
class FinishedPlan:
    """The last thing written into a plan's folder."""

    counts: Mapping[str, Any]
    """Videos, spans, shards, expected clips and frames, cost, and videos that cannot be opened."""
    files: Mapping[str, str]
    """SHA-256 of the plan's tables and of its spec.json."""
    version: int = PLAN_VERSION


def read_finished(folder: Path) -> FinishedPlan | None:
    """None: there is no finished plan. Raises UsageError for one of another version."""
    try:
        content = (folder / PLAN).read_bytes()
    except FileNotFoundError:
        return None
    with our_own(folder / PLAN, PLAN_ANEW):
        values = parsed(content)
        if values["version"] != PLAN_VERSION:
            newer = values["version"] > PLAN_VERSION
            raise UsageError(
                f"{folder / PLAN}: found version {values['version']}, expected {PLAN_VERSION}; "
                f"{'install a newer massannot' if newer else PLAN_ANEW}"
            )
        plan = FinishedPlan(**values)
        if not set(plan.files) >= {VIDEOS, SHARDS}:
            raise ValueError(f"it names {sorted(plan.files)}")
        return plan


def write_finished(folder: Path, plan: FinishedPlan) -> None:
    text = json.dumps(asdict(plan), indent=1, ensure_ascii=False) + "\n"
    durable.write_over(folder / PLAN, text.encode())


VIDEOS, SHARDS = "videos.parquet", "shards.parquet"
ROW_GROUP_BYTES = 2**20
"""What a worker reads to get at its shard: a few thousand spans, some milliseconds."""
SHARDS_AT_ONCE = 16
"""Shards turned into rows together while a plan is written."""

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
        Column("etag", STRING, "The store's tag when it was planned.", nullable=True),
        Column("n_clips", INT32, "Clips of the video, if its header is right.", nullable=True),
        Column("source_kind", STRING, "real, generated or rendered.", nullable=True),
        Column("generator", STRING, "What made the video.", nullable=True),
    ),
)

SHARDS_SPEC = TableSpec(
    name="plan_shards",
    version=1,
    key=("shard",),
    doc="One row per shard: the unit of scheduling and of commit.",
    columns=(
        Column("shard", STRING, "The shard's name."),
        Column("n_videos", INT32, "Videos in it."),
        Column("n_spans", INT32, "Planned spans in it; a whole video counts for one."),
        Column("cost", FLOAT64, "How long it may take, compared with others."),
        Column("n_clips", INT32, "Clips expected in it.", nullable=True),
    ),
)

OF_VIDEO = (
    *("uri", "source_id", "size_bytes", "mtime_ns", "license", "cost", "etag", "n_clips"),
    *("source_kind", "generator"),
)
OF_PHRASE = ("text", "origin", "question_id", "char_start", "char_end")
OF_ROW = ("shard", "video", *OF_VIDEO)
OF_SPAN = ("span", "start_s", "end_s", "span_source_id", *OF_PHRASE, "question")
_of_video = attrgetter(*OF_VIDEO)


@dataclass(frozen=True, slots=True)
class PlannedShard:
    """A shard as its driver holds it: without its videos."""

    id: str
    cost: float
    n_spans: int
    n_videos: int
    n_clips: int
    """Expected, as long as its videos have not been read."""
    where: str
    """The plan's folder."""
    retry: tuple[str, ...] = ()
    """Clips of these statuses are done again, for the shard's next generation."""
    generation: int = 0

    @property
    def edition(self) -> str:
        return edition(self.id, self.generation)


def share_of(table: Sequence[PlannedShard], share: int, n_shares: int) -> tuple[PlannedShard, ...]:
    """One of `n_shares` shares of a plan: every so-many-th shard, the dearest first, so that the
    shares cost about the same."""
    dearest_first = sorted(table, key=lambda shard: (-shard.cost, shard.id))
    return tuple(dearest_first[share::n_shares])


def read_shard(planned: PlannedShard) -> Shard:
    """The shard with its videos. Reads one row group."""
    path = Path(planned.where) / VIDEOS
    with our_own(path, PLAN_ANEW), _readable(path):
        found = pq.read_table(path, filters=[("shard", "==", planned.id)], partitioning=None)
        (shard,) = _shards_of(upgraded(found, spec=SPEC, upgrades={}))
        return dataclasses.replace(shard, generation=planned.generation)


def read_shards(folder: Path) -> Iterator[Shard]:
    """Every shard with its videos, in order; holds one row group at a time."""
    path = folder / VIDEOS
    with our_own(path, PLAN_ANEW), _readable(path), pq.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            group = file.read_row_group(number).replace_schema_metadata(file.schema_arrow.metadata)
            yield from _shards_of(upgraded(group, spec=SPEC, upgrades={}))


def shard_table(folder: Path) -> tuple[PlannedShard, ...]:
    """Every shard without its videos."""
    path = folder / SHARDS
    with our_own(path, PLAN_ANEW), _readable(path):
        found = upgraded(pq.read_table(path), spec=SHARDS_SPEC, upgrades={})
    clips = pc.coalesce(found["n_clips"], found["n_spans"])
    columns = (*(found[name] for name in ("shard", "cost", "n_spans", "n_videos")), clips)
    rows = zip(*(column.to_pylist() for column in columns), strict=True)
    return tuple(
        PlannedShard(shard, cost, n_spans, n_videos, n_clips, str(folder))
        for shard, cost, n_spans, n_videos, n_clips in rows
    )


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Arrow's errors for damaged Parquet as a ValueError."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException, BadTable) as error:
        raise ValueError(str(error)) from error


def write_once(folder: Path, shards: Iterable[Shard]) -> bool:
    """Put a plan into a folder that must not exist yet; False: somebody else was first."""
    with _beside(folder) as written:
        write_tables(written, shards)
        return _rename_once(written, folder)


def copy_once(source: Path, folder: Path) -> bool:
    """The same with a plan that lies elsewhere."""
    with _beside(folder) as written:
        written.mkdir()
        for name in (VIDEOS, SHARDS):  # the second one last: with it the plan is there
            shutil.copyfile(source / name, written / name)
            durable.sync(written / name)
        return _rename_once(written, folder)


@contextlib.contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A private name in the same place, gone afterwards."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    written = durable.private_name(folder)
    try:
        yield written
    finally:
        shutil.rmtree(written, ignore_errors=True)


def _rename_once(written: Path, folder: Path) -> bool:
    try:
        os.rename(written, folder)
    except OSError:  # a folder that holds something is never replaced
        if not folder.exists():
            raise
        return False
    durable.sync_folder(folder.parent)
    return True


def write_tables(folder: Path, shards: Iterable[Shard]) -> int:
    """The two tables of a plan; returns how many shards there are. Shards come in the order of
    their names, and few are held at once."""
    kept: list[tuple[Any, ...]] = []

    def pieces() -> Iterator[pa.Table]:
        rest = iter(shards)
        while some := list(itertools.islice(rest, SHARDS_AT_ONCE)):
            kept.extend(map(_row_of_shard, some))
            yield _table_of(some)

    write_parquet(folder / VIDEOS, pieces(), spec=SPEC, row_group_bytes=ROW_GROUP_BYTES)
    table = SHARDS_SPEC.empty()
    if kept:
        columns = zip(SHARDS_SPEC.names, zip(*kept, strict=True), strict=True)
        table = SHARDS_SPEC.from_columns(dict(columns))
    write_parquet(folder / SHARDS, [table], spec=SHARDS_SPEC)
    return len(kept)


def _row_of_shard(shard: Shard) -> tuple[Any, ...]:
    """In the order of SHARDS_SPEC."""
    return (
        shard.id,
        len(shard.videos),
        sum(max(1, len(video.spans)) for video in shard.videos),
        shard.cost,
        sum(video.expected_clips for video in shard.videos),
    )


def _table_of(shards: Sequence[Shard]) -> pa.Table:
    """By column: a mapping for each of a million rows takes half of the time of planning."""
    of_spans: list[tuple[Any, ...]] = []
    written: dict[int, range] = {}  # by identity: videos share their spans
    # Of each row its shard, its video, the video's number, and its place among `of_spans`.
    names: list[str] = []
    videos: list[PlannedVideo] = []
    numbers: list[int] = []
    places: list[int] = []
    for shard in shards:
        for number, video in enumerate(shard.videos):
            spans = written.get(id(video.spans))
            if spans is None:
                before = len(of_spans)
                of_spans += _of_spans(video.spans)
                spans = written[id(video.spans)] = range(before, len(of_spans))
            places += spans
            videos += [video] * len(spans)
            numbers += [number] * len(spans)
        names += [shard.id] * (len(videos) - len(names))
    of_videos = zip(*map(_of_video, videos), strict=True)
    columns: dict[str, Any] = dict(zip(OF_ROW, (names, numbers, *of_videos), strict=True))
    kinds, taken = SPEC.schema(), pa.array(places)
    for name, values in zip(OF_SPAN, zip(*of_spans, strict=True), strict=True):
        columns[name] = pa.array(values, kinds.field(name).type).take(taken)
    return SPEC.from_columns(columns)


def _of_spans(spans: Sequence[Span]) -> list[tuple[Any, ...]]:
    """Values of OF_SPAN."""
    if not spans:
        return [(-1, None, None, None, [], [], [], [], [], None)]
    return [
        (
            index,
            span.start_s,
            span.end_s,
            span.source_id,
            *([getattr(phrase, name) for phrase in span.phrases] for name in OF_PHRASE),
            [question.to_json() for question in span.questions],
        )
        for index, span in enumerate(spans)
    ]


def _shards_of(table: pa.Table) -> Sequence[Shard]:
    shards: dict[str, dict[int, PlannedVideo]] = {}
    for row in table.to_pylist():
        videos = shards.setdefault(row["shard"], {})
        videos[row["video"]] = _with_span(videos.get(row["video"]), row)
    return [Shard(name, tuple(videos.values())) for name, videos in shards.items()]


def _with_span(video: PlannedVideo | None, row: Mapping[str, Any]) -> PlannedVideo:
    if video is None:
        video = PlannedVideo(**{name: row[name] for name in OF_VIDEO})
    if row["span"] < 0:
        return video
    phrases = tuple(Phrase(*values) for values in zip(*(row[n] for n in OF_PHRASE), strict=True))
    questions = tuple(Question.from_json(text) for text in row["question"] or ())
    span = Span(row["start_s"], row["end_s"], phrases, row["span_source_id"], questions)
    return dataclasses.replace(video, spans=(*video.spans, span))
