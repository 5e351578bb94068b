"""Worker: the loop that every executor runs. One set of loaded models works shards off, one clip
at a time.

A finished clip is a part on disk and a line in the journal before the next one begins, so that a
killed worker redoes no finished clip. A ClipError is a row in `failures` and the shard goes on; any
other exception is a bug and rises.

What a worker reads: the clips of a planned video, as the plan recorded it.
"""

from __future__ import annotations

import contextlib
import logging
import re
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import pyarrow as pa

from massannot.clip import Clip
from massannot.dataset import commits
from massannot.dataset.journal import (
    WHOLE_VIDEO,
    Begun,
    ClipKey,
    Failed,
    Finished,
    Journal,
    Past,
    VideoRead,
    newly_together,
    past_of,
    read_past,
    write_part,
)
from massannot.dataset.layout import Layout
from massannot.dataset.merge import merge_parts, reopen, settled_clips
from massannot.engine.prefetch import Item, Prefetch, Read, read_in_turn
from massannot.engine.progress import ClipBegun, ClipDone, ClipFailed, Load, Progress, ShardBegun
from massannot.entities.over_clips import identities
from massannot.errors import ClipError
from massannot.plan.byte_copies import with_copies_found
from massannot.plan.folder import PlannedShard, read_shard
from massannot.plan.planned_videos import PlannedVideo, Shard
from massannot.stages._stage import Pipeline, StageFailed, StageTime
from massannot.storage import durable
from massannot.tables import _consistency as consistency
from massannot.video.byte_budget import ByteBudget
from massannot.video.reader import VideoEnd, read_clips, release
from massannot.video.sampling import Sampling
from massannot.video.video_id import video_row


class Reader(Protocol):
    """Gives the clips of a video; picklable, because worker processes get a copy."""

    def __call__(
        self, video: PlannedVideo, *, memory: ByteBudget
    ) -> Generator[Clip | VideoEnd, None, None]: ...


@dataclass(frozen=True)
class ReadPlanned:
    """Reads planned videos at one sampling."""

    sampling: Sampling
    folder: str | None = None
    """Where relative names start; None: in the worker's own folder."""

    def __call__(
        self, video: PlannedVideo, *, memory: ByteBudget
    ) -> Generator[Clip | VideoEnd, None, None]:
        yield from read_clips(video, sampling=self.sampling, memory=memory, folder=self.folder)


DEATHS_TO_BLAME = 2
"""An isolated worker must die this often with the same clip in hand before the clip is to blame:
the first time may have been somebody else's kill."""

LOG = logging.getLogger(__name__)

ShardEnd = Literal["committed", "lost", "interrupted"]
"""lost: another attempt at the shard was committed first, so nothing is missing."""


class DuplicateVideo(ClipError):
    """The same bytes under another name: the clip's id is already taken."""

    reason = "duplicate_video"


class KilledProcess(ClipError):
    """The worker process died each time it had this clip in hand."""

    reason = "killed_process"


class Worker:
    """A pipeline that has been set up, and where its results go.

    `is_stopping` is asked between clips: the clip in hand is always finished. `wants_more` is
    called, in another thread, when everything announced has been read: time to announce more.
    """

    def __init__(
        self,
        layout: Layout,
        pipeline: Pipeline,
        *,
        read: Read,
        report: Progress,
        is_stopping: Callable[[], bool],
        wants_more: Callable[[], None],
        number: int = 0,
        load: Callable[[], Load | None] = lambda: None,
        folder: str | None = None,
    ):
        self.layout = layout
        self.pipeline = pipeline
        self.read = read
        self.report = report
        self.is_stopping = is_stopping
        self.number = number
        self.load = load
        self.folder = folder
        """Where relative names of videos start."""
        self._wants_more = wants_more
        self._ahead: dict[str, Prefetch] = {}
        self._last: Prefetch | None = None
        self._announcing = threading.Lock()
        self._opening = threading.Lock()
        self._reopened: set[str] = set()
        self._opened_shards: dict[str, Shard] = {}

    def announce(self, shard: PlannedShard) -> None:
        """Read `shard` as soon as all that was announced before has been read; `work` follows."""
        with self._announcing:
            if shard.id not in self._ahead:
                self._last = self._ahead[shard.id] = Prefetch(
                    lambda: unread(opened := self._opened(shard), past_of(self.layout, opened)),
                    self.read,
                    after=self._last,
                    at_end=self._wants_more,
                )

    def close(self) -> None:
        """Release what was read and never worked on."""
        for ahead in self._ahead.values():
            ahead.__exit__()
        self._ahead.clear()

    def work(self, shard: PlannedShard, *, isolated: bool = False) -> ShardEnd:
        """Annotate what is not settled yet, then commit and publish the shard.

        `isolated`: one clip in flight and no other, so that a death has one suspect.
        """
        with contextlib.ExitStack() as stack:
            items = None
            if not isolated:
                self.announce(shard)
                items = iter(stack.enter_context(self._ahead.pop(shard.id)))
            end = self._work_once(self._opened(shard), items)
            self._opened_shards.pop(shard.id)
            return end

    def _opened(self, planned: PlannedShard) -> Shard:
        """The shard with its videos, copies told apart; first of all reopened, where clips are to
        be tried again."""
        with self._opening:
            if planned.id not in self._opened_shards:
                shard = read_shard(planned)
                if planned.retry and planned.id not in self._reopened:
                    reopen(self.layout, shard, planned.retry)
                    self._reopened.add(planned.id)
                past = read_past(self.layout, planned.id)
                self._opened_shards[planned.id] = with_copies_found(
                    shard,
                    folder=self.folder,
                    before=past.copies,
                    failed={key.uri for key in past.failed if key.clip_index == WHOLE_VIDEO},
                )
            return self._opened_shards[planned.id]

    def _work_once(self, shard: Shard, ahead: Iterator[Item] | None) -> ShardEnd:
        if self.layout.commit(shard.id).exists():
            commits.publish(self.layout, commits.read(self.layout, shard.id))
            return "lost"
        attempt = self.layout.new_attempt(shard.id)
        self.report(ShardBegun(self.number, shard.id, attempt, isolated=ahead is None))
        try:
            with durable.full_disk_refused(self.layout.out):
                end = self._work(shard, attempt, ahead)
        except OSError:
            if not self.layout.commit(shard.id).exists():
                raise
            end = "lost"  # whoever was first has cleaned up
        if end == "lost":  # whoever was first may have died before the shard was published
            commits.publish(self.layout, commits.read(self.layout, shard.id))
            commits.drop_attempt(self.layout, shard.id, attempt)
        return end

    def _work(self, shard: Shard, attempt: int, ahead: Iterator[Item] | None) -> ShardEnd:
        past = read_past(self.layout, shard.id)
        with Journal(self.layout.journal(shard.id, attempt)) as journal:
            for together in newly_together(shard, past):
                journal.write(together)
                past.unite(together)
            annotation = _Annotation(self, shard, attempt, past, journal)
            if not annotation.run(ahead):
                return "interrupted"
        commit = merge_parts(
            self.layout, shard, attempt, past, table_names=self.pipeline.tables, link=identities
        )
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

    def run(self, ahead: Iterator[Item] | None) -> bool:
        """Settle every clip; False: asked to stop before. Without `ahead` nothing is read ahead."""
        for video in self._shard.videos:
            self._quarantined(ClipKey(video.uri, WHOLE_VIDEO))
        waiting_since = time.perf_counter()
        for item in ahead or self._in_turn():
            waited_s = time.perf_counter() - waiting_since
            if self._worker.is_stopping() and not isinstance(item.content, VideoEnd):
                _release(item)
                return False
            self._settle(item, waited_s)
            waiting_since = time.perf_counter()
        left = unread(self._shard, self._past)
        if left and not self._worker.is_stopping():
            raise RuntimeError(f"{left[0][1].uri}: its reader ended without a VideoEnd or an error")
        if not left:
            self._fail_copies()
        return not left

    def _fail_copies(self) -> None:
        """A video of which nothing could be read has failed under all of its names."""
        for copy in self._shard.copies:
            failed = self._past.failed.get(ClipKey(copy.same_as, WHOLE_VIDEO))
            key = ClipKey(copy.video.uri, WHOLE_VIDEO)
            if failed is not None and not self._past.is_settled(key):
                name = _without_folders(copy.same_as)
                message = f"a byte copy of {name}, which failed: {failed.message}"
                self._note(replace(failed, clip=key, message=message))

    def _in_turn(self) -> Iterator[Item]:
        """A death while the reader itself runs is the video's, not the clip's before it."""
        return read_in_turn(
            unread(self._shard, self._past),
            self._worker.read,
            before=lambda video: self._journal.write(Begun(ClipKey(video.uri, WHOLE_VIDEO))),
        )

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
        cost = float(clip.frames.pixels_THWC.size)
        number = self._worker.number
        self._worker.report(ClipBegun(number, key.uri, key.clip_index, cost, len(clip)))
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
        where = f"done as {clip.clip_id} in shard {self._shard.id}"
        LOG.info("clip %s %s, waited %.2f s, %s", key, where, waited_s, _spoken(times))
        self._worker.report(
            ClipDone(
                self._worker.number,
                key.uri,
                key.clip_index,
                clip.clip_id,
                len(clip),
                waited_s,
                tuple(times),
                self._worker.load(),
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

    def _quarantined(self, key: ClipKey) -> bool:
        if self._past.deaths[key] < DEATHS_TO_BLAME or self._past.is_settled(key):
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
        LOG.error("clip %s failed in %s", key, stage, exc_info=error)
        message = without_host_paths(str(error), uri=key.uri)
        status: Literal["failed", "quarantined"] = "quarantined" if quarantined else "failed"
        self._note(Failed(key, stage, error.reason, message, status))

    def _note(self, failed: Failed) -> None:
        self._journal.write(failed)
        self._past.failed[failed.clip] = failed
        uri, index = failed.clip.uri, failed.clip.clip_index
        what = (failed.stage, failed.reason, failed.message, failed.status)
        self._worker.report(ClipFailed(self._worker.number, uri, index, *what))


def unread(shard: Shard, past: Past) -> list[tuple[int, PlannedVideo]]:
    """Videos, with their places in the shard, that have not been read to their end or of which a
    clip is not settled (any more)."""
    return [
        (number, video)
        for number, video in enumerate(shard.videos)
        if video.uri not in past.videos
        or len(settled_clips(past, video.uri)) < past.videos[video.uri].n_clips
    ]


def without_host_paths(message: str, *, uri: str) -> str:
    """A message as a table may hold it: files are named, the folders they lie in are not."""
    message = message.replace(uri, _without_folders(uri))
    message = re.sub(r"(?<![\w:/.])(?:~|/)[^\s'\":,;()]*/", "", message)
    return re.sub(r"(?<![\w:/.-])(?:[\w.-]+/)+(?=[\w.-]+\.[A-Za-z]\w{1,6}(?![\w-]))", "", message)


def _spoken(times: Sequence[StageTime]) -> str:
    return ", ".join(f"{time.stage} {time.seconds:.2f} s" for time in times)


def _without_folders(uri: str) -> str:
    return uri.rstrip("/").rpartition("/")[2] or uri


def _release(item: Item) -> None:
    if isinstance(item.content, Clip):
        release(item.content)
