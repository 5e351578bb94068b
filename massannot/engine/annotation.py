"""ShardAnnotation: one attempt at one shard, clip by clip, until each is done or has failed.

A clip that is done again for its shard's next generation has rows that stand. Where it fails this
time, they stay: a clip that was there is never lost for want of something more.
"""

from __future__ import annotations

import contextlib
import logging
import re
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TextIO

import pyarrow as pa

from massannot.clip import Clip
from massannot.counts import counted
from massannot.dataset.journal import (
    WHOLE_VIDEO,
    Begun,
    ClipKey,
    Failed,
    Finished,
    Journal,
    Past,
    VideoRead,
    write_part,
)
from massannot.dataset.merge import settled_clips
from massannot.dataset.standing import StandingShard
from massannot.dataset.steps import AddedPhrases
from massannot.engine.prefetch import Item, read_in_turn
from massannot.engine.progress import ClipBegun, ClipDone, ClipFailed
from massannot.errors import ClipError, MassannotWarning
from massannot.plan.planned_videos import PlannedVideo, Shard
from massannot.recipes.added_phrases import with_phrases
from massannot.recipes.corrected import corrected
from massannot.stages._stage import StageFailed, StageTime
from massannot.storage.allocator import give_back
from massannot.tables import _consistency as consistency
from massannot.video.reader import VideoEnd, release
from massannot.video.video_id import video_row

if TYPE_CHECKING:
    from massannot.engine.worker import Worker

DEATHS_TO_BLAME = 2
"""An isolated worker must die this often with the same clip in hand before the clip is to blame:
the first time may have been somebody else's kill."""

LOG = logging.getLogger(__name__)


class DuplicateVideo(ClipError):
    """The same bytes under another name: the clip's id is already taken."""

    reason = "duplicate_video"


class KilledProcess(ClipError):
    """The worker process died each time it had this clip in hand."""

    reason = "killed_process"


class ShardAnnotation:
    """One attempt at one shard, until every clip is settled. `standing`: the rows that it is to
    replace, where some of its clips are done again; `steps`: what is asked besides."""

    def __init__(
        self,
        worker: Worker,
        shard: Shard,
        attempt: int,
        past: Past,
        journal: Journal,
        standing: StandingShard | None = None,
        steps: Sequence[AddedPhrases] = (),
    ):
        self._worker = worker
        self._shard = shard
        self._standing = standing
        self._steps = steps
        self._folder = worker.layout.attempt(shard.edition, attempt)
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
        give_back()
        self._journal.write(Begun(key))
        cost = float(clip.frames.pixels_THWC.size)
        number = self._worker.number
        self._worker.report(ClipBegun(number, key.uri, key.clip_index, cost, len(clip)))
        times: list[StageTime] = []
        try:
            with _warnings_heard() as heard:
                done = self._annotated(key, clip, times)
        except StageFailed as error:
            self._fail(key, error.stage, error)
            return
        self._finish(key, item.number, clip.clip_id, self._tables_of(done, uri=key.uri))
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
                tuple(dict.fromkeys(heard)),
            )
        )

    def _annotated(self, key: ClipKey, clip: Clip, times: list[StageTime]) -> Clip:
        """The clip with its tables: all of them made, or those that stand put right; then with what
        was asked besides. Raises StageFailed."""
        pipeline, again = self._worker.pipeline, self._past.again.get(key)
        rows = self._rows_that_stand(key)
        if again is None or rows is None:
            clip = pipeline.process(clip, times=times)
        else:
            clip = replace(clip, tables=MappingProxyType(rows))
            if again.fixes:
                clip = corrected(pipeline, clip, again.fixes, times=times)
        for step in self._steps:
            if new := step.lacking(clip.table("phrases")["text"].to_pylist()):
                clip = with_phrases(pipeline, clip, new, times=times)
        return clip

    def _rows_that_stand(self, key: ClipKey) -> dict[str, pa.Table] | None:
        if self._standing is None or key not in self._standing.clip_ids:
            return None
        return self._standing.rows_of(key)

    def _finish(
        self, key: ClipKey, number: int, clip_id: str, rows: Mapping[str, pa.Table]
    ) -> None:
        part = write_part(self._folder, f"{number:04d}-{key.clip_index:06d}.zip", rows)
        finished = Finished(key, clip_id, part)
        self._journal.write(finished)
        self._past.finished[key] = finished
        self._past.folders[part] = self._folder

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
            f"the worker process died {counted(self._past.deaths[key], 'time')} with {what} and "
            "nothing else"
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
        if self._stays(key, stage, error):
            return
        message = without_host_paths(str(error), uri=key.uri)
        status: Literal["failed", "quarantined"] = "quarantined" if quarantined else "failed"
        self._note(Failed(key, stage, error.reason, message, status))

    def _stays(self, key: ClipKey, stage: str, error: ClipError) -> bool:
        """Let the rows stand of a clip that could not be done again, or of all such clips of a
        video that could not be read; False: there are none."""
        standing = self._standing
        stays = [
            again
            for again in self._past.again
            if standing is not None
            and again in standing.clip_ids
            and not self._past.is_settled(again)
            and again.uri == key.uri
            and key.clip_index in (again.clip_index, WHOLE_VIDEO)
        ]
        number = [video.uri for video in self._shard.videos].index(key.uri)
        for again in stays:
            assert standing is not None
            self._finish(again, number, standing.clip_ids[again], standing.rows_of(again))
            who = (self._worker.number, again.uri, again.clip_index)
            message = f"its rows stand: {without_host_paths(str(error), uri=key.uri)}"
            self._worker.report(ClipFailed(*who, stage, error.reason, message, "failed"))
        return bool(stays)

    def _note(self, failed: Failed) -> None:
        self._journal.write(failed)
        self._past.failed[failed.clip] = failed
        uri, index = failed.clip.uri, failed.clip.clip_index
        what = (failed.stage, failed.reason, failed.message, failed.status)
        self._worker.report(ClipFailed(self._worker.number, uri, index, *what))


@contextlib.contextmanager
def _warnings_heard() -> Iterator[list[str]]:
    """The sentences of our own warnings, which go to the log as well, as all others do."""
    show, heard = warnings.showwarning, list[str]()

    def hear(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, MassannotWarning):
            heard.append(str(message))
        show(message, category, filename, lineno, file, line)

    warnings.showwarning = hear
    try:
        yield heard
    finally:
        warnings.showwarning = show


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
