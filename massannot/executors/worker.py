"""Worker: the loop that every executor runs. One set of loaded models works shards off, one clip
at a time.

A finished clip is a part on disk and a line in the journal before the next one begins, so that a
killed worker redoes no finished clip. A ClipError is a row in `failures` and the shard goes on; any
other exception is a bug and rises.
"""

from __future__ import annotations

import contextlib
import errno
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pyarrow as pa

from massannot.clip import Clip
from massannot.errors import ClipError, NothingToRun
from massannot.executors.prefetch import Item, Prefetch, Read, read_in_turn
from massannot.executors.progress import ClipBegun, ClipDone, ClipFailed, Progress, ShardBegun
from massannot.io import commits
from massannot.io.journal import (
    WHOLE_VIDEO,
    Begun,
    ClipKey,
    Failed,
    Finished,
    Journal,
    Past,
    VideoRead,
    read_past,
)
from massannot.io.layout import Layout
from massannot.io.merge_parts import merge_parts, settled_clips
from massannot.io.parts import write_part
from massannot.io.plan import PlannedVideo, Shard
from massannot.io.video import VideoEnd, release
from massannot.io.video_row import video_row
from massannot.pipeline import Pipeline, StageFailed, StageTime
from massannot.tables import consistency

DEATHS_TO_BLAME = 2
"""An isolated worker must die this often with the same clip in hand before the clip is to blame:
the first time may have been somebody else's kill."""

ShardEnd = Literal["committed", "lost", "interrupted"]
"""lost: another attempt at the shard was committed first, so nothing is missing."""


class DuplicateVideo(ClipError):
    """The same bytes under another name: the clip's id is already taken."""

    reason = "duplicate_video"


class KilledProcess(ClipError):
    """The worker process died each time it had this clip in hand."""

    reason = "killed_process"


@dataclass(frozen=True)
class Worker:
    """A pipeline that has been set up, and where its results go."""

    layout: Layout
    pipeline: Pipeline
    read: Read
    report: Progress
    is_stopping: Callable[[], bool]
    """Asked between clips: the clip in hand is always finished."""
    number: int = 0

    def work(self, shard: Shard, *, isolated: bool = False) -> ShardEnd:
        """Annotate what is not settled yet, then commit and publish the shard.

        `isolated`: one clip in flight and no other, so that a death has one suspect.
        """
        if self.layout.commit(shard.id).exists():
            commits.publish(self.layout, commits.read(self.layout, shard.id))
            return "lost"
        attempt = self.layout.new_attempt(shard.id)
        self.report(ShardBegun(self.number, shard.id, attempt, isolated))
        try:
            end = self._work(shard, attempt, isolated=isolated)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise NothingToRun(
                    f"{self.layout.out}: no space left; what is finished is kept: make room and "
                    "give the same command again"
                ) from error
            if not self.layout.commit(shard.id).exists():
                raise
            end = "lost"  # whoever was first has cleaned up
        if end == "lost":  # whoever was first may have died before the shard was published
            commits.publish(self.layout, commits.read(self.layout, shard.id))
            commits.drop_attempt(self.layout, shard.id, attempt)
        return end

    def _work(self, shard: Shard, attempt: int, *, isolated: bool) -> ShardEnd:
        past = read_past(self.layout, shard.id)
        with Journal(self.layout.journal(shard.id, attempt)) as journal:
            annotation = _Annotation(self, shard, attempt, past, journal)
            if not annotation.run(isolated=isolated):
                return "interrupted"
        commit = merge_parts(self.layout, shard, attempt, past, table_names=self.pipeline.tables)
        if not commits.put(self.layout, commit):
            return "lost"
        commits.publish(self.layout, commit)
        return "committed"


class _Annotation:
    """One attempt at one shard, until every clip is settled."""

    def __init__(self, worker: Worker, shard: Shard, attempt: int, past: Past, journal: Journal):
        self._worker = worker
        self._shard = shard
        self._folder = worker.layout.attempt(shard.id, attempt)
        self._past = past
        self._journal = journal
        self._clip_ids = {clip.clip_id: clip.clip for clip in past.finished.values()}

    def run(self, *, isolated: bool) -> bool:
        """False: asked to stop before everything was settled."""
        todo = [
            (number, video)
            for number, video in enumerate(self._shard.videos)
            if not self._is_read(video) and not self._quarantined(ClipKey(video.uri, WHOLE_VIDEO))
        ]
        with self._items(todo, isolated=isolated) as items:
            waiting_since = time.perf_counter()
            for item in items:
                waited_s = time.perf_counter() - waiting_since
                if self._worker.is_stopping():
                    _release(item)
                    return False
                self._settle(item, waited_s)
                waiting_since = time.perf_counter()
        return not self._worker.is_stopping() or all(map(self._is_read, self._shard.videos))

    @contextlib.contextmanager
    def _items(
        self, todo: Sequence[tuple[int, PlannedVideo]], *, isolated: bool
    ) -> Iterator[Iterator[Item]]:
        if isolated:
            # A death while the reader itself runs is the video's, not the clip's before it.
            yield read_in_turn(
                todo,
                self._worker.read,
                before=lambda video: self._journal.write(Begun(ClipKey(video.uri, WHOLE_VIDEO))),
            )
        else:
            with Prefetch(todo, self._worker.read) as ahead:
                yield iter(ahead)

    def _settle(self, item: Item, waited_s: float) -> None:
        match item.content:
            case Clip() as clip:
                try:
                    self._settle_clip(item, clip, waited_s)
                finally:
                    release(clip)
            case VideoEnd(video=video, failures=failures):
                for clip_index, error in failures:
                    self._fail(ClipKey(item.video.uri, clip_index), "read", error)
                row = None if video is None else video_row(replace(video, uri=item.video.uri))
                self._end_video(item, row)
            case ClipError() as error:
                self._fail(ClipKey(item.video.uri, WHOLE_VIDEO), "read", error)
                self._end_video(item, None)

    def _settle_clip(self, item: Item, clip: Clip, waited_s: float) -> None:
        key = ClipKey(item.video.uri, clip.clip_index)
        if self._past.is_settled(key) or self._quarantined(key):
            return
        twin = self._clip_ids.setdefault(clip.clip_id, key)
        if twin != key:
            name = _without_folders(twin.uri)
            self._fail(
                key, "read", DuplicateVideo(f"the same frames as clip {twin.clip_index} of {name}")
            )
            return
        self._journal.write(Begun(key))
        self._worker.report(ClipBegun(self._worker.number, key.uri, key.clip_index))
        times: list[StageTime] = []
        try:
            done = self._worker.pipeline.process(clip, times=times)
        except StageFailed as error:
            self._fail(key, error.stage, error)
            return
        part = write_part(
            self._folder,
            f"{item.number:04d}-{clip.clip_index:06d}.zip",
            self._tables_of(done, uri=key.uri),
        )
        finished = Finished(key, clip.clip_id, part)
        self._journal.write(finished)
        self._past.finished[key] = finished
        self._past.folders[part] = self._folder
        self._worker.report(
            ClipDone(
                self._worker.number,
                key.uri,
                key.clip_index,
                clip.clip_id,
                len(clip),
                waited_s,
                tuple(times),
            )
        )

    def _tables_of(self, clip: Clip, *, uri: str) -> dict[str, pa.Table]:
        """The clip's finished tables, and its video's row as far as it is known."""
        row = video_row(replace(clip.video, uri=uri))
        found = {**clip.tables, "videos": row}
        consistency.check({name: found[name] for name in self._worker.pipeline.tables})
        return found

    def _end_video(self, item: Item, row: pa.Table | None) -> None:
        part = None
        if row is not None:
            part = write_part(self._folder, f"{item.number:04d}-end.zip", {"videos": row})
            self._past.folders[part] = self._folder
        n_clips = len(settled_clips(self._past, item.video.uri))
        read = VideoRead(item.video.uri, n_clips, part)
        self._journal.write(read)
        self._past.videos[item.video.uri] = read

    def _is_read(self, video: PlannedVideo) -> bool:
        """Read to its end, and every clip it gave is settled."""
        read = self._past.videos.get(video.uri)
        return read is not None and len(settled_clips(self._past, video.uri)) >= read.n_clips

    def _quarantined(self, key: ClipKey) -> bool:
        if self._past.deaths[key] < DEATHS_TO_BLAME:
            return False
        what = "reading it" if key.clip_index == WHOLE_VIDEO else "it in hand"
        error = KilledProcess(
            f"the worker process died {self._past.deaths[key]} times with {what} and nothing else"
        )
        self._fail(key, "process", error, quarantined=True)
        if key.clip_index == WHOLE_VIDEO:
            n_clips = len(settled_clips(self._past, key.uri))
            self._past.videos[key.uri] = VideoRead(key.uri, n_clips, None)
            self._journal.write(self._past.videos[key.uri])
        return True

    def _fail(
        self, key: ClipKey, stage: str, error: ClipError, *, quarantined: bool = False
    ) -> None:
        if self._past.is_settled(key):
            return
        message = without_host_paths(str(error), uri=key.uri)
        status: Literal["failed", "quarantined"] = "quarantined" if quarantined else "failed"
        failed = Failed(key, stage, error.reason, message, status)
        self._journal.write(failed)
        self._past.failed[key] = failed
        self._worker.report(
            ClipFailed(
                self._worker.number, key.uri, key.clip_index, stage, error.reason, message, status
            )
        )


def without_host_paths(message: str, *, uri: str) -> str:
    """A message as a table may hold it: files are named, the folders they lie in are not."""
    message = message.replace(uri, _without_folders(uri))
    return re.sub(r"(?<![\w:/.])(?:~|/)[^\s'\":,;()]*/", "", message)


def _without_folders(uri: str) -> str:
    return uri.rstrip("/").rpartition("/")[2] or uri


def _release(item: Item) -> None:
    if isinstance(item.content, Clip):
        release(item.content)
