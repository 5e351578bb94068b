"""Worker: the loop that every executor runs. One set of loaded models works shards off, one clip
at a time.

A finished clip is a part on disk and a line in the journal before the next one begins, so that a
killed worker redoes no finished clip. A ClipError is a row in `failures` and the shard goes on; any
other exception is a bug and rises.

What a worker reads: the clips of a planned video, as the plan recorded it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol

from massannot.clip import Clip
from massannot.dataset import commits
from massannot.dataset.journal import (
    WHOLE_VIDEO,
    Journal,
    Past,
    newly_together,
    past_of,
    read_past,
)
from massannot.dataset.layout import Layout
from massannot.dataset.merge import Link, merge_parts
from massannot.dataset.reopening import ADDED, reopen
from massannot.dataset.standing import StandingShard
from massannot.dataset.steps import AddedPhrases, read_steps
from massannot.engine.annotation import ShardAnnotation, unread
from massannot.engine.prefetch import Item, Prefetch, Read
from massannot.engine.progress import Load, Progress, ShardBegun
from massannot.entities.over_clips import identities, identities_beside
from massannot.plan.byte_copies import with_copies_found
from massannot.plan.folder import PlannedShard, read_shard
from massannot.plan.planned_videos import PlannedVideo, Shard
from massannot.stages._stage import Pipeline
from massannot.storage import durable
from massannot.video.byte_budget import ByteBudget
from massannot.video.reader import VideoEnd, read_clips
from massannot.video.sampling import Sampling


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


ShardEnd = Literal["committed", "lost", "interrupted"]
"""lost: another attempt at the shard was committed first, so nothing is missing."""


@dataclass(frozen=True)
class OpenedShard:
    shard: Shard
    standing: StandingShard | None = None
    """The rows that its generation replaces; None: it is the first."""
    steps: tuple[AddedPhrases, ...] = ()
    """What every clip is asked besides."""
    is_over: bool = False
    """There is nothing to do: somebody else was first, or nothing is to be done again."""


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
        self._opened_shards: dict[str, OpenedShard] = {}

    def announce(self, shard: PlannedShard) -> None:
        """Read `shard` as soon as all that was announced before has been read; `work` follows."""
        with self._announcing:
            if shard.id not in self._ahead:
                self._last = self._ahead[shard.id] = Prefetch(
                    lambda: self._unread(self._opened(shard)),
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

    def _unread(self, opened: OpenedShard) -> list[tuple[int, PlannedVideo]]:
        if opened.is_over:
            return []
        return unread(opened.shard, past_of(self.layout, opened.shard))

    def _opened(self, planned: PlannedShard) -> OpenedShard:
        """The shard with its videos, copies told apart; first of all reopened, where clips are to
        be done again."""
        with self._opening:
            if planned.id not in self._opened_shards:
                shard, standing = read_shard(planned), None
                if planned.retry:
                    standing = reopen(self.layout, shard, planned.retry)
                past = read_past(self.layout, planned.edition)
                shard = with_copies_found(
                    shard,
                    folder=self.folder,
                    before=past.copies,
                    failed={key.uri for key in past.failed if key.clip_index == WHOLE_VIDEO},
                )
                is_over = bool(planned.retry) and standing is None
                self._opened_shards[planned.id] = OpenedShard(
                    shard, standing, read_steps(self.layout), is_over
                )
            return self._opened_shards[planned.id]

    def _work_once(self, opened: OpenedShard, ahead: Iterator[Item] | None) -> ShardEnd:
        shard = opened.shard
        if opened.is_over or commits.is_finished(self.layout, shard.id, shard.generation):
            commits.publish(self.layout, commits.read(self.layout, shard.id))
            return "lost"
        attempt = self.layout.new_attempt(shard.edition)
        self.report(ShardBegun(self.number, shard.id, attempt, isolated=ahead is None))
        try:
            with durable.full_disk_refused(self.layout.out):
                end = self._work(opened, attempt, ahead)
        except OSError:
            if not commits.is_finished(self.layout, shard.id, shard.generation):
                raise
            end = "lost"  # whoever was first has cleaned up
        if end == "lost":  # whoever was first may have died before the shard was published
            commits.publish(self.layout, commits.read(self.layout, shard.id))
            commits.drop_attempt(self.layout, shard.edition, attempt)
        return end

    def _work(self, opened: OpenedShard, attempt: int, ahead: Iterator[Item] | None) -> ShardEnd:
        shard = opened.shard
        past = read_past(self.layout, shard.edition)
        with Journal(self.layout.journal(shard.edition, attempt)) as journal:
            for together in newly_together(shard, past):
                journal.write(together)
                past.unite(together)
            annotation = ShardAnnotation(
                self, shard, attempt, past, journal, opened.standing, opened.steps
            )
            if not annotation.run(ahead):
                return "interrupted"
        commit = merge_parts(
            self.layout,
            shard,
            attempt,
            past,
            table_names=self.pipeline.tables,
            link=_link(opened, past),
        )
        if not commits.put(self.layout, commit):
            return "lost"
        commits.publish(self.layout, commit)
        return "committed"


def _link(opened: OpenedShard, past: Past) -> Link:
    """Who is who over the clips: where phrases were added and nothing else was done again, those
    who stand keep their rows."""
    only_added = bool(past.again) and all(a.why.startswith(ADDED) for a in past.again.values())
    if opened.standing is None or not only_added:
        return identities
    return partial(identities_beside, standing=opened.standing.table("identities"))
