"""Journal: what happened to each clip of a shard, a line at a time.

One file an attempt, appended by the one worker that makes the attempt; when that worker died, its
driver appends who died. A later attempt reads all of them: what is settled is not done again, and
a clip in whose hands an isolated worker died twice is to blame. A torn last line is no line.
Lines survive the death of any process; a power cut may cost the last seconds' lines, and then their
clips are done again: a commit waits for the disk, a clip does not.

Parts: the finished tables of one clip (or the row of one video), kept until its shard commits.

One file a clip, so that a killed worker redoes no finished clip: an uncompressed zip of Arrow IPC
files, one a table. Private to `_run/`; its size and hash stand in the journal, so that a part cut
by a power failure is noticed and its clip done again: nobody waits for the disk.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import pyarrow as pa

from massannot.dataset.layout import Layout
from massannot.plan.planned_videos import Shard
from massannot.storage import durable


@dataclass(frozen=True)
class Part:
    """A part as the journal remembers it. `name` is relative to the attempt's folder."""

    name: str
    size_bytes: int
    sha256: str


def write_part(folder: Path, name: str, tables: Mapping[str, pa.Table]) -> Part:
    """Write finished tables as `folder/name`; replaces what a dead worker left there."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as packed:
        for table_name in sorted(tables):
            packed.writestr(f"{table_name}.arrow", _ipc(tables[table_name]))
    written = content.getvalue()
    with durable.private_file(folder / name) as file:
        file.write_bytes(written)
        os.replace(file, folder / name)
    return Part(name, len(written), hashlib.sha256(written).hexdigest())


def is_whole(folder: Path, part: Part) -> bool:
    """Whether the file is there with every byte it was written with."""
    path = folder / part.name
    try:
        return path.stat().st_size == part.size_bytes and durable.sha256_of(path) == part.sha256
    except FileNotFoundError:
        return False


def read_part(path: Path, table_name: str) -> pa.Table:
    """One table of a part."""
    with zipfile.ZipFile(path) as packed:
        return pa.ipc.open_stream(packed.read(f"{table_name}.arrow")).read_all()


def _ipc(table: pa.Table) -> memoryview:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return memoryview(sink.getvalue())


WHOLE_VIDEO = -1
"""The clip index of what concerns a video and none of its clips."""

Status = Literal["failed", "quarantined"]


@dataclass(frozen=True)
class ClipKey:
    """A clip before anybody has read it: the video, and 0.. within it; -1: the video itself."""

    uri: str
    clip_index: int

    def __str__(self) -> str:
        """As logs name it, and `massannot explain` takes it."""
        return f"{self.uri}#{self.clip_index}"


@dataclass(frozen=True)
class Begun:
    """The worker turned to this clip; if nothing about it follows, it died with it."""

    clip: ClipKey


@dataclass(frozen=True)
class Finished:
    """The clip's tables lie in `part`."""

    clip: ClipKey
    clip_id: str
    part: Part


@dataclass(frozen=True)
class Failed:
    """A row of `failures`."""

    clip: ClipKey
    stage: str
    reason: str
    message: str
    status: Status


@dataclass(frozen=True)
class VideoRead:
    """The video was read to its end; its row lies in `part`, unless it could not be opened."""

    uri: str
    n_clips: int
    part: Part | None


@dataclass(frozen=True)
class Died:
    """The worker of this attempt died. `isolated`: it had one clip in hand and no other."""

    isolated: bool
    exit_code: int


@dataclass(frozen=True)
class Together:
    """From here on `uri` is read for its byte copies too. What was settled of any of them before is
    void: it was not for all of their phrases."""

    uri: str
    copies: tuple[str, ...]


@dataclass(frozen=True)
class Again:
    """From here on the clip is to be done again. What was settled of it before is void, unless it
    was for this very reason: then it is this request's own."""

    clip: ClipKey
    why: str
    """How it ended, or which decision of a person it is done again for."""
    fixes: tuple[Mapping[str, Any], ...] = ()
    """What people put right, see docs/review.md."""


Event = Begun | Finished | Failed | VideoRead | Died | Together | Again
_KINDS: dict[str, type[Event]] = {
    kind.__name__: kind for kind in (Begun, Finished, Failed, VideoRead, Died, Together, Again)
}


class Journal:
    """One attempt's journal, open for appending."""

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_RDWR, 0o644)
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            os.write(self._descriptor, b"\n")  # what a dead writer began stays a line of its own

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def write(self, event: Event) -> None:
        """Append one line; whoever reads from now on sees it."""
        line = json.dumps({"is": type(event).__name__, **asdict(event)}, ensure_ascii=False)
        os.write(self._descriptor, line.encode() + b"\n")


def read_journal(path: Path) -> Iterator[Event]:
    """The events of one attempt, in order; lines that a kill cut short are left out."""
    for line in path.read_bytes().split(b"\n"):
        try:
            values = json.loads(line)
        except ValueError:
            continue
        if values.get("clip"):
            values["clip"] = ClipKey(**values["clip"])
        if values.get("part"):
            values["part"] = Part(**values["part"])
        for name in ("copies", "fixes"):
            if name in values:
                values[name] = tuple(values[name])
        yield _KINDS[values.pop("is")](**values)


@dataclass
class Past:
    """What all attempts at a shard have settled. `folders` says where each part lies."""

    finished: dict[ClipKey, Finished] = field(default_factory=dict)
    failed: dict[ClipKey, Failed] = field(default_factory=dict)
    videos: dict[str, VideoRead] = field(default_factory=dict)
    folders: dict[Part, Path] = field(default_factory=dict)
    copies: dict[str, str] = field(default_factory=dict)
    """Byte copies that are not read: uri to the video that is read instead."""
    deaths: Counter[ClipKey] = field(default_factory=Counter)
    """How often an isolated worker died with the clip in hand."""
    deaths_elsewhere: int = 0
    """How often an isolated worker died with none in hand."""
    again: dict[ClipKey, Again] = field(default_factory=dict)
    """Clips of a finished shard that are done again for its next generation."""

    def is_settled(self, clip: ClipKey) -> bool:
        return clip in self.finished or clip in self.failed

    def unite(self, event: Together) -> None:
        """Read a video for its copies too, from its beginning."""
        uris = {event.uri, *event.copies}
        self.finished = {clip: end for clip, end in self.finished.items() if clip.uri not in uris}
        self.failed = {clip: end for clip, end in self.failed.items() if clip.uri not in uris}
        self.videos = {uri: end for uri, end in self.videos.items() if uri not in uris}
        others = {uri: first for uri, first in self.copies.items() if first != event.uri}
        self.copies = {**others, **dict.fromkeys(event.copies, event.uri)}

    def redo(self, event: Again) -> None:
        """Do a clip again; a video of which nothing could be read is read again."""
        if self.again.get(event.clip) == event:
            return
        self.again[event.clip] = event
        self.finished.pop(event.clip, None)
        self.failed.pop(event.clip, None)
        if event.clip.clip_index == WHOLE_VIDEO:
            self.videos.pop(event.clip.uri, None)

    def path_of(self, part: Part) -> Path:
        return self.folders[part] / part.name


def read_past(layout: Layout, edition: str) -> Past:
    """The union of all attempts' journals at a shard's generation, without parts that are not whole
    any more."""
    past = Past()
    for attempt in layout.attempts(edition):
        path = layout.journal(edition, attempt)
        if path.exists():
            _add(past, read_journal(path), layout.attempt(edition, attempt))
    return past


def past_of(layout: Layout, shard: Shard) -> Past:
    """The same for a shard whose copies have been found: what is void is left out."""
    past = read_past(layout, shard.edition)
    for together in newly_together(shard, past):
        past.unite(together)
    return past


def newly_together(shard: Shard, past: Past) -> Iterator[Together]:
    """Videos with copies that earlier attempts did not know of."""
    for first in dict.fromkeys(copy.same_as for copy in shard.copies):
        copies = tuple(copy.video.uri for copy in shard.copies if copy.same_as == first)
        if set(copies) != {uri for uri, other in past.copies.items() if other == first}:
            yield Together(first, copies)


def _add(past: Past, events: Iterator[Event], folder: Path) -> None:
    in_hand: ClipKey | None = None
    for event in events:
        match event:
            case Begun(clip):
                in_hand = clip
            case Finished(clip, _, part):
                in_hand = None
                if is_whole(folder, part):
                    past.finished[clip] = event
                    past.folders[part] = folder
            case Failed(clip):
                in_hand = None
                past.failed[clip] = event
            case VideoRead(uri, _, part):
                in_hand = None
                if part is None or is_whole(folder, part):
                    past.videos[uri] = event
                    if part is not None:
                        past.folders[part] = folder
            case Together():
                past.unite(event)
            case Again():
                past.redo(event)
            case Died(isolated=True) if in_hand is not None:
                past.deaths[in_hand] += 1
            case Died(isolated=True):
                past.deaths_elsewhere += 1
